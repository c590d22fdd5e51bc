"""An accepted enrolment is carried out once, wherever the process that was at it died."""

import itertools
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.errors import LibraryUnavailable

if TYPE_CHECKING:
    from broker.core.borrowers.wanted_borrower import Wish

CPR = "0101990000"
UNNOTED = {24, 25}  # between the mail server's 250 and the enrolment's own record
DEATHS = 28  # the calls of an enrolment, those that renew its lease among them


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing after it runs."""


def killed_at(world: Any, point: int) -> None:
    """Carry out what is due and die after the call number ``point``."""
    calls = itertools.count()

    def die(_: str) -> None:
        if next(calls) == point:
            raise Killed

    world.hooks.every = die
    with suppress(Killed):
        world.settle()
    world.hooks.every = lambda _name: None


@pytest.mark.parametrize("point", range(DEATHS))
@pytest.mark.parametrize("later", [None, {"affiliation": "employee", "category": "EMPL", "upgrades": ("PRIV", "STUD")}])
def test_a_death_at_any_point_leaves_one_borrower_whose_last_mailed_pin_works(
    world: Any, point: int, later: dict[str, Any] | None
) -> None:
    """One borrower, as last wished; the last mailed PIN is its PIN; a second mail only after one that was not noted."""
    wish: Wish = world.wish()
    world.live.want(wish)
    killed_at(world, point)
    if later:
        wish = world.wish(**later)
        world.live.want(wish)
    enrolment = world.settle()
    (borrower,) = world.library.borrowers.values()
    assert (enrolment.state, enrolment.number, enrolment.wish) == (EnrolmentState.DONE, borrower.number, None)
    assert borrower.category == wish.category
    assert world.post.sent[-1].pin == world.library.pins[borrower.number]
    assert len(world.post.sent) == (2 if point in UNNOTED else 1)


def test_the_points_of_death_are_all_there_are(world: Any) -> None:
    """The table above dies in every call that an enrolment makes."""
    world.live.want(world.wish())
    world.hooks.calls.clear()
    world.live.step()
    enrolling = ["claim", "find", "put", "create", "find", "put"]
    calls = [call for call in world.hooks.calls if call != "lease"]
    assert calls == [*enrolling, "read", "RCPT", "put", "set_pin", "check_pin", "DATA", "put", "put"]
    assert len(world.hooks.calls) == DEATHS
    data = world.hooks.calls.index("DATA")
    assert (UNNOTED, world.hooks.calls[data + 1 :]) == ({data, data + 1}, ["put", "put", "lease"])


def test_a_create_that_was_done_and_answered_with_an_error_is_recognised(world: Any) -> None:
    """The library made the borrower and lost the answer: it is found by its mark, counted as ours, and gets its PIN."""

    def lost() -> None:
        raise LibraryUnavailable("502")

    world.hooks.after["create"] = lost
    world.live.want(world.wish())
    assert world.live.step().reason == "library_unavailable"
    enrolment = world.settle()
    assert (len(world.library.borrowers), enrolment.outcome, len(world.post.sent)) == (1, EnrolmentOutcome.CREATED, 1)


def test_one_that_was_made_and_got_another_number_at_the_desk_is_not_made_again(world: Any) -> None:
    """A borrower with our mark is this person's even when the CPR no longer finds it."""

    def lost() -> None:
        world.library.cprs["1"] = "0202990000"
        raise LibraryUnavailable("502")

    world.hooks.after["create"] = lost
    world.live.want(world.wish())
    assert world.settle().number == "1"
    assert len(world.library.borrowers) == 1


def test_a_borrower_without_our_mark_never_gets_a_pin(world: Any) -> None:
    """One made by the desk in the moment of our create has a PIN that works; it is left alone."""

    def desk() -> None:
        world.library.add(CPR, Borrower("9", "STUD", world.wish().expires, fields={"surname": "Prøvesen"}))

    world.hooks.before["create"] = desk
    world.live.want(world.wish())
    enrolment = world.settle()
    assert (enrolment.number, enrolment.outcome) == ("9", EnrolmentOutcome.UNCHANGED)
    assert (world.library.pins, world.post.sent, enrolment.pin_tried) == ({}, [], None)


def test_a_borrower_that_lost_our_mark_before_its_pin_gets_none(world: Any) -> None:
    """Between the create and the mail the desk may have taken the borrower over."""
    world.live.want(world.wish())
    world.post.down = True
    world.live.step()
    world.library.add(CPR, Borrower("1", "STUD", world.wish().expires, fields={"surname": "Prøvesen"}))
    world.post.down = False
    enrolment = world.settle()
    assert (enrolment.pin_owed, world.library.pins, world.post.sent) == (False, {}, [])


def test_a_lease_that_ran_out_leaves_the_work_to_the_next(world: Any) -> None:
    """A worker that slept through its lease finds so before its change and does not make it."""

    def overslept() -> None:
        world.now += timedelta(minutes=5)
        world.live.step()

    world.hooks.after["find"] = overslept
    world.live.want(world.wish())
    world.live.step()
    assert world.hooks.calls.count("create") == 1
    assert len(world.post.sent) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_wish_that_overtakes_the_worker_is_due_at_once(world: Any, fails: bool) -> None:
    """The lease ends with the attempt, whether it was overtaken or failed: nobody waits for it to run out."""

    def later() -> None:
        world.live.want(world.wish(category="EMPL"))
        if fails:
            raise LibraryUnavailable("down")

    world.live.want(world.wish())
    world.hooks.before["find"] = later
    world.live.step()
    assert world.library.borrowers == {}
    assert world.records.read(world.live.person_key(CPR)).due == world.now
    assert world.live.step().category == "EMPL"


