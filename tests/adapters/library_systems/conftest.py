"""A simulated Koha over real HTTP, and the connector to it."""

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from flask import Flask

from broker.adapters.library_systems.koha.koha_library import Koha, KohaSettings
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Client, Simulation, create_app
from broker.demo.run.loopback_server import serve_on_loopback

CPR = "0101800000"
MARK = "a" * 32


def make_settings(url: str, **more: object) -> dict[str, object]:
    """Give sound settings for a Koha at ``url``."""
    keys = {"url": url, "client_id": "broker", "client_secret": "demo", "library_id": "AUL", "cpr_attribute": "CPR"}
    keys["card_number"] = "cpr"
    return keys | more


@pytest.fixture(name="app")
def _app() -> Flask:
    clients = {
        "broker": Client("demo"),
        "weak": Client("demo", frozenset({"edit_borrowers"})),
        "blind": Client("demo", frozenset({"borrowers"})),
        "none": Client("demo", frozenset()),
    }
    return create_app(clients=clients, administration=FOUR_DIGIT_PINS)


@pytest.fixture(name="koha")
def _koha(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["koha"]
    return simulation


@pytest.fixture(name="url")
def _url(app: Flask) -> Iterator[str]:
    with serve_on_loopback(app) as url:
        yield url


@pytest.fixture(name="opened")
def _make_opener(url: str) -> Callable[..., Koha]:
    return lambda **more: KohaSettings.read(make_settings(url) | more).open()


@pytest.fixture(name="library")
def _library(opened: Callable[..., Koha]) -> Koha:
    return opened()


@pytest.fixture(name="wanted")
def _make_request() -> WantedBorrower:
    fields = (WantedField("surname", "Prøvesen", "always"), WantedField("email", "aase@post.example", "create"))
    return WantedBorrower(CPR, "STUDENT", (), date(2028, 8, 31), fields, pin_to=None)
