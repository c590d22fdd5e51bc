"""Single values of a register's answer: read as they are, or refused by their names alone."""

import pytest

from broker.adapters.person_register.register_answers import read_number, read_postal_code, read_text
from broker.core.borrowers.registered_person import RegisterRefused

CPR = "0101800000"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, ""),
        ("", ""),
        ("  Nørre\t Prøve ", "Nørre Prøve"),
        ("Ø" * 200, "Ø" * 200),
        ("улица Ленина", "улица Ленина"),
        ("कृष्\u200dण", "कृष्\u200dण"),
    ],
)
def test_a_text_is_read_in_any_script(written: str | None, read: str) -> None:
    """Blanks around it and doubled ones are no part of it."""
    assert read_text({"vejnavn": written}, "vejnavn") == read


@pytest.mark.parametrize(
    "written",
    [
        "Ø" * 201,
        7,
        ["Vej"],
        "V\x00ej",
        "V\ud800ej",
        "V\u202eej",
        "\u3164",
        f"c/o {CPR}",
        "c/o 010180-0000",
        "٠١٠١٨٠٠٠٠٠",
    ],
)
def test_unreadable_and_hidden_text_is_refused(written: object) -> None:
    """The refusal names the field and does not quote its text."""
    with pytest.raises(RegisterRefused, match=r"^the field conavn of the answer is not as documented$"):
        read_text({"conavn": written}, "conavn")


@pytest.mark.parametrize(("written", "read"), [("", ""), ("8000", "8000"), ("800", "0800"), ("0800", "0800")])
def test_a_postal_code_has_four_digits(written: str, read: str) -> None:
    """A nought before it may be lost on the way."""
    assert read_postal_code({"postnummer": written}, "postnummer") == read


@pytest.mark.parametrize("written", ["+45", "80000", "80 00", "DK-8000", "٨٠٠٠"])
def test_anything_else_is_no_postal_code(written: str) -> None:
    """A letter to it would not arrive."""
    with pytest.raises(RegisterRefused):
        read_postal_code({"postnummer": written}, "postnummer")


def test_a_number_is_a_person_s_or_none() -> None:
    """Only where a number is due is one read; noughts, no date and a replacement are nobody's."""
    assert read_number({"personnummer": CPR}, "personnummer") == CPR
    assert read_number({}, "personnummer") == ""
    for wrong in ("010180-0000", "01018000000", "٠١٠١٨٠٠٠٠٠", "x", "0" * 10, "3102800000", "6101800000"):
        with pytest.raises(RegisterRefused):
            read_number({"personnummer": wrong}, "personnummer")
