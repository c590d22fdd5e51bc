"""What the simulated Koha has beside the API: its page, its switches and its access log."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation, create_app

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}


Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


def test_the_page_masks_every_spelling() -> None:
    """The demo's list of borrowers shows no CPR number, wherever and however it is written."""
    people: list[dict[str, Any]] = [
        ANNA | {"cardnumber": "010180-0000", "userid": CPR, "password": "4071"},
        ANNA | {"cardnumber": "010180 0000", "userid": "<b>", "extended_attributes": [{"type": "CPR", "value": CPR}]},
    ]
    page = create_app(people, administration=FOUR_DIGIT_PINS).test_client().get("/").text
    assert page.count("010180-••••") == 4
    assert not [spelled for spelled in (CPR, "010180-0000", "010180 0000", "4071", "<b>") if spelled in page]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [({"down": True, "slow": 1}, 204), ({"colour": 1}, 400), ({"down": 1}, 400), ({"fail": True}, 400), ([], 400)],
)
def test_the_switches_are_typed(app: Flask, wanted: object, status: int) -> None:
    """A misspelt fault must not leave a test believing that it struck."""
    assert app.test_client().post("/__faults", json=wanted).status_code == status
    assert app.extensions["koha"].faults.down is (status == 204)


@pytest.mark.parametrize("path", ["/__faults", "/__requests"])
def test_the_switches_are_for_loopback(app: Flask, path: str) -> None:
    """Another machine may neither set faults nor read the log."""
    method = "POST" if path == "/__faults" else "GET"
    answer = app.test_client().open(path, method=method, json={}, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert answer.status_code == 403


def test_a_lost_answer_is_done_and_a_failure_is_not(ask: Ask, add: Add, koha: Simulation) -> None:
    """502 after the work, 500 before it; each strikes as often as it was set."""
    koha.faults.set({"lose_answer": 1})
    assert ask("POST", "/patrons", ANNA).status_code == 502
    koha.faults.set({"fail": 1})
    assert ask("POST", "/patrons", ANNA).status_code == 500
    add()
    assert len(ask("GET", "/patrons").get_json()) == 2


def test_the_access_log_shows_what_a_url_holds(ask: Ask, koha: Simulation) -> None:
    """The log is what proves that no CPR is in a URL, so it must show one that is, also when it is encoded."""
    ask("GET", "/patrons?cardnumber=%3010180%30000")
    assert f"GET /api/v1/patrons?cardnumber={CPR} 200" in koha.access.lines()
