"""PINs in every library system."""

from dataclasses import replace

import pytest

from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import LibraryCapability
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, NEXT_PIN, OTHER_CPR, PIN, make_borrower, soon

pytestmark = pytest.mark.library("PIN")
CHECKED = LibraryCapability.PIN_CHECKED


def test_only_the_last_pin_works(stage: Stage) -> None:
    """A new PIN works at once, and the previous PIN no longer works."""
    borrower = make_borrower(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    stage.library.set_pin(borrower.number, NEXT_PIN, soon())
    assert stage.desk.proves(CPR, NEXT_PIN)
    assert not stage.desk.proves(CPR, PIN)


def test_a_change_keeps_the_pin(stage: Stage) -> None:
    """A borrower in a new category keeps the PIN."""
    borrower = make_borrower(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    stage.library.change(Change(borrower.number, (("surname", "Ny"),), "EMPLOYEE"), soon())
    assert stage.desk.proves(CPR, PIN)


@pytest.mark.library(needs=CHECKED)
def test_a_pin_is_checked(stage: Stage) -> None:
    """The borrower's PIN is right, and another PIN is wrong."""
    borrower = make_borrower(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    other = stage.library.read(stage.desk.register(OTHER_CPR, "PRIVATE"), soon())
    assert other is not None
    assert stage.library.check_pin(borrower, PIN, soon())
    assert not stage.library.check_pin(borrower, NEXT_PIN, soon())
    assert not stage.library.check_pin(other, PIN, soon())


@pytest.mark.library(needs=CHECKED)
def test_the_pin_of_another_borrower_is_wrong(stage: Stage) -> None:
    """A card number that moved to another borrower does not give access to the first account."""
    borrower = make_borrower(stage)
    other = stage.desk.register("Card-0042", "PRIVATE")
    stage.library.set_pin(other, PIN, soon())
    assert not stage.library.check_pin(replace(borrower, card="Card-0042"), PIN, soon())


@pytest.mark.library(lacks=CHECKED)
def test_a_pin_that_cannot_be_checked_is_not_right(stage: Stage) -> None:
    """The answer is no if the system cannot check PINs."""
    borrower = make_borrower(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    for pin in (PIN, NEXT_PIN):
        assert not stage.library.check_pin(borrower, pin, soon())
