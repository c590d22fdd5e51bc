"""Single logout in the browser: receives and sends messages, and shows what stays open."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import list_form_fields, raw_query
from broker.adapters.web.message_recording import REFUSED_BY_UPSTREAM, read_posted, write_wire
from broker.adapters.web.pages.language import localize_text
from broker.adapters.web.pages.outgoing_saml import OutgoingSaml
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.entities import Text
from broker.core.errors import BrowserUnmatched, FormRefused, MessageRefused
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.logout.logout_state import (
    AskScope,
    Finish,
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutScope,
    Participant,
    ParticipantState,
    Send,
    Wait,
    find_status,
    next_logout_step,
)
from broker.core.logout.sessions import NameID
from broker.core.saml_ports import LogoutRefused, LogoutRole, PostForm
from broker.use_cases.logout.logout_flow import LogoutFlow

_SCOPES: Final[dict[str, LogoutScope]] = {"all": "all", "services": "services", "none": "none"}
_REPEATED: Final = "repeated"  # in the URL after a LogoutRequest that was already received


def blueprint(ports: WebPorts, role: LogoutRole, logouts: LogoutFlow) -> Blueprint:
    """Return the single logout endpoints of both sides, and the pages of a logout in progress."""
    pages = SingleLogoutPages(ports, role, logouts)
    routes = Blueprint("logout", __name__)
    both = ["GET", "POST"]
    of_service = {"upstream": None}
    routes.route("/saml/idp/slo", endpoint="slo", defaults=of_service, methods=both)(pages.answer)
    routes.route("/saml/sp/<upstream>/slo", methods=both)(pages.answer)
    routes.get("/logout/<logout>")(pages.show)
    routes.get("/logout/<logout>/on")(pages.on)
    return routes


@dataclass(frozen=True, slots=True)
class SingleLogoutPages(OutgoingSaml):
    """The endpoints and pages of single logout.

    ``role`` reads and writes the SAML messages, ``logouts`` stores the logouts in progress.
    """

    role: LogoutRole
    logouts: LogoutFlow

    def answer(self, upstream: str | None) -> Response:
        """Answer a logout message of an upstream, or of a service if ``upstream`` is None.

        Raises LogoutRefused if a check of the message fails.
        """
        try:
            return self._message(upstream)
        except MessageRefused as refused:
            raise LogoutRefused(refused.cause, clock_off=refused.clock_off) from None

    def show(self, logout: str) -> Response:
        """Continue a logout in its browser, or show the person a question or the result."""
        now = self.ports.now()
        browsers = self.ports.cookies.browsers()
        try:
            return self._turn(self.logouts.read(logout, browsers, now))
        except BrowserUnmatched:
            if _REPEATED not in request.args:
                raise
            # Another browser repeats the LogoutRequest. The peer gets an answer with the present
            # status; that browser sees no page and changes nothing.
            answer = self._respond(self.logouts.read_current(logout, now))
            if answer is None:
                raise
            return answer

    def on(self, logout: str) -> Response:
        """Apply the person's choice on the page.

        ``scope`` is how much to end. ``without`` skips a silent participant and ``again`` asks it
        again; both name the request that was sent to it. Without a choice the logout continues, and
        a finished one returns the browser to the peer. Raises FormRefused for an unknown scope.
        """
        now = self.ports.now()
        chosen = request.args
        browsers = self.ports.cookies.browsers()
        if "scope" in chosen:
            scope = _SCOPES.get(chosen["scope"])
            if scope is None:
                raise FormRefused("no such scope of a logout")
            return self._turn(self.logouts.choose_scope(logout, scope, browsers, now))
        if "without" in chosen:
            silent = chosen["without"]
            return self._turn(self.logouts.skip_participant(logout, silent, browsers, now))
        if "again" in chosen:
            silent = chosen["again"]
            return self._turn(self.logouts.ask_again(logout, silent, browsers, now))
        under_way = self.logouts.read(logout, browsers, now)
        if not isinstance(next_logout_step(under_way), Finish):
            return self._turn(under_way)
        self._log_end(under_way)
        return self._respond(under_way) or self._page(under_way, "over")

    def _message(self, upstream: str | None) -> Response:
        now = self.ports.now()
        if request.method == "POST":
            wire = read_posted(request.form)
            message = self.role.read_post(upstream, list_form_fields(request), now)
        else:
            wire = raw_query(request)
            message = self.role.read_redirect(upstream, wire, now)
        record, peer = self.ports.messages.record_logout, message.peer
        if isinstance(message, LogoutRequest):
            record("LogoutRequest", peer, wire, message.id, subject=message.name_id.value)
            return self._request(message, now)
        outcome = "accepted" if message.ended else REFUSED_BY_UPSTREAM
        record("LogoutResponse", peer, wire, message.in_response_to, outcome=outcome)
        name = self.logouts.record_answer(message, now)
        ended = "yes" if message.ended else "no"
        self._tell(EventKind.LOGOUT_ANSWERED, peer, ended=ended)
        return redirect(self._url(name), 303)

    def _request(self, message: LogoutRequest, now: datetime) -> Response:
        """End the sessions that the request names, then continue in the browser.

        A form post from another site brings no cookie. The redirect to our own page makes the
        browser send it (docs/reference/design.md#4a-1).
        """
        logout, new = self.logouts.receive(message, now)
        self._tell(EventKind.LOGOUT_RECEIVED, message.peer)
        if not new:
            return redirect(f"{self._url(logout.id)}?{_REPEATED}=1", 303)
        self._audit(AuditEventKind.LOGOUT_ASKED, logout)
        if request.method != "POST":
            browsers = self.ports.cookies.browsers()
            logout = self.logouts.read(logout.id, browsers, now)
            if self._is_finished_at_once(logout):
                return self._turn(logout)
        return redirect(self._url(logout.id), 303)

    def _is_finished_at_once(self, logout: Logout) -> bool:
        """Return whether only the answer is missing: no participant to ask, and nothing to show."""
        if not logout.browsers:
            # Without the broker's cookies this browser has no other session here, and it could not
            # open a page of this logout.
            return True
        turn = next_logout_step(logout)
        return isinstance(turn, Finish) and not turn.remains and not self.ports.shared()

    def _turn(self, logout: Logout) -> Response:
        turn = next_logout_step(logout)
        match turn:
            case AskScope():
                return self._page(logout, "ask")
            case Wait():
                return self._page(logout, "wait", turn.participant)
            case Send():
                return self._send(logout, turn.participant)
            case Finish():
                self._log_end(logout)
                # Answer the peer at once if there is nothing to show first.
                answer = self._respond(logout) if self._is_finished_at_once(logout) else None
                return answer or self._page(logout, "over")
            case _:
                assert_never(turn)

    def _send(self, logout: Logout, participant: Participant) -> Response:
        now = self.ports.now()
        request_id = self.logouts.record_request(logout, participant, now)
        if request_id is None:
            return self.show(logout.id)
        peer, name_id = participant.peer, participant.name_id
        self._tell(EventKind.LOGOUT_SENT, peer)
        message = self.role.request(participant, request_id, now)
        return self._deliver("LogoutRequest", peer, message, request_id, name_id)

    def _respond(self, logout: Logout) -> Response | None:
        """Return the answer to the peer; None if it wants none or has no address for one."""
        asked = logout.request
        if asked.asynchronous:
            return None
        answer = find_status(logout)
        response_id = f"_{secrets.token_hex(20)}"
        message = self.role.respond(asked, response_id, answer, self.ports.now())
        code = (answer.second or answer.top).rpartition(":")[2]
        self._tell(EventKind.LOGOUT_RESPONDED, asked.peer, status=code)
        if message is None:
            return None
        return self._deliver("LogoutResponse", asked.peer, message, asked.id, asked.name_id)

    def _deliver(
        self, kind: str, peer: LogoutPeer, message: str | PostForm, request_id: str, name_id: NameID
    ) -> Response:
        """Record a message in the message log, and send it through the browser."""
        wire, subject = write_wire(message), name_id.value
        record = self.ports.messages.record_logout
        record(kind, peer, wire, request_id, subject=subject, outcome="sent")
        return self.send_message(message, "logout", self._label(peer))

    def _page(self, logout: Logout, kind: str, waiting: Participant | None = None) -> Response:
        """Show the question, the silent participant, or what was ended and what stays open."""
        asked = logout.request
        page = render_template(
            "logout.html",
            step="logout",
            reason=_reason(logout, kind),
            kind=kind,
            logout=logout,
            waiting=waiting,
            label=lambda peer: localize_text(self._label(peer)),
            both=_sides_to_choose(logout) == {"service", "upstream"},
            address=f"{self._url(logout.id)}/on",
            can_go_back=not asked.asynchronous
            and self.role.can_reach(asked.peer, self.ports.now()),
            shared=self.ports.shared(),
            carried={},
        )
        return Response(page, mimetype="text/html")

    def _label(self, peer: LogoutPeer) -> Text:
        side = self.ports.services if peer.side == "service" else self.ports.upstreams
        configured = side.get(peer.name)
        if configured is None:
            # The peer was removed from broker.toml while a session at it was open.
            return Text(peer.name, peer.name)
        return configured.label

    def _url(self, name: str) -> str:
        return f"{self.ports.base_url}/logout/{name}"

    def _log_end(self, logout: Logout) -> None:
        """Write the end of the logout to the audit log once.

        It is also written if the person does not return to the peer. A reload does not repeat it.
        """
        if not self.logouts.mark_logged(logout, self.ports.now()):
            return
        count = len(_not_ended(logout))
        partial = count or logout.leaves_others
        kind = AuditEventKind.LOGOUT_PARTIAL if partial else AuditEventKind.LOGOUT_DONE
        reason = None if logout.names_session else "no_session"
        self._audit(kind, logout, count=count, reason=reason)

    def _audit(self, kind: AuditEventKind, logout: Logout, **more: Any) -> None:
        """Write an event to the audit log for each person whose sessions were named.

        The logout continues even if the event cannot be written.
        """
        peer = logout.request.peer
        facts = {peer.side: peer.name, "about": logout.id, **more}
        persons: list[str | None] = [*sorted({person for _, person in logout.groups})]
        for person in persons or [None]:
            self.ports.tell(AuditEvent(kind, self.ports.now(), person=person, **facts))

    def _tell(self, kind: EventKind, peer: LogoutPeer, **facts: str) -> None:
        self.ports.tell(BrokerEvent(kind, {peer.side: peer.name, **facts}))


def _not_ended(logout: Logout) -> list[Participant]:
    ended = ParticipantState.ENDED
    return [participant for participant in logout.participants if participant.state is not ended]


def _reason(logout: Logout, kind: str) -> str:
    """Return the ``data-reason`` of a page: its kind, or the result of a finished logout."""
    if kind != "over":
        return kind
    return "remains" if logout.leaves_others or _not_ended(logout) else "done"


def _sides_to_choose(logout: Logout) -> set[str]:
    """Return the sides on which the person is asked about participants."""
    return {
        participant.peer.side
        for participant in logout.participants
        if participant.state is ParticipantState.OPEN and not participant.always
    }
