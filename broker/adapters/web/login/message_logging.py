"""The SAML roles toward upstreams with a message log: kept before anything comes of a message."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from flask import Request, request

from broker.core.errors import MessageLogUnavailable, MessageRefused, Status
from broker.core.events.message_log import LoggedMessage, MessageLogPort
from broker.core.login.transaction import Authentication, AuthnRequest, Outstanding
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest, LogoutResponse, Participant
from broker.core.minute_counts import MinuteCounts
from broker.core.saml_ports import LogoutRole, PostForm, Received, SpRole

_REFUSED: Final = "refused by the upstream"
# Every visitor can send a forged Response to their own request, and the log is kept for half a
# year. Therefore store only this many rejected Responses a minute, and only the digest of a large
# one.
_MOST_DISBELIEVED: Final = 10
_LARGEST_DISBELIEVED: Final = 32 * 1024
_MOST_UPSTREAMS: Final = 100


@dataclass(frozen=True, slots=True)
class LoggedSpRole:
    """The role over another: messages with ``upstreams`` go to ``messages``, others pass by.

    ``reference`` returns a login's by the id of its AuthnRequest, ``address`` the caller's.
    """

    role: SpRole
    messages: MessageLogPort
    upstreams: Collection[str]
    reference: Callable[[str, datetime], str]
    address: Callable[[Request], str]
    disbelieved: MinuteCounts = field(default_factory=lambda: MinuteCounts(_MOST_UPSTREAMS))

    def ask(
        self, upstream: str, request_id: str, request: AuthnRequest, now: datetime
    ) -> str | PostForm:
        """Return what carries our signed AuthnRequest, kept before it leaves."""
        leaving = self.role.ask(upstream, request_id, request, now)
        if upstream in self.upstreams:
            wire = _wire(leaving)
            message = LoggedMessage("AuthnRequest", upstream, wire, "sent", request_id)
            self._keep(message, now)
        return leaving

    def parse_response(
        self, upstream: str, fields: Sequence[tuple[str, str]]
    ) -> tuple[object, str]:
        """Return the message and the request it claims to answer.

        A Response that answers no request of the broker is not stored.
        """
        return self.role.parse_response(upstream, fields)

    def error_url(
        self, upstream: str, code: str, reference: str, names: str, now: datetime
    ) -> str | None:
        """Return the page where an upstream helps its own; no message goes there."""
        return self.role.error_url(upstream, code, reference, names, now)

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
        """Verify an answer in full and keep it; of refused ones so many a minute.

        MessageLogUnavailable lets nobody in whose answer could not be kept.
        """
        verify = partial(
            self.role.receive,
            upstream,
            message,
            expected,
            force_authn=force_authn,
            now=now,
            idp_list=idp_list,
        )
        if upstream not in self.upstreams:
            return verify()
        wire = request.form.get("SAMLResponse", "")
        came = LoggedMessage("Response", upstream, wire, "accepted", expected.id)
        try:
            received = verify()
        except MessageRefused as refused:
            self._keep_refused(replace(came, outcome=refused.cause), now)
            raise
        self._keep(_add_answer(came, received), now)
        return received

    def _keep_refused(self, came: LoggedMessage, now: datetime) -> None:
        if self.disbelieved.count(came.upstream, now) > _MOST_DISBELIEVED:
            return
        if len(came.wire) > _LARGEST_DISBELIEVED:
            digest = sha256(came.wire.encode()).hexdigest()
            came = replace(came, wire=f"sha256:{digest}")
        with suppress(MessageLogUnavailable):  # refused it is already
            self._keep(came, now)

    def _keep(self, message: LoggedMessage, now: datetime) -> None:
        reference = self.reference(message.request, now)
        address = self.address(request)
        self.messages.write(replace(message, reference=reference, address=address), now)


@dataclass(frozen=True, slots=True)
class LoggedLogoutRole:
    """The role over another; a log that fails holds no logout up, whatever it demands of logins.

    A message that fails verification is not stored: every caller could fill the log. ``address``
    returns the caller's address.
    """

    role: LogoutRole
    messages: MessageLogPort
    upstreams: Collection[str]
    address: Callable[[Request], str]

    def read_redirect(
        self, upstream: str | None, query: str, now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-Redirect, and keep it."""
        message = self.role.read_redirect(upstream, query, now)
        self._keep_received(message, query, now)
        return message

    def read_post(
        self, upstream: str | None, fields: Sequence[tuple[str, str]], now: datetime
    ) -> LogoutRequest | LogoutResponse:
        """Verify a message that came by HTTP-POST, and keep it."""
        message = self.role.read_post(upstream, fields, now)
        self._keep_received(message, _post(dict(fields)), now)
        return message

    def request(self, participant: Participant, request_id: str, now: datetime) -> str | PostForm:
        """Return what takes our LogoutRequest to a participant, kept before it leaves."""
        message = self.role.request(participant, request_id, now)
        subject = participant.name_id.value
        kept = LoggedMessage(
            "LogoutRequest",
            participant.peer.name,
            _wire(message),
            "sent",
            request_id,
            subject=subject,
        )
        self._keep(participant.peer, kept, now)
        return message

    def respond(
        self, request: LogoutRequest, response_id: str, status: Status, now: datetime
    ) -> str | PostForm | None:
        """Return what takes our LogoutResponse to the peer that asked, kept before it leaves."""
        message = self.role.respond(request, response_id, status, now)
        if message is not None:
            peer, subject = request.peer, request.name_id.value
            wire = _wire(message)
            kept = LoggedMessage(
                "LogoutResponse", peer.name, wire, "sent", request.id, subject=subject
            )
            self._keep(peer, kept, now)
        return message

    def can_reach(self, peer: LogoutPeer, now: datetime) -> bool:
        """Return whether a peer can be asked; no message goes there."""
        return self.role.can_reach(peer, now)

    def _keep_received(
        self, message: LogoutRequest | LogoutResponse, wire: str, now: datetime
    ) -> None:
        name = message.peer.name
        if isinstance(message, LogoutRequest):
            kept = LoggedMessage("LogoutRequest", name, wire, "accepted", message.id)
            kept = replace(kept, subject=message.name_id.value)
        else:
            outcome = "accepted" if message.ended else _REFUSED
            kept = LoggedMessage("LogoutResponse", name, wire, outcome, message.in_response_to)
        self._keep(message.peer, kept, now)

    def _keep(self, peer: LogoutPeer, message: LoggedMessage, now: datetime) -> None:
        if peer.side == "upstream" and peer.name in self.upstreams:
            with suppress(MessageLogUnavailable):
                self.messages.write(replace(message, address=self.address(request)), now)


def _add_answer(came: LoggedMessage, received: Received) -> LoggedMessage:
    """Return the record with subject and decrypted assertion, or that the upstream refused."""
    answer = received.answer
    if not isinstance(answer, Authentication):
        return replace(came, outcome=_REFUSED)
    assertion = received.opened.decode()
    return replace(came, subject=answer.name_id or "", assertion=assertion)


def _wire(message: str | PostForm) -> str:
    """Return a message as it goes: the query of a Redirect, or what a form posts."""
    if isinstance(message, str):
        return urlsplit(message).query
    return _post(message.fields)


def _post(fields: Mapping[str, str]) -> str:
    return fields.get("SAMLRequest") or fields.get("SAMLResponse", "")
