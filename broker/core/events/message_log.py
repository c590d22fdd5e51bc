"""A stored message between an upstream and the broker, and the port that stores it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, repr=False)
class LoggedMessage:
    """One message between an upstream and the broker, exactly as it was sent.

    ``wire`` is the query of a Redirect with its signature, or the message in a form. ``assertion``
    is the decrypted assertion, which its signature covers. ``outcome`` is "sent", "accepted",
    "refused by the upstream" or the check that refused it. ``request`` is the id of the request,
    and ``reference`` the help code of the login.
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
    """The message log. Its messages are encrypted with a key that only its readers hold."""

    def write(self, message: LoggedMessage, now: datetime) -> None:
        """Store a message. Raises MessageLogUnavailable if it must be stored and cannot be."""
