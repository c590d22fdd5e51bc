"""What Serviceplatformen's answer says of a person; a value of another shape is a refusal."""

from collections.abc import Mapping
from typing import Any, Final

from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredName,
    RegisteredPerson,
    RegisterRefused,
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
_LONGEST: Final = 200  # letters of one value

Element = Mapping[str, Any]


def read(answer: Element, asked: str) -> RegisteredPerson:
    """Return the person of the answer to a look-up of the number ``asked``.

    RegisterRefused where a value is not of the shape that the interface has, or no ``persondata``
    is there. Source: docs/reference/cpr-register.md#sf1520.
    """
    person = _below(answer, "persondata")
    if not person:
        raise _misshapen("persondata")
    status = _text(_below(person, "status"), "status")
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
    surname = _text(name, "efternavn")
    if not surname:
        return None
    return RegisteredName(_text(name, "fornavn"), _text(name, "mellemnavn"), surname)


def _address(answer: Element) -> RegisteredAddress | None:
    written = _below(_below(answer, "adresse"), "aktuelAdresse")
    if not written:
        return None
    road = _text(written, "vejadresseringsnavn") or _text(written, "vejnavn")
    parts = (_text(written, part) for part in ("husnummer", "etage", "sidedoer"))
    return RegisteredAddress(
        care_of=_text(written, "conavn"),
        street=street_line(road, *parts),
        place=_text(written, "bynavn") or _text(written, "lokalitet"),
        postal_code=_text(written, "postnummer"),
        city=_text(written, "postdistrikt"),
    )


def _current_number(person: Element, asked: str) -> str | None:
    number = _text(person, "gaeldendePersonnummer")
    return number if number and number != asked else None


def _is_marked(element: Element, mark: str) -> bool:
    """Return whether what an element tells of is in force; dates without the mark are too."""
    if not element:
        return False
    text = _text(element, mark).casefold()
    if text in _FALSE:
        return False
    if text in _TRUE:
        return True
    raise _misshapen(mark)


def _below(element: Element, name: str) -> Element:
    value = element.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _misshapen(name)
    return value


def _text(element: Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise _misshapen(name)
    return " ".join(value.split())


def _misshapen(name: str) -> RegisterRefused:
    return RegisterRefused(f"the element {name} of the answer is not as the interface has it")
