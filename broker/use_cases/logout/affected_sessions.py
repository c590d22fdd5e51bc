"""Finds the sessions that a logout ends, the participants to ask, and the sessions that stay open.

Source: docs/reference/design.md#4a-logout.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

from broker.core.entities import Service, Upstream
from broker.core.logout.logout_state import (
    MOST_ASKED,
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    Participant,
    ParticipantState,
)
from broker.core.logout.sessions import NameID, Session
from broker.use_cases.logout.sessions import Sessions

Group = tuple[str, str]  # browser and person


@dataclass(frozen=True, slots=True)
class AffectedSessions:
    """Finds and ends sessions in the store, and makes participants from sessions.

    ``can_reach`` says whether the metadata of a peer has an address for a LogoutRequest.
    """

    sessions: Sessions
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    can_reach: Callable[[LogoutPeer, datetime], bool]

    def find_named(self, request: LogoutRequest, now: datetime) -> tuple[Session, ...]:
        """Return the sessions that a service's request names.

        The sessions that an upstream's request names are found when the browser is known.
        """
        if request.peer.side == "upstream":
            return ()
        service = self.services[request.peer.name]
        return self.sessions.find_named(service.entity_id, request, now)

    def end_named(self, logout: Logout, named: Iterable[Session], now: datetime) -> None:
        """End the named sessions, and the open consent pages of the same people."""
        request = logout.request
        until = request.latest_issue_time
        if request.peer.side == "upstream":
            self.sessions.close_upstream(request)
        for browser, person in logout.groups:
            self.sessions.close(browser, person, until)
        self.sessions.end(named, now)

    def join(self, logout: Logout, now: datetime) -> Logout:
        """Return the logout with the participants that it has in its browser.

        Other sessions are found only if a named session is in this browser, and only those of the
        same person. So the LogoutRequest of another browser changes nothing here
        (docs/reference/attacks.md#29).
        """
        if logout.request.peer.side == "upstream":
            return self._find_by_upstream(logout, now)
        return self._find_by_service(logout, now)

    def end_answered(self, logout: Logout, response: LogoutResponse, now: datetime) -> None:
        """End the sessions that a participant's answer says are ended.

        An upstream's session ends with all sessions and consent pages that depend on it. A session
        that the upstream began after the request was sent stays: the answer may be old.
        """
        peer = response.peer
        if peer.side == "service":
            asked = self._list_requested(logout, response.in_response_to, now)
            self.sessions.end(asked, now)
            return
        upstream = self.upstreams[peer.name]
        self._mark_over(logout, now, upstream.name)
        reached = self._list_reached(logout, now)
        from_upstream = _select_from(upstream, reached)
        sent = _find_send_time(logout, response.in_response_to) or now
        self.sessions.end_upstream(_select_begun_by(sent, from_upstream), now)

    def refresh(self, logout: Logout, now: datetime) -> Logout:
        """Return the logout with the present value of ``leaves_others``.

        The browser that brings the logout is searched too. If the named sessions are in another
        browser, the logout ends no session in this one. The status Success would hide that.
        """
        people = {person for _, person in logout.groups}
        groups = {*logout.groups, *product(logout.reached_browsers, people)}
        known = self.sessions.list_in_browsers({browser for browser, _ in groups}, now)
        own = (each for each in known if (each.browser, each.person) in groups)
        return replace(logout, leaves_others=any(self._is_left(each, logout) for each in own))

    def _is_left(self, session: Session, logout: Logout) -> bool:
        """Return whether a session stays open and no participant of the logout stands for it.

        In a browser that the logout does not reach, the upstream's own session counts too.
        """
        peer = logout.request.peer
        if peer.side == "upstream":
            upstream = self.upstreams[peer.name]
            if not session.is_from(upstream):
                return False
        if not session.ended:
            return not logout.has_participant_of(session)
        if session.browser in logout.reached_browsers or session.upstream_ended:
            return False
        return self._is_upstream_asked(session)

    def _find_by_service(self, logout: Logout, now: datetime) -> Logout:
        """Add the other sessions, in this browser, of the people whose sessions a service named."""
        request = logout.request
        service_name = request.peer.name
        until = request.latest_issue_time
        self._mark_over(logout, until)
        reached = self._list_reached(logout, now)
        named = self.find_named(request, now)
        last = _find_latest_begin((each for each in named if each in reached), until)
        at_service = [each for each in reached if each.service == service_name]
        # A newer login at the asking service has replaced the cookie of its older sessions.
        replaced = _select_begun_by(last, at_service)
        self.sessions.end(replaced, now)
        latest = max(until, last)
        affected = _select_begun_by(latest, reached)
        elsewhere = [each for each in affected if each.service != service_name]
        services = self._list_services(_select_open(elsewhere), now)
        upstreams = self._list_upstreams(affected, now)
        participants = (*services, *upstreams)
        updated = replace(logout, participants=participants)
        return updated.skip_question()

    def _find_by_upstream(self, logout: Logout, now: datetime) -> Logout:
        """Add the sessions that depend on the upstream's session in this browser.

        They are the named sessions and the other ones of the same person. An upstream has one
        session for us. It names the session by its last assertion: a transient NameID and the index
        of that assertion (Lasso, pysaml2: docs/interop.md). So with the named sessions alone, only
        the service of the last login would be logged out.
        """
        request = logout.request
        upstream = self.upstreams[request.peer.name]
        until = request.latest_issue_time
        known = self.sessions.list_in_browsers(logout.reached_browsers, now)
        from_upstream = _select_from(upstream, known)
        named = [each for each in from_upstream if _is_named_by(request, each, until)]
        logout = replace(logout, names_session=bool(named), groups=list_groups(named))
        self._mark_over(logout, until, upstream.name)
        reached = self._list_reached(logout, now)
        own = _select_from(upstream, reached)
        latest = max(until, _find_latest_begin(named, until))
        affected = _select_begun_by(latest, own)
        self.sessions.end_upstream(affected, now)
        services = self._list_services(_select_open(affected), now)
        updated = replace(logout, participants=tuple(services))
        return updated.skip_question()

    def _mark_over(self, logout: Logout, until: datetime, upstream: str = "") -> None:
        """Mark that the logins of the logout's people in its browser until ``until`` are over."""
        for browser, person in _list_reached_groups(logout):
            self.sessions.close(browser, person, until, upstream)

    def _list_reached(self, logout: Logout, now: datetime) -> list[Session]:
        """Return the sessions of the logout's people in its browser, including ended ones."""
        groups = _list_reached_groups(logout)
        known = self.sessions.list_in_browsers(logout.reached_browsers, now)
        return [each for each in known if (each.browser, each.person) in groups]

    def _list_requested(self, logout: Logout, request: str, now: datetime) -> Iterator[Session]:
        """Yield the sessions that our LogoutRequest named by SessionIndex.

        A session that began later has another index.
        """
        indexes: set[str] = set()
        for participant in logout.participants:
            if participant.request == request:
                indexes.update(participant.indexes)
        for session in self.sessions.list_in_browsers(logout.reached_browsers, now):
            if session.index in indexes:
                yield session

    def _is_upstream_asked(self, session: Session) -> bool:
        """Return whether a logout of this session may reach its upstream."""
        upstream = self.upstreams.get(session.upstream)
        return upstream is not None and not upstream.local and upstream.logout != "never"

    def _list_services(self, sessions: Iterable[Session], now: datetime) -> Iterator[Participant]:
        """Yield a participant for each NameID at each service, with its SessionIndexes.

        At most 20 are asked. Further participants count as unreachable.
        """
        groups: dict[tuple[str, str], list[Session]] = defaultdict(list)
        for session in sessions:
            names = (session.service, session.name_id.value)
            groups[names].append(session)
        for number, own in enumerate(groups.values()):
            asked = number < MOST_ASKED and self._reaches_service(own[0], now)
            yield Participant(
                LogoutPeer("service", own[0].service),
                own[0].name_id,
                tuple(session.index for session in own),
                ParticipantState.OPEN if asked else ParticipantState.UNREACHABLE,
            )

    def _reaches_service(self, session: Session, now: datetime) -> bool:
        service = self.services.get(session.service)
        # Another service may have this name by now. It must not learn about this person.
        if service is None or service.entity_id != session.entity_id:
            return False
        return self.can_reach(LogoutPeer("service", session.service), now)

    def _list_upstreams(self, sessions: Sequence[Session], now: datetime) -> Iterator[Participant]:
        """Yield each upstream once, with the NameID that it sent last.

        An upstream has one session, however many logins used it.
        """
        still_open = [session for session in sessions if not session.upstream_ended]
        for name in dict.fromkeys(session.upstream for session in still_open):
            upstream = self.upstreams.get(name)
            if upstream is not None and not upstream.local:
                from_upstream = [session for session in still_open if session.upstream == name]
                yield self._make_upstream_participant(upstream, from_upstream, now)

    def _make_upstream_participant(
        self, upstream: Upstream, from_upstream: Sequence[Session], now: datetime
    ) -> Participant:
        newest = from_upstream[-1]
        # Another upstream may have this name by now. It must not get this NameID.
        name_id = newest.upstream_name_id if newest.is_from(upstream) else None
        indexes = [
            each.upstream_index for each in from_upstream if each.upstream_name_id == name_id
        ]
        return Participant(
            LogoutPeer("upstream", upstream.name),
            name_id or NameID(""),
            tuple(dict.fromkeys(index for index in indexes if index)),
            self._find_upstream_state(upstream, name_id, now),
            always=upstream.logout == "always",
        )

    def _find_upstream_state(
        self, upstream: Upstream, name_id: NameID | None, now: datetime
    ) -> ParticipantState:
        if upstream.logout == "never":
            return ParticipantState.KEPT
        # Without a NameID the request would name nobody.
        peer = LogoutPeer("upstream", upstream.name)
        if name_id is None or not self.can_reach(peer, now):
            return ParticipantState.UNREACHABLE
        return ParticipantState.OPEN


def list_groups(sessions: Iterable[Session]) -> tuple[Group, ...]:
    """Return browser and person of each session, each pair once."""
    groups = [(session.browser, session.person) for session in sessions]
    return tuple(dict.fromkeys(groups))


def _list_reached_groups(logout: Logout) -> set[Group]:
    """Return the groups of the logout's people in the browser that it reaches."""
    reached = logout.reached_browsers
    people = {person for browser, person in logout.groups if browser in reached}
    return set(product(reached, people))


def _find_send_time(logout: Logout, request: str) -> datetime | None:
    """Return when our LogoutRequest was written; None for an unknown request."""
    asked = (each.sent for each in logout.participants if each.request == request)
    return next(asked, None)


def _select_from(upstream: Upstream, sessions: Iterable[Session]) -> list[Session]:
    return [session for session in sessions if session.is_from(upstream)]


def _select_begun_by(last: datetime, sessions: Iterable[Session]) -> list[Session]:
    return [session for session in sessions if session.at <= last]


def _select_open(sessions: Iterable[Session]) -> list[Session]:
    return [session for session in sessions if not session.ended]


def _find_latest_begin(sessions: Iterable[Session], default: datetime) -> datetime:
    """Return when the newest of some sessions began."""
    begun = [session.at for session in sessions]
    return max(begun, default=default)


def _is_named_by(request: LogoutRequest, session: Session, until: datetime) -> bool:
    """Return whether an upstream's LogoutRequest names this session."""
    name_id = session.upstream_name_id
    if name_id is None or not request.name_id.is_same_as(name_id):
        return False
    if request.indexes:
        return session.upstream_index in request.indexes
    return session.at <= until
