"""A logout from LogoutRequest to answer: our own state first, then each session participant through the browser."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.entities import Service, Upstream
from broker.core.errors import BrowserUnmatched, LogoutGone, MessageRefused, StoreUnavailable
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
from broker.core.ports import Kept, Key, Store
from broker.core.serialization import dump, load
from broker.flows.logout.sessions import Sessions

_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class SingleLogoutFlow:
    """The logouts under way; ``reaches`` says whether a peer's metadata lets it be asked."""

    store: Store
    sessions: Sessions
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    reaches: Callable[[LogoutPeer, datetime], bool]

    def received(self, request: LogoutRequest, now: datetime) -> Logout:
        """Take a verified LogoutRequest and end what it names; nothing is kept of the logout yet.

        A service's sessions are found wherever it sends the browser. An upstream's are found once a
        browser is joined.
        """
        logout = Logout(secrets.token_hex(16), request, now)
        if request.peer.side == "upstream":
            self.sessions.close_upstream(request.peer.name, request.name_id, request.indexes, now)
            return logout
        service = self.services[request.peer.name]
        named = self.sessions.named(service.entity_id, request.name_id, request.indexes, now)
        self.sessions.end(named, now)
        groups = dict.fromkeys((each.browser, each.person) for each in named)
        return replace(logout, found=bool(named), groups=tuple(groups))

    def joined(self, logout: Logout, browsers: Sequence[str], now: datetime) -> Logout:
        """Find what belongs to the logout in the browser that brought it, whose pseudonyms of cookie b these are.

        Only a session that was named and is this browser's opens the rest of it, and only its own
        person's: who brings another browser's LogoutRequest touches nothing here (attacks.md row
        29).
        """
        if logout.browsers is not None:
            return logout
        logout = replace(logout, browsers=tuple(browsers))
        if logout.request.peer.side == "upstream":
            return self._of_upstream(logout, now)
        own = [person for browser, person in logout.groups if browser in browsers]
        for person in own:
            for browser in browsers:
                self.sessions.close(browser, person, now)
        known = [each for each in self.sessions.of_browsers(browsers, now) if each.person in own]
        others = [
            each for each in known if not each.ended and each.service != logout.request.peer.name
        ]
        # The asker's other sessions of this browser are gone with its cookie.
        self.sessions.end((each for each in known if each.service == logout.request.peer.name), now)
        participants = (*self._services(others, now), *self._upstreams(known, now))
        return replace(
            logout, participants=participants, left=self._left(logout, browsers, now)
        ).ready()

    def _of_upstream(self, logout: Logout, now: datetime) -> Logout:
        """Find the sessions that the upstream's own one gave in this browser: those named, and their person's others.

        It keeps one session for us and names it by what it asserted last, a transient NameID and
        the index of that assertion (Lasso, pysaml2: docs/interop.md); by the letter, every service
        but the last would stay open.
        """
        request, browsers = logout.request, logout.browsers or ()
        upstream = self.upstreams[request.peer.name]
        given = [
            each for each in self.sessions.of_browsers(browsers, now) if each.given_by(upstream)
        ]
        named = [
            each
            for each in given
            if each.upstream_name_id
            and request.name_id.means(each.upstream_name_id)
            and (not request.indexes or each.upstream_index in request.indexes)
        ]
        people = {each.person for each in named}
        for person in people:
            for browser in browsers:
                self.sessions.close(browser, person, now, request.peer.name)
        others = [each for each in given if each.person in people and not each.ended]
        groups = tuple(dict.fromkeys((each.browser, each.person) for each in named))
        participants = tuple(self._services(others, now))
        return replace(logout, found=bool(named), groups=groups, participants=participants).ready()

    def _left(self, logout: Logout, browsers: Sequence[str], now: datetime) -> bool:
        """Say whether a session that was named belongs, in another browser, to some that this one cannot reach.

        The upstream's own, behind what this very logout has ended, is one of them.
        """
        away = [group for group in logout.groups if group[0] not in browsers]
        return any(
            each.person == person
            and (not each.ended or (each.ended == logout.begun and self._asks(each)))
            for browser, person in away
            for each in self.sessions.of_browsers([browser], now)
        )

    def _asks(self, session: Session) -> bool:
        """Say whether the library would have the upstream behind a session logged out, or the person asked about it."""
        upstream = self.upstreams.get(session.upstream)
        return upstream is not None and not upstream.local and upstream.logout != "never"

    def _services(self, sessions: Iterable[Session], now: datetime) -> Iterator[Participant]:
        """Give each service once for each NameID, with every SessionIndex, the rest as not to be reached."""
        indexes: dict[tuple[str, str], list[Session]] = {}
        for each in sessions:
            indexes.setdefault((each.service, each.name_id.value), []).append(each)
        for at, ((service, _), own) in enumerate(indexes.items()):
            peer, known = LogoutPeer("service", service), self.services.get(service)
            # Whoever has the name by now is told nothing of a person of the one before.
            same = known is not None and known.entity_id == own[0].entity_id
            reached = at < MOST_ASKED and same and self.reaches(peer, now)
            state = ParticipantState.OPEN if reached else ParticipantState.UNREACHABLE
            yield Participant(peer, own[0].name_id, tuple(each.index for each in own), state)

    def _upstreams(self, sessions: Sequence[Session], now: datetime) -> Iterator[Participant]:
        """Give each upstream once, by the NameID it gave last: its own session is one, however often it was asked."""
        for name in dict.fromkeys(each.upstream for each in sessions):
            upstream = self.upstreams.get(name)
            if upstream is None or upstream.local:
                continue
            newest = next(each for each in reversed(sessions) if each.upstream == name)
            # Where a route was switched, who has the name by now never gave this NameID, and must
            # not get it.
            named = newest.upstream_name_id if newest.given_by(upstream) else None
            same = (
                each
                for each in sessions
                if each.upstream == name and each.upstream_name_id == named
            )
            indexes = dict.fromkeys(each.upstream_index for each in same if each.upstream_index)
            peer = LogoutPeer("upstream", name)
            reached = named is not None and self.reaches(
                peer, now
            )  # one without a name could be told of nobody
            state = (
                ParticipantState.KEPT
                if upstream.logout == "never"
                else ParticipantState.OPEN
                if reached
                else ParticipantState.UNREACHABLE
            )
            always = upstream.logout == "always"
            yield Participant(peer, named or NameID(""), tuple(indexes), state, always=always)

    def keep(self, logout: Logout, now: datetime) -> None:
        """Store a logout that has to go through a browser."""
        self._put(logout, None, now)

    def read(self, name: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Give the logout, joined to its browser; LogoutGone where there is none, BrowserUnmatched for another's.

        One that came by POST, which brings no cookie, belongs to the first browser that follows it.
        """
        return self._change(name, lambda logout: self._own(logout, browsers, now), now)

    def _own(self, logout: Logout, browsers: Sequence[str], now: datetime) -> Logout:
        if logout.browsers is None:
            return self.joined(logout, browsers, now)
        if not set(logout.browsers) & set(browsers):
            raise BrowserUnmatched("another browser's logout")
        return logout

    def told(self, logout: Logout, now: datetime) -> bool:
        """Note that the audit trail has how a logout ended; False where it had."""
        return self._change(logout.id, lambda each: replace(each, told=True), now) != logout

    def chosen(
        self, name: str, scope: LogoutScope, browsers: Sequence[str], now: datetime
    ) -> Logout:
        """Take the person's word on how much is to be ended; what does not say that it has is asked by the next one."""
        return self._change(
            name, lambda logout: self._own(logout, browsers, now).chosen(scope), now
        )

    def _of(
        self, logout: Logout, participants: Iterable[Participant], now: datetime
    ) -> Iterator[Session]:
        """Give the sessions of participants by SessionIndex: one begun since the logout is no part of it."""
        named = {
            index for each in participants if each.peer.side == "service" for index in each.indexes
        }
        return (
            each
            for each in self.sessions.of_browsers(logout.browsers or (), now)
            if each.index in named
        )

    def skipped(self, name: str, request: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Go on without the participant that was sent ``request``."""
        return self._change(
            name, lambda logout: self._own(logout, browsers, now).skipped(request), now
        )

    def again(self, name: str, request: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Ask the participant that was sent ``request`` anew; its answer to that one counts no more."""
        return self._change(
            name, lambda logout: self._own(logout, browsers, now).again(request), now
        )

    def asking(self, logout: Logout, participant: Participant, now: datetime) -> str | None:
        """Record a LogoutRequest before it is sent and give its id, which carries the logout's.

        None where another tab has sent one meanwhile.
        """
        request = f"_{logout.id}{secrets.token_hex(16)}"
        asked = self._change(logout.id, lambda each: each.asked(participant, request), now)
        return request if any(each.request == request for each in asked.participants) else None

    def answered(self, response: LogoutResponse, now: datetime) -> str:
        """Record a verified LogoutResponse and give the logout that it belongs to.

        LogoutGone, or MessageRefused ``logout.not_awaited``, where no participant of that name was
        asked by this very request: unsolicited, another logout's, another peer's, or given already.
        """
        name = response.in_response_to[1:33]

        def told(logout: Logout) -> Logout:
            participant = logout.awaits(response)
            if participant is None:
                raise MessageRefused("logout.not_awaited")
            return logout.answered(participant, ended=response.ended)

        after = self._change(name, told, now)
        if response.ended or response.unknown:
            answered = (
                each for each in after.participants if each.request == response.in_response_to
            )
            self.sessions.end(self._of(after, answered, now), now)
        return name

    def _change(self, name: str, change: Callable[[Logout], Logout], now: datetime) -> Logout:
        for _ in range(_TRIES):
            kept = self.store.get(Key("logout", name), now)
            if kept is None:
                raise LogoutGone("no such logout")
            before = load(Logout, kept.value)
            after = change(before)
            if after == before or self._put(after, kept.version, now):
                return after
        raise StoreUnavailable("the logout kept changing")

    def _put(self, logout: Logout, was: str | None, now: datetime) -> bool:
        kept = Kept(dump(logout), secrets.token_hex(8), logout.until)
        return self.store.put(Key("logout", logout.id), kept, was, now)
