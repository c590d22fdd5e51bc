"""The tokens of the simulated Koha's API clients (docs/reference/koha.md#credentials)."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from broker.demo.koha.database.patrons import Patrons
from broker.demo.koha.database.refusals import Refused


@dataclass(frozen=True, slots=True)
class Client:
    """An API client: its secret, and its user's rights (borrowers, edit_borrowers, catalogue)."""

    secret: str
    rights: frozenset[str] = frozenset({"borrowers", "catalogue"})


class IssuedTokens:
    """The valid bearer tokens with their clients."""

    def __init__(self, clients: Mapping[str, Client], lifetime: int, patrons: Patrons) -> None:
        self._clients = clients
        self._lifetime = lifetime
        self._patrons = patrons
        self._good: dict[str, tuple[float, Client]] = {}

    def grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Return a token for a client's credentials."""
        granting = self._patrons.administration.preferences.rest_oauth2_client_credentials
        known_grant = form.get("grant_type") == "client_credentials"
        if not known_grant or not granting:
            raise Refused(400, error="Unimplemented grant type")
        client = self._clients.get(form.get("client_id", ""))
        if client is None:
            raise Refused(403, error="unauthorized_client")
        if not secrets.compare_digest(client.secret, form.get("client_secret", "")):
            raise Refused(403, error="access_denied")
        token = secrets.token_urlsafe(32)
        self._good[token] = (time.monotonic() + self._lifetime, client)
        return {"access_token": token, "expires_in": self._lifetime, "token_type": "Bearer"}

    def rights(self, authorization: str) -> frozenset[str]:
        """Return the rights of a request's bearer; 401 if the token is missing or has expired."""
        token = authorization.removeprefix("Bearer ")
        until, client = self._good.get(token, (0.0, None))
        if client is None or time.monotonic() >= until:
            raise Refused(401, error="Authentication failure.")
        return client.rights

    def revoke(self) -> None:
        """Make every token expire."""
        self._good.clear()
