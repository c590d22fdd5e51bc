"""A logout from LogoutRequest to answer: our own state first, then each session participant."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.entities import Service, Upstream
from broker.core.errors import BrowserUnmatched, LogoutGone, MessageRefused
from broker.core.logout.sessions import Session
from broker.core.logout.single_logout import (
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    LogoutScope,
    Participant,
)
from broker.core.ports import Key, Store
from broker.flows.logout.participants import Participants
from broker.flows.logout.sessions import Sessions
from broker.flows.records import Amended, Content, Record, Records

# The id of a logout: its address has it, and each LogoutRequest of ours begins with it.
_NAME_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class SingleLogoutFlow:
    """The logouts under way; ``reaches`` says whether a peer's metadata lets it be asked."""

    store: Store
    sessions: Sessions
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    reaches: Callable[[LogoutPeer, datetime], bool]

    @property
    def participants(self) -> Participants:
        """Return what makes the session participants of a logout."""
        return Participants(self.services, self.upstreams, self.reaches)

    def received(self, request: LogoutRequest, now: datetime) -> tuple[Logout, bool]:
        """Begin a logout by a verified LogoutRequest, end what it names, and return it and True.

        Brought again it changes nothing: the logout that it began is returned, and False. A
        service's sessions are found wherever it sends the browser. An upstream's are found once a
        browser is joined.
        """
        peer = request.peer
        name = self.sessions.hmacs.of("logout", peer.side, peer.name, request.id)
        # Whoever logs in while the logout is under way is no part of it.
        until = request.acts_until(now)
        request = replace(request, issued_by=until)
        named = self._named(request, now)
        logout = Logout(
            name.partition(".")[2][:_NAME_LENGTH],
            request,
            now,
            found=bool(named),
            groups=_groups(named),
        )
        if not self._records.add(_key(logout.id), logout, logout.until, now):
            return self.present(logout.id, now), False
        if peer.side == "upstream":
            self.sessions.close_upstream(request, now)
        for browser, person in logout.groups:
            self.sessions.close(browser, person, until)
        self.sessions.end(named, now)
        return logout, True

    def present(self, name: str, now: datetime) -> Logout:
        """Return a logout as it is now, for the status that its peer is told; or LogoutGone."""
        return self._as_it_is(_present(self._records.get(_key(name), now)), now)

    def read(self, name: str, browsers: Sequence[str], now: datetime) -> Logout:
        """Return the logout, joined to its browser.

        LogoutGone where there is none, BrowserUnmatched for another browser's. One that came by
        POST, which brings no cookie, belongs to the first browser that follows it.
        """
        return self._change_own(name, lambda logout: logout, browsers, now)

    def told(self, logout: Logout, now: datetime) -> bool:
        """Note that the audit trail has how a logout ended; False where it had."""
        return self._amend(logout.id, lambda each: replace(each, told=True), now).written

    def chosen(
        self,
        name: str,
        scope: LogoutScope,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Record the person's choice of how much is to be ended; it counts once."""
        return self._change_own(name, lambda logout: logout.chosen(scope), browsers, now)

    def skipped(
        self,
        name: str,
        request: str,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Go on without the participant that was sent ``request``."""
        return self._change_own(name, lambda logout: logout.skipped(request), browsers, now)

    def again(
        self,
        name: str,
        request: str,
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        """Ask the participant that was sent ``request`` anew; its answer to it counts no more."""
        return self._change_own(name, lambda logout: logout.again(request), browsers, now)

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
        if response.ended:
            asked = [each for each in after.participants if each.request == response.in_response_to]
            self.sessions.end(self._sessions_of(after, asked, now), now)
        if response.ended and response.peer.side == "upstream":
            self._end_upstream(after, self.upstreams[response.peer.name], now)
        return name

    def _end_upstream(self, logout: Logout, upstream: Upstream, now: datetime) -> None:
        """End what stands on an upstream's session that has ended: consent pages that wait, too."""
        self._close(logout, now, upstream.name)
        given = [each for each in self._reached(logout, now) if each.given_by(upstream)]
        self.sessions.end_upstream(given, now)

    def _named(self, request: LogoutRequest, now: datetime) -> tuple[Session, ...]:
        """Return the sessions that a service's request names; an upstream's needs cookies."""
        if request.peer.side == "upstream":
            return ()
        asker = self.services[request.peer.name].entity_id
        return self.sessions.named(asker, request, now)

    def _of_service(self, logout: Logout, now: datetime) -> Logout:
        """Find the other sessions in this browser of the people whose sessions a service named."""
        request = logout.request
        asker = request.peer.name
        until = request.acts_until(now)
        self._close(logout, until)
        reached = self._reached(logout, now)
        named = [each.at for each in self._named(request, now) if each in reached]
        last = max(named, default=until)
        # The asker's sessions of before are gone with its cookie; a later one has its cookie now.
        gone = [each for each in reached if each.service == asker and each.at <= last]
        self.sessions.end(gone, now)
        meant = [each for each in reached if each.at <= max(until, last)]
        elsewhere = [each for each in meant if each.service != asker and not each.ended]
        services = self.participants.services_of(elsewhere, now)
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
        named = [each for each in known if each.given_by(upstream) and _names(request, each, until)]
        logout = replace(logout, found=bool(named), groups=_groups(named))
        self._close(logout, until, upstream.name)
        last = max((each.at for each in named), default=until)
        given = [each for each in self._reached(logout, now) if each.given_by(upstream)]
        meant = [each for each in given if each.at <= max(until, last)]
        self.sessions.end_upstream(meant, now)
        still_open = [each for each in meant if not each.ended]
        services = self.participants.services_of(still_open, now)
        return replace(logout, participants=tuple(services)).ready()

    def _close(self, logout: Logout, until: datetime, upstream: str = "") -> None:
        """Mark that what the logout's people authenticated in its browser until then is over."""
        for browser, person in self._pairs(logout):
            self.sessions.close(browser, person, until, upstream)

    def _reached(self, logout: Logout, now: datetime) -> list[Session]:
        """Return the sessions of the logout's people in its browser, ended ones too."""
        pairs = self._pairs(logout)
        known = self.sessions.of_browsers(logout.browsers or (), now)
        return [each for each in known if (each.browser, each.person) in pairs]

    def _pairs(self, logout: Logout) -> set[tuple[str, str]]:
        """Return browser cookies and people of the logout, as far as its browser reaches."""
        browsers = logout.browsers or ()
        people = {person for browser, person in logout.groups if browser in browsers}
        return {(browser, person) for browser in browsers for person in people}

    def _as_it_is(self, logout: Logout, now: datetime) -> Logout:
        """Note whether the people whose sessions were named have others open by now."""
        for browser, person in {*logout.groups, *self._pairs(logout)}:
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
        if session.browser in (logout.browsers or ()) or session.upstream_ended:
            return False
        return self.participants.asks_upstream(session)

    def _own(
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
        if logout.browsers is None:
            logout = replace(logout, browsers=tuple(browsers))
            if logout.request.peer.side == "upstream":
                return self._of_upstream(logout, now)
            return self._of_service(logout, now)
        # One that came without a cookie is nobody's, and holds nothing that a page could show.
        if logout.browsers and set(logout.browsers).isdisjoint(browsers):
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

    def _change_own(
        self,
        name: str,
        change: Callable[[Logout], Logout],
        browsers: Sequence[str],
        now: datetime,
    ) -> Logout:
        after = self._change(name, lambda logout: change(self._own(logout, browsers, now)), now)
        return self._as_it_is(after, now)

    def _change(self, name: str, change: Callable[[Logout], Logout], now: datetime) -> Logout:
        return _present(self._amend(name, change, now).record)

    def _amend(
        self,
        name: str,
        change: Callable[[Logout], Logout],
        now: datetime,
    ) -> Amended[Logout]:
        def changed(record: Record[Logout] | None) -> Content[Logout] | None:
            before = _present(record)
            after = change(before)
            if after == before:
                return None
            return Content(after, after.until)

        return self._records.amend(_key(name), changed, now)

    @property
    def _records(self) -> Records[Logout]:
        return Records(self.store, Logout)


def _key(name: str) -> Key:
    return Key("logout", name)


def _present(record: Record[Logout] | None) -> Logout:
    if record is None:
        raise LogoutGone("no such logout")
    return record.value


def _groups(sessions: Iterable[Session]) -> tuple[tuple[str, str], ...]:
    groups = [(session.browser, session.person) for session in sessions]
    return tuple(dict.fromkeys(groups))


def _names(request: LogoutRequest, session: Session, until: datetime) -> bool:
    """Return whether an upstream's LogoutRequest names this session."""
    name_id = session.upstream_name_id
    if name_id is None or not request.name_id.means(name_id):
        return False
    if request.indexes:
        return session.upstream_index in request.indexes
    return session.at <= until
