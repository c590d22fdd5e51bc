"""Our face toward upstreams with the message log beside it: what goes and comes is kept before anything comes of it.

Our single logout with the message log beside it: what goes to a kept upstream, and what comes from it, is kept.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from flask import Request, request

from broker.core.errors import MessageLogUnavailable, MessageRefused, Status
from broker.core.login.transaction import Authentication, AuthnRequest, Outstanding
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.ports import (
    LoggedMessage,
    LogoutFace,
    MessageLogPort,
    PostForm,
    Received,
    UpstreamFace,
)


@dataclass(frozen=True, slots=True)
class LoggedUpstreamFace:
    """The face over another: messages with ``upstreams`` go to ``messages``, those with others pass as they are.

    ``reference`` gives a login's by the id of its AuthnRequest, ``address`` whoever asks.
    """

    face: UpstreamFace
    messages: MessageLogPort
    upstreams: Collection[str]
    reference: Callable[[str, datetime], str]
    address: Callable[[Request], str]

    def ask(self, upstream: str, request_id: str, request: AuthnRequest, now: datetime) -> str:
        """Give the URL that carries our signed AuthnRequest, kept before it leaves."""
        url = self.face.ask(upstream, request_id, request, now)
        if upstream in self.upstreams:
            self._keep(
                LoggedMessage("AuthnRequest", upstream, urlsplit(url).query, "sent", request_id),
                now,
            )
        return url

    def in_response_to(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Give the message and the request it claims to answer; what answers nothing of ours is not kept."""
        return self.face.in_response_to(upstream, fields)

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Give the page where an upstream helps its own; no message goes there."""
        return self.face.error_url(upstream, code, reference, names, now)

    def receive(
        self,
        upstream: str,
        message: object,
        expected: Outstanding,
        *,
        force_authn: bool,
        now: datetime,
        idp_list: tuple[str, ...] = (),
    ) -> Received:
        """Verify an answer in full and keep it, taken or refused; MessageLogUnavailable lets nobody in unkept."""
        if upstream not in self.upstreams:
            return self.face.receive(
                upstream, message, expected, force_authn=force_authn, now=now, idp_list=idp_list
            )
        came = LoggedMessage(
            "Response", upstream, request.form.get("SAMLResponse", ""), "accepted", expected.id
        )
        try:
            received = self.face.receive(
                upstream, message, expected, force_authn=force_authn, now=now, idp_list=idp_list
            )
        except MessageRefused as refused:
            with suppress(MessageLogUnavailable):  # refused it is already
                self._keep(replace(came, outcome=refused.cause), now)
            raise
        answer = received.answer
        if isinstance(answer, Authentication):
            came = replace(came, subject=answer.name_id or "", assertion=received.opened.decode())
        else:
            came = replace(came, outcome="refused by the upstream")
        self._keep(came, now)
        return received

    def _keep(self, message: LoggedMessage, now: datetime) -> None:
        reference, address = self.reference(message.request, now), self.address(request)
        self.messages.write(replace(message, reference=reference, address=address), now)


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
