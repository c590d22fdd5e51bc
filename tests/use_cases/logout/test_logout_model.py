"""Logins and logouts against a model of services and upstream: no live session survives a Success.

Two people, two browsers, two services and an upstream. Services keep one session a browser; messages are lost, come
late or again, by whatever browser; and what began later than a LogoutRequest is never held for ended by it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from broker.core.entities import Service, Text, Upstream
from broker.core.errors import SUCCESS, BrowserUnmatched
from broker.core.login.transaction import SKEW, AuthnRequest, Person, Transaction
from broker.core.logout.logout_state import (
    AskScope,
    Finish,
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    LogoutScope,
    Send,
    Wait,
    next_logout_step,
)
from broker.core.logout.sessions import NameID, Session
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.retention import SESSION
from broker.use_cases.logout.logout_flow import LogoutFlow
from broker.use_cases.logout.sessions import Sessions
from tests.plugins.core_values import make_authentication
from tests.plugins.example_counts import choose_size, scale_examples
from tests.plugins.memory_store import MemoryStore

START: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
FRESH: Final = timedelta(minutes=8)  # older messages are refused before they come here
WORDS: Final = Text("x", "x")
SERVICES: Final = {name: Service(name, f"https://{name}.example", WORDS, ("wayf",)) for name in ("loans", "books")}
WAYF: Final = Upstream("wayf", "wayf", "https://wayf.example", "https://broker.example", "wayf", WORDS)
BROWSERS: Final = ("b1", "b2")
PEOPLE: Final = ("asta", "bo")


@dataclass(frozen=True)
class UpstreamSession:
    """The upstream's own session of one person in one browser."""

    index: str
    browser: str
    person: str
    began: datetime


@dataclass
class Page:
    """A consent page that waits, and whether its person has been told to be logged out of what it stands on."""

    transaction: Transaction
    service: str
    stands_on: UpstreamSession
    over: bool = False


@dataclass
class Message:
    """A service's or the upstream's LogoutRequest, and the upstream's session that has ended by then."""

    request: LogoutRequest
    left: UpstreamSession | None = None
    delivered: bool = False


@dataclass
class UnderWay:
    """A logout in a browser."""

    id: str
    browsers: tuple[str, ...]
    until: datetime


@dataclass
class World:
    """The true state at services and upstream."""

    now: datetime = START
    at_service: dict[tuple[str, str], Session] = field(default_factory=dict)  # by browser and service
    begun: dict[tuple[str, str], int] = field(default_factory=dict)  # the latest session there, ended or not
    gave: set[str] = field(default_factory=set)  # the upstream's sessions that services have got one of
    upstream: dict[str, UpstreamSession] = field(default_factory=dict)  # by browser
    pages: list[Page] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    under_way: list[UnderWay] = field(default_factory=list)
    number: int = 0

    def fresh(self) -> str:
        """Give a name that was not there."""
        self.number += 1
        return f"{self.number}"

    @property
    def live(self) -> set[str]:
        """Give the sessions that a service still has."""
        return {each.id for each in self.at_service.values()}


