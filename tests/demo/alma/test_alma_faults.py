"""Faults of the simulated Alma, switched on by a test, over a real connection."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from broker.demo.alma.administration import Administration
from broker.demo.alma.injected_faults import OPERATIONS
from broker.demo.alma.simulated_alma import Simulation, create_app
from broker.demo.run.loopback_server import serve_on_loopback
from tests.demo.alma.conftest import user

pytestmark = pytest.mark.server

CALLS: dict[str, tuple[str, str, Any]] = {
    "search": ("GET", "/users", None),
    "read": ("GET", "/users/B-1", None),
    "create": ("POST", "/users", user(primary_id="B-2")),
    "change": ("PUT", "/users/B-1", user(first_name="Åsa")),
    "loans": ("GET", "/users/B-1/loans", None),
    "authenticate": ("POST", "/users/B-1?op=auth", None),
    "configuration": ("GET", "/conf/code-tables/UserGroups", None),
}
WRITES = ("create", "change")

Call = Callable[..., requests.Response]


@pytest.fixture(name="app")
def _app() -> Flask:
    return create_app([user()], administration=Administration().changed(per_second=10_000))


@pytest.fixture(name="alma")
def _alma(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["alma"]
    return simulation


@pytest.fixture(name="call")
def _call(app: Flask) -> Iterator[Call]:
    """Return what makes the call of an operation."""
    with serve_on_loopback(app) as url, requests.Session() as session:
        session.headers.update({"Authorization": "apikey demo", "Accept": "application/json"})

        def call(operation: str, timeout: float = 10) -> requests.Response:
            method, path, body = CALLS[operation]
            return session.request(method, f"{url}/almaws/v1{path}", json=body, timeout=timeout)

        yield call


def is_done(operation: str, alma: Simulation) -> bool:
    """Say whether the work of a write is done."""
    rows = alma.users.rows()
    return len(rows) == 2 if operation == "create" else rows[0]["first_name"] == "Åsa"


def test_every_operation_can_fail_and_goes_on_afterwards(call: Call, alma: Simulation) -> None:
    """A planned fault strikes one call of its operation, and the next is answered as ever."""
    assert set(CALLS) == set(OPERATIONS)
    for operation in OPERATIONS:
        alma.faults.plan(operation, "failed before")
        assert call(operation).status_code == 500
        assert call(operation).status_code in {200, 400}


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("refused", (400, False)),
        ("failed before", (500, False)),
        ("failed after", (500, True)),
        ("dropped before", (None, False)),
        ("dropped after", (None, True)),
        ("without effect", (200, False)),
        ("wrong fields", (200, True)),
        ("not JSON", (200, True)),
        ("huge", (200, True)),
    ],
)
def test_a_fault_of_a_write_does_the_work_or_not(
    operation: str, kind: str, outcome: tuple[int | None, bool], call: Call, alma: Simulation
) -> None:
    """Each kind of fault leaves the work done or undone as its name says, whatever is answered."""
    alma.faults.plan(operation, kind)
    try:
        answered: int | None = call(operation).status_code
    except requests.ConnectionError:
        answered = None
    assert (answered, is_done(operation, alma)) == outcome


def test_a_late_write_is_done_after_its_caller_has_given_up(call: Call, alma: Simulation) -> None:
    """A late call is carried out, though nobody waits for it any more."""
    alma.faults.plan("create", "late", seconds=0.3)
    with pytest.raises(requests.Timeout):
        call("create", timeout=0.05)
    until = time.monotonic() + 60
    while not is_done("create", alma) and time.monotonic() < until:
        time.sleep(0.02)
    assert is_done("create", alma)


def test_a_lost_answer_leaves_the_work_done_and_a_repeat_finds_it(call: Call, alma: Simulation) -> None:
    """The answer of a create is lost behind a gateway: the same create again is 401851."""
    alma.faults.lose_answer = 1
    assert call("create").status_code == 502
    again = call("create")
    assert again.json()["errorList"]["error"][0]["errorCode"] == "401851"


def test_switches_are_set_over_http_and_refused_when_unknown(call: Call, app: Flask, alma: Simulation) -> None:
    """The switches are Alma's: down, the second's and the day's calls gone; Koha's are unknown here."""
    client = app.test_client()
    for wanted, status in [({"down": True}, 503), ({"down": False, "quota_gone": True}, 429)]:
        assert client.post("/__faults", json=wanted).status_code == 204
        assert call("read").status_code == status
    assert client.post("/__faults", json={"quota_gone": False, "per_second_gone": 1}).status_code == 204
    assert [call("read").status_code for _ in range(2)] == [429, 200]
    assert client.post("/__faults", json={"gateway_in_xml": True, "per_second_gone": 1}).status_code == 204
    assert "<errorCode>PER_SECOND_THRESHOLD</errorCode>" in call("read").text
    assert client.post("/__faults", json={"database_down": True}).status_code == 400
    planned = [{"operation": "token", "kind": "refused"}]
    assert client.post("/__faults", json={"planned": planned}).status_code == 400
    assert alma.faults.planned == []
