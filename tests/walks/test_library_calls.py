"""How often a login asks the library system."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from tests.plugins.deployment import Deployment, mark


def test_a_first_login_asks_at_most_eight_times_until_the_account_stands(deployment: Deployment) -> None:
    """Look at login and in the worker, look for duplicates, create, count; a look by number is two calls."""
    person = deployment.person()
    before = len(deployment.borrower_calls())
    number = deployment.landing(person.agree(person.log_in("asta"))).attributes["uid"][0]
    deployment.wait_until_idle()
    calls = deployment.borrower_calls()[before:]
    assert number
    assert len(calls) <= 8
    assert sum(line.startswith("POST ") for line in calls) == 1
    assert calls[-1].startswith("GET ")  # after the create the matches are counted


def test_a_known_borrower_is_asked_about_every_ten_minutes(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within it no login asks anything, whichever service it is for; after it one does, once."""
    # The services' requests come at the time it is for the broker.
    monkeypatch.setattr(
        "broker.demo.library.services.datetime", SimpleNamespace(now=lambda _zone: deployment.clock.now())
    )
    person = deployment.person()
    deployment.landing(person.agree(person.log_in("asta"), remember=True))
    deployment.wait_until_idle()
    for _ in range(2):
        before = len(deployment.borrower_calls())
        for service in ("my-loans", "myprint"):
            page = deployment.person().log_in("asta", service=service)
            assert mark(page)[0] in {"ask", "issue"}
        assert [
            line for line in deployment.borrower_calls()[before:] if not line.startswith("GET /api/v1/patrons/")
        ] == []
        deployment.clock.ahead += timedelta(minutes=11)
        before = len(deployment.borrower_calls())
        deployment.person().log_in("asta")
        assert len(deployment.borrower_calls()[before:]) in {1, 2}  # one question, by its fields and by the attribute
