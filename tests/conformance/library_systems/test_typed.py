"""Searches for a number as a person types it (docs/reference/design.md#4d)."""

import pytest

from broker.core.borrowers.library_system import LibraryCapability
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


def test_a_cpr_is_typed_in_any_spelling(stage: Stage) -> None:
    """With a hyphen of a word processor too."""
    borrower = make_borrower(stage)
    for text in SPELLED:
        assert numbers(stage, text) == {borrower.number}


def test_a_card_is_typed_in_any_case(stage: Stage) -> None:
    """Without what is not seen at its ends."""
    card = stage.desk.register("Card-0042", "PRIVATE")
    for text in ("Card-0042", "cARD-0042", " card-0042\u200b"):
        assert numbers(stage, text) == {card}


def test_the_internal_number_is_nobodys(stage: Stage) -> None:
    """No card has it and no machine knows it: with automatic card numbers it is somebody else's."""
    card = stage.desk.register("Card-0042", "PRIVATE")
    assert numbers(stage, make_borrower(stage).number) == set()
    assert numbers(stage, card) == set()


def test_a_card_that_is_anothers_internal_number_is_the_card(stage: Stage) -> None:
    """The card number counts, not an equal internal number of another borrower."""
    borrower = make_borrower(stage)
    assert numbers(stage, borrower.number) == set()
    holder = stage.desk.register(borrower.number, "PRIVATE")
    assert numbers(stage, borrower.number) == {holder}


def test_what_only_resembles_a_number_is_nobodys(stage: Stage) -> None:
    """Noughts count, other scripts' digits are none, and no sign stands for another."""
    make_borrower(stage)
    card = stage.desk.register("0042", "PRIVATE")
    assert numbers(stage, "0042 ") == {card}
    assert {text: numbers(stage, text) for text in NOBODYS} == {text: set() for text in NOBODYS}


def test_a_card_is_printed_in_ascii(stage: Stage) -> None:
    """A letter that folds to one of a card's is another letter."""
    stage.desk.register("KISS-1", "PRIVATE")
    for text in ("\u212aISS-1", "ki\u017f\u017f-1"):
        assert numbers(stage, text) == set()


@pytest.mark.library(needs=LibraryCapability.USER_NAMES)
def test_a_user_name_counts_only_where_it_is_nobodys_card(stage: Stage) -> None:
    """The card in the hand comes before a name that somebody chose to be equal to it."""
    named = stage.desk.register("Card-0001", "PRIVATE", "ase.pr\u00f8ve1")
    assert numbers(stage, "Ase.Pr\u00d8ve1") == {named}
    rival = stage.desk.register("Card-0002", "PRIVATE", "Card-0003")
    assert numbers(stage, "card-0003") == {rival}
    holder = stage.desk.register("Card-0003", "PRIVATE", "honest")
    assert numbers(stage, "card-0003") == {holder}


def test_a_card_that_is_anothers_cpr_is_several(stage: Stage) -> None:
    """None of them is chosen."""
    borrower = make_borrower(stage)
    holder = stage.desk.register("010180-0000", "PRIVATE")
    assert numbers(stage, CPR) == {borrower.number, holder}
    assert numbers(stage, "010180-0000") == {borrower.number, holder}


def test_several_borrowers_of_one_cpr_are_several(stage: Stage) -> None:
    """Staff must merge them."""
    both = {stage.desk.register("010180-0000", "PRIVATE"), stage.desk.register("010180 0000", "STUDENT")}
    assert numbers(stage, CPR) == both
