"""What Datafordeler's answer says of a person; a field of another shape is a refusal, no guess."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from broker.adapters.registers.answer_values import misshapen, postal_code, text
from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredName,
    RegisteredPerson,
    Residence,
    street_line,
)

_CURRENT: Final = "aktuel"
_ENDED: Final = frozenset({"historisk", "rettet", "fortrudt"})
_PROTECTED: Final = "navne_og_adresse"
# Of these kinds, protection says nothing about name and address: directories, marketing, credit.
_OTHER_PROTECTIONS: Final = frozenset({"lokal_vejviser", "markedsfoering", "kreditadvarsel"})
_RESIDENCES: Final = {
    "bopael_i_danmark": Residence.IN_DENMARK,
    "bopael_i_danmark_hoej_vejkode": Residence.WITHOUT_USABLE_ADDRESS,
    "bopael_i_groenland": Residence.IN_GREENLAND,
    "bopael_i_groenland_hoej_vejkode": Residence.IN_GREENLAND,
    "ej_bopael": Residence.NEVER_RESIDENT,
    "annulleret": Residence.ANNULLED,
    "nedlagt_person": Residence.NUMBER_CHANGED,
    "forsvundet": Residence.DISAPPEARED,
    "udrejst": Residence.ABROAD,
    "doed": Residence.DEAD,
}
_WITH_ADDRESS: Final = frozenset({Residence.IN_DENMARK, Residence.IN_GREENLAND})

Row = Mapping[str, Any]
_One = TypeVar("_One")


def read(node: Row) -> RegisteredPerson:
    """Return the person of one node of an answer.

    RegisterRefused where a field is not of the shape that the service documents: an address, or its
    protection, is never guessed. Source: docs/reference/cpr-register.md#graphql.
    """
    residence = _RESIDENCES.get(text(node, "status"), Residence.NOT_UNDERSTOOD)
    return RegisteredPerson(
        residence=residence,
        name=_name(node),
        address=_address(node) if residence in _WITH_ADDRESS else None,
        protected=_is_protected(node),
    )


def _name(node: Row) -> RegisteredName | None:
    names = {
        (text(name, "fornavne"), text(name, "mellemnavn"), text(name, "efternavn"))
        for name in _current(node, "navne")
    }
    if not names:
        return None
    return RegisteredName(*_only(names, "navne"))


def _address(node: Row) -> RegisteredAddress | None:
    rows = _current(node, "adresseoplysninger")
    addresses = {_written(row) for row in rows if row.get("cprAdresse") is not None}
    if not addresses:
        return None
    return _only(addresses, "adresseoplysninger")


def _written(row: Row) -> RegisteredAddress:
    written = row["cprAdresse"]
    if not isinstance(written, Mapping):
        raise misshapen("cprAdresse")
    road = text(written, "vejadresseringsnavn") or text(written, "vejnavn")
    parts = (text(written, part) for part in ("husnummer", "etage", "sidedoer"))
    return RegisteredAddress(
        care_of=text(row, "conavn"),
        street=street_line(road, *parts),
        place=text(written, "bynavn"),
        postal_code=postal_code(written, "postnummer"),
        city=text(written, "postdistrikt"),
    )


def _is_protected(node: Row) -> bool:
    """Return whether name and address are protected now; what is not known protects too.

    That goes for a kind, and for a status that is none of an ended protection.
    """
    if node.get("beskyttelser") is None:
        raise misshapen("beskyttelser")
    rows = [row for row in _rows(node, "beskyttelser") if text(row, "status") not in _ENDED]
    kinds = {text(row, "beskyttelsestype") for row in rows}
    return bool(kinds - _OTHER_PROTECTIONS)


def _only(found: set[_One], name: str) -> _One:
    """Return the one of them; RegisterRefused where there are several: none is guessed."""
    if len(found) > 1:
        raise misshapen(name)
    return found.pop()


def _current(node: Row, name: str) -> Iterator[Row]:
    """Yield the rows of a list of the node that are in force now."""
    return (row for row in _rows(node, name) if text(row, "status") == _CURRENT)


def _rows(node: Row, name: str) -> Iterator[Row]:
    rows = node.get(name)
    if rows is None:
        return
    if not isinstance(rows, list):
        raise misshapen(name)
    for row in rows:
        if not isinstance(row, Mapping):
            raise misshapen(name)
        yield row
