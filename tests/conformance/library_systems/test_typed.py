"""Searches for a number as a person types it (docs/reference/design.md#4d)."""

import pytest

from broker.core.borrowers.library_setup import LibraryCapability
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import CPR, make_borrower, numbers

pytestmark = pytest.mark.library("typed")

SPELLED = ("0101800000", "010180-0000", "010180 0000", " 010180 - 0000 ", "010180\u20130000")
NOBODYS = (
    "",
    " ",
    "\u200b",
    "0",
    "42",
    "042",
    "00042",
    "00 42",
    "x" * 200,
    "0" * 200,
    "%",
    "00%",
    "_042",
    "*",
    "004*",
    "\uff10\uff10\uff14\uff12",
    "\u0660\u0660\u0664\u0662",
    "\uff10\uff11\uff10\uff11\uff18\uff10\uff10\uff10\uff10\uff10",
    "\u0660\u0661\u0660\u0661\u0668\u0660\u0660\u0660\u0660\u0660",
    "01018000000",
    "101800000",
    "010180--0000",
    '{"!=": null}',
    "' OR 1=1 --",
    "0042|",
    "\x00",
)


def test_a_cpr_number_is_found_in_any_spelling(stage: Stage) -> None:
    """A typographic hyphen is accepted too."""
    borrower = make_borrower(stage)
    for text in SPELLED:
        assert numbers(stage, text) == {borrower.number}


def test_a_card_number_is_found_in_any_case(stage: Stage) -> None:
    """Invisible characters at the ends are ignored."""
    card = stage.desk.register("Card-0042", "PRIVATE")
    for text in ("Card-0042", "cARD-0042", " card-0042\u200b"):
        assert numbers(stage, text) == {card}


def test_the_internal_number_finds_no_borrower(stage: Stage) -> None:
    """With automatic card numbers, an internal number can be the card number of another person."""
    card = stage.desk.register("Card-0042", "PRIVATE")
    assert numbers(stage, make_borrower(stage).number) == set()
    assert numbers(stage, card) == set()


def test_a_card_number_counts_before_an_equal_internal_number(stage: Stage) -> None:
    """The card number counts, not an equal internal number of another borrower."""
    borrower = make_borrower(stage)
    assert numbers(stage, borrower.number) == set()
    holder = stage.desk.register(borrower.number, "PRIVATE")
    assert numbers(stage, borrower.number) == {holder}


def test_a_similar_number_finds_no_borrower(stage: Stage) -> None:
    """Leading zeros count, digits of other scripts and wildcards do not match."""
    make_borrower(stage)
    card = stage.desk.register("0042", "PRIVATE")
    assert numbers(stage, "0042 ") == {card}
    assert {text: numbers(stage, text) for text in NOBODYS} == {text: set() for text in NOBODYS}


def test_card_numbers_are_ascii(stage: Stage) -> None:
    """A letter that casefolds to a letter of the card number does not match."""
    stage.desk.register("KISS-1", "PRIVATE")
    for text in ("\u212aISS-1", "ki\u017f\u017f-1"):
        assert numbers(stage, text) == set()


@pytest.mark.library(needs=LibraryCapability.USER_NAMES)
def test_a_card_number_counts_before_an_equal_user_name(stage: Stage) -> None:
    """A person can choose a user name that equals the card number of another person."""
    named = stage.desk.register("Card-0001", "PRIVATE", "ase.pr\u00f8ve1")
    assert numbers(stage, "Ase.Pr\u00d8ve1") == {named}
    rival = stage.desk.register("Card-0002", "PRIVATE", "Card-0003")
    assert numbers(stage, "card-0003") == {rival}
    holder = stage.desk.register("Card-0003", "PRIVATE", "honest")
    assert numbers(stage, "card-0003") == {holder}


def test_a_card_number_that_equals_another_cpr_number_is_ambiguous(stage: Stage) -> None:
    """The search returns both borrowers."""
    borrower = make_borrower(stage)
    holder = stage.desk.register("010180-0000", "PRIVATE")
    assert numbers(stage, CPR) == {borrower.number, holder}
    assert numbers(stage, "010180-0000") == {borrower.number, holder}


def test_several_borrowers_with_a_cpr_number_are_ambiguous(stage: Stage) -> None:
    """Staff must merge them."""
    both = {stage.desk.register("010180-0000", "PRIVATE"), stage.desk.register("010180 0000", "STUDENT")}
    assert numbers(stage, CPR) == both
