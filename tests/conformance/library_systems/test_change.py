"""Changes of borrowers write exactly the named fields: upgrades, new expiry dates, and new CPR numbers."""

from datetime import date

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryRefused, LibraryUnavailable
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, MARK, OTHER_CPR, UNTIL, make_borrower, soon

PAST = date(2020, 1, 31)


def temporary(stage: Stage) -> Borrower:
    """Register a borrower without CPR number at the desk and return it."""
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
def test_a_change_to_an_unknown_category_changes_nothing(stage: Stage) -> None:
    """The change writes no other field either."""
    before = make_borrower(stage)
    with pytest.raises(LibraryRefused):
        stage.library.change(Change(before.number, (("firstname", "Aase"),), "STUDNT"), soon())
    assert stage.library.read(before.number, soon()) == before


@pytest.mark.library("expiry")
def test_an_expiry_date_changes_alone_and_expired_borrowers_are_found(stage: Stage) -> None:
    """An expired borrower does not prevent a login."""
    before = make_borrower(stage)
    expired = stage.library.change(Change(before.number, (), expires=PAST), soon())
    assert (expired.expires, expired.category) == (PAST, before.category)
    assert stage.library.find(CPR, soon()) == (expired,)
    assert stage.library.change(Change(before.number, (), expires=UNTIL), soon()) == before


@pytest.mark.library("adoption")
def test_a_borrower_is_found_by_a_cpr_number_that_was_added_later(stage: Stage) -> None:
    """A temporary borrower keeps its number. Repeating the change has no further effect."""
    number = temporary(stage).number
    for _ in range(2):
        after = stage.library.change(Change(number, (), "STUDENT", UNTIL, CPR), soon())
        assert (after.number, after.category, after.expires, after.cpr) == (number, "STUDENT", UNTIL, CPR)
        assert stage.library.find(CPR, soon()) == (after,)
        assert stage.library.read(number, soon()) == after
    assert stage.desk.count() == 1


@pytest.mark.library("adoption")
def test_a_cpr_number_of_another_borrower_is_not_added(stage: Stage) -> None:
    """A new search finds the borrower with the CPR number; the temporary borrower is unchanged."""
    before = temporary(stage)
    holder = make_borrower(stage)
    with pytest.raises(LibraryUnavailable):
        stage.library.change(Change(before.number, (), "STUDENT", UNTIL, CPR), soon())
    assert stage.library.read(before.number, soon()) == before
    assert stage.library.find(CPR, soon()) == (holder,)


@pytest.mark.library("adoption")
def test_a_cpr_number_is_never_replaced_by_another(stage: Stage) -> None:
    """The borrower belongs to another person, so no field is written."""
    before = make_borrower(stage, OTHER_CPR)
    with pytest.raises(LibraryRefused):
        stage.library.change(Change(before.number, (), "EMPLOYEE", UNTIL, CPR), soon())
    assert stage.library.read(before.number, soon()) == before
    assert stage.library.find(CPR, soon()) == ()
