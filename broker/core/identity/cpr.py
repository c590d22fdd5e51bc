"""CPR numbers: their four kinds, their spellings, their mask, and how to find one in a text.

The rules and their sources are in docs/reference/cpr.md#format. Asserted values are read strictly.
"""

import re
import unicodedata
from datetime import date
from enum import StrEnum
from typing import Final

# Two spellings of the SCHAC namespace are in use. Case does not count in namespace and country code
# (RFC 8141).
_URNS: Final = (
    "urn:mace:terena.org:schac:personaluniqueid:dk:cpr:",
    "urn:schac:personaluniqueid:dk:cpr:",
)

_DIGITS: Final = re.compile(r"[0-9]{10}")
# Aarhus University's number for a person without a CPR: date of birth, a serial that is not all
# digits, a sex digit.
_CONSTRUCTED: Final = re.compile(r"[0-9]{6}(?![0-9]{3})[0-9A-Za-z]{3}[0-9]")
# To the day of birth of a replacement number.
_REPLACEMENT_ADDS: Final = 60
# No person has been older than 122. The 1800s of the century table are all too long ago.
_OLDEST: Final = 125

# Measured: the plain \d{6}-?\d{4} misses a number inside a word and hits every epoch time
# (docs/reference/cpr.md#shape). Day, month, year and running number may stand apart, for a person
# reads 14.03.04 - 4004 as well as a program does.
_GAP: Final = "[-./ ]{0,3}"
_DAY: Final = "(?:0[1-9]|[12][0-9]|3[01]|6[1-9]|[78][0-9]|9[01])"
_MONTH: Final = "(?:0[1-9]|1[0-2])"
_DATE: Final = rf"{_DAY}{_GAP}{_MONTH}{_GAP}[0-9]{{2}}{_GAP}"
# The running number in two pairs, only where the pairs before it are alike: of 2012-06-30 12:34 and
# 12.10.2030 20:45 nothing may read as one.
_CUT: Final = "[-./ ]{1,3}"
_DAY_MONTH: Final = f"(?:{_DAY}{_MONTH}|{_DAY}{_CUT}{_MONTH}{_CUT})"
_PAIRS: Final = rf"{_DAY_MONTH}[0-9]{{2}}{_CUT}[0-9]{{2}}{_CUT}[0-9]{{2}}"
_NUMBER: Final = rf"(?:{_DATE}[0-9]{{4}}|{_PAIRS})"
_SHAPED: Final = re.compile(rf"(?<![0-9]){_NUMBER}(?![0-9])")
_APART: Final = re.compile(rf"(?<![0-9A-Za-z]){_NUMBER}(?![0-9A-Za-z])")
_SERIAL: Final = "(?![0-9]{3})[0-9A-Za-z]{3}[0-9](?![0-9A-Za-z])"
# Every number begins with its day, in two digits. A search for two digits first takes a tenth of
# the time (measured), and a login has thirty texts.
_TWO_DIGITS: Final = re.compile("[0-9][0-9]")
_ANY_KIND: Final = re.compile(rf"(?<![0-9])(?:{_NUMBER}(?![0-9])|{_DATE}{_SERIAL})")
_NOT_ASCII: Final = re.compile("[^\x00-\x7f]")
# ASCII and the letters of Danish and its neighbours, which are read as they stand.
_NOT_LATIN: Final = re.compile(r"[^\x00-\x7f\xc0-\xd6\xd8-\xf6\xf8-\xff]")
# Characters that are invisible between two digits: zero-width characters, accents, the frame of a
# keycap.
_UNSEEN: Final = frozenset({"Cf", "Mn", "Me"})
# Separators, punctuation and symbols of any script, read as the plain ones of ``_GAP``.
_PLAIN: Final = {"Z": " ", "P": "-", "S": "-"}


class CprKind(StrEnum):
    """The kind of an asserted value; only a real number enrols by itself.

    Source: docs/reference/design.md#invariant-5.
    """

    REAL = "real"
    REPLACEMENT = "replacement"
    CONSTRUCTED = "constructed"
    INVALID = "invalid"


