"""The type of a person in the simulated register, and the GraphQL node made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_PROTECTIONS_WITHOUT_SECRECY: Final = frozenset(
    {"lokal_vejviser", "markedsfoering", "kreditadvarsel"}
)


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """One person: the register's status word, name, address parts, protections.

    ``address`` has the register's field names, with its zero-padding. ``later_number`` is the
    number that replaced this one.
    """

    status: str = "bopael_i_danmark"
    given: str = ""
    middle: str = ""
    surname: str = ""
    address: Mapping[str, str] = field(default_factory=dict)
    protections: tuple[str, ...] = ()
    later_number: str = ""

    @property
    def is_protected(self) -> bool:
        """Return whether name and address are protected."""
        return bool(set(self.protections) - _PROTECTIONS_WITHOUT_SECRECY)


def make_person_node(number: str, row: RegisterRow) -> dict[str, Any]:
    """Return the GraphQL node of a person.

    It has a former name and a former address too, which a correct client ignores.
    """
    former = {
        "fornavne": "Tidligere",
        "mellemnavn": None,
        "efternavn": "Navn",
        "status": "historisk",
    }
    name = {
        "fornavne": row.given or None,
        "mellemnavn": row.middle or None,
        "efternavn": row.surname or None,
        "status": "aktuel",
    }
    return {
        "id": f"00000000-0000-4000-8000-{number.zfill(12)}",
        "status": row.status,
        "navne": [former, name],
        "adresseoplysninger": _addresses(row),
        "beskyttelser": [
            {"beskyttelsestype": kind, "status": "aktuel"} for kind in row.protections
        ],
        "personnumre": _numbers(number, row),
    }


def _addresses(row: RegisterRow) -> list[dict[str, Any]]:
    former = {"vejadresseringsnavn": "Forladtvej", "husnummer": "001", "postnummer": "9999"}
    rows: list[dict[str, Any]] = [{"status": "historisk", "cprAdresse": former}]
    if row.address:
        rows.append({"status": "aktuel", "cprAdresse": dict(row.address)})
    return rows


def _numbers(number: str, row: RegisterRow) -> list[dict[str, Any]]:
    if row.later_number:
        return [
            {"personnummer": number, "status": "historisk"},
            {"personnummer": row.later_number, "status": "aktuel"},
        ]
    return [{"personnummer": number, "status": "aktuel"}]
