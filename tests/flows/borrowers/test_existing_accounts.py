"""An account that is there already: found by a CPR or a link, and a case where they disagree."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable
from broker.core.login.transaction import Account, AccountState, Person

CPR = "0101990000"
NONE = Account(None, AccountState.NONE)
ONE = Borrower("5", "STUD")


def down() -> None:
    """Fail as a library that does not answer."""
    raise LibraryUnavailable("down")


def known(number: str) -> Account:
    """Give the account of a borrower that is there."""
    return Account(number, AccountState.KNOWN)


def case(reason: str) -> Account:
    """Give the account of a person whom staff must look at."""
    return Account(None, AccountState.CASE, reason=reason)


def asked(world: Any) -> set[str]:
    """Give the questions that the library was asked."""
    return {"find", "read"} & set(world.hooks.calls)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((), NONE),
        ((ONE,), known("5")),
        ((ONE, Borrower("6", "STUD")), NONE),
        ((replace(ONE, born=date(1944, 5, 6)),), NONE),
    ],
    ids=["none", "one", "two", "a stranger's"],
)
def test_a_cpr_finds_the_one_borrower_that_is_the_persons(
    world: Any, logins: Any, found: tuple[Borrower, ...], expected: Account
) -> None:
    """Two borrowers, or one with another date of birth, are nobody's account."""
    for borrower in found:
        world.library.add(CPR, borrower)
    assert logins.existing().by_cpr(Person("p"), CPR) == expected
    assert list(world.cases.rows()) == []


@pytest.mark.parametrize(
    ("linked", "expected", "listed"),
    [
        ("5", known("5"), []),
        ("8", case("cpr_changed"), ["cpr_changed"]),
        ("gone", known("5"), []),
    ],
)
def test_a_link_against_the_cpr_is_a_case(
    world: Any, logins: Any, linked: str, expected: Account, listed: list[str]
) -> None:
    """A link to a borrower that is gone speaks against nothing; one to another's is listed for staff."""
    world.library.add(CPR, ONE)
    world.library.add("0202990000", Borrower("8", "STUD"))
    assert logins.existing().by_cpr(Person("p", linked), CPR) == expected
    assert [row["reason"] for row in world.cases.rows()] == listed


def test_a_link_to_what_is_gone_leaves_nobody(logins: Any) -> None:
    """Neither the CPR nor the link finds a borrower."""
    assert logins.existing().by_cpr(Person("p", "gone"), CPR) == NONE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, known("1")),
        ({"born": date(1944, 5, 6)}, case("cpr_changed")),
        ({"mark": "another"}, case("cpr_changed")),
        ({"mark": None}, case("cpr_changed")),
    ],
    ids=["ours", "born another day", "another mark", "no mark"],
)
def test_one_that_we_made_is_the_persons_under_another_number(
    world: Any, logins: Any, change: dict[str, Any], expected: Account
) -> None:
    """Staff gave it another CPR since; without our mark or with another date of birth it is a case."""
    student = logins.student()
    world.library.cprs.clear()
    world.library.borrowers["1"] = replace(world.library.borrowers["1"], **change)
    world.now += timedelta(days=2)
    assert logins.existing().by_cpr(student, CPR) == expected


def test_one_that_we_made_is_a_case_beside_another_with_the_cpr(world: Any, logins: Any) -> None:
    """The CPR finds somebody's borrower by now, and that is not the one we made."""
    student = logins.student()
    world.library.cprs.clear()
    world.library.add(CPR, ONE)
    world.now += timedelta(days=2)
    assert logins.existing().by_cpr(student, CPR) == case("cpr_changed")


@pytest.mark.parametrize(
    ("number", "hours", "questions"),
    [("1", 0, set()), ("1", 23, set()), ("1", 25, {"find"}), (None, 0, {"find"})],
)
def test_the_library_is_not_asked_twice_a_day(
    world: Any, logins: Any, number: str | None, hours: int, questions: set[str]
) -> None:
    """What the CPR was found to have is believed for a day, where the link names the same."""
    logins.student()
    world.hooks.calls.clear()
    world.now += timedelta(hours=hours)
    assert logins.existing().by_cpr(Person("p", number), CPR) == known("1")
    assert asked(world) == questions


