"""Borrowers that staff delete or merge: the broker's stored numbers become invalid."""

from datetime import date

import pytest

from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, PIN, make_borrower, make_request, soon

pytestmark = pytest.mark.library("closed, merged")


def test_both_searches_agree_about_a_closed_borrower(stage: Stage) -> None:
    """The search by number and the search by CPR number have the same result."""
    number = make_borrower(stage).number
    stage.desk.close(number)
    read = stage.library.read(number, soon())
    left = () if read is None else (read,)
    assert stage.library.find(CPR, soon()) == left


def test_a_deleted_borrower_is_not_changed(stage: Stage) -> None:
    """Neither a field nor a PIN is written, and no borrower is created."""
    make_borrower(stage)
    with pytest.raises(LibraryRefused):
        stage.library.change(Change("999999", (), "EMPLOYEE", date(2029, 1, 31)), soon())
    with pytest.raises(LibraryRefused):
        stage.library.set_pin("999999", PIN, soon())
    assert stage.desk.count() == 1


def test_a_merge_leaves_one_borrower(stage: Stage) -> None:
    """The kept borrower is found under its number, and a create does not add another."""
    kept = stage.desk.register("010180-0000", "PRIVATE")
    merged = stage.desk.register("010180 0000", "STUDENT")
    stage.desk.merge(kept, merged)
    assert [borrower.number for borrower in stage.library.find(CPR, soon())] == [kept]
    assert {borrower.number for borrower in stage.library.find_typed(CPR, soon())} == {kept}


def test_a_merged_number_leads_to_no_other_person(stage: Stage) -> None:
    """The number leads to the merged borrower or to no borrower."""
    kept = stage.desk.register("010180-0000", "PRIVATE")
    merged = stage.desk.register("010180 0000", "STUDENT")
    stage.desk.merge(kept, merged)
    read = stage.library.read(merged, soon())
    assert read is None or read.number == kept


def test_a_deleted_borrower_can_be_created_again(stage: Stage) -> None:
    """The new borrower has another number, and is created once."""
    before = make_borrower(stage)
    stage.desk.close(before.number)
    if stage.library.find(CPR, soon()):
        return  # this system keeps closed accounts, and the person has one
    after = stage.library.create(make_request(), "c" * 32, soon())
    assert after is not None
    assert after.number != before.number
