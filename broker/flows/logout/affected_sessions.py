"""The sessions that a logout is about: what it ends, what it asks for, and what it leaves open.

Source: docs/reference/design.md#4a-logout.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entities import Service, Upstream
from broker.core.logout.sessions import Session
from broker.core.logout.single_logout import Logout, LogoutRequest, LogoutResponse
from broker.flows.logout.participants import Participants
from broker.flows.logout.sessions import Sessions

Group = tuple[str, str]  # browser and person


@dataclass(frozen=True, slots=True)
class AffectedSessions:
    """Finds and ends them in the store."""

    sessions: Sessions
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    participants: Participants

    def named(self, request: LogoutRequest, now: datetime) -> tuple[Session, ...]:
        """Return the sessions that a service's request names.

        Those that an upstream's names are found once a browser is joined.
        """
        if request.peer.side == "upstream":
            return ()
        asker = self.services[request.peer.name]
        return self.sessions.named(asker.entity_id, request, now)

    def end_named(
        self,
        logout: Logout,
        named: Iterable[Session],
        now: datetime,
    ) -> None:
        """End the sessions that the request names, and the pages of their people that wait."""
        request = logout.request
        until = request.acts_until(now)
        if request.peer.side == "upstream":
            self.sessions.close_upstream(request, now)
        for browser, person in logout.groups:
            self.sessions.close(browser, person, until)
        self.sessions.end(named, now)

    def joined(self, logout: Logout, now: datetime) -> Logout:
        """Return the logout with what belongs to it in its browser.

        Only a session that was named and is this browser's opens the rest of it, and only its own
        person's: who brings another browser's LogoutRequest touches nothing here
        (docs/reference/attacks.md#29).
        """
        if logout.request.peer.side == "upstream":
            return self._of_upstream(logout, now)
        return self._of_service(logout, now)

    def end_answered(
        self,
        logout: Logout,
        response: LogoutResponse,
        now: datetime,
    ) -> None:
        """End what a participant has answered to have ended.

        What stands on an upstream's session ends with it: consent pages that wait, too.
        """
        if response.peer.side == "service":
            self.sessions.end(self._asked_by(logout, response.in_response_to, now), now)
            return
        upstream = self.upstreams[response.peer.name]
        self._close(logout, now, upstream.name)
        given = self._given_by(upstream, self._reached(logout, now))
        self.sessions.end_upstream(given, now)

    def as_it_is(self, logout: Logout, now: datetime) -> Logout:
        """Return the logout with the note whether its people have other sessions open by now."""
        groups = {*logout.groups, *_reached_groups(logout)}
        for browser, person in groups:
            for session in self.sessions.of_browsers([browser], now):
                if session.person == person and self._is_left(session, logout):
                    return replace(logout, left=True)
        return replace(logout, left=False)

    def _is_left(self, session: Session, logout: Logout) -> bool:
        """Return whether a session is open beside the logout's participants.

        In a browser that is out of reach the upstream's own session behind it counts too.
        """
        peer = logout.request.peer
        if peer.side == "upstream" and not session.given_by(self.upstreams[peer.name]):
            return False
        if not session.ended:
            return not logout.asks_about(session)
        is_reached = session.browser in (logout.browsers or ())
        if is_reached or session.upstream_ended:
            return False
        return self.participants.asks_upstream(session)

    def _of_service(self, logout: Logout, now: datetime) -> Logout:
        """Find the other sessions in this browser of the people whose sessions a service named."""
        request = logout.request
        asker = request.peer.name
        until = request.acts_until(now)
        self._close(logout, until)
        reached = self._reached(logout, now)
        named = [each for each in self.named(request, now) if each in reached]
        last = _last(named, until)
        at_asker = [each for each in reached if each.service == asker]
        # The asker's sessions of before are gone with its cookie; a later one has its cookie now.
        self.sessions.end(_begun_by(last, at_asker), now)
        meant = _begun_by(max(until, last), reached)
        elsewhere = [each for each in meant if each.service != asker]
        services = self.participants.services_of(_open(elsewhere), now)
        upstreams = self.participants.upstreams_of(meant, now)
        return replace(logout, participants=(*services, *upstreams)).ready()

    def _of_upstream(self, logout: Logout, now: datetime) -> Logout:
        """Find the sessions that the upstream's own one gave in this browser.

        Those are the named ones, and their person's others: it keeps one session for us and names
        it by what it asserted last, a transient NameID and the index of that assertion (Lasso,
        pysaml2: docs/interop.md); by the letter, every service but the last would stay open.
        """
        request = logout.request
        upstream = self.upstreams[request.peer.name]
        until = request.acts_until(now)
        known = self.sessions.of_browsers(logout.browsers or (), now)
        given = self._given_by(upstream, known)
        named = [each for each in given if _names(request, each, until)]
        logout = replace(logout, found=bool(named), groups=groups_of(named))
        self._close(logout, until, upstream.name)
        reached = self._given_by(upstream, self._reached(logout, now))
        last = _last(named, until)
        meant = _begun_by(max(until, last), reached)
        self.sessions.end_upstream(meant, now)
        services = self.participants.services_of(_open(meant), now)
        return replace(logout, participants=tuple(services)).ready()

    def _close(
        self,
        logout: Logout,
        until: datetime,
        upstream: str = "",
    ) -> None:
        """Mark that what the logout's people authenticated in its browser until then is over."""
        for browser, person in _reached_groups(logout):
            self.sessions.close(browser, person, until, upstream)

    def _reached(self, logout: Logout, now: datetime) -> list[Session]:
        """Return the sessions of the logout's people in its browser, ended ones too."""
        groups = _reached_groups(logout)
        known = self.sessions.of_browsers(logout.browsers or (), now)
        return [each for each in known if (each.browser, each.person) in groups]

    def _asked_by(
        self,
        logout: Logout,
        request: str,
        now: datetime,
    ) -> Iterator[Session]:
        """Yield the sessions that a LogoutRequest of ours named by SessionIndex.

        One begun since is no part of it.
        """
        indexes: set[str] = set()
        for participant in logout.participants:
            if participant.request == request:
                indexes.update(participant.indexes)
        for session in self.sessions.of_browsers(logout.browsers or (), now):
            if session.index in indexes:
                yield session

    @staticmethod
    def _given_by(upstream: Upstream, sessions: Iterable[Session]) -> list[Session]:
        return [session for session in sessions if session.given_by(upstream)]


def groups_of(sessions: Iterable[Session]) -> tuple[Group, ...]:
    """Return browser and person of each session, once."""
    groups = [(session.browser, session.person) for session in sessions]
    return tuple(dict.fromkeys(groups))


def _reached_groups(logout: Logout) -> set[Group]:
    """Return browser cookies and people of the logout, as far as its browser reaches."""
    browsers = logout.browsers or ()
    people = {person for browser, person in logout.groups if browser in browsers}
    return {(browser, person) for browser in browsers for person in people}


def _begun_by(last: datetime, sessions: Iterable[Session]) -> list[Session]:
    return [session for session in sessions if session.at <= last]


def _open(sessions: Iterable[Session]) -> list[Session]:
    return [session for session in sessions if not session.ended]


def _last(sessions: Iterable[Session], default: datetime) -> datetime:
    """Return when the newest of some sessions began."""
    begun = [session.at for session in sessions]
    return max(begun, default=default)


def _names(request: LogoutRequest, session: Session, until: datetime) -> bool:
    """Return whether an upstream's LogoutRequest names this session."""
    name_id = session.upstream_name_id
    if name_id is None or not request.name_id.means(name_id):
        return False
    if request.indexes:
        return session.upstream_index in request.indexes
    return session.at <= until
