"""Borrowers that staff close or merge: what is remembered of them is stale at once."""

from datetime import date

import pytest

from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, PIN, make_borrower, make_request, soon

pytestmark = pytest.mark.library("closed, merged")


def test_a_closed_borrower_is_gone_or_found_alike(stage: Stage) -> None:
    """A search by number and by CPR number gives the same answer."""
    number = make_borrower(stage).number
    stage.desk.close(number)
    read = stage.library.read(number, soon())
    left = () if read is None else (read,)
    assert stage.library.find(CPR, soon()) == left


def test_nothing_of_a_borrower_that_is_gone_is_changed(stage: Stage) -> None:
    """Neither a field nor a PIN, and none is made by it."""
    make_borrower(stage)
    with pytest.raises(LibraryRefused):
        stage.library.change(Change("999999", (), "EMPLOYEE", date(2029, 1, 31)), soon())
    with pytest.raises(LibraryRefused):
        stage.library.set_pin("999999", PIN, soon())
    assert stage.desk.count() == 1


def test_after_a_merge_one_borrower_is_found(stage: Stage) -> None:
    """The one that staff kept, under its own number; a create still finds the person there."""
    kept = stage.desk.register("010180-0000", "PRIVATE")
    merged = stage.desk.register("010180 0000", "STUDENT")
    stage.desk.merge(kept, merged)
    assert [borrower.number for borrower in stage.library.find(CPR, soon())] == [kept]
    assert {borrower.number for borrower in stage.library.find_typed(CPR, soon())} == {kept}


def test_a_merged_number_leads_to_nobody_else(stage: Stage) -> None:
    """Only to the borrower that it became, if the system says so."""
    kept = stage.desk.register("010180-0000", "PRIVATE")
    merged = stage.desk.register("010180 0000", "STUDENT")
    stage.desk.merge(kept, merged)
    read = stage.library.read(merged, soon())
    assert read is None or read.number == kept


def test_a_person_whose_borrower_was_deleted_is_made_anew(stage: Stage) -> None:
    """Under another number, and once."""
    before = make_borrower(stage)
    stage.desk.close(before.number)
    if stage.library.find(CPR, soon()):
        return  # this system keeps closed accounts, and the person has one
    after = stage.library.create(make_request(), "c" * 32, soon())
    assert after is not None
    assert after.number != before.number
