"""PINs that are not the first ones tried."""

from datetime import date

import pytest

from broker.core.borrowers import pins


@pytest.mark.parametrize("pin", ["0000", "1234", "4321", "7890", "2109", "1212", "1987", "2004"])
def test_patterns_are_guessable(pin: str) -> None:
    """Pairs, runs in either direction and round the corner, and years are never drawn."""
    assert pins.is_guessable(pin)


@pytest.mark.parametrize("pin", ["5837", "0047", "1243", "9071"])
def test_others_are_not(pin: str) -> None:
    """A PIN without a pattern may be chosen, with leading zeros too."""
    assert not pins.is_guessable(pin)


@pytest.mark.parametrize("pin", ["3112", "1120", "5678", "1231", "0831", "0812"])
def test_a_number_suggests_its_pieces_and_its_dates(pin: str) -> None:
    """Any four digits in a row, and day, month and year in any pairing."""
    assert pin in pins.suggest_by_cpr("3112085678")


@pytest.mark.parametrize("pin", ["3112", "1231", "3108", "0812", "1908"])
def test_a_date_of_birth_suggests_its_pieces(pin: str) -> None:
    """Two of day, month and year in either order, and the year, are what somebody who knows the birthday tries."""
    assert pin in pins.suggest_by_birth_date(date(1908, 12, 31))


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        ("", "pin_not_four"), ("407", "pin_not_four"), ("40711", "pin_not_four"), ("4 71", "pin_not_four"),
        ("\u0664\u0660\u0667\u0661", "pin_not_four"), ("abcd", "pin_not_four"), ("1234", "pin_trivial"),
        ("7777", "pin_trivial"), ("3112", "pin_trivial"), ("5837", None), ("0047", None),
    ],
)  # fmt: skip
def test_a_chosen_pin_is_four_digits_that_nobody_guesses_first(pin: str, why: str | None) -> None:
    """Four ASCII digits without a pattern, not suggested by the birth date. Leading zeros count."""
    assert pins.find_pin_fault(pin, {"3112"}) == why


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("0101800000", "0101800000"), ("010180-0000", "0101800000"), (" 010180 0000\t", "0101800000"),
        ("12 07 86 13 39", "1207861339"),
        ("120786\u20131339", "1207861339"), ("4", "4"), ("T-2001", "T-2001"),
        ("12\u00a034", "1234"), ("Kim.Holm", "Kim.Holm"),
        ("01018000001", "01018000001"), ("010180--0000", "010180--0000"), ("O101800000", "O101800000"),
        ("x" * 40, "x" * 40),
        ("", None), ("\u200b", None), ("\uff11\uff12", None), ("1\x00", None), ("kårla", None),
        ("x" * 41, None),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_type_it(typed: str, read: str | None) -> None:
    """A CPR number, a card number or a user name, without invisible characters."""
    assert pins.read_identifier(typed) == read
