"""CPR numbers: classification, dates, wire form, mask and spellings. The numbers are synthetic."""

from datetime import date, datetime
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.core.identity import cpr
from broker.core.identity.cpr import CprKind

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("0101601234", CprKind.REAL),
        ("1403044004", CprKind.REAL),
        ("0101010110", CprKind.REAL),
        ("6703004768", CprKind.REPLACEMENT),
        ("6101014000", CprKind.REPLACEMENT),
        ("120180ABC1", CprKind.CONSTRUCTED),
        ("1201800BB1", CprKind.CONSTRUCTED),
        ("310280ABC1", CprKind.INVALID),  # no such day in any century
        ("9212004000", CprKind.INVALID),  # day 32
        ("6002004000", CprKind.INVALID),  # day 60 is neither a day nor a replacement's
        ("0013004000", CprKind.INVALID),
        ("2902010000", CprKind.INVALID),  # 1901 was no leap year
        ("2902004000", CprKind.REAL),  # 2000 was
        ("0101375000", CprKind.INVALID),  # born 2037
        ("2611264000", CprKind.INVALID),  # born tomorrow
        ("2511264000", CprKind.REAL),  # born today
        ("0101585000", CprKind.INVALID),  # born 1858
        ("0101000000", CprKind.INVALID),  # born 1900: 126 years old
        ("010101-0110", CprKind.INVALID),
        ("0101010110\n", CprKind.INVALID),
        (" 101010110", CprKind.INVALID),
        ("010101011", CprKind.INVALID),
        ("٠١٠١٠١٠١١٠", CprKind.INVALID),  # noqa: RUF001 - digits, but not ours
        ("０１０１０１０１１０", CprKind.INVALID),  # noqa: RUF001 - as above
        ("120180ÆØÅ1", CprKind.INVALID),
        ("", CprKind.INVALID),
    ],
)
def test_an_asserted_value_is_of_one_kind(value: str, kind: CprKind) -> None:
    """Strict reading of ten ASCII characters; a number that fails modulus 11 is valid."""
    assert cpr.classify(value, TODAY) is kind


@given(st.text(max_size=12), st.dates())
@example("2902009999", date(1, 1, 1))
def test_classifying_is_total(value: str, today: date) -> None:
    """Any text on any day has a kind, and all but ten ASCII characters are invalid."""
    kind = cpr.classify(value, today)
    assert kind is CprKind.INVALID or (len(value) == 10 and value.isascii())


@given(st.text("0123456789", min_size=10, max_size=10), st.dates())
def test_a_valid_number_has_a_plausible_age(value: str, today: date) -> None:
    """No number that is not invalid makes somebody unborn or older than 125."""
    if cpr.classify(value, today) is not CprKind.INVALID:
        age = cpr.compute_age(value, today)
        assert age is not None
        assert 0 <= age <= 125


@pytest.mark.parametrize(
    ("value", "born"),
    [
        ("0101003999", date(1900, 1, 1)),
        ("0101364000", date(2036, 1, 1)),
        ("0101374000", date(1937, 1, 1)),
        ("0101575000", date(2057, 1, 1)),
        ("0101588000", date(1858, 1, 1)),
        ("6101364000", date(2036, 1, 1)),
        ("120180ABC1", None),
    ],
)
def test_the_seventh_digit_tells_the_century(value: str, born: date | None) -> None:
    """The table of docs/reference/cpr.md#century, at its edges."""
    assert cpr.birth_date(value) == born


@pytest.mark.parametrize(
    ("today", "age"),
    [(date(2022, 3, 13), 17), (date(2022, 3, 14), 18), (date(2004, 3, 14), 0), (date(2004, 3, 13), None)],
)
def test_age_changes_on_the_birthday(today: date, age: int | None) -> None:
    """Eighteen begins on the day itself, and nobody has an age before birth."""
    assert cpr.compute_age("1403044004", today) == age


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
    """Two spellings of the namespace are read. Numbers of other countries are not."""
    assert cpr.parse_unique_id(value) == number


@pytest.mark.parametrize(
    ("text", "apart", "found"),
    [
        ("user_0101901234x", False, True),
        ("user_0101901234x", True, False),
        ("010190 1234", False, True),
        ("01.01.90 - 12.34", False, True),
        ("010190-12 34", False, True),
        ("2012-06-30 12-34", False, False),
        ("10.11.12.13", False, False),
        ("6703004768", False, True),
        ("1732487362", False, False),  # a time in seconds
        ("4512345678", False, False),  # a telephone number
        ("01019012345", False, False),
        ("0113901234", False, False),
        ("9208-2002-2-000000000000", False, False),
    ],
)
def test_the_shape_is_found_where_it_stands(text: str, apart: bool, found: bool) -> None:
    """The measured expression of docs/reference/cpr.md#shape."""
    assert cpr.looks_like_cpr(text, apart=apart) is found