class LogoutMachine(RuleBasedStateMachine):
    """Does to the sessions what hypothesis thinks of."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.store = MemoryStore()
        self.sessions = Sessions(self.store, LookupHmacs("k1", b"k" * 32))
        self.flow = LogoutFlow(self.store, self.sessions, SERVICES, {"wayf": WAYF}, lambda *_: True)

    # Actions of people

    @rule(browser=st.sampled_from(BROWSERS), person=st.sampled_from(PEOPLE), service=st.sampled_from([*SERVICES]))
    def waits(self, browser: str, person: str, service: str) -> None:
        """Log in as far as the consent page, by the upstream's session where it is the person's."""
        world = self.world
        self._beyond_the_skew()
        session = world.upstream.get(browser)
        if session is None or session.person != person:
            session = UpstreamSession(world.fresh(), browser, person, world.now)
            world.upstream[browser] = session
        world.pages.append(Page(self._transaction(session, service), service, session))

    @precondition(lambda self: self.world.pages)
    @rule(which=st.integers(0, 9))
    def presses(self, which: int) -> None:
        """Press Yes on a page that waits: nothing leaves where its login was ended meanwhile."""
        world = self.world
        self._beyond_the_skew()
        page = world.pages.pop(which % len(world.pages))
        session = self._session(page)
        self.sessions.add(session, world.now)
        if self.sessions.is_over(page.transaction, world.now):
            self.sessions.end([session], world.now)
            return
        assert not page.over, "a consent page outlived the session that it stood on"
        world.at_service[session.browser, session.service] = session
        world.begun[session.browser, session.service] = int(session.id)
        world.gave.add(page.stands_on.index)

    @precondition(lambda self: self.world.at_service)
    @rule(which=st.integers(0, 9), indexed=st.booleans())
    def leaves(self, which: int, *, indexed: bool) -> None:
        """Log out at a service: it drops its own session, and writes a message that may never come."""
        world = self.world
        world.now += SECOND
        session = sorted(world.at_service.values(), key=lambda each: each.id)[which % len(world.at_service)]
        about: tuple[Session, ...] = (session,)
        if not indexed:
            same = (session.service, session.person)
            about = tuple(each for each in world.at_service.values() if (each.service, each.person) == same)
        for each in about:
            del world.at_service[each.browser, each.service]
        indexes = (session.index,) if indexed else ()
        request = LogoutRequest(
            LogoutPeer("service", session.service),
            world.fresh(),
            session.name_id,
            indexes,
            latest_issue_time=world.now + SKEW,
        )
        world.messages.append(Message(request))

    @precondition(lambda self: self.world.upstream)
    @rule(browser=st.sampled_from(BROWSERS))
    def leaves_the_upstream(self, browser: str) -> None:
        """Log out at the upstream, which asks us to end what it gave."""
        world = self.world
        world.now += SECOND
        session = world.upstream.pop(browser, None)
        if session is None:
            return
        peer = LogoutPeer("upstream", "wayf")
        name = NameID(f"{session.person} at wayf")
        request = LogoutRequest(peer, world.fresh(), name, (session.index,), latest_issue_time=world.now + SKEW)
        world.messages.append(Message(request, session))

    @rule(seconds=st.sampled_from((1, 60, 200, 400)))
    def time_passes(self, seconds: int) -> None:
        """Wait."""
        self.world.now += timedelta(seconds=seconds)

    # Messages that browsers carry

    @precondition(lambda self: self.world.messages)
    @rule(which=st.integers(0, 9), browsers=st.sampled_from(((), ("b1",), ("b2",), ("b1", "b2"))))
    def brings(self, which: int, browsers: tuple[str, ...]) -> None:
        """Bring a LogoutRequest, for the first time or again, late or at once, in some browser."""
        world = self.world
        world.now += SECOND
        message = world.messages[-1 - which % len(world.messages)]
        if world.now > message.request.latest_issue_time - SKEW + FRESH:
            return
        self._is_one_jar(browsers, message)
        before = self._list_ended()
        logout, _ = self.flow.receive(message.request, world.now)
        if message.delivered:
            assert self._list_ended() == before, "a message that was brought again ended something"
        try:
            logout = self.flow.read(logout.id, browsers, world.now)
        except BrowserUnmatched:
            logout = self.flow.read_current(logout.id, world.now)
        else:
            self._ends_pages(message, logout)
            world.under_way.append(UnderWay(logout.id, browsers, logout.until))
        message.delivered = True
        self._check(logout)

    @precondition(lambda self: self.world.under_way)
    @rule(
        which=st.integers(0, 9),
        scope=st.sampled_from(("all", "services", "none")),
        arrives=st.booleans(),
        again=st.booleans(),
    )
    def goes_on(self, which: int, scope: LogoutScope, *, arrives: bool, again: bool) -> None:
        """Take one step of a logout: choose, ask a participant that answers truly or never hears, or go on without."""
        world = self.world
        world.now += SECOND
        way = world.under_way[-1 - which % len(world.under_way)]
        if world.now >= way.until:
            return
        logout = self.flow.read(way.id, way.browsers, world.now)
        match next_logout_step(logout):
            case AskScope():
                logout = self.flow.choose_scope(way.id, scope, way.browsers, world.now)
            case Send(participant):
                request = self.flow.record_request(logout, participant, world.now)
                if arrives and request:
                    self._answers(participant.peer, participant.indexes, request, logout)
            case Wait(participant):
                go_on = self.flow.ask_again if again else self.flow.skip_participant
                go_on(way.id, participant.request or "", way.browsers, world.now)
        self._check(self.flow.read(way.id, way.browsers, world.now))

    # Invariants

    @invariant()
    def nothing_live_is_held_for_ended(self) -> None:
        """Know what lives at a service, or a later logout would skip it."""
        assert not self._list_ended() & self.world.live, "a live session is held for ended"

    def _check(self, logout: Logout) -> None:
        turn = next_logout_step(logout)
        if not isinstance(turn, Finish) or turn.status != SUCCESS:
            return
        browsers = {*(logout.browsers or ()), *(browser for browser, _ in logout.groups)}
        people = {person for _, person in logout.groups}
        survivors = [
            each for each in self.world.at_service.values() if each.browser in browsers and each.person in people
        ]
        if logout.request.peer.side == "upstream":
            survivors = []  # what another session of the upstream gave is not its business
            own = [each for each in self.world.at_service.values() if each.upstream_index in logout.request.indexes]
            survivors = [each for each in own if each.browser in browsers]
        assert not survivors, "a live session survived a Success"
        for browser, person in logout.groups:
            at_upstream = self.world.upstream.get(browser)
            if at_upstream is None or browser in (logout.browsers or ()):
                continue
            if at_upstream.index not in self.world.gave:
                continue  # a page waits on it, and no session at a service
            if at_upstream.began <= self._find_issue_time(logout) and at_upstream.person == person:
                raise AssertionError("the upstream's session, out of reach, survived a Success")

    def _find_issue_time(self, logout: Logout) -> datetime:
        requests = [each.request for each in self.world.messages if each.request.id == logout.request.id]
        return requests[0].latest_issue_time - SKEW

    # The parties

    def _is_one_jar(self, browsers: tuple[str, ...], message: Message) -> None:
        """Leave a browser with both cookies the latest session of each service, and none that the upstream ended."""
        world = self.world
        for service in SERVICES:
            latest = max((world.begun.get((browser, service), 0) for browser in browsers), default=0)
            for browser in browsers:
                session = world.at_service.get((browser, service))
                if session and int(session.id) < latest:
                    del world.at_service[browser, service]
        left = message.left
        if left is None or left.browser not in browsers:
            return
        # The upstream had one session of its person there.
        for browser in browsers:
            own = world.upstream.get(browser)
            if own and own.person == left.person and own.began <= message.request.latest_issue_time - SKEW:
                del world.upstream[browser]

    def _answers(self, peer: LogoutPeer, indexes: tuple[str, ...], request: str, logout: Logout) -> None:
        world = self.world
        if peer.side == "upstream":
            own = [each for each in world.upstream.values() if each.index in indexes]
            for each in own:
                del world.upstream[each.browser]
                for page in world.pages:
                    page.over = page.over or page.stands_on == each
        else:
            own_sessions = [each for each in world.at_service.values() if each.index in indexes]
            for session in own_sessions:
                del world.at_service[session.browser, session.service]
            own = own_sessions  # type: ignore[assignment]
        self.flow.record_answer(LogoutResponse(peer, request, ended=bool(own)), world.now)
        del logout

    def _ends_pages(self, message: Message, logout: Logout) -> None:
        """Note which pages must be over: what this person waited with in this browser when the message was issued."""
        request = message.request
        if message.delivered:
            return
        for page in self.world.pages:
            transaction = page.transaction
            before = transaction.authenticated <= request.latest_issue_time - SKEW  # type: ignore[operator]
            if request.peer.side == "upstream":
                page.over = page.over or page.stands_on.index in request.indexes
            elif before and (transaction.browser, page.stands_on.person) in logout.groups:
                page.over = True

    def _transaction(self, session: UpstreamSession, service: str) -> Transaction:
        now = self.world.now
        asked = AuthnRequest(self.world.fresh(), service, SERVICES[service].entity_id, "acs")
        answer = make_authentication(
            received=now, name_id=f"{session.person} at wayf", name_id_format="", session_index=session.index
        )
        return Transaction(
            self.world.fresh(),
            "BCDFGHJK",
            now,
            now + timedelta(minutes=30),
            asked,
            browser=session.browser,
            upstream="wayf",
            authentication=answer,
            authenticated=now,
            person=Person(session.person),
        )

    def _session(self, page: Page) -> Session:
        name, now = self.world.fresh(), self.world.now
        person = page.stands_on.person
        return Session(
            id=name,
            service=page.service,
            entity_id=SERVICES[page.service].entity_id,
            name_id=NameID(f"{person} at {page.service}"),
            index=f"_{name}",
            browser=page.stands_on.browser,
            person=person,
            transaction=page.transaction.id,
            upstream="wayf",
            at=now,
            until=SESSION.until(now),
            upstream_name_id=NameID(f"{person} at wayf"),
            upstream_index=page.stands_on.index,
            issuer=WAYF.entity_id,
        )

    def _list_ended(self) -> set[str]:
        return {each.id for each in self.sessions.list_in_browsers(BROWSERS, self.world.now) if each.ended}

    def _beyond_the_skew(self) -> None:
        """Wait as long as a message without an index that is under way may mean who logs in now."""
        self.world.now += SECOND
        for message in self.world.messages:
            if not message.delivered and not message.request.indexes:
                latest = message.request.latest_issue_time
                self.world.now = max(self.world.now, latest + SECOND)


Course = Callable[[LogoutMachine], None]


def log_in(machine: LogoutMachine, service: str = "loans", browser: str = "b1") -> None:
    """Log in at a service."""
    machine.waits(browser, "asta", service)
    machine.presses(len(machine.world.pages) - 1)


def leave(machine: LogoutMachine, service: str = "loans", *, indexed: bool = True) -> None:
    """Log out at a service, in whatever browser."""
    order = sorted(machine.world.at_service.values(), key=lambda each: each.id)
    machine.leaves([each.service for each in order].index(service), indexed=indexed)


def finish(machine: LogoutMachine, scope: LogoutScope = "all") -> None:
    """Go on with the last logout to its end, where everybody answers."""
    for _ in range(8):
        machine.goes_on(0, scope, arrives=True, again=True)


def brought_again(machine: LogoutMachine) -> None:
    """Bring a message again after a new login."""
    log_in(machine)
    leave(machine, indexed=False)
    machine.brings(0, ("b1",))
    finish(machine)
    log_in(machine)
    machine.brings(0, ("b1",))
    machine.nothing_live_is_held_for_ended()


def brought_late(machine: LogoutMachine) -> None:
    """Bring a message for the first time after a new login."""
    log_in(machine)
    leave(machine, indexed=False)
    log_in(machine)
    machine.brings(0, ("b1",))
    machine.nothing_live_is_held_for_ended()


def late_with_an_index(machine: LogoutMachine) -> None:
    """Bring a message that names another session of the asker than the one that lives by now."""
    log_in(machine)
    leave(machine)
    log_in(machine)
    machine.brings(0, ("b1",))
    machine.nothing_live_is_held_for_ended()


def late_by_the_upstream(machine: LogoutMachine) -> None:
    """Log in again before the upstream's message comes, and log out everywhere."""
    log_in(machine)
    machine.leaves_the_upstream("b1")
    machine.time_passes(200)
    log_in(machine, "books")
    machine.brings(0, ("b1",))
    finish(machine)
    machine.nothing_live_is_held_for_ended()


