"""When a borrower is this person's: names as they are spelled, and two of three facts."""

import string
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.matching import PersonFacts, count_agreeing, has_surname, is_this_persons, read_person_facts
from broker.core.identity.canonical_attributes import Attributes

CPR_NUMBER = "0101990000"
PERSON = PersonFacts("Prøvesen", "Åse Marie", date(1999, 1, 1))
NAMES_OF = {"surname": "Prøvesen", "firstname": "Åse"}
WORDS = st.text(string.ascii_lowercase + "æøåéü", min_size=2, max_size=12)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
BORROWER = Borrower("7", "STUD", born=PERSON.birth_date, cpr=CPR_NUMBER, fields=NAMES_OF)


def _same_surname(one: str, other: str) -> bool:
    return has_surname(PersonFacts(one), Borrower("7", "STUD", fields={"surname": other}))


@pytest.mark.parametrize(
    ("surname", "given_name", "birth_date", "is_theirs"),
    [
        ("Prøvesen", "Åse", PERSON.birth_date, True),
        ("PROVESEN", "aase", date(1999, 1, 2), True),  # a wrong birth date locks nobody out
        ("Skov", "Åse", PERSON.birth_date, True),  # married
        ("Prøvesen", "Ida", PERSON.birth_date, True),
        ("Prøvesen", "Åse", None, True),
        ("Prøvesen", "", None, False),
        ("Prøvesen", "Ida", date(1999, 1, 2), False),  # a sibling
        ("Prøvesen", "Ida", None, False),
        ("Skov", "Åse", None, False),
        ("Skov", "Ida", PERSON.birth_date, False),
        ("", "", PERSON.birth_date, False),
        ("", "", None, False),
    ],
)
def test_two_of_three_must_agree(surname: str, given_name: str, birth_date: date | None, *, is_theirs: bool) -> None:
    """Surname, given name and birth date; a missing one agrees with nothing."""
    borrower = replace(BORROWER, born=birth_date, fields={"surname": surname, "firstname": given_name})
    assert is_this_persons(PERSON, borrower, CPR_NUMBER) is is_theirs
    assert (count_agreeing(PERSON, borrower) >= 2) is is_theirs


def test_our_mark_and_the_number_prove_nothing() -> None:
    """A record with our enrolment id and the person's CPR number may be another person's."""
    other = replace(BORROWER, mark="a" * 32, born=None, fields={"surname": "Skov", "firstname": "Ida"})
    assert not is_this_persons(PERSON, other, CPR_NUMBER)


def test_a_borrower_with_another_cpr_number_is_not_theirs() -> None:
    """A card of ten digits may read as the person's CPR number."""
    assert not is_this_persons(PERSON, replace(BORROWER, cpr="0201990000"), CPR_NUMBER)
    assert is_this_persons(PERSON, replace(BORROWER, cpr=None), CPR_NUMBER)


def test_missing_facts_agree_with_nothing() -> None:
    """A login without a name agrees with no borrower, not even with one without a name."""
    bare = replace(BORROWER, fields={})
    assert count_agreeing(PersonFacts("", "", PERSON.birth_date), bare) < 2
    assert count_agreeing(PersonFacts(), replace(bare, born=None)) < 2


@pytest.mark.parametrize(
    ("asserted", "facts"),
    [
        ({"sn": ("Prøvesen",), "gn": ("Åse",), "cpr": (CPR_NUMBER,)}, PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))),
        ({"cn": ("Åse Marie Prøvesen",)}, PersonFacts("Prøvesen", "Åse Marie")),
        ({"displayName": ("Åse",)}, PersonFacts("Åse", "")),
        ({"eduPersonPrincipalName": ("aase@au.dk",)}, PersonFacts()),
    ],
)
def test_the_facts_of_a_login(asserted: dict[str, tuple[str, ...]], facts: PersonFacts) -> None:
    """The birth date is that of the CPR number; a full name stands in for missing names."""
    assert read_person_facts(Attributes(asserted)) == facts
    assert facts.has_name is (len(asserted) != 1 or "eduPersonPrincipalName" not in asserted)


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
    assert _same_surname(one, other)
    assert _same_surname(other, one)


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
    assert not _same_surname(one, other)
    assert not _same_surname(other, one)


@given(name=NAMES, more=NAMES)
def test_a_name_is_shared_with_itself_however_it_is_spelt(name: str, more: str) -> None:
    """In capitals, by hyphens, and with further names before or after it: unless it is a particle only."""
    assert _same_surname(name, name.upper())
    assert _same_surname(name, name.replace(" ", "-"))
    if _same_surname(name, f"{name} Xyzzy"):
        assert _same_surname(f"{more} {name}", name)
