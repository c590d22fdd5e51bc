"""Another category: offered, declined, agreed, lowered; and what becomes of a wish without a CPR."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.wanted_borrower import WishedField
from broker.core.errors import LibraryUnavailable
from broker.use_cases.borrowers.known_borrower import KnownBorrower, Who

CPR = "0101990000"
OLD = date(2027, 1, 31)
OFFERED = KnownBorrower(Who.ONE, "5", upgrade_from="PRIV")


@pytest.fixture
def private(world: Any) -> Borrower:
    """Put a private borrower with loans and a PIN on the shelf."""
    world.library.pins["5"] = "4071"
    borrower: Borrower = world.library.add(CPR, Borrower("5", "PRIV", OLD, fields={"surname": "Prøvesen"}))
    return borrower


def test_an_upgrade_is_told_before_it_is_wished(world: Any, private: Borrower) -> None:
    """One look says from which category; nothing is changed in the library (R40)."""
    assert world.known(world.wish()) == OFFERED
    assert world.hooks.calls == ["find", "put"]  # the put remembers when the library was asked
    assert world.library.borrowers == {"5": private}


def test_an_upgrade_keeps_number_and_pin_and_is_made_once(world: Any, private: Borrower) -> None:
    """Agreed, the account is the same with another category and expiry; a repetition finds nothing to do."""
    for _ in range(2):
        world.live.want(world.wish())
        enrolment = world.settle()
    assert world.library.borrowers == {"5": replace(private, category="STUD", expires=world.wish().expires)}
    assert (world.library.pins, world.post.sent) == ({"5": "4071"}, [])
    assert (enrolment.number, enrolment.category, enrolment.pin_owed) == ("5", "STUD", False)
    assert world.hooks.calls.count("change") == 1
    assert world.known(world.wish()).upgrade_from is None


def test_who_declines_keeps_the_category_and_may_be_asked_again(world: Any, private: Borrower) -> None:
    """Declining changes nothing, is no reason for a look each time, and does not hide the offer for ever."""
    declined = world.wish(upgrade=False)
    world.live.want(declined)
    enrolment = world.settle()
    assert (enrolment.outcome, enrolment.category) == (EnrolmentOutcome.UNCHANGED, "PRIV")
    assert world.library.borrowers == {"5": private}
    world.hooks.calls.clear()
    assert world.known(declined).enrolment.number == "5"
    assert world.hooks.calls.count("find") == 0
    assert world.known(world.wish()) == OFFERED


def test_who_declines_still_gets_a_new_name(world: Any, private: Borrower) -> None:
    """What the policy sets always is no part of the category."""
    renamed = world.wish(upgrade=False, fields=(WishedField("surname", "Eksempel", "always"),))
    assert world.known(renamed) == KnownBorrower(Who.ONE, "5")
    world.live.want(renamed)
    world.settle()
    assert world.library.borrowers == {"5": replace(private, fields={**private.fields, "surname": "Eksempel"})}


def test_who_agreed_while_the_library_was_down_has_agreed(world: Any, private: Borrower) -> None:
    """The next login finds nothing to offer, and does not take the person's word back."""
    del private

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    world.live.want(world.wish())
    world.live.step()
    assert world.known(world.wish()) == KnownBorrower(Who.ONE, "5")
    world.live.want(world.wish(upgrade=False))
    assert world.settle().category == "STUD"


def test_who_agreed_to_one_category_has_not_agreed_to_another(world: Any, private: Borrower) -> None:
    """What was said yes to while the library was down is no yes to what a later login would make of the account."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    world.live.want(world.wish())
    world.live.step()
    world.live.want(world.wish(category="EMP", upgrade=False))
    assert world.settle().category == "PRIV"
    assert world.library.borrowers == {"5": private}


def test_a_library_that_does_not_answer_offers_nothing(world: Any, private: Borrower) -> None:
    """What is there is not known; a person who was not asked is not upgraded later either."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    assert world.known(world.wish()) == KnownBorrower(Who.UNKNOWN)
    world.live.want(world.wish(upgrade=False))
    assert world.settle().category == "PRIV"
    assert world.library.borrowers == {"5": private}