def login_meanwhile(machine: LogoutMachine) -> None:
    """Log in at another service while the logout is under way."""
    log_in(machine)
    leave(machine)
    machine.brings(0, ("b1",))
    log_in(machine, "books")
    finish(machine)


def page_meanwhile(machine: LogoutMachine) -> None:
    """Press Yes on a page that was opened while the logout was under way, after it has ended the upstream's session."""
    log_in(machine)
    leave(machine)
    machine.brings(0, ("b1",))
    machine.waits("b1", "asta", "books")
    finish(machine)
    machine.presses(0)


def page_of_before(machine: LogoutMachine) -> None:
    """Press Yes on a page that waited when its person logged out."""
    log_in(machine)
    machine.waits("b1", "asta", "books")
    leave(machine)
    machine.brings(0, ())
    machine.presses(0)


def partial_and_again(machine: LogoutMachine) -> None:
    """Log out by two messages of one session, out of the reach of its browser."""
    log_in(machine)
    leave(machine, indexed=False)
    machine.brings(0, ())
    first = machine.world.messages[-1]
    machine.world.messages.append(replace(first, request=replace(first.request, id="second"), delivered=False))
    machine.time_passes(1)
    machine.brings(0, ())


def knows_nobody(machine: LogoutMachine) -> None:
    """Ask a service that has not got the session that it is asked about, but a newer one."""
    log_in(machine)
    log_in(machine, "books")
    log_in(machine, "books")
    leave(machine)
    machine.brings(0, ("b1",))
    finish(machine)


