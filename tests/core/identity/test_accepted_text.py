"""The texts that are taken from a message: by kind, so many characters, and none that goes unseen."""

import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.identity.accepted_text import (
    BAD_CHARACTERS,
    BLANKS_AROUND,
    TOO_LONG,
    TextKind,
    find_attribute_kind,
    find_scoped_text_fault,
    find_text_fault,
)

NAMES = [TextKind.PERSON_NAME, TextKind.PROSE]
IDENTIFIERS = [kind for kind in TextKind if kind not in NAMES]
LONGEST = {
    TextKind.LOCAL_PART: 127,
    TextKind.SCOPE: 127,
    TextKind.MAIL_ADDRESS: 254,
    TextKind.PERSON_NAME: 256,
    TextKind.PROSE: 1024,
    TextKind.VALUE: 1024,
    TextKind.NAME_ID: 256,
    TextKind.SESSION_INDEX: 256,
}
UNSEEN = {
    "control": "as\x00ta",
    "delete": "as\x7fta",
    "line break": "as\nta",
    "line separator": "as\u2028ta",
    "soft hyphen": "as\u00adta",
    "zero width space": "as\u200bta",
    "word joiner": "as\u2060ta",
    "byte order mark": "as\ufeffta",
    "direction mark": "as\u200eta",
    "override": "as\u202eta",
    "isolate": "as\u2066ta",
    "arabic letter mark": "as\u061cta",
    "tag": "as\U000e0061ta",
    "surrogate": "as\ud800ta",
    "private use": "as\ue000ta",
    "unassigned": "as\u0378ta",
    "no character": "as\uffffta",
}
CHANGED = {
    "fullwidth at": "asta\uff20au.dk",
    "fullwidth letter": "\uff41sta",
    "ligature": "\ufb01nn",
    "long s": "a\u017fta",
    "kelvin sign": "\u212aarl",
    "decomposed": "Ha\u0301kon",
    "no-break space": "as\u00a0ta",
    "superscript": "asta\u00b2",
    "hangul filler": "as\u3164ta",
}
INVISIBLE = {
    "grapheme joiner": "as\u034fta",
    "variation selector": "as\ufe0fta",
    "ideographic variation": "as\U000e0100ta",
    "hangul initial filler": "as\u115fta",
    "khmer vowel": "as\u17b4ta",
    "ogham space": "as\u1680ta",
    "braille blank": "as\u2800ta",
    "khitan filler": "as\U00016fe4ta",
    "null note": "as\U0001d159ta",
}


def find_faults(text: str, kinds: Iterable[TextKind]) -> set[str | None]:
    """Return the faults of a text as one of these kinds."""
    return {find_text_fault(text, kind) for kind in kinds}


@pytest.mark.attack(21)
@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)
def test_invisible_characters_are_refused(text: str) -> None:
    """Control, format, private and unassigned characters are refused in every kind, a person's name included."""
    assert find_faults(text, TextKind) == {BAD_CHARACTERS}


@pytest.mark.attack(21)
@pytest.mark.parametrize("text", ["\u200d", "\u3164", "\u2800\u2800", "\u3164\u00a0\u200c\u3164"])
def test_a_name_that_shows_nothing_is_no_name(text: str) -> None:
    """The page would show a person without a name, and a service somebody else in their place."""
    assert find_faults(text, NAMES) == {BAD_CHARACTERS}


@pytest.mark.attack(21)
@pytest.mark.parametrize("text", [*CHANGED.values(), *INVISIBLE.values()], ids=[*CHANGED, *INVISIBLE])
def test_an_identifier_is_one_to_every_reader(text: str) -> None:
    """A text that NFKC changes is refused: two readers would see different identifiers."""
    assert find_faults(text, IDENTIFIERS) == {BAD_CHARACTERS}


@pytest.mark.parametrize(
    "text",
    [
        "Jens Høj",
        "Ōe Kenzaburō",
        "name with \u2013 dash",
        "Ha\u0301kon",
        "Zoë O\u2019Brien-Łuczak",
        "大江 健三郎",
        "大江\u3000健三郎",
        "葛\U000e0100城",
        "\u0631\u0636\u0627\u200c\u0632\u0627\u062f\u0647",
        "ශ්\u200dරී",
        "Jens\u00a0Høj",
        "\uff21\uff53\uff54\uff41",
    ],
)
def test_a_name_is_of_any_script(text: str) -> None:
    """With the joiners that Persian and Sinhala are written with, and the spaces of typesetting."""
    assert find_faults(text, NAMES) == {None}


@pytest.mark.parametrize(
    "text", ["asta", "PID:9208-2002-2-000000000000", "søren", "\u0430\u0441\u0442\u0430", "a b", "大江"]
)
def test_an_identifier_may_have_letters_of_any_script(text: str) -> None:
    """As long as they are plain ones."""
    assert find_faults(text, IDENTIFIERS) == {None}


@pytest.mark.parametrize("text", [" asta", "asta ", "asta\n", "\tasta", "\u00a0asta", "asta\u3000", " "])
def test_blanks_around_a_value_are_told_as_such(text: str) -> None:
    """They are what goes wrong most, and the institution can fix it."""
    assert find_faults(text, TextKind) == {BLANKS_AROUND}


@pytest.mark.parametrize(("kind", "longest"), LONGEST.items())
def test_a_text_has_an_end(kind: TextKind, longest: int) -> None:
    """By its kind: nothing a person is called needs a page."""
    assert find_text_fault("x" * longest, kind) is None
    assert find_text_fault("x" * (longest + 1), kind) == TOO_LONG
    assert set(LONGEST) == set(TextKind)


@pytest.mark.attack(21)
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("asta@au.dk", None),
        ("au.dk", None),
        ("x" * 127 + "@au.dk", None),
        ("x" * 128 + "@au.dk", TOO_LONG),
        ("asta@" + "x" * 128, TOO_LONG),
        ("as\u200bta@au.dk", BAD_CHARACTERS),
        ("asta@au\u00ad.dk", BAD_CHARACTERS),
        ("asta\uff20au.dk", BAD_CHARACTERS),
        (" asta@au.dk", BLANKS_AROUND),
        ("asta @au.dk", BLANKS_AROUND),
        ("asta@au.dk ", BLANKS_AROUND),
    ],
)
def test_both_parts_of_a_scoped_value_are_held_to_their_rule(value: str, fault: str | None) -> None:
    """Local part and scope each by its own; a value without an at sign is a scope."""
    assert find_scoped_text_fault(value) == fault


def test_names_of_people_are_told_from_values() -> None:
    """Under whatever map: an attribute is known by our name for it, and what nobody lists is an identifier."""
    assert {find_attribute_kind(name) for name in ("cn", "gn", "sn", "displayName")} == {TextKind.PERSON_NAME}
    assert find_attribute_kind("organizationName") is TextKind.PROSE
    assert find_attribute_kind("mail") is TextKind.MAIL_ADDRESS
    assert find_attribute_kind("eduPersonEntitlement") is TextKind.VALUE


@given(st.text(max_size=20))
def test_an_accepted_identifier_is_its_own_normal_form(text: str) -> None:
    """An accepted text is printable, without blanks around it, and in NFKC form."""
    if find_text_fault(text, TextKind.NAME_ID) is None:
        assert text == unicodedata.normalize("NFKC", text).strip()
        assert not {unicodedata.category(each) for each in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
