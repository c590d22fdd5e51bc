"""CPR numbers: classification of asserted values, dates, wire form, mask and spellings. All numbers are synthetic."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.core import cpr
from broker.core.cpr import Kind

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("0101601234", Kind.REAL),
        ("1403044004", Kind.REAL),
        ("0101650000", Kind.REAL_WITHOUT_MODULUS_11),
        ("0101010110", Kind.REAL_WITHOUT_MODULUS_11),
        ("6703004768", Kind.REPLACEMENT),
        ("6101014000", Kind.REPLACEMENT),
        ("9112004000", Kind.REPLACEMENT),
        ("120180ABC1", Kind.CONSTRUCTED),
        ("1201800BB1", Kind.CONSTRUCTED),
        ("290200ABC2", Kind.CONSTRUCTED),
        ("310280ABC1", Kind.INVALID),  # no such day in any century
        ("6707610000", Kind.REPLACEMENT),
        ("9212004000", Kind.INVALID),  # day 32
        ("6002004000", Kind.INVALID),  # day 60 is neither a day nor a replacement's
        ("3202004000", Kind.INVALID),
        ("0013004000", Kind.INVALID),
        ("2902010000", Kind.INVALID),  # 1901 was no leap year
        ("2902004000", Kind.REAL_WITHOUT_MODULUS_11),  # 2000 was
        ("0101375000", Kind.INVALID),  # born 2037
        ("2611264000", Kind.INVALID),  # born tomorrow
        ("2511264000", Kind.REAL_WITHOUT_MODULUS_11),  # born today
        ("0101585000", Kind.INVALID),  # born 1858
        ("0101000000", Kind.INVALID),  # born 1900: 126 years old
        ("010101-0110", Kind.INVALID),
        ("010101 011", Kind.INVALID),
        ("0101010110\n", Kind.INVALID),
        (" 101010110", Kind.INVALID),
        ("010101011", Kind.INVALID),
        ("01010101100", Kind.INVALID),
        ("٠١٠١٠١٠١١٠", Kind.INVALID),  # noqa: RUF001 - digits, but not ours
        ("０１０１０１０１１０", Kind.INVALID),  # noqa: RUF001 - as above
        ("ABCDEFGHIJ", Kind.INVALID),
        ("120180ÆØÅ1", Kind.INVALID),
        ("", Kind.INVALID),
    ],
)
def test_an_asserted_value_is_of_one_kind(value: str, kind: Kind) -> None:
    """Strict reading of ten ASCII characters; a number without modulus 11 is valid."""
    assert cpr.classify(value, TODAY) is kind


@given(st.text(max_size=12), st.dates())
@example("2902009999", date(1, 1, 1))
def test_classifying_is_total(value: str, today: date) -> None:
    """Any text on any day has a kind, and all but ten ASCII characters are invalid."""
    kind = cpr.classify(value, today)
    assert kind is Kind.INVALID or (len(value) == 10 and value.isascii())


@given(st.text("0123456789", min_size=10, max_size=10), st.dates())
def test_who_has_a_kind_has_a_bearable_age(value: str, today: date) -> None:
    """No number that is not invalid makes somebody unborn or older than 125."""
    if cpr.classify(value, today) is not Kind.INVALID:
        age = cpr.age(value, today)
        assert age is not None
        assert 0 <= age <= 125


@pytest.mark.parametrize(
    ("value", "born"),
    [
        ("0101003999", date(1900, 1, 1)),
        ("0101993999", date(1999, 1, 1)),
        ("0101364000", date(2036, 1, 1)),
        ("0101374000", date(1937, 1, 1)),
        ("0101369000", date(2036, 1, 1)),
        ("0101379000", date(1937, 1, 1)),
        ("0101575000", date(2057, 1, 1)),
        ("0101588000", date(1858, 1, 1)),
        ("6101364000", date(2036, 1, 1)),
        ("120180ABC1", None),
        ("3102004000", None),
    ],
)
def test_the_seventh_digit_tells_the_century(value: str, born: date | None) -> None:
    """The table of reference/cpr.md, at its edges."""
    assert cpr.birth_date(value) == born


@pytest.mark.parametrize(
    ("today", "age"),
    [(date(2022, 3, 13), 17), (date(2022, 3, 14), 18), (date(2004, 3, 14), 0), (date(2004, 3, 13), None)],
)
def test_age_changes_on_the_birthday(today: date, age: int | None) -> None:
    """Eighteen begins on the day itself, and nobody has an age before birth."""
    assert cpr.age("1403044004", today) == age


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("urn:mace:terena.org:schac:personalUniqueID:dk:CPR:0101010110", "0101010110"),
        ("urn:schac:personalUniqueID:dk:CPR:120180ABC1", "120180ABC1"),
        ("URN:schac:personalUniqueID:DK:cpr:0101010110", "0101010110"),
        ("urn:schac:personalUniqueID:dk:CPR: 0101010110", " 0101010110"),
        ("urn:schac:personalUniqueID:se:NIN:0101010110", None),
        ("x-urn:schac:personalUniqueID:dk:CPR:0101010110", None),
        ("0101010110", None),
    ],
)
def test_the_number_stands_behind_the_danish_prefix(value: str, number: str | None) -> None:
    """Both spellings of the namespace are read, other countries' numbers are not, and nothing is tidied up."""
    assert cpr.from_wire(value) == number


@pytest.mark.parametrize(
    ("value", "masked"), [("0101010110", "010101-••••"), ("120180ABC1", "120180-••••"), ("nonsense", "••••••-••••")]
)
def test_the_mask_hides_the_last_four(value: str, masked: str) -> None:
    """Only a date shows; of what is no number, nothing does."""
    assert cpr.mask(value) == masked


@pytest.mark.parametrize(
    ("text", "apart", "found"),
    [
        ("user_0101901234x", False, True),
        ("user_0101901234x", True, False),
        ("user:0101901234@au.dk", True, True),
        ("010190 1234", False, True),
        ("010190-1234", True, True),
        ("6703004768", False, True),
        ("1732487362", False, False),  # a time in seconds
        ("4512345678", False, False),  # a telephone number
        ("00101901234", False, False),
        ("01019012345", False, False),
        ("0113901234", False, False),
        ("9208-2002-2-000000000000", False, False),
    ],
)
def test_the_shape_is_found_where_it_stands(text: str, apart: bool, found: bool) -> None:
    """The measured expression of reference/policy_tools.md section 5."""
    assert cpr.looks_like_cpr(text, apart=apart) is found


def test_desks_spell_in_three_ways() -> None:
    """Together, with a hyphen, with a space; each of them is found again by its shape."""
    spelt = cpr.spellings("0101010110")
    assert spelt == ("0101010110", "010101-0110", "010101 0110")
    assert all(cpr.looks_like_cpr(each) for each in spelt)
