"""The set in force: of two who move it one does, the history misses nothing, and each change is told once or again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.policy.set_digest import digest
from broker.core.ports import Key
from broker.use_cases.policies.set_in_force import Live, Move, Proposal, SetChange, SetInForce
from tests.plugins.drawn import drawn

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SITE = {"library": "1"}


@pytest.fixture
def sets(tmp_path: Path, empty_store: Path) -> SetInForce:
    """Give the record of an empty store."""
    return SetInForce(SqliteStore(Path(copy(empty_store, tmp_path / "broker.db"))))


def proposal(text: str, move: Move = Move.APPLIED, who: str = "kirsten") -> Proposal:
    """Give a proposal of one file."""
    return Proposal({"student.yaml": text.encode()}, move, who, f"for {text}", SITE, ("student.yaml changed",))


def moved(sets: SetInForce, text: str, now: datetime = NOW) -> SetChange:
    """Put a set in force over what is."""
    change = sets.move(sets.live(now), proposal(text), now)
    assert change
    return change


def test_an_empty_store_has_no_set_in_force(sets: SetInForce) -> None:
    """And no history."""
    assert sets.live(NOW) is None
    assert sets.history(NOW) == ()


def test_an_entry_that_does_not_open_hides_no_other(sets: SetInForce) -> None:
    """Its number is told; the record of the set in force stands for its own entry."""
    changes = [moved(sets, text) for text in "abc"]
    for number in (1, 3):
        key = Key("policy", "live", f"{number:08}")
        kept = sets.store.get(key, NOW)
        assert kept
        assert sets.store.put(key, kept._replace(value=b"\0", version="x"), kept.version, NOW)
    assert sets.history(NOW) == tuple(changes[1:])
    assert sets.lost(NOW) == (1,)


def test_a_change_says_what_from_when_who_why_and_for_which_site(sets: SetInForce) -> None:
    """The record, its entry in the history, and the set itself."""
    first = moved(sets, "a")
    second = moved(sets, "b", NOW + MINUTE)
    assert second == SetChange(
        number=2,
        digest=digest({"student.yaml": b"b"}),
        base=first.digest,
        move=Move.APPLIED,
        at=NOW + MINUTE,
        who="kirsten",
        why="for b",
        site=SITE,
        summary=("student.yaml changed",),
    )
    live = sets.live(NOW)
    assert live
    assert live.value == second
    assert sets.history(NOW) == (first, second)
    assert [sets.sets.read(change.digest, NOW) for change in (first, second)] == [
        {"student.yaml": b"a"},
        {"student.yaml": b"b"},
    ]


def test_of_two_over_one_base_the_later_is_refused(sets: SetInForce) -> None:
    """The record says whose is in force, and the history has that one only."""
    moved(sets, "a")
    base = sets.live(NOW)
    assert sets.move(base, proposal("b", who="kirsten"), NOW)
    assert sets.move(base, proposal("c", who="mads"), NOW) is None
    assert [change.why for change in sets.history(NOW)] == ["for a", "for b"]
    live = sets.live(NOW)
    assert live
    assert live.value.who == "kirsten"


def test_of_two_first_starts_one_adds_its_folder(sets: SetInForce) -> None:
    """The other takes what is in force, whatever its own folder holds."""
    assert sets.move(None, proposal("a", Move.FIRST), NOW)
    assert sets.move(None, proposal("b", Move.FIRST), NOW) is None
    assert [change.why for change in sets.history(NOW)] == ["for a"]


@pytest.mark.parametrize("back", [timedelta(days=40), timedelta(days=20_000)])
def test_a_clock_that_was_set_back_mixes_up_nothing(sets: SetInForce, back: timedelta) -> None:
    """The order is that of the changes, none is dated before the one it follows, and none is forgotten for it."""
    moved(sets, "a")
    moved(sets, "b", NOW - back)
    moved(sets, "c", NOW + MINUTE)
    for now in (NOW - back, NOW + timedelta(days=365)):
        history = sets.history(now)
        assert [change.why for change in history] == ["for a", "for b", "for c"]
        assert [change.at for change in history] == [NOW, NOW, NOW + MINUTE]


def test_a_change_that_was_told_is_not_told_again(sets: SetInForce) -> None:
    """Nobody else looks for it within the time that its maker has."""
    change = moved(sets, "a")
    assert sets.untold(NOW + MINUTE, NOW) is None
    sets.tell_done(change, NOW)
    assert sets.untold(NOW + 2 * MINUTE, NOW + MINUTE) is None


def test_a_change_whose_maker_died_is_told_by_another(sets: SetInForce) -> None:
    """One at a time, the earliest first, and again until it is noted."""
    changes = [moved(sets, "a"), moved(sets, "b")]
    later = NOW + MINUTE
    for change in changes:
        claimed = sets.untold(later, later)
        assert claimed
        assert claimed.record.value == change
        sets.tell_done(change, later)
        claimed.lease.end(later)
    assert sets.untold(later, later) is None
    assert sets.history(later) == tuple(changes)


class Admins(RuleBasedStateMachine):
    """Admins who plan, apply and roll back between one another, and die at any write of theirs."""

    empty: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = SqliteStore(Path(copy(self.empty, Path(self.folder.name) / "broker.db")))
        self.sets = SetInForce(self.store)
        self.now = NOW
        self.plans: list[Live] = [None]
        self.expected: list[str] = []
        self.told: list[int] = []

    def teardown(self) -> None:
        """Close the store."""
        for connection in self.store._connections.idle:
            connection.close()
        self.folder.cleanup()

    @rule(minutes=st.integers(-3, 3))
    def wait(self, minutes: int) -> None:
        """Let time pass, or somebody set the clock back."""
        self.now += minutes * MINUTE

    @rule()
    def plan(self) -> None:
        """Plan over the set in force."""
        self.plans.append(self.sets.live(self.now))

    @rule(which=st.integers(0, 20), text=st.sampled_from("abc"), dies=st.sampled_from(["", "set", "record", "told"]))
    def apply(self, which: int, text: str, dies: str) -> None:
        """Apply an older or newer plan, and perhaps die after one of the writes."""
        plan = self.plans[which % len(self.plans)]
        given = proposal(text)
        if dies == "set":
            self.sets.sets.keep(given.files, self.now)
            return
        self._move(plan, given, dies)

    @rule(which=st.integers(0, 20), back=st.integers(0, 20))
    def roll_back(self, which: int, back: int) -> None:
        """Put a set of the history in force again."""
        history = self.sets.history(self.now)
        if history:
            files = self.sets.sets.read(history[back % len(history)].digest, self.now)
            assert files
            given = Proposal(files, Move.ROLLED_BACK, "mads", "undo", SITE)
            self._move(self.plans[which % len(self.plans)], given, "")

    @rule()
    def tell_untold(self) -> None:
        """Tell what others died over."""
        later = self.now + MINUTE
        claimed = self.sets.untold(later, later)
        if claimed:
            self._tell(claimed.record.value)
            claimed.lease.end(later)

    def _move(self, plan: Live, given: Proposal, dies: str) -> None:
        stands = len(self.expected) == (plan.value.number if plan else 0)
        change = self.sets.move(plan, given, self.now)
        assert (change is not None) is stands
        if change:
            self.expected.append(digest(given.files))
            if dies != "record":
                self._tell(change)

    def _tell(self, change: SetChange) -> None:
        self.told.append(change.number)
        self.sets.tell_done(change, self.now)

    @invariant()
    def the_record_is_what_was_moved(self) -> None:
        """Only a plan over the present record moves it; each change follows the one before it, and has its set."""
        history = self.sets.history(self.now)
        assert [change.digest for change in history] == self.expected
        assert [change.base for change in history] == [None, *self.expected][: len(history)]
        assert [change.number for change in history] == list(range(1, len(history) + 1))
        assert [change.at for change in history] == sorted(change.at for change in history)
        live = self.sets.live(self.now)
        assert (live and live.value) == (history[-1] if history else None)
        for name in set(self.expected):
            assert self.sets.sets.read(name, self.now)

    @invariant()
    def nothing_is_told_twice_or_that_is_not(self) -> None:
        """Whoever tells notes it; what nobody has noted is found by whoever looks."""
        assert len(self.told) == len(set(self.told))
        assert set(self.told) <= set(range(1, len(self.expected) + 1))


def test_admins_who_come_between_one_another(empty_store: Path) -> None:
    """A model of plans, applies, rollbacks, deaths and clocks, against the record, its history and what is told."""
    Admins.empty = empty_store
    run_state_machine_as_test(Admins, settings=settings(max_examples=drawn(25), stateful_step_count=15, deadline=None))
