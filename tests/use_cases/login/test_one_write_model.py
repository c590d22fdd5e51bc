"""One login, workers that take turns, and what befalls them, against the laws of the one write by which it leaves.

Several requests run at once, each in a thread that stops before every turn to the store and to the audit log: two tabs
that open the same address, an upstream's second answer, a request beside them, a policy that changes, a logout. A
worker may die before or after any turn, or half-way through a write of several records; the store may be silent, answer
too late, or be asked the same twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from broker.core.entities import Text
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.login.steps import Issue
from broker.core.login.transaction import Arrival, Transaction
from broker.core.logout.sessions import NameID, Session, session_index
from broker.core.policy.model import PolicySet
from broker.core.ports import Key, Store, StoredRecord, Write
from broker.use_cases.logout.sessions import Ended
from broker.use_cases.storage.records import load
from tests.plugins.example_counts import choose_size, scale_examples
from tests.use_cases.login.stepped_workers import OUTCOMES, Worker, current_worker, run_step

pytestmark = pytest.mark.attack(15, 29)
MOMENT: Final = timedelta(milliseconds=1)
MOST_WORKERS: Final = 3
SERVICE: Final = "e-resources"
TRIES: Final = 8
FRESH = Callable[[Store], Any]


@dataclass
class TurnedStore(Store):
    """A store in memory: each call is one turn of the worker that makes it."""

    kept: dict[Key, StoredRecord] = field(default_factory=dict)
    counted: dict[Key, int] = field(default_factory=dict)
    moment: int = 0
    marks: "list[tuple[int, datetime]]" = field(default_factory=list)  # of logouts: when, and until when
    joined: dict[str, set[datetime]] = field(default_factory=lambda: defaultdict(set))
    spent: dict[Key, int] = field(default_factory=lambda: defaultdict(int))

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[StoredRecord | None]":
        """Give each."""
        turn = "marks" if len(keys) > 1 and all(key.kind == "session" for key in keys) else "read"
        found: list[StoredRecord | None] = self._take_turn(turn, lambda: [self._get(key, now) for key in keys])
        worker = current_worker()
        if worker and turn == "marks":
            worker.looked = self.moment
        return found

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:
        """Write the first and, if it stands, the others."""
        del durable

        def some(most: int) -> bool:
            if not self._put(first, now):
                return False
            for write in others[:most]:
                self._put(write, now)
            return True

        return bool(self._take_turn(f"write {first.key.kind}", lambda: some(len(others)), some))

    def drop(self, key: Key) -> None:
        """Forget."""
        self._take_turn("drop", lambda: self.kept.pop(key, None))

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, StoredRecord]]:
        """List a group, as of one moment."""
        found = self._take_turn("list", lambda: [each for each in self.kept.items() if each[0][:2] == (kind, group)])
        return iter([(key, kept) for key, kept in found if now < kept.until])

    def claim(self, *_: object) -> None:
        """Claim nothing: nothing here is queued."""

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add and give the sum."""
        del until, now
        self.counted[key] = self.counted.get(key, 0) + by
        return self.counted[key]

    def faults(self) -> tuple[str, ...]:
        """Find nothing wrong."""
        return ()

    def _take_turn(self, turn: str, effect: Callable[[], Any], some: Callable[[int], Any] | None = None) -> Any:
        worker = current_worker()
        self.moment += 1
        if worker is None:
            return effect()
        return run_step(worker, turn, effect, some)

    def _get(self, key: Key, now: datetime) -> StoredRecord | None:
        found = self.kept.get(key)
        return found if found and now < found.until else None

    def _put(self, write: Write, now: datetime) -> bool:
        key, kept, expected_version = write
        present = self._get(key, now)
        if present and present.version == kept.version:
            return True
        if (present.version if present else None) != expected_version:
            return False
        self.kept[key] = kept
        self._note(key, kept)
        return True

    def _note(self, key: Key, kept: StoredRecord) -> None:
        if key.kind == "session" and b'"browser"' not in kept.value:  # no session, no pointer
            self.marks.append((self.moment, load(Ended, kept.value).at))
        if key.kind == "arrival" and load(Arrival, kept.value).answer is None:
            self.spent[key] += 1
        if key.kind == "transaction":
            transaction = load(Transaction, kept.value)
            if transaction.arrival and transaction.authenticated:
                self.joined[transaction.arrival].add(transaction.authenticated)


@dataclass(frozen=True)
class Left:
    """An assertion that left: on which answer, as what, and when its worker looked at the marks of logouts."""

    arrival: str
    assertion: str
    content: str
    looked: int
    marked: int


