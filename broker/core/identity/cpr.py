"""What a CPR number is, of which of five kinds, and the spellings and the mask in which people meet it.

The rules and their sources are in reference/cpr.md; asserted values are read strictly, never tidied
up first.
"""

import re
import unicodedata
from datetime import date
from enum import StrEnum
from typing import Final

# Both spellings of the SCHAC namespace are in use; namespace and country code are compared without
# case (RFC 8141).
_URNS: Final = (
    "urn:mace:terena.org:schac:personaluniqueid:dk:cpr:",
    "urn:schac:personaluniqueid:dk:cpr:",
)

_DIGITS: Final = re.compile(r"[0-9]{10}")
# Aarhus University's number for a person without a CPR: date of birth, a serial that is not all
# digits, a sex digit.
_CONSTRUCTED: Final = re.compile(r"[0-9]{6}(?![0-9]{3})[0-9A-Za-z]{3}[0-9]")
_WEIGHTS: Final = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_OLDEST: Final = (
    125  # nobody has been older than 122; the 1800s of the century table are all past it
)

# Measured: the plain \d{6}-?\d{4} misses a number inside a word and hits every epoch time
# (policy_tools.md 5). Day, month, year and running number may stand apart, for a person reads
# 14.03.04 - 4004 as well as a program does.
_GAP: Final = "[-./ ]{0,3}"
_DAY: Final = "(?:0[1-9]|[12][0-9]|3[01]|6[1-9]|[78][0-9]|9[01])"
_DATE: Final = rf"{_DAY}{_GAP}(?:0[1-9]|1[0-2]){_GAP}[0-9]{{2}}{_GAP}"
_SHAPED: Final = re.compile(rf"(?<![0-9]){_DATE}[0-9]{{4}}(?![0-9])")
_APART: Final = re.compile(rf"(?<![0-9A-Za-z]){_DATE}[0-9]{{4}}(?![0-9A-Za-z])")
_SERIAL: Final = "(?![0-9]{3})[0-9A-Za-z]{3}[0-9](?![0-9A-Za-z])"
_ANY_KIND: Final = re.compile(rf"(?<![0-9]){_DATE}(?:[0-9]{{4}}(?![0-9])|{_SERIAL})")
# What is not seen between two digits, or only around one: zero-width characters, accents, the frame
# of a keycap.
_UNSEEN: Final = frozenset({"Cf", "Mn", "Me"})


class CprKind(StrEnum):
    """What an asserted value is; only the first two enrol by themselves (invariant 5)."""

    REAL = "real"
    REAL_WITHOUT_MODULUS_11 = "real_without_modulus_11"
    REPLACEMENT = "replacement"
    CONSTRUCTED = "constructed"
    INVALID = "invalid"


def classify(value: str, today: date) -> CprKind:
    """Say of which kind an asserted ``value`` is: exactly ten ASCII characters, or it is invalid.

    A number without modulus 11 is valid (issued since 2007); a birth date to come, or 126 years
    back, is not.
    """
    if _CONSTRUCTED.fullmatch(value):
        return CprKind.CONSTRUCTED if _some_date(value) else CprKind.INVALID
    born = birth_date(value)
    if born is None or born > today or _years(born, today) > _OLDEST:
        return CprKind.INVALID
    if value[0] in "6789":
        return CprKind.REPLACEMENT
    weighed = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, value, strict=True))
    return CprKind.REAL_WITHOUT_MODULUS_11 if weighed % 11 else CprKind.REAL


def birth_date(value: str) -> date | None:
    """Give the date of birth that ten digits carry, or None; a replacement number's day is 60 less."""
    if not _DIGITS.fullmatch(value):
        return None
    day, month, year = int(value[:2]), int(value[2:4]), int(value[4:6])
    return _date(_century(int(value[6]), year) + year, month, day - 60 if day > 60 else day)


def age(value: str, today: date) -> int | None:
    """Give the whole years between the number's date of birth and ``today``, or None where it carries no such date."""
    born = birth_date(value)
    return None if born is None or born > today else _years(born, today)


def from_wire(value: str) -> str | None:
    """Give what stands after the Danish prefix of a schacPersonalUniqueID, unjudged; None for any other value."""
    folded = value.casefold()
    return next((value[len(urn) :] for urn in _URNS if folded.startswith(urn)), None)


def mask(value: str) -> str:
    """Give ``DDMMYY-••••``, for the eyes of the number's owner only; all dots where no six digits stand in front."""
    front = value[:6]
    return f"{front if re.fullmatch('[0-9]{6}', front) else '•' * 6}-••••"


def looks_like_cpr(text: str, *, apart: bool = False) -> bool:
    """Say whether something in ``text`` reads as a CPR number: replacement numbers, spaced ones, any script's digits.

    With ``apart`` it must not run on into letters: of ids of 40 random hex digits one in 360 holds
    such a run.
    """
    return (_APART if apart else _SHAPED).search(_plain(text)) is not None


def blotted(text: str, blot: str) -> str:
    """Give ``text`` with ``blot`` over everything that reads as a CPR number, constructed ones included.

    Where there is none the text comes back as it was, else in plain characters.
    """
    plain = _plain(text)
    blotted_out = _ANY_KIND.sub(lambda _: blot, plain)
    return text if blotted_out == plain else blotted_out


def spellings(value: str) -> tuple[str, ...]:
    """Give the ways in which a desk types ten characters: together, with a hyphen, with a space."""
    return (value, f"{value[:6]}-{value[6:]}", f"{value[:6]} {value[6:]}")


def _plain(text: str) -> str:
    """Give ``text`` as it is read: every script's digits as ours, every dash, dot, bullet and space as an ASCII one."""
    if text.isascii():
        return text
    return "".join(map(_plain_character, unicodedata.normalize("NFKC", text)))


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in _UNSEEN:
        return ""
    return {"Z": " ", "P": "-", "S": "-"}.get(category[0], character)


def _century(seventh: int, year: int) -> int:
    if seventh <= 3:
        return 1900
    if seventh in {4, 9}:
        return 2000 if year <= 36 else 1900
    return 2000 if year <= 57 else 1800


def _some_date(value: str) -> bool:
    """Say whether ddmmyy is a day of some century: a serial of letters tells of none."""
    day, month, year = int(value[:2]), int(value[2:4]), int(value[4:6])
    return any(_date(century + year, month, day) for century in (1900, 2000))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
