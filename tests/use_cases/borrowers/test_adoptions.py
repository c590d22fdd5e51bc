"""A CPR that arrives later: the temporary borrower gets it, once, whatever dies meanwhile."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.errors import LibraryUnavailable

CPR = "0101990000"


@pytest.fixture
def temporary(world: Any) -> Borrower:
    """Put a temporary borrower with a PIN on the shelf, as the desk made it."""
    borrower = Borrower("9", "TEMP", date(2027, 1, 31), None, "desk@post.example", {"surname": "Prøvesen"})
    world.library.borrowers["9"] = borrower
    world.library.pins["9"] = "4071"
    return borrower


def wish(world: Any, **more: Any) -> Any:
    """Give the wish of a student who proved the temporary borrower by its PIN."""
    return world.wish(**{"temporary": "9", "adopts": ("TEMP",), **more})


def test_the_temporary_borrower_becomes_the_persons(world: Any, temporary: Borrower) -> None:
    """Number, PIN, mail and loans stay; category, expiry and CPR are new; no second account and no PIN mail."""
    world.live.want(wish(world))
    enrolment = world.settle()
    assert (enrolment.state, enrolment.outcome, enrolment.number) == (
        EnrolmentState.DONE,
        EnrolmentOutcome.ADOPTED,
        "9",
    )
    adopted = replace(temporary, category="STUD", expires=world.wish().expires, cpr=CPR)
    assert world.library.borrowers == {"9": adopted}
    assert world.library.find(CPR, world.now) == (adopted,)
    assert (world.library.pins, world.post.sent) == ({"9": "4071"}, [])
    assert world.known(wish(world)).enrolment.number == "9"
    assert world.known(world.wish()).enrolment.number == "9"


def test_a_borrower_with_the_cpr_beside_it_is_for_staff(world: Any, temporary: Borrower) -> None:
    """Neither is changed; once they are merged a retry goes on with the one that is left."""
    own = world.library.add(CPR, Borrower("5", "PRIV", world.wish().expires, fields={"surname": "Prøvesen"}))
    assert world.known(wish(world)).enrolment is None
    world.live.want(wish(world))
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "temporary_and_cpr")
    assert world.library.borrowers == {"9": temporary, "5": own}
    del world.library.borrowers["9"]
    assert world.cases.retry(enrolment.id)
    assert (world.settle().number, world.library.borrowers["5"].category) == ("5", "STUD")


def test_one_that_is_proved_after_the_person_was_enrolled_is_for_staff_too(world: Any, temporary: Borrower) -> None:
    """What was done minutes ago is no answer to who has two accounts now."""
    del temporary
    world.library.add(CPR, Borrower("5", "STUD", world.wish().expires, fields={"surname": "Prøvesen"}))
    assert world.known(world.wish()).enrolment.number == "5"
    assert world.known(wish(world)).enrolment is None
    world.live.want(wish(world))
    assert world.settle().reason == "temporary_and_cpr"


@pytest.mark.parametrize("desk", [{"surname": "Holm"}, {}, {"surname": ""}])
def test_another_name_is_for_staff_who_confirm_it(world: Any, temporary: Borrower, desk: dict[str, str]) -> None:
    """Number and PIN may be somebody else's: nothing is changed before staff say that it is this person's."""
    kept = world.library.borrowers["9"] = replace(temporary, fields=desk)
    world.live.want(wish(world))
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "adoption_other_name")
    assert world.library.borrowers == {"9": kept}
    assert world.cases.retry(enrolment.id)
    assert world.settle().reason == "adoption_other_name"
    assert world.cases.confirm(enrolment.id, "9")
    done = world.settle()
    assert (done.state, done.outcome, done.number) == (EnrolmentState.DONE, EnrolmentOutcome.ADOPTED, "9")


def test_what_staff_confirmed_holds_for_that_borrower_in_later_logins(world: Any, temporary: Borrower) -> None:
    """While the library is down the person logs in again; another temporary borrower is not confirmed by it."""
    world.library.borrowers["9"] = replace(temporary, fields={"surname": "Holm"})
    world.live.want(wish(world))
    assert world.cases.confirm(world.settle().id, "9")
    world.library.borrowers["8"] = replace(world.library.borrowers["9"], number="8")
    world.live.want(wish(world, temporary="8"))
    assert world.settle().reason == "adoption_other_name"
    world.live.want(wish(world))
    assert world.cases.confirm(world.settle().id, "9")
    world.live.want(world.wish())
    assert (world.settle().outcome, world.live.stored(CPR).number) == (EnrolmentOutcome.ADOPTED, "9")


def test_nothing_else_is_confirmed(world: Any, temporary: Borrower) -> None:
    """Neither a case of another reason, nor what is done, nor an id that nobody has."""
    world.library.borrowers["9"] = replace(temporary, category="PRIV", fields={"surname": "Holm"})
    world.live.want(wish(world))
    case = world.settle()
    assert case.reason == "temporary_unfit"
    assert not world.cases.confirm(case.id, "9")
    assert not world.cases.confirm("nobody", "9")
    assert world.live.stored(CPR).reason == "temporary_unfit"


@pytest.mark.parametrize("unfit", [{"category": "PRIV"}, {"cpr": "0202990000"}, {"born": date(1980, 1, 1)}])
def test_what_is_no_temporary_borrower_of_this_person_is_left_alone(
    world: Any, temporary: Borrower, unfit: dict[str, Any]
) -> None:
    """A PIN proves an account, not that the CPR belongs to it; staff look, and the person gets no other account."""
    kept = world.library.borrowers["9"] = replace(temporary, **unfit)
    world.live.want(wish(world))
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "temporary_unfit")
    assert world.library.borrowers == {"9": kept}
    assert not {"create", "change"} & set(world.hooks.calls)


DEATHS = 15  # the calls of an adoption, those that renew its lease among them


class Killed(BaseException):
    """What kill -9 looks like from inside."""


def test_the_points_of_death_are_all_there_are(world: Any, temporary: Borrower) -> None:
    """The table above dies in every call that an adoption makes."""
    del temporary
    world.live.want(wish(world))
    world.hooks.calls.clear()
    world.live.step()
    calls = [call for call in world.hooks.calls if call != "lease"]
    assert calls == ["claim", "find", "read", "put", "change", "find", "put"]
    assert len(world.hooks.calls) == DEATHS


def test_a_change_that_was_cut_short_is_made_whole(world: Any, temporary: Borrower) -> None:
    """The CPR is there and the category is not: the same borrower is found by its CPR, and gets the rest."""

    def half() -> None:
        world.library.add(CPR, replace(temporary, cpr=CPR))
        raise LibraryUnavailable("502")

    world.hooks.before["change"] = half
    world.live.want(wish(world))
    assert world.live.step().reason == "library_unavailable"
    enrolment = world.settle()
    assert (enrolment.outcome, enrolment.category) == (EnrolmentOutcome.ADOPTED, "STUD")
    assert len(world.library.borrowers) == 1


def test_one_made_in_the_very_moment_is_a_case(world: Any, temporary: Borrower) -> None:
    """The desk made a borrower with the CPR between our look and our change: the count after it finds two."""
    del temporary
    world.hooks.after["change"] = lambda: world.library.add(CPR, Borrower("5", "PRIV"))
    world.live.want(wish(world))
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "temporary_and_cpr")


def test_observing_says_what_would_be_adopted(world: Any, temporary: Borrower) -> None:
    """Nothing is written to the library, and no CPR here."""
    enrolment = world.enrolments("observe").want(wish(world))
    assert (enrolment.state, enrolment.outcome, enrolment.number) == (
        EnrolmentState.OBSERVED,
        EnrolmentOutcome.ADOPTED,
        "9",
    )
    assert world.library.borrowers == {"9": temporary}


def test_a_login_while_the_library_is_down_forgets_no_proof(world: Any, temporary: Borrower) -> None:
    """The temporary borrower is proved and agreed to, and the person logs in again: there is still one account."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    world.live.want(wish(world))
    world.live.step()
    world.live.want(world.wish())
    assert (world.settle().outcome, [*world.library.borrowers]) == (EnrolmentOutcome.ADOPTED, [temporary.number])


def test_a_case_outlives_the_next_login(world: Any, temporary: Borrower) -> None:
    """What staff have to look at stays listed, and makes no other account, until they try it again."""
    world.library.borrowers["9"] = replace(temporary, category="STAFF")
    world.live.want(wish(world))
    for _ in range(2):
        assert (world.settle().reason, [*world.library.borrowers]) == ("temporary_unfit", ["9"])
        world.live.want(world.wish())


def test_a_temporary_borrower_becomes_one_person_only(world: Any, temporary: Borrower) -> None:
    """Two who know its PIN at once: the second is for staff, whatever the library system has written by then."""
    del temporary
    other = "0202990000"

    def second() -> None:
        world.live.want(wish(world, cpr=other))
        world.live.step()

    world.hooks.before["change"] = second
    world.live.want(wish(world))
    world.live.step()
    assert (world.live.stored(other).state, world.live.stored(other).reason) == (EnrolmentState.CASE, "temporary_unfit")
    assert world.settle().number == "9"
    assert [each.cpr for each in world.library.borrowers.values()] == [CPR]
