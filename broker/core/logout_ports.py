"""What single logout asks of the SAML room: messages read and written, toward services and upstreams alike."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from broker.core.errors import MessageRefused, Status
from broker.core.logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.ports import PostForm


class LogoutRefused(MessageRefused):
    """A logout message that is not believed: whoever brought it may still be logged in."""

    reason = "logout_refused"


class LogoutFace(Protocol):
    """Our single logout service, on both sides; ``upstream`` names the side's address, None for the services'."""

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-Redirect, from the raw query string; MessageRefused names the check."""
        ...

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-POST, from the form's pairs; MessageRefused names the check."""
        ...

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Give the URL or the form that takes our signed LogoutRequest to a participant."""
        ...

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Give the URL or the form that takes our signed LogoutResponse to who asked; None where it has no place."""
        ...

    def reaches(self, peer: LogoutPeer, now: datetime) -> bool:
        """Say whether a peer can be asked, and its answer be believed."""
        ...