DIGITS = st.sampled_from(["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "₀₁₂₃₄₅₆₇₈₉"])  # noqa: RUF001
SIGNS = "-./ \u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d\u00a0\u2009\u202f\u3000\uff0e\u2044\u2215\u00b7\u2022"
GAP = st.lists(st.sampled_from(SIGNS), max_size=3).map("".join)
UNSEEN = st.sampled_from(["", "\u200b", "\u00ad", "\u2060", "\ufeff", "\u0332", "\ufe0f\u20e3"])


@given(
    born=st.dates(date(1936, 1, 1), date(2036, 12, 31)),
    replaced=st.booleans(),
    running=st.integers(0, 9999),
    gaps=st.tuples(GAP, GAP, GAP),
    digits=DIGITS,
    unseen=UNSEEN,
)
@example(born=date(2004, 3, 14), replaced=False, running=4, gaps=("-", "-", "-"), digits="0123456789", unseen="")
@example(born=date(2004, 3, 14), replaced=True, running=4, gaps=(".", ".", " - "), digits="0123456789", unseen="")
@example(born=date(2004, 3, 14), replaced=False, running=4, gaps=("", "", "\u2013"), digits="0123456789", unseen="")
@example(born=date(2004, 3, 14), replaced=False, running=4, gaps=("", "", ""), digits="0123456789", unseen="\u00ad")
def test_a_number_is_seen_however_it_is_typeset(
    *, born: date, replaced: bool, running: int, gaps: tuple[str, str, str], digits: str, unseen: str
) -> None:
    """Any dash, dot, slash or space between day, month, year and running number, digits of any script, unseen signs."""
    parts = (f"{born.day + 60 * replaced:02}", f"{born:%m}", f"{born:%y}", f"{running:04}")
    spelt = "".join(part + gap for part, gap in zip(parts, (*gaps, ""), strict=True))
    odd = "".join(digits[int(each)] + unseen if each in "0123456789" else each for each in spelt)
    for apart in (False, True):
        assert cpr.looks_like_cpr(f"uid:{odd}", apart=apart)
    assert cpr.mask_numbers(f"before {odd}", "#") == "before #"


STAMPS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31))  # noqa: DTZ001 - as a value may hold one
PAIR = st.integers(0, 99).map("{:02}".format)
OTHERS = st.one_of(
    STAMPS.map(str),
    STAMPS.map(lambda when: when.isoformat(timespec="milliseconds") + "Z"),
    STAMPS.map("{:%d.%m.%Y %H:%M}".format),
    STAMPS.map("{:%d/%m/%Y}".format),
    st.ip_addresses(v=4).map(str),
    st.tuples(st.ip_addresses(v=4), st.integers(1, 65535)).map("{0[0]}:{0[1]}".format),
    st.lists(PAIR, min_size=4, max_size=4).map(lambda pairs: "+45 " + " ".join(pairs)),
    st.integers(0, 10**12 - 1).map("PID:9208-2002-2-{:012}@sikker-adgang.dk".format),
    st.tuples(PAIR, PAIR, PAIR).map("1.{0[0]}.{0[1]}.{0[2]}".format),
)


@given(OTHERS)
@example("2012-06-30 12:34:56.301234")
@example("10.11.12.13:1234")
@example("12.10.2030 20:45")
def test_times_addresses_and_telephones_are_no_numbers(text: str) -> None:
    """Usual texts of logs and attributes stay readable."""
    assert not cpr.looks_like_cpr(text)
    assert cpr.mask_numbers(text, "#") == text


@given(st.uuids())
def test_a_random_id_is_no_number(value: UUID) -> None:
    """The ids of people that upstreams draw are read with ``apart``."""
    assert not cpr.looks_like_cpr(str(value), apart=True)


@pytest.mark.parametrize(
    ("text", "blotted"),
    [
        ("a 140304-4004 b", "a # b"),
        ("user_1403044004x", "user_#x"),
        ("120180ABC1, 1201800BB1", "#, #"),
        ("120180-ABC1", "#"),
        ("x120180abc1d2", "x120180abc1d2"),
        ("Jens Høj – 0000", "Jens Høj – 0000"),  # nothing found, nothing changed
        ("Høj – 140304 – 4004", "Høj - #"),  # found, so plain
    ],
)
def test_possible_numbers_are_masked(text: str, blotted: str) -> None:
    """Constructed numbers too, where no letter or digit follows; the mark is never read as a pattern."""
    assert cpr.mask_numbers(text, "#") == blotted
    assert cpr.mask_numbers(text, r"\1") == blotted.replace("#", r"\1")
