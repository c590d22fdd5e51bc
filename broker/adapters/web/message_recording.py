"""Stores messages from and to upstreams in the message log before they have any effect."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from flask import request

from broker.adapters.web.client_address import find_address
from broker.core.errors import MessageLogUnavailable, MessageRefused
from broker.core.events.message_log import LoggedMessage, MessageLogPort
from broker.core.login.transaction import Authentication, AuthnRequest, Outstanding
from broker.core.logout.logout_state import LogoutPeer
from broker.core.saml_ports import PostForm, Received, SpRole
from broker.core.window_counts import WindowCounts

REFUSED_BY_UPSTREAM: Final = "refused by the upstream"
# Every visitor can send a forged Response to their own request, and the log is kept for half a
# year. Therefore store only this many rejected Responses a minute, and only the digest of a large
# one.
_MOST_REFUSED: Final = 10
_LARGEST_REFUSED: Final = 32 * 1024
_MOST_UPSTREAMS: Final = 100


@dataclass(frozen=True, slots=True)
class MessageRecorder:
    """Stores the messages of ``upstreams`` in the message log, if there is one.

    Messages of other upstreams are not stored.
    """

    log: MessageLogPort | None
    upstreams: Collection[str]
    now: Callable[[], datetime]
    refused_counts: WindowCounts = field(default_factory=lambda: WindowCounts(_MOST_UPSTREAMS))

    def ask(
        self, role: SpRole, asked: AuthnRequest, outstanding: Outstanding, reference: str
    ) -> str | PostForm:
        """Store our signed AuthnRequest, and return the redirect or form that carries it.

        ``reference`` is the help code of the login.
        """
        upstream, request_id = outstanding.upstream, outstanding.id
        leaving = role.ask(upstream, request_id, asked, self.now())
        if upstream in self.upstreams:
            wire = write_wire(leaving)
            self._store(
                LoggedMessage("AuthnRequest", upstream, wire, "sent", request_id, reference)
            )
        return leaving

    def receive(
        self,
        role: SpRole,
        message: object,
        asked: AuthnRequest,
        outstanding: Outstanding,
        reference: str,
    ) -> Received:
        """Verify an answer completely and store it; only some refused answers a minute are stored.

        Raises MessageRefused, and MessageLogUnavailable if an accepted answer cannot be stored:
        then nobody is logged in by it.
        """
        upstream, request_id = outstanding.upstream, outstanding.id
        wire = request.form.get("SAMLResponse", "")
        came = LoggedMessage("Response", upstream, wire, "accepted", request_id, reference)
        try:
            received = role.receive(
                upstream,
                message,
                outstanding,
                force_authn=asked.force_authn,
                now=self.now(),
                idp_list=asked.idp_list,
            )
        except MessageRefused as refused:
            self._store_refused(replace(came, outcome=refused.cause))
            raise
        answer = received.answer
        if isinstance(answer, Authentication):
            assertion = received.opened.decode()
            came = replace(came, subject=answer.name_id or "", assertion=assertion)
        else:
            came = replace(came, outcome=REFUSED_BY_UPSTREAM)
        self._store(came)
        return received

    def record_logout(
        self,
        kind: str,
        peer: LogoutPeer,
        wire: str,
        request_id: str,
        *,
        subject: str = "",
        outcome: str = "accepted",
    ) -> None:
        """Store a logout message if the peer is an upstream.

        A logout continues if the message log fails. Do not call it for a message that fails
        verification: otherwise every caller could fill the log.
        """
        if peer.side == "upstream":
            with suppress(MessageLogUnavailable):
                message = LoggedMessage(kind, peer.name, wire, outcome, request_id, subject=subject)
                self._store(message)

    def _store_refused(self, came: LoggedMessage) -> None:
        if self.refused_counts.count(came.upstream, self.now()) > _MOST_REFUSED:
            return
        if len(came.wire) > _LARGEST_REFUSED:
            digest = sha256(came.wire.encode()).hexdigest()
            came = replace(came, wire=f"sha256:{digest}")
        with suppress(MessageLogUnavailable):  # it is refused in any case
            self._store(came)

    def _store(self, message: LoggedMessage) -> None:
        if self.log is not None and message.upstream in self.upstreams:
            address = find_address(request)
            self.log.write(replace(message, address=address), self.now())


def write_wire(message: str | PostForm) -> str:
    """Return a message as it is sent: the query of a Redirect, or the field of a form."""
    if isinstance(message, str):
        return urlsplit(message).query
    return read_posted(message.fields)


def read_posted(fields: Mapping[str, str]) -> str:
    """Return the message in the fields of a form."""
    return fields.get("SAMLRequest") or fields.get("SAMLResponse", "")
