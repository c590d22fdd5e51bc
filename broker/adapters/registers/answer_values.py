"""Reads single values of a register's answer: what is not as documented is refused, not guessed."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from broker.core.borrowers.registered_person import RegisterRefused
from broker.core.identity import cpr
from broker.core.identity.accepted_text import TextKind, text_fault
from broker.core.identity.cpr import CprKind

_LONGEST: Final = 200  # letters of one value; the CPR register's own longest is 40
_OF_PERSONS: Final = frozenset({CprKind.REAL, CprKind.REAL_WITHOUT_MODULUS_11})
_POSTAL_CODE: Final = re.compile("[0-9]{3,4}")


def text(row: Mapping[str, Any], name: str) -> str:
    """Return a text of an answer, blanks around and doubled taken out; "" where there is none.

    RegisterRefused where it is no text, longer than 200 letters, nothing that people can read, or
    holds a CPR number: of a line of an address nobody expects one.
    """
    found = _words(row, name)
    if cpr.looks_like_cpr(found):
        raise misshapen(name)
    return found


def postal_code(row: Mapping[str, Any], name: str) -> str:
    """Return a postal code of an answer; "" where there is none.

    RegisterRefused where it is not four digits, or three for one that begins with nought.
    """
    found = text(row, name)
    if found and not _POSTAL_CODE.fullmatch(found):
        raise misshapen(name)
    return found.zfill(4) if found else ""


def number(row: Mapping[str, Any], name: str) -> str:
    """Return a CPR number of an answer; "" where there is none.

    RegisterRefused where it is none that a person in the register has: not ten digits, without a
    date, or a replacement number. Staff would be asked to write it to a borrower.
    """
    found = _words(row, name)
    today = datetime.now(UTC).date()
    if found and cpr.classify(found, today) not in _OF_PERSONS:
        raise misshapen(name)
    return found


def _words(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise misshapen(name)
    words = " ".join(value.split())
    if text_fault(words, TextKind.PROSE):
        raise misshapen(name)
    return words


def misshapen(name: str) -> RegisterRefused:
    """Return the refusal of an answer of which the field ``name`` is not as documented."""
    return RegisterRefused(f"the field {name} of the answer is not as documented")
