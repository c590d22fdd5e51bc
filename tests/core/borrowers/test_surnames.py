"""Surnames: which are one person's however they are written, and which are two people's."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.surnames import share_a_surname

WORDS = st.text(string.ascii_lowercase + "æøåéü", min_size=2, max_size=12)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lind", "LIND"), ("Sørensen", "Soerensen"), ("Sørensen", "Sorensen"), ("Kjær", "Kjaer"), ("Ågård", "Aagaard"),
        ("Ågård", "Agard"), ("Holm Lind", "Lind"), ("Holm-Lind", "Lind Dam"),
        ("O'Brien", "OBrien"), ("O\u2019Brien", "o'brien"),
        ("Müller", "Mueller"), ("García Márquez", "Garcia"), ("van der Berg", "Berg"),
        ("Le", "le"), ("Petrov,", "Petrov"),
        ("Łukasz", "Lukasz"), ("Lind", "Li\u0301nd"),
    ],
)  # fmt: skip
def test_one_person_s_surnames(one: str, other: str) -> None:
    """Case, accents, hyphens, how the Danish letters are written, and names that one of the two left out."""
    assert share_a_surname(one, other)
    assert share_a_surname(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lind", "Dam"), ("", ""), ("", "Lind"), ("Lind", "Linde"), ("van der Berg", "van der Velde"),
        ("de la Cruz", "de la Torre"),
        ("1", "1"), ("-", "-"), ("Temporary", "Ravn"), ("al Amin", "al Hassan"), ("_", "_"),
    ],
)  # fmt: skip
def test_two_people_s_surnames(one: str, other: str) -> None:
    """Other words, a part of a word, a particle in common, and nothing at all."""
    assert not share_a_surname(one, other)
    assert not share_a_surname(other, one)


@given(one=NAMES, other=NAMES)
def test_it_is_the_same_from_both_sides(one: str, other: str) -> None:
    """Who wrote which does not matter."""
    assert share_a_surname(one, other) == share_a_surname(other, one)


@given(name=NAMES, more=NAMES)
def test_a_name_is_shared_with_itself_however_it_is_spelt(name: str, more: str) -> None:
    """In capitals, by hyphens, and with further names before or after it: unless it is a particle only."""
    assert share_a_surname(name, name.upper())
    assert share_a_surname(name, name.replace(" ", "-"))
    if share_a_surname(name, f"{name} Xyzzy"):
        assert share_a_surname(f"{more} {name}", name)


@given(one=st.text(), other=st.text())
def test_no_text_is_too_strange(one: str, other: str) -> None:
    """Whatever desk and upstream wrote, there is an answer."""
    assert share_a_surname(one, other) in {True, False}
