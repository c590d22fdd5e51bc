"""What Serviceplatformen's answer says of a person; a value of another shape is a refusal."""

from collections.abc import Mapping
from typing import Any, Final

from broker.adapters.registers.answer_values import misshapen, number, postal_code, text
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
# Elements of protection that say nothing about name and address: directories and marketing.
_OTHER_PROTECTIONS: Final = frozenset({"vejviserbeskyttelse", "markedsfoeringsbeskyttelse"})
_PROTECTION: Final = "adressebeskyttelse"
_ABOUT_PROTECTION: Final = "beskyttelse"
_TOO_MUCH: Final = "_raw_elements"  # what the reader of the interface had no place for

Element = Mapping[str, Any]


def read(answer: Element, asked: str, named: frozenset[str] = frozenset()) -> RegisteredPerson:
    """Return the person of the answer to a look-up of the number ``asked``.

    ``named`` are the elements of the person as it was written, in small letters: the reader of the
    interface makes nothing of one that is empty. RegisterRefused where a value is not of the shape
    that the interface has, an element stands twice, the person is another, or no ``persondata`` is
    there. Source: docs/reference/cpr-register.md#sf1520.
    """
    person = _below(answer, "persondata")
    _refuse_repeated(answer)
    if not person or number(person, "personnummer") not in {"", asked}:
        raise misshapen("persondata")
    status = text(_below(person, "status"), "status")
    residence = _RESIDENCES.get(status, Residence.NOT_UNDERSTOOD)
    if number(person, "gaeldendePersonnummer") not in {"", asked}:
        residence = Residence.NUMBER_CHANGED
    return RegisteredPerson(
        residence=residence,
        name=_name(person),
        address=_address(answer) if residence in _WITH_ADDRESS else None,
        protected=_is_protected(person, named),
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
        postal_code=postal_code(written, "postnummer"),
        city=text(written, "postdistrikt"),
    )


def _is_protected(person: Element, named: frozenset[str]) -> bool:
    """Return whether name and address are protected; a kind that is not known protects too."""
    protection = _below(person, _PROTECTION)
    if _is_marked(protection, "beskyttet"):
        return True
    told = {name for name in named if _ABOUT_PROTECTION in name} - _OTHER_PROTECTIONS
    if protection:
        told -= {_PROTECTION}
    return bool(told)


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
    _refuse_repeated(value)
    return value


def _refuse_repeated(element: Element) -> None:
    """Refuse an element below which one stands twice: which of them holds is not guessed."""
    for extra in element.get(_TOO_MUCH) or ():
        name = str(getattr(extra, "tag", "")).rpartition("}")[2]
        if name in element:
            raise misshapen(name)
