"""A message between an upstream and us as it is kept, and the port that keeps it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, repr=False)
class LoggedMessage:
    """One message between an upstream and us exactly as it was sent, with the sender's address.

    ``wire`` is the query of a Redirect, signature and all, or the message in a form; ``assertion``
    what was encrypted in it, which its signature is over. ``outcome`` is "sent", "accepted",
    "refused by the upstream" or the check that refused it; ``request`` the request's id and
    ``reference`` the login's on pages and in other logs.
    """

    kind: str  # AuthnRequest | Response | LogoutRequest | LogoutResponse
    upstream: str
    wire: str
    outcome: str
    request: str
    reference: str = ""
    address: str = ""
    subject: str = ""
    assertion: str = ""


class MessageLogPort(Protocol):
    """The message log: messages are kept sealed, under a key that only its readers hold."""

    def write(self, message: LoggedMessage, now: datetime) -> None:
        """Store a message; MessageLogUnavailable where it must be stored and cannot be."""
        ...
