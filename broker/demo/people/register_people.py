"""The people of the simulated register: the demo's personas, and five special cases."""

from collections.abc import Mapping, Sequence
from typing import Final

from broker.demo.people.persona import (
    AU,
    NEMLOGIN,
    Persona,
    eid_attributes,
    staff_record,
    university_attributes,
)
from broker.demo.people.personas import PERSONAS
from broker.demo.register.register_rows import RegisterRow

_STREETS: Final = ("Birkestien", "Engdraget", "Fyrrevænget", "Havnegade", "Ærtevej")
_FIRST_DAY_OF_REPLACEMENT: Final = 61


def _address(street: str, house: str, *, floor: str = "", door: str = "") -> Mapping[str, str]:
    return {
        "vejadresseringsnavn": street,
        "vejnavn": street,
        "husnummer": house,
        "etage": floor,
        "sidedoer": door,
        "postnummer": "8000",
        "postdistrikt": "Aarhus C",
    }


RUNA: Final = Persona(
    "runa",
    NEMLOGIN,
    (
        "private adult whose name and address are protected",
        "privat voksen med navne- og adressebeskyttelse",
    ),
    eid_attributes(41, "Runa Skov", "1506781120"),
    "PRIVATE",
)
MAJA: Final = Persona(
    "maja",
    NEMLOGIN,
    (
        "private adult, married since the desk registered her: another surname",
        "privat voksen, gift siden skranken oprettede hende: et andet efternavn",
    ),
    eid_attributes(42, "Maja Lindholm", "0805901152"),
    "PRIVATE",
    (
        staff_record(
            "PRIVATE",
            "0805901152",
            "Bech",
            firstname="Maja",
            email="m@own.example",
            date_of_birth="1990-05-08",
        ),
    ),
)
DAGNY: Final = Persona(
    "dagny",
    NEMLOGIN,
    (
        "somebody who has taken over the login of Dagny, who is dead",
        "en, der bruger Dagnys login; Dagny er død",
    ),
    eid_attributes(43, "Dagny Holst", "2302511120"),
    "PRIVATE",
)
ULF: Final = Persona(
    "ulf",
    AU,
    (
        "student whose university still asserts a CPR number that was changed",
        "studerende, hvis universitet stadig sender et gammelt CPR-nummer",
    ),
    university_attributes("ulf", "Ulf Nyborg", "1111994133", ("student@au.dk",)),
    "STUDENT",
)
ELIN: Final = Persona(
    "elin",
    AU,
    ("student who has emigrated", "studerende, der er rejst ud af landet"),
    university_attributes("elin", "Elin Fjord", "1709842184", ("student@au.dk",)),
    "STUDENT",
)

# Additional people of a demo with a register.
REGISTER_PEOPLE: Final = (RUNA, MAJA, DAGNY, ULF, ELIN)

# People whose address must not reach the library system.
NOT_WRITTEN: Final = frozenset({"runa", "dagny", "ulf", "elin"})
# Only the register has a middle name and an address of the protected and the dead person: a check
# that finds them elsewhere has found a leak.
_ROWS: Final[Mapping[str, RegisterRow]] = {
    "runa": RegisterRow(
        given="Runa",
        middle="Skjulnavn",
        surname="Skov",
        address=_address("Dulgtvej", "077", floor="02", door="th"),
        protections=("navne_og_adresse",),
    ),
    "maja": RegisterRow(given="Maja", surname="Lindholm", address=_address("Bryllupsgade", "004")),
    "dagny": RegisterRow(
        status="doed",
        given="Dagny",
        middle="Mindenavn",
        surname="Holst",
        address=_address("Afskedsvej", "013"),
    ),
    "ulf": RegisterRow(
        status="nedlagt_person", given="Ulf", surname="Nyborg", later_number="1111994222"
    ),
    "elin": RegisterRow(status="udrejst", given="Elin", surname="Fjord"),
}


def people_with(*, register: bool) -> Sequence[Persona]:
    """Return the people of a demo, with or without a register of persons."""
    if register:
        return (*PERSONAS, *REGISTER_PEOPLE)
    return PERSONAS


def rows() -> Mapping[str, RegisterRow]:
    """Return the rows of the register: all people of the demo with a real CPR number."""
    people = people_with(register=True)
    found = {}
    for place, person in enumerate(people):
        number = person.cpr
        if number and _is_real(number) and number not in found:
            found[number] = _ROWS.get(person.name) or _build_ordinary_row(person, place)
    return found


def _build_ordinary_row(person: Persona, place: int) -> RegisterRow:
    """Return the row of a person with an ordinary address in Aarhus."""
    (given,) = person.attributes["gn"]
    (surname,) = person.attributes["sn"]
    street = _STREETS[place % len(_STREETS)]
    return RegisterRow(given=given, surname=surname, address=_address(street, f"{place + 1:03d}"))


def _is_real(number: str) -> bool:
    """Return whether a number is a real CPR number, neither replaced nor constructed."""
    return number.isdecimal() and int(number[:2]) < _FIRST_DAY_OF_REPLACEMENT