def lowering(world: Any, **more: Any) -> Any:
    """Give the wish of one whom the university no longer calls a student, and whose CPR number it sends."""
    given: dict[str, Any] = {"affiliation": "private", "category": "PRIV", "upgrades": (), "creates": False}
    return world.wish(**{**given, "fields": (), "pin_to": None, "lowers": ("STUD", "EMPL"), **more})


@pytest.fixture
def student(world: Any) -> Borrower:
    """Enrol a student."""
    world.live.want(world.wish())
    world.settle()
    borrower: Borrower = world.library.borrowers["1"]
    return borrower


def test_who_left_becomes_private_and_keeps_everything_else(world: Any, student: Borrower) -> None:
    """R47: number, name, PIN and mark stay."""
    pins, wish = dict(world.library.pins), lowering(world)
    assert world.known(wish) == KnownBorrower(Who.ONE, "1")
    world.live.want(wish)
    enrolment = world.settle()
    assert (enrolment.outcome, enrolment.category, enrolment.number) == (EnrolmentOutcome.LOWERED, "PRIV", "1")
    assert world.library.borrowers == {"1": replace(student, category="PRIV", expires=wish.expires)}
    assert (world.library.pins, len(world.post.sent)) == (pins, 1)
    assert world.known(wish).enrolment.number == "1"


@pytest.mark.parametrize(("category", "lowers"), [("HOSP", ("STUD", "EMPL")), ("STUD", ())])
def test_nobody_else_is_lowered(world: Any, student: Borrower, category: str, lowers: tuple[str, ...]) -> None:
    """A category that the policy does not list, and a login that may not lower, leave the account as it is."""
    kept = world.library.borrowers["1"] = replace(student, category=category)
    world.live.want(lowering(world, lowers=lowers))
    assert world.settle().outcome is EnrolmentOutcome.UNCHANGED
    assert world.library.borrowers == {"1": kept}


@pytest.mark.parametrize("death", range(6))
@pytest.mark.usefixtures("student")
def test_a_death_while_lowering_leaves_it_lowered_once(world: Any, death: int) -> None:
    """Whoever claims it next looks again."""
    calls = iter(range(99))

    def die(_: str) -> None:
        if next(calls) == death:
            raise KeyboardInterrupt

    world.live.want(lowering(world))
    world.hooks.every = die
    try:
        world.live.step()
    except KeyboardInterrupt:
        pass
    finally:
        world.hooks.every = lambda _name: None
    assert world.settle().state is EnrolmentState.DONE
    assert [each.category for each in world.library.borrowers.values()] == ["PRIV"]


@pytest.mark.usefixtures("student")
def test_nobody_is_made_for_who_may_not_enrol(world: Any) -> None:
    """The borrower is gone: the next login is sent to enrol anew; no case."""
    world.library.borrowers.clear()
    world.library.cprs.clear()
    wish = lowering(world)
    assert world.known(wish) == KnownBorrower(Who.NONE)
    world.live.want(wish)
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason, enrolment.wish) == (EnrolmentState.GIVEN_UP, "borrower_gone", None)
    assert world.hooks.calls.count("create") == 1
    world.live.want(world.wish())
    assert world.settle().outcome is EnrolmentOutcome.CREATED


def test_a_pin_that_is_owed_is_mailed_though_the_category_is_lowered_first(world: Any) -> None:
    """To the address that came when the borrower was made, and never one that the CPR suggests."""
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    assert world.live.stored(CPR).pin_owed
    for _ in range(2):
        world.live.want(lowering(world))
    world.post.down = False
    lowered = world.settle()
    assert (lowered.outcome, lowered.category, lowered.pin_owed) == (EnrolmentOutcome.LOWERED, "PRIV", False)
    [mail] = world.post.sent
    assert (mail.to, mail.pin) == ("aase@example.org", world.library.pins["1"])
