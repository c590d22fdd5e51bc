"""What a login granted is remembered of the borrowers that we made, and a login keeps those right too."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Granted

CPR: Final = "0101990000"
GRANTED: Final = Granted("student", "STUD", date(2028, 11, 25))


def made(world: Any) -> Borrower:
    """Let a student become a borrower."""
    world.live.want(world.wish())
    world.settle()
    borrower: Borrower = world.library.borrowers["1"]
    return borrower


def granted(world: Any) -> Granted | None:
    """Give what stands granted."""
    found: Granted | None = world.live.stored(CPR).granted
    return found


def looked(world: Any, **changes: Any) -> None:
    """Log in again, days later, with whatever staff have made of the borrower."""
    shelf = world.library.borrowers
    shelf["1"] = replace(shelf["1"], **changes)
    world.now += timedelta(days=1)
    world.known(world.wish(expires=date(2028, 11, 26)))


def test_a_borrower_that_was_made_is_granted_what_its_policy_wanted(world: Any) -> None:
    """Affiliation, category and expiry; no field, no number."""
    made(world)
    assert granted(world) == GRANTED


def test_a_borrower_that_the_desk_made_is_granted_nothing(world: Any) -> None:
    """Found, upgraded or adopted, it is the desk's: only a login changes it."""
    world.library.add(CPR, Borrower("1", "PRIV", date(2027, 1, 31), cpr=CPR, card="C-1"))
    world.live.want(world.wish())
    world.settle()
    assert world.library.borrowers["1"].category == "STUD"
    assert granted(world) is None


def test_what_staff_made_of_it_takes_nothing_of_the_grant(world: Any) -> None:
    """A shorter expiry or another category is a difference; a longer one is no grant of ours."""
    made(world)
    for changes in ({"expires": date(2028, 1, 1)}, {"expires": date(2030, 1, 1)}, {"category": "VIP"}, {"mark": None}):
        looked(world, **changes)
        assert granted(world) in {GRANTED, replace(GRANTED, expires=date(2028, 11, 26))}


def test_a_borrower_of_another_mark_is_granted_nothing_any_more(world: Any) -> None:
    """It was copied, or the number is another's by now."""
    made(world)
    looked(world, mark="b" * 32)
    assert granted(world) is None


def test_an_upgrade_is_granted_and_a_refused_one_is_not(world: Any) -> None:
    """The person's own answer makes it so."""
    made(world)
    employed = {"affiliation": "employee", "category": "EMPL", "upgrades": ("STUD",)}
    world.live.want(world.wish(**employed, upgrade=False))
    world.settle()
    assert granted(world) == GRANTED
    world.live.want(world.wish(**employed))
    world.settle()
    assert granted(world) == Granted("employee", "EMPL", GRANTED.expires)


def test_a_login_writes_a_cleared_mark_again(world: Any) -> None:
    """By it the borrower is known as ours, whatever number staff give it."""
    before = made(world)
    world.library.borrowers["1"] = replace(before, mark=None)
    world.live.want(world.wish(language="en"))
    world.now += timedelta(days=1)
    world.live.want(world.wish(expires=date(2028, 11, 26)))
    world.settle()
    assert world.library.borrowers["1"].mark == before.mark
