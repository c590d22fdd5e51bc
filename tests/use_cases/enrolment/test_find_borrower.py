"""Find a person's borrower: how long an answer counts, and for whom."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.borrowers.matching import PersonFacts
from broker.core.errors import LibrarySilent
from tests.use_cases.enrolment.conftest import AASE, AASE_CPR

IDA = PersonFacts("Skov", "Ida", AASE.birth_date)


def test_an_answer_counts_for_ten_minutes(world: Any) -> None:
    """Then the library system is asked again."""
    hers = world.library.add(AASE, AASE_CPR)
    assert world.find("aase", AASE, AASE_CPR).borrower == hers
    world.now += timedelta(minutes=9)
    assert world.find("aase", AASE, AASE_CPR).number == hers.number
    assert world.library.calls == ["find"]
    world.now += timedelta(minutes=2)
    world.find("aase", AASE, AASE_CPR)
    assert world.library.calls == ["find", "find"]


def test_another_name_with_the_number_is_asked_about(world: Any) -> None:
    """The stored borrower is not given to a login whose name differs, silent library system or not."""
    world.library.add(AASE, AASE_CPR)
    world.find("aase", AASE, AASE_CPR)
    found = world.find("aase", IDA, AASE_CPR)
    assert (found.number, found.reason) == (None, "different_person")
    world.find("aase", AASE, AASE_CPR)
    world.fail_next(LibrarySilent("no answer"))
    assert world.find("aase", IDA, AASE_CPR) is None


@pytest.mark.parametrize(("hours", "is_used"), [(23, True), (25, False)])
def test_a_silent_library_system_locks_nobody_out_for_a_day(world: Any, hours: int, *, is_used: bool) -> None:
    """A borrower confirmed within a day is used; an older one is not."""
    world.library.add(AASE, AASE_CPR)
    world.find("aase", AASE, AASE_CPR)
    world.now += timedelta(hours=hours)
    world.fail_next(LibrarySilent("no answer"))
    assert (world.find("aase", AASE, AASE_CPR) is not None) == is_used


@pytest.mark.parametrize("change", ["deleted", "renumbered", "renamed", "doubled"])
def test_a_borrower_that_is_no_longer_theirs_is_forgotten(world: Any, change: str) -> None:
    """Not even a silent library system brings it back."""
    hers = world.library.add(AASE, AASE_CPR)
    world.find("aase", AASE, AASE_CPR)
    if change == "deleted":
        del world.library.borrowers[hers.number]
    elif change == "doubled":
        world.library.add(AASE, AASE_CPR)
    else:
        number = "0101990018" if change == "renumbered" else AASE_CPR
        fields = {"surname": "Skov", "firstname": "Ida"}
        world.library.borrowers[hers.number] = replace(hers, cpr=number, fields=fields)
    world.now += timedelta(minutes=11)
    assert world.find("aase", AASE, AASE_CPR).number is None
    world.fail_next(LibrarySilent("no answer"))
    assert world.find("aase", AASE, AASE_CPR) is None
    assert world.persons.find_by_borrower(hers.number, world.now) is None


def test_a_wrong_birth_date_in_the_library_system_locks_nobody_out(world: Any) -> None:
    """Two names agree."""
    world.library.add(AASE, AASE_CPR, born=date(1960, 5, 5))
    assert world.find("aase", AASE, AASE_CPR).number


def test_a_first_match_is_told_to_the_address_in_the_library_system(world: Any) -> None:
    """The record may be another person's, who must hear of it; later logins send nothing."""
    hers = world.library.add(AASE, AASE_CPR, email="aase@own.example")
    world.find("aase", AASE, AASE_CPR)
    world.now += timedelta(minutes=11)
    world.find("aase", AASE, AASE_CPR)
    assert world.notices == [(hers.number, "aase@own.example", "da")]


def test_a_record_that_is_not_theirs_is_told_nothing(world: Any) -> None:
    """A login of another name connects nothing."""
    world.library.add(AASE, AASE_CPR, email="aase@own.example")
    world.find("ida", IDA, AASE_CPR)
    assert world.notices == []
