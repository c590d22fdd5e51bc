"""Our single logout with the message log beside it: what goes to a kept upstream, and what comes from it, is kept."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from flask import Request, request

from broker.core.errors import MessageLogUnavailable, Status
from broker.core.logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.logout_ports import LogoutFace
from broker.core.message import LoggedMessage, MessageLogPort
from broker.core.ports import PostForm


@dataclass(frozen=True, slots=True)
class LoggedLogoutFace:
    """The face over another; a log that fails holds no logout up, whatever it demands of logins.

    What is not believed is not kept: anybody could fill the log with it. ``address`` gives whoever
    asks.
    """

    face: LogoutFace
    messages: MessageLogPort
    upstreams: Collection[str]
    address: Callable[[Request], str]

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-Redirect, and keep it."""
        return self._came(self.face.read_redirect(upstream, query, now), query, now)

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-POST, and keep it."""
        return self._came(self.face.read_post(upstream, fields, now), _written(dict(fields)), now)

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Give what takes our LogoutRequest to a participant, kept before it leaves."""
        leaving = self.face.request(participant, request_id, now)
        kept = ("LogoutRequest", participant.peer.name, _wire(leaving), "sent", request_id)
        self._keep(participant.peer, LoggedMessage(*kept, subject=participant.name_id.value), now)
        return leaving

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Give what takes our LogoutResponse to who asked, kept before it leaves."""
        leaving = self.face.respond(request, response_id, status, now)
        if leaving is not None:
            kept = ("LogoutResponse", request.peer.name, _wire(leaving), "sent", request.id)
            self._keep(request.peer, LoggedMessage(*kept, subject=request.name_id.value), now)
        return leaving

    def reaches(self, peer: LogoutPeer, now: datetime) -> bool:
        """Say whether a peer can be asked; no message goes there."""
        return self.face.reaches(peer, now)

    def _came(
        self, message: LogoutRequest | LogoutResponse, wire: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        name = message.peer.name
        if isinstance(message, LogoutRequest):
            kept = LoggedMessage(
                "LogoutRequest", name, wire, "accepted", message.id, subject=message.name_id.value
            )
        else:
            outcome = "accepted" if message.ended else "refused by the upstream"
            kept = LoggedMessage("LogoutResponse", name, wire, outcome, message.in_response_to)
        self._keep(message.peer, kept, now)
        return message

    def _keep(self, peer: LogoutPeer, message: LoggedMessage, now: datetime) -> None:
        if peer.side == "upstream" and peer.name in self.upstreams:
            with suppress(MessageLogUnavailable):
                self.messages.write(replace(message, address=self.address(request)), now)


def _wire(leaving: str | PostForm) -> str:
    """Give a message as it goes: the query of a Redirect, or what a form posts."""
    return urlsplit(leaving).query if isinstance(leaving, str) else _written(leaving.fields)


def _written(fields: Mapping[str, str]) -> str:
    return fields.get("SAMLRequest") or fields.get("SAMLResponse", "")
