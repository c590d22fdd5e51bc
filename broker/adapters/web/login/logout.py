"""Single logout in the browser: messages in, the next session participant out, and a page that says what stays open."""

import secrets
from dataclasses import replace
from typing import Any, Final, assert_never
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import pairs
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.security_headers import protect
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.errors import FormRefused, MessageRefused
from broker.core.events import BrokerEvent, EventKind
from broker.core.logout.single_logout import (
    AskScope,
    Finish,
    Logout,
    LogoutPeer,
    LogoutResponse,
    LogoutScope,
    Participant,
    ParticipantState,
    Send,
    Wait,
    next_turn,
    status,
)
from broker.core.ports import LogoutFace, LogoutRefused, PostForm
from broker.flows.logout.single_logout import SingleLogoutFlow

_SCOPES: Final[dict[str, LogoutScope]] = {"all": "all", "services": "services", "none": "none"}


def blueprint(ports: WebPorts, face: LogoutFace, logouts: SingleLogoutFlow) -> Blueprint:
    """Give both single logout addresses, and the pages of a logout under way."""
    room = SingleLogoutPages(ports, face, logouts)
    rooms = Blueprint("logout", __name__)
    rooms.add_url_rule("/saml/idp/slo", "service", room.service, methods=["GET", "POST"])
    rooms.add_url_rule(
        "/saml/sp/<upstream>/slo", "upstream", room.upstream, methods=["GET", "POST"]
    )
    rooms.add_url_rule("/logout/<logout>", "show", room.show, methods=["GET"])
    rooms.add_url_rule("/logout/<logout>/on", "on", room.on, methods=["GET"])
    return rooms


