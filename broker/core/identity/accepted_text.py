"""The characters and the length that a text from a message may have, by its kind.

Two readers must see the same identifier: a service, the library system and a person at a desk each
compare it in their own way. Sources: Unicode Standard Annex 15 (NFKC) and 44 (general categories),
docs/reference/saml-profiles.md#3 (SDP-G02), saml-core 8.3.7, RFC 5321 4.5.3.1, SAML V2.0 Subject
Identifier Attributes Profile 1.0, 3.3.
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final

TOO_LONG: Final = "too_long"
BLANKS_AROUND: Final = "blanks_around"
BAD_CHARACTERS: Final = "bad_characters"
TEXT_FAULTS: Final = frozenset({TOO_LONG, BLANKS_AROUND, BAD_CHARACTERS})


class TextKind(StrEnum):
    """The kinds of text that are taken from a message."""

    LOCAL_PART = "local part"  # what stands before the "@" of a scoped value
    SCOPE = "scope"
    MAIL_ADDRESS = "mail address"
    PERSON_NAME = "person's name"
    PROSE = "prose"  # written for people: the name of an organisation, a street
    VALUE = "value"  # of any other attribute
    NAME_ID = "NameID"  # or one of its qualifiers
    SESSION_INDEX = "SessionIndex"


_LONGEST: Final = {
    TextKind.LOCAL_PART: 127,
    TextKind.SCOPE: 127,
    TextKind.MAIL_ADDRESS: 254,
    TextKind.PERSON_NAME: 256,
    TextKind.PROSE: 1024,
    TextKind.VALUE: 1024,
    TextKind.NAME_ID: 256,
    TextKind.SESSION_INDEX: 256,
}
# Kinds that people read. Every other kind is an identifier, which is compared.
_READ: Final = frozenset({TextKind.PERSON_NAME, TextKind.PROSE})
_OF_ATTRIBUTE: Final = {
    "mail": TextKind.MAIL_ADDRESS,
    "cn": TextKind.PERSON_NAME,
    "gn": TextKind.PERSON_NAME,
    "sn": TextKind.PERSON_NAME,
    "displayName": TextKind.PERSON_NAME,
    "organizationName": TextKind.PROSE,
    "ou": TextKind.PROSE,
    "street": TextKind.PROSE,
    "postalAddress": TextKind.PROSE,
    "localityName": TextKind.PROSE,
}
# Marks and letters that most fonts show as nothing, and that NFKC leaves as they are: the grapheme
# joiner, Hangul, Khmer and Khitan fillers, variation selectors, Braille's blank, the null note.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
    "\u2800\U00016fe4\U0001d159]"
)
# Names of people need more than printable characters: the joiners of Persian and Indic scripts, and
# the spaces of typesetting. No other format character: a bidirectional override shows another text
# than the one that leaves.
_JOINERS: Final = "\u200c\u200d"
_SPACES: Final = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_PEOPLES: Final = re.compile(f"[{_JOINERS}{_SPACES}]")


def find_attribute_kind(name: str) -> TextKind:
    """Return the kind of the values of a canonical attribute that carry no scope."""
    return _OF_ATTRIBUTE.get(name, TextKind.VALUE)


def find_text_fault(text: str, kind: TextKind) -> str | None:
    """Return why ``text`` is not accepted as a text of this kind, one of TEXT_FAULTS; or None.

    No kind accepts control, format, private and unassigned characters or halves of surrogate pairs.
    An identifier must be in NFKC form and have no invisible character.
    """
    if len(text) > _LONGEST[kind]:
        return TOO_LONG
    if text != text.strip():
        return BLANKS_AROUND
    is_accepted = _is_readable(text) if kind in _READ else _is_plain(text)
    return None if is_accepted else BAD_CHARACTERS


def find_scoped_text_fault(value: str) -> str | None:
    """Return why a scoped value is not accepted; without "@" all of it is the scope."""
    local, at, scope = value.rpartition("@")
    if at:
        local_fault = find_text_fault(local, TextKind.LOCAL_PART)
        if local_fault:
            return local_fault
    return find_text_fault(scope, TextKind.SCOPE)


def _is_readable(text: str) -> bool:
    """Return whether people can read a text: it has no foreign character, and some visible one."""
    seen = _PEOPLES.sub("", text)
    if not seen.isprintable():
        return False
    return bool(_UNSEEN.sub("", seen)) or not text


def _is_plain(text: str) -> bool:
    # printable: no character of a category Other or Separator but the plain space
    if not text.isprintable():
        return False
    if text.isascii():
        return True
    return unicodedata.is_normalized("NFKC", text) and _UNSEEN.search(text) is None