COURSES: Final = (
    brought_again,
    brought_late,
    late_with_an_index,
    late_by_the_upstream,
    login_meanwhile,
    page_meanwhile,
    page_of_before,
    partial_and_again,
    knows_nobody,
)


@pytest.mark.attack(29)
@pytest.mark.parametrize("course", COURSES)
def test_directed_courses(course: Course) -> None:
    """Hold the laws in courses that are drawn too rarely."""
    machine = LogoutMachine()
    course(machine)
    machine.nothing_live_is_held_for_ended()


@pytest.mark.attack(29)
def test_another_browser_with_a_login_of_its_own_hears_no_success() -> None:
    """A LogoutRequest that it brings is about sessions elsewhere: they are over, and its own person is still in."""
    machine = LogoutMachine()
    machine.waits(browser="b1", person="asta", service="loans")
    machine.leaves_the_upstream(browser="b1")
    machine.presses(which=0)
    machine.leaves(indexed=False, which=0)
    machine.waits(browser="b2", person="asta", service="loans")
    machine.presses(which=0)
    machine.brings(browsers=("b1",), which=1)
    machine.brings(browsers=("b2",), which=0)


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    "examples",
    [choose_size(5, otherwise=60), pytest.param(choose_size(300, otherwise=1500), marks=pytest.mark.slow(seconds=10))],
)
def test_no_live_session_survives_a_success(examples: int) -> None:
    """And none that is newer than a request is ended by it, whatever is lost, late, brought again, or goes on."""
    run_state_machine_as_test(
        LogoutMachine,
        settings=settings(
            max_examples=scale_examples(examples),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            report_multiple_bugs=False,
        ),
    )
