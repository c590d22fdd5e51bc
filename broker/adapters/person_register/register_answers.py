"""Common parts of the registers: settings, look-ups, and values of an answer.

Reject a value that is not as documented; do not guess it.
"""

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from broker.adapters.connectors import ConnectorKeys
from broker.adapters.http_exchange import Exchange, moment
from broker.core.borrowers.library_setup import LibraryCallObserver, SetupFault
from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredPerson,
    RegisterError,
    RegisterRefused,
    RegisterUnavailable,
    street_line,
)
from broker.core.identity import cpr
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.identity.cpr import CprKind

NOT_NOW: Final = frozenset({408, 425, 429, 502, 503, 504})  # statuses that another try may change
_LONGEST: Final = 200  # letters of a value; the CPR register has at most 40
_POSTAL_CODE: Final = re.compile("[0-9]{3,4}")


class RegisterKeys(ConnectorKeys):
    """The keys of ``[person_register]`` that all registers have.

    ``certificate`` and ``key`` are PEM files of the broker's OCES certificate.
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
        """The files of the certificate and its key; None if none is configured."""
        if not self.certificate:
            return None
        return self.certificate, self.key


class CprRegister:
    """A client of the CPR register; threads may share it. Subclasses send and read one look-up."""

    # The setting that a failed probe names if the error names none.
    probed_setting = "person_register"

    def __init__(self, keys: RegisterKeys, observe: LibraryCallObserver) -> None:
        self._timeout = keys.timeout
        self._observe = observe

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Return the register's answer about a CPR number; None if it does not know the number."""
        began = time.monotonic()
        outcome = "unavailable"
        try:
            person = self._find(cpr, moment(deadline, self._timeout))
            outcome = "done"
        except RegisterRefused:
            outcome = "refused"
            raise
        finally:
            self._observe("look_up", outcome, time.monotonic() - began)
        return person

    def check_setup(self, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return why the register cannot be used; no person is looked up."""
        try:
            self._probe(moment(deadline, self._timeout))
        except RegisterError as error:
            return (SetupFault(error.setting or self.probed_setting, str(error)),)
        return ()

    def _find(self, cpr: str, until: float) -> RegisteredPerson | None:
        raise NotImplementedError

    def _probe(self, until: float) -> None:
        raise NotImplementedError


def open_exchange(url: str, keys: RegisterKeys) -> Exchange:
    """Return the HTTP client of the host of ``url``."""
    base = f"https://{urlsplit(url).netloc}"
    return Exchange(base, keys.ca_file, keys.client_certificate, RegisterUnavailable)


def make_person(
    note: str | None, addresses: Iterable[Mapping[str, Any]], *, protected: bool
) -> RegisteredPerson:
    """Return the person. Raises RegisterRefused if several addresses are current."""
    found = set(map(_read_address, addresses))
    if len(found) > 1:
        raise make_misshapen("address")
    return RegisteredPerson(note, found.pop() if found else None, protected)


def _read_address(row: Mapping[str, Any]) -> RegisteredAddress:
    road = read_text(row, "vejadresseringsnavn") or read_text(row, "vejnavn")
    parts = (read_text(row, part) for part in ("husnummer", "etage", "sidedoer"))
    return RegisteredAddress(
        care_of=read_text(row, "conavn"),
        street=street_line(road, *parts),
        place=read_text(row, "bynavn") or read_text(row, "lokalitet"),
        postal_code=read_postal_code(row, "postnummer"),
        city=read_text(row, "postdistrikt"),
    )


def read_text(row: Mapping[str, Any], name: str) -> str:
    """Return a text of an answer without superfluous blanks; "" if it is missing.

    Raises RegisterRefused if it is no text, longer than 200 letters, not readable, or holds a CPR
    number, which does not belong in an address.
    """
    found = _words(row, name)
    if cpr.looks_like_cpr(found):
        raise make_misshapen(name)
    return found


def read_postal_code(row: Mapping[str, Any], name: str) -> str:
    """Return a postal code of four digits; "" if it is missing.

    Raises RegisterRefused unless it has four digits, or three if the first would be 0.
    """
    found = read_text(row, name)
    if found and not _POSTAL_CODE.fullmatch(found):
        raise make_misshapen(name)
    return found.zfill(4) if found else ""


def read_number(row: Mapping[str, Any], name: str) -> str:
    """Return a CPR number of an answer; "" if it is missing.

    Raises RegisterRefused unless a person in the register can have it: ten digits with a date, and
    no replacement number.
    """
    found = _words(row, name)
    today = datetime.now(UTC).date()
    if found and cpr.classify(found, today) is not CprKind.REAL:
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
    """Return the error for a field of an answer that is not as documented."""
    return RegisterRefused(f"the field {name} of the answer is not as documented")
