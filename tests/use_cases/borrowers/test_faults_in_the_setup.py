"""An enrolment that the library system refuses: whose fault it is, what is kept, and what goes on after a mend."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.event_routes import BrokerEvent, EventKind

SENTENCE = "create: 400: Given category_id does not exist: STUD"
FAULT = LibraryRefused(SENTENCE, "category_id STUD")
CPRS = ("0101990000", "0202990000", "0303990000", "0404990000", "0505990000")


@pytest.fixture
def shut(world: Any) -> Callable[[Exception | None], None]:
    """Give what lets every create be refused from now on, or with None carried out again."""
    carried_out = world.library.create

    def refuse(error: Exception | None) -> None:
        def create(*_: Any) -> Any:
            world.hooks.calls.append("create")
            raise error or AssertionError

        world.library.create = create if error else carried_out

    return refuse


def wanted(world: Any, *cprs: str, **changes: Any) -> None:
    """Let people wish for a borrower, and carry out what is due."""
    for cpr in cprs:
        world.live.want(world.wish(cpr=cpr, **changes))
    carry_out(world)


def carry_out(world: Any) -> None:
    """Carry out what is due."""
    while world.live.step():
        pass


def stored(world: Any, cpr: str) -> Enrolment:
    """Give a person's enrolment."""
    enrolment = world.live.stored(cpr)
    assert isinstance(enrolment, Enrolment)
    return enrolment


def creates(world: Any) -> int:
    """Count the creates that were sent."""
    return sum(call == "create" for call in world.hooks.calls)


def test_a_fault_in_the_setup_makes_nobody_a_case(world: Any, shut: Any) -> None:
    """Everybody waits with the cause, however many meet it, and is enrolled once it is mended, each once."""
    shut(FAULT)
    wanted(world, *CPRS)
    assert creates(world) == 3
    for cpr in CPRS:
        enrolment = stored(world, cpr)
        assert enrolment.state is EnrolmentState.WANTED
    assert (stored(world, CPRS[0]).reason, stored(world, CPRS[0]).cause) == ("library_setup", SENTENCE)
    assert stored(world, CPRS[4]).cause == "creates are paused: category_id STUD"
    shut(None)
    for _ in range(30):
        world.now += timedelta(minutes=1)
        carry_out(world)
    for cpr in CPRS:
        enrolment = stored(world, cpr)
        assert (enrolment.state, enrolment.outcome) == (EnrolmentState.DONE, EnrolmentOutcome.CREATED)
        assert (enrolment.reason, enrolment.cause) == (None, None)
    assert len(world.library.borrowers) == len(CPRS)


def test_while_it_is_not_mended_one_trial_a_minute_is_sent(world: Any, shut: Any) -> None:
    """An hour of it with five people sends sixty creates at most, and nobody waits more than ten minutes after it."""
    shut(FAULT)
    wanted(world, *CPRS)
    before = creates(world)
    for _ in range(60):
        world.now += timedelta(minutes=1)
        carry_out(world)
    assert 0 < creates(world) - before <= 60
    dues = [world.records.read(world.live.person_key(cpr)).due for cpr in CPRS]
    assert all(due <= world.now + timedelta(minutes=10) for due in dues)


def test_creates_of_another_category_go_on(world: Any, shut: Any) -> None:
    """A category that is not there stops its own people only."""
    shut(FAULT)
    wanted(world, *CPRS[:3])
    shut(None)
    wanted(world, CPRS[3], category="EMPL")
    assert stored(world, CPRS[3]).outcome is EnrolmentOutcome.CREATED


def test_a_refusal_of_what_one_person_brings_is_a_case_with_its_cause(world: Any, shut: Any) -> None:
    """It pauses nobody else, and staff read the library system's own sentence."""
    shut(LibraryRefused("create: 400: Day out of range."))
    wanted(world, *CPRS[:3])
    for cpr in CPRS[:3]:
        enrolment = stored(world, cpr)
        assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "library_refused")
        assert enrolment.cause == "create: 400: Day out of range."
    rows = list(world.cases.rows())
    assert {row["cause"] for row in rows} == {"create: 400: Day out of range."}
    shut(None)
    wanted(world, CPRS[3])
    assert stored(world, CPRS[3]).state is EnrolmentState.DONE
    for row in rows:
        assert world.cases.retry(str(row["id"]))
    carry_out(world)
    assert [stored(world, cpr).cause for cpr in CPRS[:3]] == [None] * 3


def test_what_holds_an_enrolment_up_is_told_to_the_log(world: Any, shut: Any) -> None:
    """Reason, cause, setting and how often it was tried: under the enrolment's id, which names nobody."""
    told: list[BrokerEvent] = []
    world.ports = replace(world.ports, tell=told.append)
    world.live = world.enrolments("live")
    shut(LibraryUnavailable("create: 503"))
    wanted(world, CPRS[0])
    shut(FAULT)
    world.now += timedelta(minutes=1)
    carry_out(world)
    assert [event.kind for event in told] == [EventKind.ENROLMENT_HELD_UP] * 2
    common = {"enrolment": stored(world, CPRS[0]).id}
    assert [event.facts for event in told] == [
        common | {"reason": "library_unavailable", "cause": "create: 503", "setting": None, "attempts": 1},
        common | {"reason": "library_refused", "cause": SENTENCE, "setting": "category_id STUD", "attempts": 2},
    ]


def test_a_borrower_that_was_made_without_a_card_number_gets_one_by_the_next_try(world: Any) -> None:
    """The library system gave no number: once that is mended a change brings one, and then the PIN is mailed."""
    carried_out = world.library.create

    def without_card(*given: Any) -> Any:
        made = carried_out(*given)
        world.library.borrowers[made.number] = replace(made, card=None)
        raise LibraryRefused("create: Koha gave the borrower no card number", "autoMemberNum")

    changed = world.library.change

    def numbered(change: Any, deadline: Any) -> Any:
        before = world.library.borrowers[change.number]
        world.library.borrowers[change.number] = replace(before, card="1")
        return changed(change, deadline)

    world.library.create, world.library.change = without_card, numbered
    wanted(world, CPRS[0])
    assert stored(world, CPRS[0]).reason == "library_setup"
    assert world.post.sent == []
    world.now += timedelta(minutes=1)
    carry_out(world)
    enrolment = stored(world, CPRS[0])
    assert (enrolment.state, enrolment.outcome) == (EnrolmentState.DONE, EnrolmentOutcome.CREATED)
    assert [borrower.card for borrower in world.library.borrowers.values()] == ["1"]
    assert [mail.pin for mail in world.post.sent] == list(world.library.pins.values())
