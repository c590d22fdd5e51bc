"""A logout from LogoutRequest to answer: our own state first, then each session participant."""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entities import Service, Upstream
from broker.core.errors import BrowserUnmatched, LogoutGone, MessageRefused
from broker.core.logout.sessions import NameID, Session
from broker.core.logout.single_logout import (
    MOST_ASKED,
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    LogoutScope,
    Participant,
    ParticipantState,
)
from broker.core.ports import Key, Store
from broker.flows.logout.sessions import Sessions
from broker.flows.records import Content, Record, Records


@dataclass(frozen=True, slots=True)
class SingleLogoutFlow:
    """The logouts under way; ``reaches`` says whether a peer's metadata lets it be asked."""

    store: Store
    sessions: Sessions
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    reaches: Callable[[LogoutPeer, datetime], bool]

    def received(self, request: LogoutRequest, now: datetime) -> Logout:
        """Begin a logout by a verified LogoutRequest and end what it names.

        Nothing is stored of it yet. A service's sessions are found wherever it sends the browser.
        An upstream's are found once a browser is joined.
        """
        logout = Logout(secrets.token_hex(16), request, now)
        if request.peer.side == "upstream":
            self.sessions.close_upstream(request.peer.name, request.name_id, request.indexes, now)
            return logout
        asker = self.services[request.peer.name].entity_id
        named = self.sessions.named(asker, request.name_id, request.indexes, now)
        self.sessions.end(named, now)
        return replace(logout, found=bool(named), groups=_groups(named))

    def joined(
        self,
        logout: Logout,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Find what belongs to the logout in the browser that brought it.

        ``browsers`` are the pseudonyms of its browser cookies. Only a session that was named and is
        this browser's opens the rest of it, and only its own person's: who brings another browser's
        LogoutRequest touches nothing here (docs/reference/attacks.md#29).
        """
        if logout.browsers is not None:
            return logout
        logout = replace(logout, browsers=tuple(browsers))
        if logout.request.peer.side == "upstream":
            return self._of_upstream(logout, now)
        return self._of_service(logout, browsers, now)

    def keep(self, logout: Logout, now: datetime) -> None:
        """Store a logout that has to go through a browser."""
        self._records.add(_key(logout.id), logout, logout.until, now)

    def read(self, name: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Return the logout, joined to its browser.

        LogoutGone where there is none, BrowserUnmatched for another browser's. One that came by
        POST, which brings no cookie, belongs to the first browser that follows it.
        """
        return self._change(name, lambda logout: self._own(logout, browsers, now), now)

    def told(self, logout: Logout, now: datetime) -> bool:
        """Note that the audit trail has how a logout ended; False where it had."""
        after = self._change(logout.id, _told, now)
        return after != logout

    def chosen(
        self,
        name: str,
        scope: LogoutScope,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Record the person's choice of how much is to be ended; it counts once."""
        return self._change(
            name, lambda logout: self._own(logout, browsers, now).chosen(scope), now
        )

    def skipped(
        self,
        name: str,
        request: str,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Go on without the participant that was sent ``request``."""
        return self._change(
            name, lambda logout: self._own(logout, browsers, now).skipped(request), now
        )

    def again(
        self,
        name: str,
        request: str,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Ask the participant that was sent ``request`` anew; its answer to it counts no more."""
        return self._change(
            name, lambda logout: self._own(logout, browsers, now).again(request), now
        )

    def asking(
        self,
        logout: Logout,
        participant: Participant,
        now: datetime,
    ) -> str | None:
        """Record a LogoutRequest before it is sent, and return its id, which carries the logout's.

        None where another tab has sent one meanwhile.
        """
        request = f"_{logout.id}{secrets.token_hex(16)}"
        asked = self._change(logout.id, lambda each: each.asked(participant, request), now)
        requests = {each.request for each in asked.participants}
        return request if request in requests else None

    def answered(self, response: LogoutResponse, now: datetime) -> str:
        """Record a verified LogoutResponse, and return the id of the logout that it belongs to.

        LogoutGone, or MessageRefused ``logout.not_awaited``, where no participant of that name was
        asked by this very request: unsolicited, another logout's, another peer's, or given already.
        """
        name = response.in_response_to[1:33]

        def recorded(logout: Logout) -> Logout:
            participant = logout.awaits(response)
            if participant is None:
                raise MessageRefused("logout.not_awaited")
            return logout.answered(participant, ended=response.ended)

        after = self._change(name, recorded, now)
        if response.ended or response.unknown:
            asked = [each for each in after.participants if each.request == response.in_response_to]
            self.sessions.end(self._sessions_of(after, asked, now), now)
        return name

    def _of_service(
        self,
        logout: Logout,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Find the other sessions in this browser of the people whose sessions a service named."""
        asker = logout.request.peer.name
        people = [person for browser, person in logout.groups if browser in browsers]
        for person in people:
            for browser in browsers:
                self.sessions.close(browser, person, now)
        known = self.sessions.of_browsers(browsers, now)
        own = [each for each in known if each.person in people]
        open_elsewhere = [each for each in own if not each.ended and each.service != asker]
        # The asker's other sessions of this browser are gone with its cookie.
        at_asker = [each for each in own if each.service == asker]
        self.sessions.end(at_asker, now)
        participants = [*self._services(open_elsewhere, now)]
        participants += self._upstreams(own, now)
        left = self._leaves_open(logout, browsers, now)
        return replace(logout, participants=tuple(participants), left=left).ready()

    def _of_upstream(self, logout: Logout, now: datetime) -> Logout:
        """Find the sessions that the upstream's own one gave in this browser.

        Those are the named ones, and their person's others: it keeps one session for us and names
        it by what it asserted last, a transient NameID and the index of that assertion (Lasso,
        pysaml2: docs/interop.md); by the letter, every service but the last would stay open.
        """
        request = logout.request
        browsers = logout.browsers or ()
        upstream = self.upstreams[request.peer.name]
        known = self.sessions.of_browsers(browsers, now)
        given = [each for each in known if each.given_by(upstream)]
        named = [each for each in given if _names(request, each)]
        people = {each.person for each in named}
        for person in people:
            for browser in browsers:
                self.sessions.close(browser, person, now, request.peer.name)
        still_open = [each for each in given if each.person in people and not each.ended]
        participants = tuple(self._services(still_open, now))
        found = replace(
            logout,
            found=bool(named),
            groups=_groups(named),
            participants=participants,
        )
        return found.ready()

    def _leaves_open(
        self,
        logout: Logout,
        browsers: Sequence[str],
        now: datetime,
    ) -> bool:
        """Return whether a named session belongs to others, in a browser that is out of reach.

        The upstream's own, behind what this very logout has ended, is one of them.
        """
        for browser, person in logout.groups:
            if browser in browsers:
                continue
            for session in self.sessions.of_browsers([browser], now):
                if session.person == person and self._is_open(session, logout):
                    return True
        return False

    def _is_open(self, session: Session, logout: Logout) -> bool:
        if not session.ended:
            return True
        return session.ended == logout.begun and self._asks(session)

    def _asks(self, session: Session) -> bool:
        """Return whether the upstream of a session would be logged out, or asked about."""
        upstream = self.upstreams.get(session.upstream)
        return upstream is not None and not upstream.local and upstream.logout != "never"

    def _services(self, sessions: Iterable[Session], now: datetime) -> Iterator[Participant]:
        """Yield a participant for each NameID at each service, with its SessionIndexes.

        Beyond the most that are asked, the rest are not to be reached.
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
        # A service that has the name by now is told nothing of a person of the one before.
        if service is None or service.entity_id != session.entity_id:
            return False
        return self.reaches(LogoutPeer("service", session.service), now)

    def _upstreams(self, sessions: Sequence[Session], now: datetime) -> Iterator[Participant]:
        """Yield each upstream once, by the NameID it gave last.

        Its own session is one, however often it was asked.
        """
        for name in dict.fromkeys(session.upstream for session in sessions):
            upstream = self.upstreams.get(name)
            if upstream is not None and not upstream.local:
                given = [session for session in sessions if session.upstream == name]
                yield self._upstream_participant(upstream, given, now)

    def _upstream_participant(
        self,
        upstream: Upstream,
        given: Sequence[Session],
        now: datetime,
    ) -> Participant:
        newest = given[-1]
        # Where a route was switched, the upstream that has the name by now never gave this NameID,
        # and must not get it.
        name_id = newest.upstream_name_id if newest.given_by(upstream) else None
        indexes = [each.upstream_index for each in given if each.upstream_name_id == name_id]
        return Participant(
            LogoutPeer("upstream", upstream.name),
            name_id or NameID(""),
            tuple(dict.fromkeys(index for index in indexes if index)),
            self._upstream_state(upstream, name_id, now),
            always=upstream.logout == "always",
        )

    def _upstream_state(
        self,
        upstream: Upstream,
        name_id: NameID | None,
        now: datetime,
    ) -> ParticipantState:
        if upstream.logout == "never":
            return ParticipantState.KEPT
        # Without a name it could be told of nobody.
        peer = LogoutPeer("upstream", upstream.name)
        if name_id is None or not self.reaches(peer, now):
            return ParticipantState.UNREACHABLE
        return ParticipantState.OPEN

    def _own(
        self,
        logout: Logout,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        if logout.browsers is None:
            return self.joined(logout, browsers, now)
        if set(logout.browsers).isdisjoint(browsers):
            raise BrowserUnmatched("another browser's logout")
        return logout

    def _sessions_of(
        self,
        logout: Logout,
        participants: Iterable[Participant],
        now: datetime,
    ) -> Iterator[Session]:
        """Yield the sessions of participants by SessionIndex.

        One begun since the logout is no part of it.
        """
        indexes: set[str] = set()
        for participant in participants:
            if participant.peer.side == "service":
                indexes.update(participant.indexes)
        for session in self.sessions.of_browsers(logout.browsers or (), now):
            if session.index in indexes:
                yield session

    def _change(
        self,
        name: str,
        change: Callable[[Logout], Logout],
        now: datetime,
    ) -> Logout:
        def changed(record: Record[Logout] | None) -> Content[Logout] | None:
            before = _present(record)
            after = change(before)
            if after == before:
                return None
            return Content(after, after.until)

        amended = self._records.amend(_key(name), changed, now)
        return _present(amended.record)

    @property
    def _records(self) -> Records[Logout]:
        return Records(self.store, Logout)


def _key(name: str) -> Key:
    return Key("logout", name)


def _present(record: Record[Logout] | None) -> Logout:
    if record is None:
        raise LogoutGone("no such logout")
    return record.value


def _told(logout: Logout) -> Logout:
    return replace(logout, told=True)


def _groups(sessions: Iterable[Session]) -> tuple[tuple[str, str], ...]:
    groups = [(session.browser, session.person) for session in sessions]
    return tuple(dict.fromkeys(groups))


def _names(request: LogoutRequest, session: Session) -> bool:
    """Return whether an upstream's LogoutRequest names this session."""
    name_id = session.upstream_name_id
    if name_id is None or not request.name_id.means(name_id):
        return False
    return not request.indexes or session.upstream_index in request.indexes
