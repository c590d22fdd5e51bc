"""The library system of a demo: a simulated Koha or Alma with the borrowers of the personas."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from flask import Flask

from broker.demo.alma import registered_users, simulated_alma
from broker.demo.alma.administration import Administration as AlmaAdministration
from broker.demo.alma.administration import ApiKey
from broker.demo.alma.alma_desk import AlmaDesk
from broker.demo.alma.sip2_session import Sip2Session as AlmaMachine
from broker.demo.circulation.library_desk import Desk
from broker.demo.circulation.machine_server import TERMINALS, serve_machines
from broker.demo.koha import simulated_koha
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.loans import Circulation
from broker.demo.koha.patrons import Patrons
from broker.demo.koha.sip2_server import serve_sip2
from broker.demo.people.persona import Persona
from broker.demo.people.personas import PERSONAS

SYSTEMS: Final = ("koha", "alma")
CLIENT_SECRET: Final = "demo-client-secret-of-the-patron-api"
_TABLES: Final = {
    "koha": """\
[library]
system = "koha"
mode = "live"
url = "http://127.0.0.1:{patrons}"
client_id = "broker"
client_secret = "{secret}"
library_id = "AUL"
unique_field = "userid"
card_number = "cpr"
cpr_attribute = "CPR"
desk_categories = ["TEMP"]
pin_categories = ["TEMP"]
""",
    "alma": """\
[library]
system = "alma"
mode = "live"
url = "http://127.0.0.1:{patrons}"
api_key = "{secret}"
external_id = "SIS"
cpr_identifier_type = "CPR"
card_number = "cpr"
user_name_identifier_type = "INST_ID"
desk_categories = ["TEMP"]
pin_categories = ["TEMP"]

# A PIN is tried as a machine tries it: no call of Alma's says whether it is right.
[library.sip2]
host = "127.0.0.1"
port = {sip2}
login = "{login}"
password = "{password}"
""",
}

Simulation = simulated_koha.Simulation | simulated_alma.Simulation


@dataclass(frozen=True, slots=True)
class DemoLibrary:
    """A library system that plays: its application, its parts, its desk, its machines' port."""

    app: Flask
    simulation: Simulation
    desk: Desk
    serve_machines: Callable[[int], AbstractContextManager[int]]


def table(system: str, patrons: int, sip2: int) -> str:
    """Return ``[library]`` of a demo with this system at these ports."""
    ((login, password),) = TERMINALS.items()
    return _TABLES[system].format(
        patrons=patrons, secret=CLIENT_SECRET, sip2=sip2, login=login, password=password
    )


def simulated(system: str, people: Sequence[Persona]) -> DemoLibrary:
    """Return the system, with the borrowers of ``people`` that staff have registered."""
    return _MAKERS[system](people)


def seeds(people: Sequence[Persona] = PERSONAS) -> list[dict[str, str]]:
    """Return the borrowers that staff have registered before the demo begins."""
    return [dict(borrower) for person in people for borrower in person.registered]


def lent(patrons: Patrons) -> Circulation:
    """Return the circulation of a Koha, with the loans of the registered borrowers."""
    circulation = Circulation(patrons)
    lend_to_personas(circulation)
    return circulation


def lend_to_personas(desk: Desk) -> None:
    """Lend their books to the personas whom staff have registered."""
    for person in PERSONAS:
        if person.loans:
            borrower = desk.called(person.registered[0]["userid"])
            if borrower is None:
                raise LookupError(person.name)
            for book in person.loans:
                desk.table.lend(borrower.number, book)


def _koha(people: Sequence[Persona]) -> DemoLibrary:
    app = simulated_koha.create_app(
        seeds(people),
        administration=FOUR_DIGIT_PINS,
        clients={"broker": simulated_koha.Client(CLIENT_SECRET)},
    )
    koha: simulated_koha.Simulation = app.extensions["koha"]
    circulation = lent(koha.patrons)
    return DemoLibrary(app, koha, circulation, lambda port: serve_sip2(circulation, port))


def _alma(people: Sequence[Persona]) -> DemoLibrary:
    keys = {CLIENT_SECRET: ApiKey()}
    app = simulated_alma.create_app(administration=AlmaAdministration(keys=keys))
    alma: simulated_alma.Simulation = app.extensions["alma"]
    registered_users.register(alma.users, seeds(people))
    desk = AlmaDesk(alma.users, alma.loans)
    lend_to_personas(desk)

    def machines(port: int) -> AbstractContextManager[int]:
        return serve_machines(lambda: AlmaMachine(desk, TERMINALS), port)

    return DemoLibrary(app, alma, desk, machines)


_MAKERS: Final[Mapping[str, Callable[[Sequence[Persona]], DemoLibrary]]] = {
    "koha": _koha,
    "alma": _alma,
}