@dataclass
class Told:
    """A line of the audit log, and the worker that wrote it."""

    event: AuditEvent
    worker: Worker | None


class OneWriteMachine(RuleBasedStateMachine):
    """Lets happen to one login what hypothesis thinks of."""

    def __init__(self, fresh: FRESH) -> None:
        super().__init__()
        self.store = TurnedStore()
        self.logins = fresh(self.store)
        self.world, self.flow = self.logins.world, self.logins.flow
        self.logins.audit_log.add = self._tell
        self.told: list[Told] = []
        self.left: list[Left] = []
        self.given_again: set[str] = set()
        self.workers: list[Worker] = []
        self.logouts: list[datetime] = []
        self.purpose = 0
        self._policies()
        context = self.logins.begun(SERVICE)
        self.name = context.transaction.id
        self.tokens: list[str] = []
        self.requests: list[str] = []
        self.answered: dict[str, str] = {}
        self._asks()
        self.answers(0)
        self.person = ""
        other = self.logins.log_in(self.logins.begun(SERVICE), self.logins.student())
        self.person = other.transaction.person.id
        self.told.clear()

    # Rules

    @precondition(lambda self: len(self._alive()) < MOST_WORKERS)
    @rule(which=st.integers(0, 3))
    def opens(self, which: int) -> None:
        """Let a tab open the address that an answer has led to."""
        self._begins(lambda: self._show_arrival(self.tokens[which % len(self.tokens)]))

    @precondition(lambda self: len(self._alive()) < MOST_WORKERS)
    @rule()
    def asks(self) -> None:
        """Let another tab ask the upstream once more."""
        self._begins(self._asks)

    @precondition(lambda self: len(self._alive()) < MOST_WORKERS)
    @rule()
    def logs_out(self) -> None:
        """Let the person log out: marked first, and then what is listed is ended."""
        self._begins(self._logs_out)

    @rule(which=st.integers(0, 3))
    def answers(self, which: int) -> None:
        """Let the upstream answer a request, maybe once more."""
        self._time_passes()
        request = self.requests[which % len(self.requests)]
        context = self.logins.begun(SERVICE)  # whose id alone counts
        context = replace(context, transaction=replace(context.transaction, id=self.name))
        token = self.logins.arrive(context, request, self.logins.student())
        self.tokens.append(token)
        self.answered[token] = request

    @rule()
    def policy_changes(self) -> None:
        """Change the purpose of the release from now on."""
        self.purpose += 1
        self._policies()

    @precondition(lambda self: self._alive())
    @rule(which=st.integers(0, 2), turns=st.integers(1, 8))
    def goes(self, which: int, turns: int) -> None:
        """Let a worker take so many turns."""
        alive = self._alive()
        for _ in range(turns):
            self._time_passes()
            alive[which % len(alive)].take_step()

    @precondition(lambda self: self._alive())
    @rule(which=st.integers(0, 2), fate=st.sampled_from(OUTCOMES))
    def is_befallen(self, which: int, fate: str) -> None:
        """Let a worker die, or the store fail it."""
        alive = self._alive()
        self._time_passes()
        alive[which % len(alive)].take_step(fate)

    def teardown(self) -> None:
        """Let all come to their end, and hold the laws."""
        for worker in self.workers:
            worker.run_to_end()
        for worker in self.workers:
            if worker.error:
                raise worker.error
        self.holds()

    # The laws

    def holds(self) -> None:
        """Hold every law over what has left."""
        contents = defaultdict(set)
        for left in self.left:
            contents[left.arrival].add((left.assertion, left.content))
            self._holds_of(left)
        assert all(len(each) == 1 for each in contents.values()), "two contents of one authentication"
        assert all(len(each) == 1 for each in self.store.joined.values()), "an arrival joined twice"
        assert all(times == 1 for times in self.store.spent.values()), "an arrival was spent twice"
        answered = [request for token, request in self.answered.items() if self._mark(token) in self.store.joined]
        assert len(answered) == len(set(answered)), "a request was answered twice"
        self._holds_of_lines()
        self._holds_of_sessions()

    def _holds_of(self, left: Left) -> None:
        kinds = [told.event.kind for told in self.told if told.event.about == left.assertion.removeprefix("_")]
        assert kinds == [AuditEventKind.RELEASED], f"{kinds} of what left"
        assert left.looked > left.marked or not left.marked, "it left after a logout"
        session = self._sessions().get(session_index(left.assertion))
        assert session, "it left without a session"
        named = self.flow.issuance.sessions._name_id_group(session.entity_id, session.name_id.value)
        assert Key("session", named, session.id) in self.store.kept, "its service cannot name the session"
        for until in self.logouts:
            assert session.ended or session.at > until, "a logout left it open"

    def _holds_of_lines(self) -> None:
        gone = {left.assertion.removeprefix("_") for left in self.left}
        by_id = defaultdict(list)
        for told in self.told:
            by_id[told.event.about].append(told)
        for about, lines in by_id.items():
            # Of what another request tried to give again, and a logout stopped both, nobody knows.
            doubtful = about in self.given_again or any(line.worker and line.worker.failed for line in lines)
            if about not in gone and not doubtful:
                kinds = [line.event.kind for line in lines]
                assert kinds == [AuditEventKind.RELEASED, AuditEventKind.NOT_RELEASED], f"{kinds} of what did not leave"

    def _holds_of_sessions(self) -> None:
        left = {session_index(each.assertion) for each in self.left}
        if any(worker.failed for worker in self.workers):
            return
        for index, session in self._sessions().items():
            assert session.ended or index in left, "a session of what has not left"
        for mark in {each.arrival for each in self.left}:
            [token] = [each for each in self.tokens if self._mark(each) == mark]
            arrival = self.store.kept[self.flow.arrivals.key(token)]
            assert load(Arrival, arrival.value).answer is None, "an answer was left in the store"

    # Within

    def _alive(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.finished]

    def _begins(self, work: Callable[[], None]) -> Worker:
        self._time_passes()
        worker = Worker(work)
        self.workers.append(worker)
        return worker

    def _time_passes(self) -> None:
        self.world.now += MOMENT

    def _policies(self) -> None:
        purpose = Text(f"purpose {self.purpose}", f"formål {self.purpose}")
        policies = []
        for policy in self.logins.set.policies:
            releases = [replace(each, name_id="transient", purpose=purpose) for each in policy.releases]
            policies.append(replace(policy, releases=tuple(releases)))
        self.logins.set = PolicySet(tuple(policies), f"digest {self.purpose}")

    def _asks(self) -> None:
        context = self.flow.read(self.name, self.world.now)
        _, sent = self.flow.ask_upstream(context, "wayf", self.world.now)
        self.requests.append(sent.id)

    def _show_arrival(self, token: str) -> None:
        """Do what the web does for a browser that opens an arrival's address."""
        for _ in range(TRIES):
            now = self.world.now
            matching, issuance = self.flow.matching, self.flow.issuance
            matched = matching.match(matching.read_both(self.name, token, now), ["b"], now)
            if matched is None:
                return
            step = self.flow.next_step(matched, now)
            assert isinstance(step, Issue)
            if self.flow.answers.reread(matched, now) is not matched:
                continue
            issued = issuance.make_ids(matched, step, now)
            if issued is None:
                return
            if matched.transaction.issued:
                self.given_again.add(issued.assertion.removeprefix("_"))
            content = issuance._hash_content(step)
            if issuance.record_release(matched, step, issued, NameID(issued.name_id), self.world.now):
                self._leaves(matched.transaction, issued.assertion, content)
                return

    def _leaves(self, transaction: Transaction, assertion: str, content: str) -> None:
        worker = current_worker()
        assert worker
        assert transaction.authentication
        assert transaction.arrival
        received = transaction.authentication.received
        marked = [moment for moment, until in self.store.marks if until >= received]
        left = Left(transaction.arrival, assertion, content, worker.looked, max(marked, default=0))
        self.left.append(left)

    def _logs_out(self) -> None:
        until = self.world.now
        sessions = self.flow.issuance.sessions
        sessions.close("b", self.person, until)
        listed = sessions.list_in_browsers(["b"], self.world.now)
        sessions.end([each for each in listed if each.at <= until], self.world.now)
        self.logouts.append(until)

    def _tell(self, event: AuditEvent) -> None:
        worker = current_worker()

        def write() -> None:
            if event.about:
                self.told.append(Told(event, worker))

        if worker:
            run_step(worker, str(event.kind), write)
        else:
            write()

    def _mark(self, token: str) -> str:
        return str(self.flow.arrivals.hash_token(token))

    def _sessions(self) -> dict[str, Session]:
        """Give the sessions in the store by their index at the service."""
        found = {}
        for key, kept in self.store.kept.items():
            if key.kind == "session" and b'"issuer"' in kept.value:
                session = load(Session, kept.value)
                found[session.index] = session
        return found


