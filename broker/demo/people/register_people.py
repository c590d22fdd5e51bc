"""The persons of the simulated register: those of the demo, and those who try the register."""

from collections.abc import Mapping, Sequence
from typing import Final

from broker.demo.people.persona import (
    AU,
    NEMLOGIN,
    Persona,
    by_eid,
    by_university,
    registered_borrower,
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
    "private adult whose name and address are protected",
    by_eid(41, "Runa Skov", "1506781120"),
    "PRIVATE",
)
MAJA: Final = Persona(
    "maja",
    NEMLOGIN,
    "private adult, married since the desk registered her: another surname",
    by_eid(42, "Maja Lindholm", "0805901152"),
    "PRIVATE",
    (
        registered_borrower(
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
    "somebody who has taken over the login of Dagny, who is dead",
    by_eid(43, "Dagny Holst", "2302511120"),
    "PRIVATE",
)
ULF: Final = Persona(
    "ulf",
    AU,
    "student whose university still asserts a CPR number that was changed",
    by_university("ulf", "Ulf Nyborg", "1111994133", ("student@au.dk",)),
    "STUDENT",
)
ELIN: Final = Persona(
    "elin",
    AU,
    "student who has emigrated",
    by_university("elin", "Elin Fjord", "1709842184", ("student@au.dk",)),
    "STUDENT",
)

# Beside the people of every demo, where it runs with a register.
REGISTER_PEOPLE: Final = (RUNA, MAJA, DAGNY, ULF, ELIN)

# Of whom no address reaches the library system.
NOT_WRITTEN: Final = frozenset({"runa", "dagny", "ulf", "elin"})
# Of the protected and the dead the register has a middle name and an address that no login
# asserts: where one of them turns up, it has come from the register.
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
    """Return the rows of the register by number: of everybody in the demo who has a real one."""
    people = people_with(register=True)
    found = {}
    for place, person in enumerate(people):
        number = person.cpr
        if number and _is_real(number) and number not in found:
            found[number] = _ROWS.get(person.name) or _ordinary(person, place)
    return found


def _ordinary(person: Persona, place: int) -> RegisterRow:
    """Return the row of somebody who lives somewhere in Aarhus."""
    (given,) = person.attributes["gn"]
    (surname,) = person.attributes["sn"]
    street = _STREETS[place % len(_STREETS)]
    return RegisterRow(given=given, surname=surname, address=_address(street, f"{place + 1:03d}"))


def _is_real(number: str) -> bool:
    """Return whether a register of persons has this number: no replacement, no constructed one."""
    return number.isdecimal() and int(number[:2]) < _FIRST_DAY_OF_REPLACEMENT