def test_a_link_to_another_is_not_believed_for_what_was_settled(world: Any, logins: Any) -> None:
    """However fresh the last look, a link to a stranger's borrower is a case."""
    logins.student()
    world.library.add("0202990000", Borrower("8", "STUD"))
    assert logins.existing().by_cpr(Person("p", "8"), CPR) == case("cpr_changed")


def test_a_silent_library_leaves_the_link(world: Any, logins: Any) -> None:
    """Who has no link is told that the library does not answer, never that there is no account."""
    world.hooks.before["find"] = down
    assert logins.existing().by_cpr(Person("p", "5"), CPR) == known("5")
    world.hooks.before["find"] = down
    with pytest.raises(LibraryUnavailable):
        logins.existing().by_cpr(Person("p"), CPR)


def test_a_case_of_the_cpr_stands_until_staff_have_looked(world: Any, logins: Any) -> None:
    """Its reason is told and the library is not asked."""
    for number in ("5", "6"):
        world.library.add(CPR, Borrower(number, "STUD"))
    logins.enrol(logins.transaction(), logins.arrived())
    world.hooks.calls.clear()
    assert logins.existing().by_cpr(Person("p", "5"), CPR) == case("two_borrowers")
    assert asked(world) == set()


@pytest.mark.parametrize(("number", "expected"), [(None, NONE), ("5", known("5"))])
def test_a_name_without_a_cpr_leads_where_its_person_does(
    world: Any, logins: Any, number: str | None, expected: Account
) -> None:
    """There is no CPR to hold it against, and nothing to ask."""
    assert logins.existing().by_link(Person("p", number), logins.arrived("cpr")) == expected
    assert asked(world) == set()


@pytest.mark.parametrize(
    ("hours", "change", "expected"),
    [
        (0, None, known("1")),
        (23, {"cpr": "0202990000"}, known("1")),
        (25, {}, known("1")),
        (25, {"cpr": CPR}, known("1")),
        (25, {"cpr": "0202990000"}, case("cpr_changed")),
        (25, None, NONE),
    ],
    ids=["just looked", "within a day", "as it was", "the CPR's", "another's", "gone"],
)
def test_a_link_is_held_against_the_library_once_a_day(
    world: Any, logins: Any, hours: int, change: dict[str, Any] | None, expected: Account
) -> None:
    """A borrower that is another's by now is a case, and one that is gone is nobody's."""
    student = logins.student()
    made = world.library.borrowers.pop("1")
    if change is not None:
        world.library.borrowers["1"] = replace(made, **change)
    world.hooks.calls.clear()
    world.now += timedelta(hours=hours)
    arrived = logins.arrived("cpr")
    assert logins.existing().by_link(student, arrived) == expected
    assert asked(world) == ({"read"} if hours > 24 else set())
    listed = {row["reason"] for row in world.cases.rows() if row["state"] == "case"}
    assert listed == {expected.reason} - {None}


def test_a_silent_library_leaves_the_link_of_a_name(world: Any, logins: Any) -> None:
    """The number that the link remembers is the person's, until the library answers."""
    student = logins.student()
    world.now += timedelta(days=2)
    world.hooks.before["read"] = down
    assert logins.existing().by_link(student, logins.arrived("cpr")) == known("1")


def test_a_link_whose_person_has_no_number_asks_nothing(world: Any, logins: Any) -> None:
    """There is no borrower to look at."""
    logins.student()
    world.hooks.calls.clear()
    assert logins.existing().by_link(Person("p"), logins.arrived("cpr")) == NONE
    assert asked(world) == set()


def test_a_case_of_the_link_stands_until_staff_have_looked(world: Any, logins: Any) -> None:
    """Its reason is told, however fresh the last look."""
    student, owner = logins.student(), world.links.of_cpr(CPR)
    world.cases.dispute(owner, owner, "birth_date_differs")
    assert logins.existing().by_link(student, logins.arrived("cpr")) == case("birth_date_differs")
