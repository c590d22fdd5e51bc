"""How a borrower is upgraded, kept and given its CPR number: what a change names is written, and no more."""

from datetime import date

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, MARK, OTHER_CPR, UNTIL, make_borrower, soon

PAST = date(2020, 1, 31)


def temporary(stage: Stage) -> Borrower:
    """Have the desk make a borrower without a CPR number, and give it."""
    borrower = stage.library.read(stage.desk.register("T-4711", "TEMP"), soon())
    assert borrower is not None
    assert borrower.cpr is None
    return borrower


@pytest.mark.library("upgrade")
def test_a_change_sets_what_it_names_and_keeps_the_rest(stage: Stage) -> None:
    """An upgrade moves category, expiry and the named fields; mark, CPR and other fields stay."""
    before = make_borrower(stage)
    change = Change(before.number, (("email", "new@post.example"),), "EMPLOYEE", date(2029, 1, 31))
    after = stage.library.change(change, soon())
    assert after == stage.library.read(before.number, soon())
    assert (after.category, after.expires, after.email) == ("EMPLOYEE", date(2029, 1, 31), "new@post.example")
    assert (after.mark, after.fields["surname"]) == (MARK, "Prøvesen")
    assert stage.library.find(CPR, soon()) == (after,)


@pytest.mark.library("upgrade")
def test_a_change_of_fields_moves_neither_category_nor_expiry(stage: Stage) -> None:
    """Only what the change names is written."""
    before = make_borrower(stage)
    after = stage.library.change(Change(before.number, (("firstname", "Aase"),)), soon())
    assert (after.category, after.expires) == (before.category, before.expires)
    assert after.fields["firstname"] == "Aase"


@pytest.mark.library("upgrade")
def test_a_category_that_there_is_none_changes_nothing(stage: Stage) -> None:
    """The fields beside it stay as they were, too."""
    before = make_borrower(stage)
    with pytest.raises(LibraryRefused):
        stage.library.change(Change(before.number, (("firstname", "Aase"),), "STUDNT"), soon())
    assert stage.library.read(before.number, soon()) == before


@pytest.mark.library("expiry")
def test_an_expiry_moves_alone_and_an_expired_borrower_is_found(stage: Stage) -> None:
    """An expired borrower keeps nobody from logging in."""
    before = make_borrower(stage)
    expired = stage.library.change(Change(before.number, (), expires=PAST), soon())
    assert (expired.expires, expired.category) == (PAST, before.category)
    assert stage.library.find(CPR, soon()) == (expired,)
    assert stage.library.change(Change(before.number, (), expires=UNTIL), soon()) == before


@pytest.mark.library("adoption")
def test_a_cpr_that_arrives_later_finds_the_borrower(stage: Stage) -> None:
    """A temporary borrower keeps its number; a change that is repeated after a lost answer changes nothing more."""
    number = temporary(stage).number
    for _ in range(2):
        after = stage.library.change(Change(number, (), "STUDENT", UNTIL, CPR), soon())
        assert (after.number, after.category, after.expires, after.cpr) == (number, "STUDENT", UNTIL, CPR)
        assert stage.library.find(CPR, soon()) == (after,)
        assert stage.library.read(number, soon()) == after
    assert stage.desk.count() == 1


@pytest.mark.library("adoption")
def test_a_cpr_that_is_anothers_by_now_changes_nothing(stage: Stage) -> None:
    """A new search finds the borrower that has it; the temporary one is unchanged."""
    before = temporary(stage)
    holder = make_borrower(stage)
    with pytest.raises(LibraryUnavailable):
        stage.library.change(Change(before.number, (), "STUDENT", UNTIL, CPR), soon())
    assert stage.library.read(before.number, soon()) == before
    assert stage.library.find(CPR, soon()) == (holder,)


@pytest.mark.library("adoption")
def test_a_borrower_with_another_cpr_is_not_given_ours(stage: Stage) -> None:
    """It is another person's, and nothing of it is written."""
    before = make_borrower(stage, OTHER_CPR)
    with pytest.raises(LibraryRefused):
        stage.library.change(Change(before.number, (), "EMPLOYEE", UNTIL, CPR), soon())
    assert stage.library.read(before.number, soon()) == before
    assert stage.library.find(CPR, soon()) == ()
