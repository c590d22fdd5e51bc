"""One message between an upstream and us, as the message log keeps it for as long as the law asks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, repr=False)
class LoggedMessage:
    """A message exactly as it went or came, and who brought it.

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
    """Where messages are kept, sealed to somebody who is not here."""

    def write(self, message: LoggedMessage, now: datetime) -> None:
        """Keep a message; MessageLogUnavailable where it cannot be kept and may not go unkept."""
        ...