@pytest.mark.parametrize(
    ("there", "slept_after", "fails", "undone"),
    [
        (False, "put", False, "create"),
        (True, "find", False, "change"),
        (False, "create", False, "set_pin"),
        (False, "find", True, "create"),
    ],
)
def test_who_overslept_changes_nothing_beside_the_next(
    world: Any, slept_after: str, undone: str, *, there: bool, fails: bool
) -> None:
    """Neither the library system nor the enrolment: another has the lease by now, and looks itself."""

    def overslept() -> None:
        world.now += timedelta(minutes=5)
        assert world.records.claim()
        if fails:
            raise LibraryUnavailable("down")

    if there:
        world.library.add(CPR, Borrower("5", "PRIV", fields={"surname": "Prøvesen"}))
    world.live.want(world.wish())
    before = world.live.stored(CPR)
    world.hooks.after[slept_after] = overslept
    world.live.step()
    assert undone not in world.hooks.calls
    assert world.post.sent == []
    assert replace(world.live.stored(CPR), creates=0) == before


def test_who_overslept_does_not_end_the_lease_of_the_next(world: Any) -> None:
    """A third worker would start beside the second."""

    def overslept() -> None:
        world.now += timedelta(minutes=5)
        assert world.records.claim()

    world.hooks.after["find"] = overslept
    world.live.want(world.wish())
    world.live.step()
    assert world.live.step() is None
    assert world.hooks.calls.count("create") == 0


@pytest.mark.parametrize(
    ("unique", "state", "borrowers"), [(True, EnrolmentState.DONE, 1), (False, EnrolmentState.CASE, 2)]
)
def test_two_creates_at_once_are_one_borrower_or_a_case(
    world: Any, unique: bool, state: EnrolmentState, borrowers: int
) -> None:
    """A create that outlives its lease meets the unique field; where there is none, the count finds two."""

    def beside() -> None:
        world.now += timedelta(minutes=5)
        world.live.step()

    world.library.unique = unique
    world.hooks.before["create"] = beside
    world.live.want(world.wish())
    world.live.step()
    assert (len(world.library.borrowers), world.settle().state) == (borrowers, state)


@pytest.mark.parametrize("sent", [True, False])
def test_a_copy_of_one_that_is_gone_is_not_taken_for_a_create_whose_answer_was_lost(world: Any, sent: bool) -> None:
    """The desk copied the record, mark and all, and deleted it; the new create fails, and the copy stays another's."""

    def lost() -> None:
        raise LibraryUnavailable("502")

    world.live.want(world.wish())
    world.settle()
    gone = world.library.borrowers.pop("1")
    del world.library.cprs["1"]
    copy = world.library.add("0202990000", replace(gone, number="7", fields={"surname": "Eksempel"}))
    world.hooks.after.update({"create": lost} if sent else {})
    world.hooks.before.update({} if sent else {"create": lost})
    world.live.want(world.wish(affiliation="employee"))
    enrolment = world.settle()
    assert (enrolment.state, enrolment.number, enrolment.outcome) == (
        EnrolmentState.DONE,
        "2",
        EnrolmentOutcome.CREATED,
    )
    assert (world.library.borrowers["7"], set(world.library.pins)) == (copy, {"1", "2"})
    assert (len(world.post.sent), world.post.sent[-1].pin) == (2, world.library.pins["2"])


def test_a_copy_beside_the_one_we_made_is_no_second_borrower(world: Any) -> None:
    """The mark counts on the borrower that we know, and on no other."""
    world.live.want(world.wish())
    world.settle()
    world.library.add("0202990000", replace(world.library.borrowers["1"], number="7"))
    world.live.want(world.wish(affiliation="employee"))
    assert (world.settle().state, world.settle().number, len(world.post.sent)) == (EnrolmentState.DONE, "1", 1)


def test_a_copy_that_got_the_cpr_gets_no_pin(world: Any) -> None:
    """The desk moved the person to another record: whatever PIN it gave there is left alone."""
    world.live.want(world.wish())
    world.settle()
    moved = world.library.borrowers.pop("1")
    del world.library.cprs["1"]
    world.library.add(CPR, replace(moved, number="7"))
    world.live.want(world.wish(affiliation="employee"))
    enrolment = world.settle()
    assert (enrolment.number, enrolment.outcome, enrolment.pin_owed) == ("7", EnrolmentOutcome.UNCHANGED, False)
    assert (set(world.library.pins), len(world.post.sent)) == ({"1"}, 1)


def test_a_pin_owed_is_not_owed_to_another_borrower(world: Any) -> None:
    """While the mail was down the desk moved the person to a copy; it gets no PIN at the next login either."""
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    moved = world.library.borrowers.pop("1")
    del world.library.cprs["1"]
    world.library.add(CPR, replace(moved, number="7"))
    world.now += timedelta(days=1)
    assert world.known(world.wish()).enrolment.pin_owed is False
    world.post.down = False
    world.settle()
    assert (world.library.pins, world.post.sent) == ({}, [])
