"""Searches in every library system: by CPR number and by borrower number."""

import pytest

from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, MARK, OTHER_CPR, SPELLINGS, UNTIL, make_borrower, soon

pytestmark = pytest.mark.library("find")


def test_a_created_borrower_is_found_by_cpr_and_number(stage: Stage) -> None:
    """Each search returns the same borrower with the requested values."""
    borrower = make_borrower(stage)
    assert borrower.category == "STUDENT"
    assert borrower.expires == UNTIL
    assert borrower.mark == MARK
    assert borrower.email == "aase@post.example"
    assert borrower.fields == {"surname": "Prøvesen", "firstname": "Åse", "email": "aase@post.example"}
    assert stage.library.find(CPR, soon()) == (borrower,)
    assert stage.library.read(borrower.number, soon()) == borrower


def test_the_library_system_chooses_the_borrower_number(stage: Stage) -> None:
    """The borrower number, which services see, contains no part of the CPR number."""
    assert CPR not in make_borrower(stage).number


def test_an_unknown_borrower_is_not_found(stage: Stage) -> None:
    """A search without a result is not an error."""
    make_borrower(stage)
    assert stage.library.find(OTHER_CPR, soon()) == ()
    assert stage.library.read("999999", soon()) is None


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_every_spelling_of_a_cpr_number_is_found(stage: Stage, spelled: str) -> None:
    """The borrower from the desk is found, and has no mark of the broker."""
    number = stage.desk.register(spelled, "PRIVATE")
    (borrower,) = stage.library.find(CPR, soon())
    assert (borrower.number, borrower.category, borrower.mark) == (number, "PRIVATE", None)


def test_all_borrowers_with_a_cpr_number_are_returned(stage: Stage) -> None:
    """Staff must merge them; the connector chooses none."""
    both = {stage.desk.register("010180-0000", "PRIVATE"), stage.desk.register("010180 0000", "STUDENT")}
    assert {each.number for each in stage.library.find(CPR, soon())} == both


def test_a_longer_number_that_contains_the_cpr_number_does_not_match(stage: Stage) -> None:
    """The match is exact."""
    stage.desk.register(CPR + "1", "PRIVATE")
    stage.desk.register("1" + CPR, "STUDENT")
    assert stage.library.find(CPR, soon()) == ()
