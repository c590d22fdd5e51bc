"""The library system of a demo: a simulated Koha with the borrowers of the personas."""

from collections.abc import Sequence
from typing import Final

from flask import Flask

from broker.demo.koha import simulated_koha
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
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


def simulate_koha(people: Sequence[Persona] = PERSONAS) -> Flask:
    """Return a Koha with the borrowers that staff have registered, and their loans."""
    app = simulated_koha.create_app(
        [borrower for person in people for borrower in person.registered],
        administration=FOUR_DIGIT_PINS,
        clients={"broker": simulated_koha.Client(CLIENT_SECRET)},
    )
    koha: simulated_koha.Simulation = app.extensions["koha"]
    for person in people:
        if person.loans:
            row = koha.patrons.find_patron(person.registered[0]["userid"])
            for book in person.loans:
                koha.desk.lend(row["patron_id"], book)
    return app
