"""The library system of a demo: a simulated Koha with the borrowers of the personas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Flask

from broker.demo.koha import simulated_koha
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.database.patrons import Patrons
from broker.demo.koha.loans import Circulation
from broker.demo.people.persona import Persona
from broker.demo.people.personas import PERSONAS

CLIENT_SECRET: Final = "demo-client-secret-of-the-patron-api"
TABLE: Final = """\
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
pin_categories = ["TEMP"]
"""


@dataclass(frozen=True, slots=True)
class DemoLibrary:
    """A simulated library system: its application, and its desk."""

    app: Flask
    desk: Circulation


def seeds(people: Sequence[Persona] = PERSONAS) -> list[dict[str, str]]:
    """Return the borrowers that staff have registered before the demo begins."""
    return [dict(borrower) for person in people for borrower in person.registered]


def create_circulation(patrons: Patrons) -> Circulation:
    """Return the desk of a Koha, with the loans of the registered borrowers."""
    desk = Circulation(patrons)
    for person in PERSONAS:
        if person.loans:
            borrower = desk.find_borrower(person.registered[0]["userid"])
            if borrower is None:
                raise LookupError(person.name)
            for book in person.loans:
                desk.table.lend(borrower.number, book)
    return desk


def simulate_koha(people: Sequence[Persona]) -> DemoLibrary:
    """Return a Koha with the borrowers of ``people`` that staff have registered."""
    app = simulated_koha.create_app(
        seeds(people),
        administration=FOUR_DIGIT_PINS,
        clients={"broker": simulated_koha.Client(CLIENT_SECRET)},
    )
    koha: simulated_koha.Simulation = app.extensions["koha"]
    return DemoLibrary(app, create_circulation(koha.patrons))
