"""The parts that all registers share: settings, observed look-ups, and values of an answer.

A value that is not as documented is refused, not guessed.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Self

from pydantic import model_validator

from broker.adapters.connectors import ConnectorKeys
from broker.core.borrowers.library_system import LibraryCallObserver
from broker.core.borrowers.registered_person import RegisterRefused
from broker.core.identity import cpr
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.identity.cpr import CprKind

_LONGEST: Final = 200  # letters of one value; the CPR register's own longest is 40
_OF_PERSONS: Final = frozenset({CprKind.REAL, CprKind.REAL_WITHOUT_MODULUS_11})
_POSTAL_CODE: Final = re.compile("[0-9]{3,4}")


class RegisterKeys(ConnectorKeys):
    """The keys of ``[person_register]`` that no register goes without.

    ``certificate`` and ``key`` are PEM files of our own OCES certificate.
    """

    section = "person_register"

    certificate: str = ""
    key: str = ""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key are written together")
        return self

    @property
    def client_certificate(self) -> tuple[str, str] | None:
        """The files of our certificate and its key; None where none is named."""
        if not self.certificate:
            return None
        return self.certificate, self.key


@contextmanager
def observe_look_up(observe: LibraryCallObserver) -> Iterator[None]:
    """Report the outcome and the time of a look-up."""
    began = time.monotonic()
    outcome = "unavailable"
    try:
        yield
        outcome = "done"
    except RegisterRefused:
        outcome = "refused"
        raise
    finally:
        observe("look_up", outcome, time.monotonic() - began)


def read_text(row: Mapping[str, Any], name: str) -> str:
    """Return a text of an answer, blanks around and doubled taken out; "" where there is none.

    RegisterRefused where it is no text, longer than 200 letters, nothing that people can read, or
    holds a CPR number: of a line of an address nobody expects one.
    """
    found = _words(row, name)
    if cpr.looks_like_cpr(found):
        raise make_misshapen(name)
    return found


def read_postal_code(row: Mapping[str, Any], name: str) -> str:
    """Return a postal code of an answer; "" where there is none.

    RegisterRefused where it is not four digits, or three for one that begins with nought.
    """
    found = read_text(row, name)
    if found and not _POSTAL_CODE.fullmatch(found):
        raise make_misshapen(name)
    return found.zfill(4) if found else ""


def read_number(row: Mapping[str, Any], name: str) -> str:
    """Return a CPR number of an answer; "" where there is none.

    RegisterRefused where it is none that a person in the register has: not ten digits, without a
    date, or a replacement number. Staff would be asked to write it to a borrower.
    """
    found = _words(row, name)
    today = datetime.now(UTC).date()
    if found and cpr.classify(found, today) not in _OF_PERSONS:
        raise make_misshapen(name)
    return found


def _words(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise make_misshapen(name)
    words = " ".join(value.split())
    if find_text_fault(words, TextKind.PROSE):
        raise make_misshapen(name)
    return words


def make_misshapen(name: str) -> RegisterRefused:
    """Return the refusal of an answer of which the field ``name`` is not as documented."""
    return RegisterRefused(f"the field {name} of the answer is not as documented")