def classify(value: str, today: date) -> CprKind:
    """Return the kind of an asserted ``value``: exactly ten ASCII characters, or it is invalid.

    Modulus 11 is not checked: valid numbers fail it since 2007. A birth date in the future, or more
    than 125 years ago, is not.
    """
    if _CONSTRUCTED.fullmatch(value):
        if not _some_date(value):
            return CprKind.INVALID
        return CprKind.CONSTRUCTED
    born = birth_date(value)
    if born is None or born > today:
        return CprKind.INVALID
    if _years(born, today) > _OLDEST:
        return CprKind.INVALID
    if value[0] in "6789":
        return CprKind.REPLACEMENT
    return CprKind.REAL


def birth_date(value: str) -> date | None:
    """Return the date of birth in ten digits, or None; a replacement number's day is 60 less."""
    if not _DIGITS.fullmatch(value):
        return None
    day, month, year = _day_month_year(value)
    if day > _REPLACEMENT_ADDS:
        day -= _REPLACEMENT_ADDS
    century = _century(int(value[6]), year)
    return _date(century + year, month, day)


def compute_age(value: str, today: date) -> int | None:
    """Return the whole years from the number's date of birth to ``today``; None without one."""
    born = birth_date(value)
    if born is None or born > today:
        return None
    return _years(born, today)


def parse_unique_id(value: str) -> str | None:
    """Return what follows the Danish prefix of a schacPersonalUniqueID, unchecked; else None."""
    folded = value.casefold()
    for urn in _URNS:
        if folded.startswith(urn):
            return value[len(urn) :]
    return None


def looks_like_cpr(text: str, *, apart: bool = False) -> bool:
    """Return whether something in ``text`` reads as a CPR number, in any script's digits.

    Replacement numbers and spaced ones count. With ``apart`` it must not run on into letters: of
    ids of 40 random hex digits one in 360 holds such a run.
    """
    plain = text if text.isascii() else _plain(text)
    digits = _TWO_DIGITS.search(plain)
    if digits is None:
        return False
    shape = _APART if apart else _SHAPED
    return shape.search(plain, digits.start()) is not None


def mask_numbers(text: str, blot: str) -> str:
    """Return ``text`` with ``blot`` over everything that reads as a CPR number.

    Constructed numbers are included. Where there is none the text comes back as it was, else in
    plain characters.
    """
    plain = text if text.isascii() else _plain(text)
    if not _TWO_DIGITS.search(plain):
        return text
    without_numbers = _ANY_KIND.sub(lambda _: blot, plain)
    if without_numbers == plain:
        return text
    return without_numbers


def _plain(text: str) -> str:
    """Return ``text`` as it is read: digits, dashes, dots, bullets and spaces as the ASCII ones."""
    if not _NOT_LATIN.search(text):
        return text
    # Most of a text is ASCII, and a thousand policy files are long.
    return _NOT_ASCII.sub(_plain_character, unicodedata.normalize("NFKC", text))


def _plain_character(found: re.Match[str]) -> str:
    character = found[0]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in _UNSEEN:
        return ""
    return _PLAIN.get(category[0], character)


def _century(seventh: int, year: int) -> int:
    if seventh <= 3:
        return 1900
    if seventh in {4, 9}:
        return 2000 if year <= 36 else 1900
    return 2000 if year <= 57 else 1800


def _some_date(value: str) -> bool:
    """Return whether ddmmyy is a day of some century: a serial with letters names none."""
    day, month, year = _day_month_year(value)
    return any(_date(century + year, month, day) for century in (1900, 2000))


def _day_month_year(value: str) -> tuple[int, int, int]:
    """Return the first three pairs of digits; the year is one of a century."""
    day = int(value[:2])
    month = int(value[2:4])
    year = int(value[4:6])
    return day, month, year


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _years(born: date, today: date) -> int:
    years = today.year - born.year
    if (today.month, today.day) < (born.month, born.day):
        years -= 1
    return years
