"""The tokens of the simulated Koha's API clients (docs/reference/koha.md#credentials)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.demo.koha.database.refusals import Refused

_LIFETIME: Final = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Client:
    """An API client: its secret, and its user's rights (borrowers, edit_borrowers, catalogue)."""

    secret: str
    rights: frozenset[str] = frozenset({"borrowers", "catalogue"})


class IssuedTokens:
    """The valid bearer tokens with their clients."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = clients
        self._good: dict[str, Client] = {}

    def grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Return a token for a client's credentials."""
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, error="Unimplemented grant type")
        client = self._clients.get(form.get("client_id", ""))
        if client is None:
            raise Refused(403, error="unauthorized_client")
        if not secrets.compare_digest(client.secret, form.get("client_secret", "")):
            raise Refused(403, error="access_denied")
        token = secrets.token_urlsafe(32)
        self._good[token] = client
        return {"access_token": token, "expires_in": _LIFETIME, "token_type": "Bearer"}

    def rights(self, authorization: str) -> frozenset[str]:
        """Return the rights of a request's bearer; 401 if the token is missing or was revoked."""
        client = self._good.get(authorization.removeprefix("Bearer "))
        if client is None:
            raise Refused(401, error="Authentication failure.")
        return client.rights

    def revoke(self) -> None:
        """Make every token expire."""
        self._good.clear()
