"""A token's lifetime as its endpoint states it, sense or none."""

import time
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from broker.adapters import oauth_tokens
from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.oauth_tokens import AccessTokens
from broker.core.errors import LibraryUnavailable


class Endpoint:
    """An exchange that grants a token for a configured time."""

    def __init__(self, seconds: str) -> None:
        """Grant tokens of this lifetime."""
        self.seconds = seconds
        self.asked = 0

    def call(self, *_: object, **__: object) -> HttpAnswer:
        """Grant one more."""
        self.asked += 1
        grant = f'{{"access_token": "t{self.asked}", "expires_in": {self.seconds}}}'
        return HttpAnswer(200, grant.encode())


@pytest.mark.parametrize("seconds", ["1" + "0" * 400, "Infinity", "NaN", "-1", "0", "1e300", "86401", '"3600"', "null"])
def test_a_lifetime_that_is_none_is_taken_as_unstated(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is used, and another is fetched soon."""
    endpoint = Endpoint(seconds)
    secret = SecretStr("secret")
    tokens = AccessTokens(endpoint, "/token", "id", secret, {}, LibraryUnavailable)  # type: ignore[arg-type]
    began = time.monotonic()
    assert [tokens.current(began + 9), tokens.current(began + 9)] == ["t1", "t1"]
    monkeypatch.setattr(oauth_tokens, "time", SimpleNamespace(monotonic=lambda: began + 600))
    assert tokens.current(began + 609) == "t2"
