"""A single logout, from the LogoutRequest to the answer.

The sessions that the request names are ended first. Then each participant is asked.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.entities import Service, Upstream
from broker.core.errors import BrowserUnmatched, LogoutGone, MessageRefused
from broker.core.logout.logout_state import (
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    LogoutScope,
    Participant,
)
from broker.core.ports import Key, Store
from broker.use_cases.logout.affected_sessions import AffectedSessions, list_groups
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.storage.records import Amended, Content, Record, Records

# The id of a logout is in its address, and the id of each of our LogoutRequests begins with it.
_NAME_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class LogoutFlow:
    """The logouts in progress.

    ``can_reach`` says whether the metadata of a peer has an address for a LogoutRequest.
    """

    store: Store
    sessions: Sessions
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    can_reach: Callable[[LogoutPeer, datetime], bool]

    @property
    def affected_sessions(self) -> AffectedSessions:
        """Return the part that finds and ends the sessions of a logout."""
        return AffectedSessions(self.sessions, self.services, self.upstreams, self.can_reach)

    def receive(self, request: LogoutRequest, now: datetime) -> tuple[Logout, bool]:
        """Begin a logout by a verified LogoutRequest and end the sessions it names.

        Return the logout and True. The same request again changes nothing: the logout that it began
        is returned, and False. A service's sessions are found wherever it sends the browser. An
        upstream's are found once a browser is joined.
        """
        # A login that begins during the logout is not part of it.
        request = replace(request, latest_issue_time=min(request.latest_issue_time, now))
        named = self.affected_sessions.find_named(request, now)
        logout = Logout(
            self._compute_id(request),
            request,
            now,
            names_session=bool(named),
            groups=list_groups(named),
        )
        if not self._records.add(_key(logout.id), logout, logout.until, now):
            return self.read_current(logout.id, now), False
        self.affected_sessions.end_named(logout, named, now)
        return logout, True

    def read_current(self, name: str, now: datetime) -> Logout:
        """Return a logout as it is now, for the status in the answer; raises LogoutGone."""
        logout = _require(self._records.get(_key(name), now))
        return self.affected_sessions.refresh(logout, now)

    def read(self, name: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Return the logout, joined to its browser.

        Raises LogoutGone if there is none, and BrowserUnmatched for another browser's. A request
        that came by POST brings no cookie. It belongs to the first browser that follows it.
        """
        return self._change_own(name, lambda logout: logout, browsers, now)

    def mark_logged(self, logout: Logout, now: datetime) -> bool:
        """Record that the end of a logout is in the audit log; False if it was there already."""
        amended = self._amend(logout.id, lambda each: replace(each, is_logged=True), now)
        return amended.written

    def choose_scope(
        self, name: str, scope: LogoutScope, browsers: Sequence[str], now: datetime
    ) -> Logout:
        """Record the person's choice of how much is ended; only the first choice counts."""
        return self._change_own(name, lambda logout: logout.choose_scope(scope), browsers, now)

    def skip_participant(
        self, name: str, request: str, browsers: Sequence[str], now: datetime
    ) -> Logout:
        """Continue without the participant that was sent ``request``."""
        return self._change_own(
            name, lambda logout: logout.skip_participant(request), browsers, now
        )

    def ask_again(self, name: str, request: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Ask the participant that was sent ``request`` again; an answer to that one is refused."""
        return self._change_own(name, lambda logout: logout.ask_again(request), browsers, now)

    def record_request(self, logout: Logout, participant: Participant, now: datetime) -> str | None:
        """Record a LogoutRequest before it is sent, and return its id.

        None if another tab has sent one meanwhile. The id carries the id of the logout.
        """
        request = f"_{logout.id}{secrets.token_hex(16)}"
        asked = self._change(
            logout.id, lambda each: each.record_request(participant, request, now), now
        )
        requests = {each.request for each in asked.participants}
        return request if request in requests else None

    def record_answer(self, response: LogoutResponse, now: datetime) -> str:
        """Record a verified LogoutResponse, and return the id of its logout.

        Raises LogoutGone, or MessageRefused ``logout.not_awaited``, if no participant of that name
        was asked by this request: an unsolicited answer, one of another logout or peer, or a second
        one.
        """
        name = response.in_response_to[1:33]

        def record(logout: Logout) -> Logout:
            participant = logout.find_awaited(response)
            if participant is None:
                raise MessageRefused("logout.not_awaited")
            return logout.record_answer(participant, ended=response.ended)

        after = self._change(name, record, now)
        if response.ended:
            self.affected_sessions.end_answered(after, response, now)
        return name

    def _join_browser(self, logout: Logout, browsers: Sequence[str], now: datetime) -> Logout:
        """Return the logout, joined to the browser that has these cookies."""
        if logout.browsers is None:
            joined = replace(logout, browsers=tuple(browsers))
            return self.affected_sessions.join(joined, now)
        # A logout without a cookie has nothing that a page could show.
        if logout.browsers and set(logout.browsers).isdisjoint(browsers):
            raise BrowserUnmatched("another browser's logout")
        return logout

    def _compute_id(self, request: LogoutRequest) -> str:
        """Return the id of the logout that a request begins; the same request gives the same id."""
        peer = request.peer
        name = self.sessions.hmacs.compute("logout", peer.side, peer.name, request.id)
        _, _, digest = name.partition(".")
        return digest[:_NAME_LENGTH]

    def _change_own(
        self, name: str, change: Callable[[Logout], Logout], browsers: Sequence[str], now: datetime
    ) -> Logout:
        def change_record(logout: Logout) -> Logout:
            own = self._join_browser(logout, browsers, now)
            return change(own)

        after = self._change(name, change_record, now)
        return self.affected_sessions.refresh(after, now)

    def _change(self, name: str, change: Callable[[Logout], Logout], now: datetime) -> Logout:
        amended = self._amend(name, change, now)
        return _require(amended.record)

    def _amend(
        self, name: str, change: Callable[[Logout], Logout], now: datetime
    ) -> Amended[Logout]:
        def change_record(record: Record[Logout] | None) -> Content[Logout] | None:
            before = _require(record)
            after = change(before)
            if after == before:
                return None
            return Content(after, after.until)

        return self._records.amend(_key(name), change_record, now)

    @property
    def _records(self) -> Records[Logout]:
        return Records(self.store, Logout)


def _key(name: str) -> Key:
    return Key("logout", name)


def _require(record: Record[Logout] | None) -> Logout:
    if record is None:
        raise LogoutGone("no such logout")
    return record.value
