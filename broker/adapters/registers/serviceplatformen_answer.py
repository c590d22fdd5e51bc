"""What Serviceplatformen's answer says of a person; a value of another shape is a refusal."""

from collections.abc import Mapping
from typing import Any, Final

from broker.adapters.registers.answer_values import misshapen, text
from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredName,
    RegisteredPerson,
    Residence,
    street_line,
)

_RESIDENCES: Final = {
    "1": Residence.IN_DENMARK,
    "3": Residence.WITHOUT_USABLE_ADDRESS,
    "5": Residence.IN_GREENLAND,
    "7": Residence.IN_GREENLAND,
    "20": Residence.NEVER_RESIDENT,
    "30": Residence.ANNULLED,
    "50": Residence.NUMBER_CHANGED,
    "60": Residence.NUMBER_CHANGED,
    "70": Residence.DISAPPEARED,
    "80": Residence.ABROAD,
    "90": Residence.DEAD,
}
_WITH_ADDRESS: Final = frozenset({Residence.IN_DENMARK, Residence.IN_GREENLAND})
_TRUE: Final = frozenset({"true", "1", ""})
_FALSE: Final = frozenset({"false", "0"})

Element = Mapping[str, Any]


def read(answer: Element, asked: str) -> RegisteredPerson:
    """Return the person of the answer to a look-up of the number ``asked``.

    RegisterRefused where a value is not of the shape that the interface has, or no ``persondata``
    is there. Source: docs/reference/cpr-register.md#sf1520.
    """
    person = _below(answer, "persondata")
    if not person:
        raise misshapen("persondata")
    status = text(_below(person, "status"), "status")
    residence = _RESIDENCES.get(status, Residence.NOT_UNDERSTOOD)
    return RegisteredPerson(
        residence=residence,
        name=_name(person),
        address=_address(answer) if residence in _WITH_ADDRESS else None,
        protected=_is_marked(_below(person, "adressebeskyttelse"), "beskyttet"),
        current_number=_current_number(person, asked),
        under_guardianship=_is_marked(_below(person, "umyndiggoerelse"), "umyndiggjort"),
    )


def _name(person: Element) -> RegisteredName | None:
    name = _below(person, "navn")
    surname = text(name, "efternavn")
    if not surname:
        return None
    return RegisteredName(text(name, "fornavn"), text(name, "mellemnavn"), surname)


def _address(answer: Element) -> RegisteredAddress | None:
    written = _below(_below(answer, "adresse"), "aktuelAdresse")
    if not written:
        return None
    road = text(written, "vejadresseringsnavn") or text(written, "vejnavn")
    parts = (text(written, part) for part in ("husnummer", "etage", "sidedoer"))
    return RegisteredAddress(
        care_of=text(written, "conavn"),
        street=street_line(road, *parts),
        place=text(written, "bynavn") or text(written, "lokalitet"),
        postal_code=text(written, "postnummer"),
        city=text(written, "postdistrikt"),
    )


def _current_number(person: Element, asked: str) -> str | None:
    number = text(person, "gaeldendePersonnummer")
    return number if number and number != asked else None


def _is_marked(element: Element, mark: str) -> bool:
    """Return whether what an element tells of is in force; dates without the mark are too."""
    if not element:
        return False
    said = text(element, mark).casefold()
    if said in _FALSE:
        return False
    if said in _TRUE:
        return True
    raise misshapen(mark)


def _below(element: Element, name: str) -> Element:
    value = element.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise misshapen(name)
    return value