@pytest.fixture
def fresh(world: Any, logins: Any) -> FRESH:
    """Give what makes logins over a store."""
    return lambda store: type(logins)(type(world)(world.path, kept_in=store))


Course = Callable[[OneWriteMachine], None]
WRITE: Final = "write transaction"


def opens(machine: OneWriteMachine, which: int = 0) -> Worker:
    """Let a tab open the address of an answer."""
    machine.opens(which)
    return machine.workers[-1]


def asks(machine: OneWriteMachine) -> None:
    """Let another tab ask the upstream, to its end."""
    machine.asks()
    machine.workers[-1].run_to_end()


def logs_out(machine: OneWriteMachine) -> None:
    """Let the person log out, to the end."""
    machine.logs_out()
    machine.workers[-1].run_to_end()


def straight(machine: OneWriteMachine) -> None:
    """Let one tab land, and nothing come in between."""
    opens(machine).run_to_end()


def two_tabs(machine: OneWriteMachine) -> None:
    """Let another tab land while the first is about to write."""
    first = opens(machine)
    first.run_until(WRITE)
    opens(machine).run_to_end()
    first.run_to_end()


def another_tab_asks(machine: OneWriteMachine) -> None:
    """Let another tab write while the first is about to."""
    first = opens(machine)
    first.run_until(WRITE)
    asks(machine)
    first.run_to_end()


