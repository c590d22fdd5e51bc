"""The names that Koha makes and compares: user names, card numbers, and what the database takes for the same.

Source: docs/reference/koha.md#user-names, #numbers, #collation.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.demo.koha.collation import same
from broker.demo.koha.simulated_koha import Simulation
from broker.demo.koha.user_names import next_card_number, user_names

ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}

Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("abc1", "ABC1", True),
        ("Åse", "ase", True),
        ("é", "e", True),
        ("ß", "ss", True),
        ("ø", "o", False),
        ("æ", "ae", False),
        ("đ", "d", False),
        ("C1  ", "C1", True),
        (" C1", "C1", False),
        ("C1\t", "C1", False),
        ("0101-80", "010180", False),
        ("\u0661", "1", True),
        ("\uff11", "1", True),
        ("\u00b2", "2", True),
        ("\u2460", "1", True),
        ("\U0001d7cf", "1", False),
        ("\u0967", "1", True),
        ("a\u200bb", "ab", True),
        ("a\u00adb", "ab", False),
        ("a\x00b", "ab", True),
        ("a\x7fb", "ab", True),
        ("a\x0bb", "ab", False),
        ("a\rb", "ab", False),
        ("a\u00a0", "a", True),
        ("a\u0301", "a", True),
        ("\U0001f600", "\U0001f601", True),
        ("a\u2010b", "a-b", False),
        ("\ufb01", "fi", True),
        ("I", "\u0131", False),
        ("\u0130", "i", True),
    ],
)
def test_what_the_database_takes_for_the_same(*, one: str, other: str, are_same: bool) -> None:
    """Each row was seen in MariaDB 11.8 under utf8mb4_unicode_ci."""
    assert same(one, other) is are_same


@pytest.mark.parametrize("card", ["abc1", "ÁBC1", "ABC1 ", "ABC\uff11", "A\u200bBC1"])
def test_a_card_number_that_only_looks_different_is_taken(ask: Ask, add: Add, card: str) -> None:
    """Look-alike digits and letters find the patron, and are no second number."""
    add(cardnumber="ABC1")
    found = ask("GET", "/patrons", {"cardnumber": card}).get_json()
    assert [row["cardnumber"] for row in found] == ["ABC1"]
    assert ask("POST", "/patrons", ANNA | {"cardnumber": card}).status_code == 409


@pytest.mark.parametrize(
    ("firstname", "surname", "names"),
    [
        ("Åse", "Prøve", ["ase.prøve", "ase.prøve1", "ase.prøve2"]),
        ("", "Dam", ["dam", "dam1", "dam2"]),
        ("Anne Marie", "O'Neill-Ærø 3", ["annemarie.oneillærø", "annemarie.oneillærø1", "annemarie.oneillærø2"]),
        ("", "1234", ["1", "2", "3"]),
    ],
)
def test_user_names_are_made(firstname: str, surname: str, names: list[str]) -> None:
    """First name, dot, surname: without accents, digits, blanks and punctuation, then counted on."""
    assert list(islice(user_names(firstname, surname), 3)) == names


def test_the_next_card_number_is_one_more_than_the_largest() -> None:
    """Other people's internal numbers at first; behind the CPR number of somebody, another's CPR number."""
    assert next_card_number([]) == "1"
    assert next_card_number([None, "", "T-9", "2", "-7"]) == "3"
    assert next_card_number(["2", "3112991233"]) == "3112991234"


def test_with_automatic_numbers_everybody_gets_a_card(ask: Ask, add: Add, koha: Simulation) -> None:
    """1, 2, 3 for who has none, an empty one too; a change gives one to who had none."""
    add(cardnumber="T-1")
    add()
    koha.patrons.administration = koha.patrons.administration.with_preferences(auto_member_num=True)
    assert [add(**more)["cardnumber"] for more in ({}, {"cardnumber": ""}, {"cardnumber": "C9"})] == ["1", "2", "C9"]
    assert ask("PUT", "/patrons/2", ANNA).get_json()["cardnumber"] == "3"
