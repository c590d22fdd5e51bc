"""Our face toward upstreams with the message log beside it: what goes and comes is kept before anything comes of it."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from flask import Request, request

from broker.core.errors import MessageLogUnavailable, MessageRefused
from broker.core.message import LoggedMessage, MessageLogPort
from broker.core.ports import Received, UpstreamFace
from broker.core.transaction import Authentication, AuthnRequest, Outstanding


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
