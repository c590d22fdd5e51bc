"""Tokens, rights and POST /patrons of the simulated Koha.

Source: docs/reference/koha.md#credentials, #create.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.core.policy.expiry import add_months
from broker.demo.koha.database import patrons
from broker.demo.koha.simulated_koha import Simulation

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}


Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("client", "method", "path", "right"),
    [
        ("none", "GET", "/patrons", "edit_borrowers"),
        ("none", "POST", "/patrons", "edit_borrowers"),
        ("weak", "PUT", "/patrons/1", "1"),
        ("weak", "POST", "/patrons/1/password", "1"),
        ("weak", "POST", "/auth/password/validation", "1"),
    ],
)
def test_a_missing_right_is_403(ask: Ask, client: str, method: str, path: str, right: str) -> None:
    """1.1: edit_borrowers is enough for GET and POST of patrons only; rights are checked before the body."""
    answer = ask(method, path, {} if method != "GET" else None, client=client)
    assert answer.status_code == 403
    text = "Authorization failure. Missing required permission(s)."
    needed: object = {"borrowers": right}
    if (method, path) == ("GET", "/patrons"):  # any of these is enough
        more = [{"tools": "label_creator"}, {"serials": "routing"}, {"acquisition": "order_manage"}]
        needed = [{"borrowers": right}, *more]
    assert answer.get_json() == {"error": text, "required_permissions": needed}


def test_post_creates_a_patron(ask: Ask) -> None:
    """1.2: 201 with Location, dates with a time, attributes null unless embedded, a user name if none was given."""
    answer = ask("POST", "/patrons", ANNA | {"patron_id": 99, "extended_attributes": [{"type": "CPR", "value": CPR}]})
    made = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (201, "api/v1/patrons/1")
    assert (made["patron_id"], made["extended_attributes"], made["userid"]) == (1, None, "ase.prøvesen")
    expiry = add_months(datetime.now(UTC).date(), 12).isoformat()
    assert re.fullmatch(expiry + r"T\d\d:\d\d:\d\d", made["expiry_date"])
    read = ask("GET", "/patrons/1").get_json()
    assert (read["expiry_date"], read["extended_attributes"]) == (expiry, None)
    embedded = ask("GET", "/patrons/1", x_koha_embed="extended_attributes").get_json()
    assert [(each["type"], each["value"]) for each in embedded["extended_attributes"]] == [("CPR", CPR)]


def _schema(message: str, path: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "path": path}], "status": 400}


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"surname": "x", "library_id": "AUL"}, 400, _schema("Missing property.", "/body/category_id")),
        (ANNA | {"pin": "1234"}, 400, _schema("Properties not allowed: pin.", "/body")),
        (ANNA | {"expiry_date": "31/12/2027"}, 400, _schema("Does not match date format.", "/body/expiry_date")),
        (ANNA | {"date_of_birth": "2001-02-29"}, 400, _schema("Day out of range.", "/body/date_of_birth")),
        (ANNA | {"expiry_date": "2001-13-01"}, 400, _schema("Month out of range.", "/body/expiry_date")),
        (ANNA | {"library_id": None}, 400, _schema("Expected string - got null.", "/body/library_id")),
        (ANNA | {"email": ["x"]}, 400, _schema("Expected string/null - got array.", "/body/email")),
        (ANNA | {"anonymized": False}, 400, _schema("Read-only.", "/body/anonymized")),
        (ANNA | {"userid": " " + CPR}, 400, {"error": f"Problem with {CPR}"}),
        (ANNA | {"cardnumber": CPR + " ", "library_id": "X"}, 409, {"conflict": "cardnumber", "error": "Duplicate ID"}),
        (ANNA | {"category_id": "X", "library_id": "X"}, 400, {"error": "Given category_id does not exist"}),
        (ANNA | {"category_id": "X"}, 400, {"error": "Given category_id does not exist"}),
        (ANNA | {"library_id": "X"}, 400, {"error": "Given library_id does not exist"}),
        (
            ANNA | {"extended_attributes": [{"type": "X", "value": "1"}]},
            400,
            {"error": "Tried to use an invalid attribute type. type=X"},
        ),
        (ANNA | {"cardnumber": CPR}, 409, {"conflict": "cardnumber", "error": "Duplicate ID"}),
        (ANNA | {"userid": CPR, "cardnumber": CPR}, 400, {"error": f"Problem with {CPR}"}),
        (ANNA | {"cardnumber": ""}, 409, {"conflict": "cardnumber", "error": "Duplicate ID"}),
        (
            ANNA | {"extended_attributes": [{"type": "CPR", "value": CPR}]},
            400,
            {"error": f"Your action breaks a unique constraint on the attribute. type=CPR value={CPR}"},
        ),
    ],
)
def test_post_refuses_invalid_bodies(
    ask: Ask, add: Add, body: Mapping[str, object], status: int, answer: object
) -> None:
    """1.2: every refusal in the table leaves no patron behind."""
    add(userid=CPR, cardnumber=CPR, extended_attributes=[{"type": "CPR", "value": CPR}])
    add(cardnumber="")
    given = ask("POST", "/patrons", body)
    assert (given.status_code, given.get_json()) == (status, answer)
    assert len(ask("GET", "/patrons").get_json()) == 2


def _together(ask: Ask, bodies: Sequence[Mapping[str, object]]) -> list[int]:
    start = Barrier(len(bodies))

    def post(body: Mapping[str, object]) -> int:
        start.wait()
        return ask("POST", "/patrons", {**ANNA, **body}).status_code

    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(post, bodies))


def test_the_unique_attribute_has_a_race(ask: Ask, koha: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.2: two concurrent creates both pass the check, so a CPR has two patrons. The fourth pair deadlocks."""
    koha.faults.race_window = 0.2
    both_have_looked = Barrier(2)
    windows: set[float] = set()
    outcomes = []

    def sleep(seconds: float) -> None:
        windows.add(seconds)
        both_have_looked.wait(60)

    monkeypatch.setattr(patrons, "time", SimpleNamespace(sleep=sleep))
    for number in range(4):
        attribute = [{"type": "CPR", "value": f"010180000{number}"}]
        pair = [
            {"cardnumber": f"{number}-{each}", "userid": f"{number}-{each}", "extended_attributes": attribute}
            for each in "ab"
        ]
        outcomes.append(sorted(_together(ask, pair)))
    assert outcomes == [[201, 201], [201, 201], [201, 201], [201, 500]]
    assert windows == {0.2}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"category_id": "X", "library_id": "X"}, "Given category_id does not exist"),
        ({"library_id": "X"}, "Given library_id does not exist"),
        ({"types": {}}, "Tried to use an invalid attribute type. type=CPR"),
        ({}, "Tried to use an invalid attribute type. type=NOSUCH"),
    ],
)
def test_a_dry_run_names_the_first_fault_and_writes_nothing(
    ask: Ask, koha: Simulation, wrong: dict[str, Any], named: str
) -> None:
    """A create with an impossible type is always rolled back: category, library and real types come before it."""
    body = dict(wrong)
    types = body.pop("types", koha.patrons.administration.attribute_types)
    koha.patrons.administration = replace(koha.patrons.administration, attribute_types=types)
    attributes = [{"type": "CPR", "value": CPR}, {"type": "NOSUCH", "value": "x"}]
    answer = ask("POST", "/patrons", {**ANNA, **body, "extended_attributes": attributes})
    assert (answer.status_code, answer.get_json()) == (400, {"error": named})
    assert koha.patrons.rows() == []