def dies(fate: str) -> Course:
    """Let a worker end so at its write, and the address be opened again."""

    def course(machine: OneWriteMachine) -> None:
        first = opens(machine)
        first.run_until(WRITE)
        first.take_step(fate)
        opens(machine).run_to_end()

    return course


def logout_before_the_write(machine: OneWriteMachine) -> None:
    """Let the person log out while an assertion is about to leave."""
    first = opens(machine)
    first.run_until(WRITE)
    logs_out(machine)
    first.run_to_end()


def ask_twice(machine: OneWriteMachine) -> None:
    """Let the store lose its answer to the write, and another write stand when it is asked again."""
    first = opens(machine)
    first.run_until(WRITE)
    first.take_step("asked twice")
    asks(machine)
    first.run_to_end()


def policy_changes(machine: OneWriteMachine) -> None:
    """Change the content of the release from now on."""
    straight(machine)
    machine.policy_changes()
    straight(machine)


def two_answers(machine: OneWriteMachine) -> None:
    """Let the upstream answer one request twice, and both addresses be opened."""
    machine.answers(0)
    straight(machine)
    opens(machine, 1).run_to_end()


def leave_in_another_tab(machine: OneWriteMachine) -> None:
    """Let another tab give again what the first has written, and then the person log out."""
    first = opens(machine)
    first.run_until("marks")
    opens(machine).run_to_end()
    logs_out(machine)
    first.run_to_end()


COURSES: Final[dict[str, Course]] = {
    "straight": straight,
    "two tabs": two_tabs,
    "another tab asks": another_tab_asks,
    "dies half-way through the sessions": dies("dies half-way 1"),
    "dies half-way through the pointers": dies("dies half-way 2"),
    "dies after the write": dies("dies after"),
    "logout before the write": logout_before_the_write,
    "asked twice": ask_twice,
    "policy changes": policy_changes,
    "two answers": two_answers,
    "leaves in another tab": leave_in_another_tab,
}


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES)
def test_directed_courses(course: Course, fresh: FRESH) -> None:
    """Hold the laws in courses that are drawn too rarely."""
    machine = OneWriteMachine(fresh)
    course(machine)
    machine.teardown()


@pytest.mark.parametrize("fate", OUTCOMES)
@pytest.mark.parametrize("turn", ["released", WRITE, "marks"])
def test_the_next_request_finishes_an_interrupted_login(turn: str, fate: str, fresh: FRESH) -> None:
    """Wherever it ends: the same address opened again lands, and every law holds."""
    machine = OneWriteMachine(fresh)
    first = opens(machine)
    first.run_until(turn)
    first.take_step(fate)
    first.run_to_end()
    opens(machine).run_to_end()
    machine.teardown()
    assert machine.left


@pytest.mark.parametrize(
    "examples",
    [choose_size(5, otherwise=40), pytest.param(choose_size(200, otherwise=2000), marks=pytest.mark.slow(seconds=15))],
)
def test_an_assertion_leaves_once_told_and_ended_by_a_logout(examples: int, fresh: FRESH) -> None:
    """The rules hold for every interleaving of two workers."""
    run_state_machine_as_test(
        partial(OneWriteMachine, fresh),  # type: ignore[arg-type]
        settings=settings(
            max_examples=scale_examples(examples),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            report_multiple_bugs=False,
        ),
    )