class SingleLogoutPages:
    """The endpoints over the web ports."""

    def __init__(self, ports: WebPorts, face: LogoutFace, logouts: SingleLogoutFlow) -> None:
        """Take what the endpoints reach, the messages' room, and the logouts under way."""
        self.ports, self.face, self.logouts = ports, face, logouts

    def service(self) -> Response:
        """Take a logout message of a service."""
        return self.upstream(None)

    def upstream(self, upstream: str | None) -> Response:
        """Take a logout message of an upstream; LogoutRefused where it is not believed."""
        try:
            return self._message(upstream)
        except MessageRefused as refused:
            raise LogoutRefused(refused.cause, clock_off=refused.clock_off) from None

    def _message(self, upstream: str | None) -> Response:
        """Take a message: a response counts by itself, a request ends what it names before anybody is asked.

        A form that another site posts brings no cookie: the browser is sent to our own page, where
        it does (design 4a.1).
        """
        now, posted = self.ports.now(), request.method == "POST"
        if posted:
            message = self.face.read_post(upstream, pairs(request), now)
        else:
            message = self.face.read_redirect(
                upstream, request.query_string.decode("ascii", "replace"), now
            )
        if isinstance(message, LogoutResponse):
            name = self.logouts.answered(message, now)
            self._tell(
                EventKind.LOGOUT_ANSWERED, message.peer, ended="yes" if message.ended else "no"
            )
            return redirect(self._url(name), 303)
        logout = self.logouts.received(message, now)
        self._tell(EventKind.LOGOUT_RECEIVED, message.peer)
        self._audit(AuditEventKind.LOGOUT_ASKED, logout)
        if not posted:
            logout = self.logouts.joined(logout, self.ports.cookies.browsers(request), now)
            if self._at_once(logout):
                self._ended(logout)
                logout = replace(logout, told=True)
                answer = self._respond(logout)
                if answer or not logout.browsers:
                    return answer or self._over(logout)
        self.logouts.keep(logout, now)
        return redirect(self._url(logout.id), 303)

    def _at_once(self, logout: Logout) -> bool:
        """Say whether nobody else is to be asked and nothing is to be told: the answer is all that is left."""
        turn = next_turn(logout)
        quiet = isinstance(turn, Finish) and not turn.remains and not self.ports.shared(request)
        # A browser without cookies of ours has nothing else here, and could not come back to a
        # page.
        return quiet or not logout.browsers

    def show(self, logout: str) -> Response:
        """Go on with a logout in its browser, or show what the person decides or should know."""
        return self._turn(
            self.logouts.read(logout, self.ports.cookies.browsers(request), self.ports.now())
        )

    def on(self, logout: str) -> Response:
        """Take what the person chose: how much to end, to go on without one that is silent, or to go back."""
        given, now, browsers = request.args, self.ports.now(), self.ports.cookies.browsers(request)
        if "scope" in given:
            if given["scope"] not in _SCOPES:
                raise FormRefused("no such scope of a logout")
            return self._turn(self.logouts.chosen(logout, _SCOPES[given["scope"]], browsers, now))
        if "without" in given:
            return self._turn(self.logouts.skipped(logout, given["without"], browsers, now))
        if "again" in given:
            return self._turn(self.logouts.again(logout, given["again"], browsers, now))
        found = self.logouts.read(logout, browsers, now)
        if not isinstance(next_turn(found), Finish):
            return self._turn(found)
        self._finish(found)
        return self._respond(found) or self._over(found)

    def _turn(self, logout: Logout) -> Response:
        turn = next_turn(logout)
        match turn:
            case AskScope():
                return self._page(logout, "ask")
            case Wait():
                return self._page(logout, "wait", turn.participant)
            case Send():
                return self._send(logout, turn.participant)
            case Finish():
                self._finish(logout)
                return (self._respond(logout) if self._at_once(logout) else None) or self._over(
                    logout
                )
            case _:
                assert_never(turn)

    def _send(self, logout: Logout, participant: Participant) -> Response:
        asked = self.logouts.asking(logout, participant, self.ports.now())
        if asked is None:
            return self.show(logout.id)
        self._tell(EventKind.LOGOUT_SENT, participant.peer)
        leaving = self.face.request(participant, asked, self.ports.now())
        return self._leave(leaving, participant.peer)

    def _respond(self, logout: Logout) -> Response | None:
        """Answer who asked; None where it wants no answer, or has no place for one."""
        if logout.request.asynchronous:
            return None
        said = status(logout)
        name = f"_{secrets.token_hex(20)}"
        leaving = self.face.respond(logout.request, name, said, self.ports.now())
        code = (said.second or said.top).rpartition(":")[2]
        self._tell(EventKind.LOGOUT_RESPONDED, logout.request.peer, status=code)
        return None if leaving is None else self._leave(leaving, logout.request.peer)

    def _leave(self, leaving: str | PostForm, peer: LogoutPeer) -> Response:
        if isinstance(leaving, str):
            return redirect(leaving, 302)
        page = render_template(
            "logout_post.html", step="logout", form=leaving, party=self._label(peer)
        )
        return protect(Response(page, mimetype="text/html"), self.ports.base_url, "leaving")

    def _over(self, logout: Logout) -> Response:
        """Say what was ended and what stays open, with the way back to who asked."""
        return self._page(logout, "over")

    def _page(self, logout: Logout, kind: str, waiting: Participant | None = None) -> Response:
        asker = logout.request.peer
        rows = [
            (self._label(each.peer), each.peer.side, each.state) for each in logout.participants
        ]
        open_ = [each for each in logout.participants if each.state is ParticipantState.OPEN]
        left = [each for each in logout.participants if each.state is not ParticipantState.ENDED]
        page = render_template(
            "logout.html",
            step="logout",
            reason=kind if kind != "over" else "remains" if left or logout.left else "done",
            kind=kind,
            asker=self._label(asker),
            by_upstream=asker.side == "upstream",
            rows=[(label, side, state.value) for label, side, state in rows],
            both={each.peer.side for each in open_ if not each.always} == {"service", "upstream"},
            waiting=self._label(waiting.peer) if waiting else "",
            without=self._on(logout, without=waiting.request or "") if waiting else "",
            again=self._on(logout, again=waiting.request or "") if waiting else "",
            scopes={name: self._on(logout, scope=name) for name in _SCOPES},
            back=self._on(logout, back="1") if self._answerable(logout) else "",
            shared=self.ports.shared(request),
            elsewhere=logout.left,
            kept={},
        )
        return Response(page, mimetype="text/html")

    def _answerable(self, logout: Logout) -> bool:
        return not logout.request.asynchronous and self.face.reaches(
            logout.request.peer, self.ports.now()
        )

    def _label(self, peer: LogoutPeer) -> str:
        known = (self.ports.services if peer.side == "service" else self.ports.upstreams).get(
            peer.name
        )
        return (
            known.label[language()] if known else peer.name
        )  # a session outlives its service's table

    def _url(self, name: str) -> str:
        return f"{self.ports.base_url}/logout/{name}"

    def _on(self, logout: Logout, **chosen: str) -> str:
        return f"{self._url(logout.id)}/on?{urlencode(chosen)}"

    def _finish(self, logout: Logout) -> None:
        """Write on the trail how it ended, once: not only where somebody goes back, and not again where they reload."""
        if self.logouts.told(logout, self.ports.now()):
            self._ended(logout)

    def _ended(self, logout: Logout) -> None:
        left = sum(each.state is not ParticipantState.ENDED for each in logout.participants)
        kind = AuditEventKind.LOGOUT_PARTIAL if left or logout.left else AuditEventKind.LOGOUT_DONE
        self._audit(kind, logout, count=left, reason=None if logout.found else "no_session")

    def _audit(self, kind: AuditEventKind, logout: Logout, **more: Any) -> None:
        """Write it on the trail for each person whose sessions were named; it goes on whether it can be or not."""
        peer = logout.request.peer
        event = AuditEvent(kind, self.ports.now(), about=logout.id, **more)
        event = (
            replace(event, service=peer.name)
            if peer.side == "service"
            else replace(event, upstream=peer.name)
        )
        persons = sorted({each for _, each in logout.groups})
        for each in [replace(event, person=person) for person in persons] or [event]:
            self.ports.tell(each)

    def _tell(self, kind: EventKind, peer: LogoutPeer, **facts: str) -> None:
        self.ports.tell(BrokerEvent(kind, {peer.side: peer.name, **facts}))
