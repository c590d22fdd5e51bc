"""Find a person's borrower: how long an answer counts, and for whom."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.borrowers.matching import PersonFacts
from broker.core.errors import LibrarySilent
from tests.use_cases.memory_library import AASE, AASE_CPR

IDA = PersonFacts("Skov", "Ida", AASE.birth_date)


def test_an_answer_counts_for_ten_minutes(world: Any) -> None:
    """Then the library system is asked again."""
    hers = world.library.add(AASE, AASE_CPR)
    assert world.find("aase", AASE, AASE_CPR).number == hers.number
    world.now += timedelta(minutes=9)
    assert world.find("aase", AASE, AASE_CPR).number == hers.number
    assert world.library.calls == ["find"]
    world.now += timedelta(minutes=2)
    world.find("aase", AASE, AASE_CPR)
    assert world.library.calls == ["find", "find"]


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


def test_a_record_that_is_not_theirs_is_told_nothing(world: Any) -> None:
    """A login of another name connects nothing."""
    world.library.add(AASE, AASE_CPR, email="aase@own.example")
    world.find("ida", IDA, AASE_CPR)
    assert world.notices == []
