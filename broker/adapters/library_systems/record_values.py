"""Values in library systems: CPR numbers as staff write them, and dates."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity import cpr

_TEN_DIGITS: Final = re.compile(r"[0-9]{6}[- ]?[0-9]{4}")
# The first digit of a replacement number's day is 6 or more (docs/reference/cpr.md#format).
_REPLACEMENT: Final = "6789"


def spell_cpr(number: str) -> tuple[str, str, str]:
    """Return the three spellings of a CPR number that staff use, digits only first.

    Raises LibraryRefused unless it has ten digits.
    """
    if not _TEN_DIGITS.fullmatch(number):
        raise LibraryRefused("find: the number to look for has not ten digits")
    day = number[:6]
    running = number[-4:]
    return (day + running, f"{day}-{running}", f"{day} {running}")


def read_day(text: object) -> date | None:
    """Read a date as Koha (2031-11-24, 2031-11-24T22:39:08) or Alma (2031-11-24Z) writes it."""
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def read_text(record: Mapping[str, Any], field: str) -> str | None:
    """Return a text, None if it is empty. Raises LibraryUnavailable for another type."""
    value = record.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)  # a card number that Koha has just made
    raise LibraryUnavailable(f"a borrower whose {field} is no text")


def drop_repeated(borrowers: Iterable[Borrower]) -> tuple[Borrower, ...]:
    """Return each borrower once, although several searches may have found it."""
    return tuple({borrower.number: borrower for borrower in borrowers}.values())


def is_shaped_as_cpr(text: str) -> bool:
    """Return whether a text has the form of a CPR number."""
    return bool(_TEN_DIGITS.fullmatch(text))


def find_real_cpr(values: Iterable[str]) -> str | None:
    """Return the first real CPR number, as ten digits; a replacement number is not real.

    Source: docs/reference/cpr.md#format.
    """
    for value in values:
        written = value.strip()
        if not is_shaped_as_cpr(written):
            continue
        number = written[:6] + written[-4:]
        if cpr.birth_date(number) and number[0] not in _REPLACEMENT:
            return number
    return None
