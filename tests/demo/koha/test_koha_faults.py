"""Faults of single operations of the simulated Koha, over a real connection."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import requests
from flask import Flask

from broker.demo.faults import struck_calls
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.injected_faults import OPERATIONS, FaultKind
from broker.demo.koha.simulated_koha import Simulation, create_app
from broker.demo.run.loopback_server import serve_on_loopback

pytestmark = pytest.mark.server

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "library_id": "AUL", "category_id": "STUDENT"}
FORM = {"grant_type": "client_credentials", "client_id": "broker", "client_secret": "demo"}
PIN = {"password": "5182", "password_2": "5182"}
CALLS: dict[str, tuple[str, str, Any]] = {
    "search": ("GET", "/patrons", {"cardnumber": "C1"}),
    "read": ("GET", "/patrons/1", None),
    "create": ("POST", "/patrons", ANNA | {"cardnumber": CPR}),
    "change": ("PUT", "/patrons/1", ANNA | {"email": "new@post.example"}),
    "attribute": ("POST", "/patrons/1/extended_attributes", {"type": "CPR", "value": CPR}),
    "set_pin": ("POST", "/patrons/1/password", PIN),
    "validate": ("POST", "/auth/password/validation", {"identifier": "C1", "password": "4071"}),
}
WRITES = ("create", "change", "attribute", "set_pin")

Call = Callable[..., requests.Response]


@pytest.fixture(name="app")
def _app() -> Flask:
    seed = [ANNA | {"cardnumber": "C1", "password": "4071"}]
    return create_app(seed, administration=FOUR_DIGIT_PINS)


@pytest.fixture(name="koha")
def _koha(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["koha"]
    return simulation


@pytest.fixture(name="call")
def _call(app: Flask) -> Iterator[Call]:
    """Return what makes the call of an operation, with a token."""
    with serve_on_loopback(app) as url, requests.Session() as session:
        answer = session.post(f"{url}/api/v1/oauth/token", data=FORM, timeout=60)
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

        def call(operation: str, timeout: float = 60) -> requests.Response:
            if operation == "token":
                return session.post(f"{url}/api/v1/oauth/token", data=FORM, timeout=timeout)
            method, path, body = CALLS[operation]
            return session.request(method, f"{url}/api/v1{path}", json=body, timeout=timeout)

        yield call


def _done(koha: Simulation) -> set[str]:
    """Return which writes have been carried out."""
    (row, *more) = koha.patrons.rows()
    seen = {
        "create": bool(more),
        "change": row["email"] is not None,
        "attribute": bool(row["extended_attributes"]),
        "set_pin": koha.patrons.proven("C1", "5182") is not None,
    }
    return {name for name, happened in seen.items() if happened}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_strikes_its_own_operation_as_often_as_planned(call: Call, koha: Simulation, operation: str) -> None:
    """Two of three calls are refused, and no other operation's."""
    koha.faults.plan(operation, "refused", 2)
    others = [name for name in OPERATIONS if name not in {operation, *WRITES}]
    assert {call(name).ok for name in others} == {True}
    assert [call(operation).ok for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize(
    ("kind", "status", "done"),
    [
        (FaultKind.REFUSED, 400, False),
        (FaultKind.FAILED_BEFORE, 500, False),
        (FaultKind.FAILED_AFTER, 500, True),
        (FaultKind.DROPPED_BEFORE, None, False),
        (FaultKind.DROPPED_AFTER, None, True),
        (FaultKind.HUGE, 0, True),
        (FaultKind.NOT_JSON, 0, True),
        (FaultKind.WRONG_FIELDS, 0, True),
        (FaultKind.WITHOUT_EFFECT, 0, False),
    ],
)
def test_what_is_done_and_what_is_said(
    *, call: Call, koha: Simulation, operation: str, kind: FaultKind, status: int | None, done: bool
) -> None:
    """Each kind does the work or does not; 0 stands for the status of a success, None for no answer."""
    koha.faults.plan(operation, kind)
    if status is None:
        with pytest.raises(requests.ConnectionError):
            call(operation)
    else:
        answer = call(operation)
        assert answer.status_code == status or (status == 0 and answer.ok)
    assert _done(koha) == ({operation} if done else set())


class Late:
    """How long a late call is late: until it may go on."""

    def __init__(self) -> None:
        self.begun = Event()
        self.may_go_on = Event()

    def sleep(self, _: float) -> None:
        """Wait."""
        self.begun.set()
        assert self.may_go_on.wait(60)


@pytest.fixture(name="late")
def _late(monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    late = Late()
    monkeypatch.setattr(struck_calls, "time", late)
    yield late
    late.may_go_on.set()


@pytest.mark.parametrize("operation", WRITES)
def test_a_late_call_is_done_after_its_caller_has_given_up(
    call: Call, koha: Simulation, late: Late, operation: str
) -> None:
    """Nothing has happened when the caller's time is up, and all of it a moment later."""
    koha.faults.plan(operation, "late", seconds=0.6)
    with pytest.raises(requests.ReadTimeout):
        call(operation, timeout=0.2)
    assert _done(koha) == set()
    late.may_go_on.set()
    until = time.monotonic() + 60
    while not _done(koha) and time.monotonic() < until:
        time.sleep(0.05)
    assert _done(koha) == {operation}


@pytest.mark.parametrize("operation", ["search", "read", "validate", "token"])
def test_answers_that_nobody_can_read(call: Call, koha: Simulation, operation: str) -> None:
    """10 MB, a page, and values of other types, each with the status of a success."""
    koha.faults.plan(operation, "huge")
    assert len(call(operation).content) > 10_000_000
    koha.faults.plan(operation, "not JSON")
    answer = call(operation)
    assert answer.ok
    assert answer.headers["Content-Type"].startswith("text/html")
    good = call(operation).json()
    koha.faults.plan(operation, "wrong fields")
    wrong = call(operation).json()
    good, wrong = ([one] if isinstance(one, dict) else one for one in (good, wrong))
    for name in good[0].keys() | wrong[0].keys():
        assert type(good[0][name]) is not type(wrong[0][name])


def test_one_field_may_be_the_wrong_one(call: Call, koha: Simulation) -> None:
    """All others are as they are."""
    good = call("read").json()
    koha.faults.plan("read", "wrong fields", field="patron_id")
    assert call("read").json() == {**good, "patron_id": "wrong 1"}


def test_others_go_on_while_one_is_late(call: Call, koha: Simulation, late: Late) -> None:
    """A late call holds nobody else up, and a change without effect undoes nobody else's."""
    koha.faults.plan("read", "late", seconds=0.5)
    with ThreadPoolExecutor(1) as another:
        read = another.submit(call, "read", 60)
        assert late.begun.wait(60)
        koha.faults.plan("create", "without effect")
        assert call("create").ok
        assert call("create").ok
        assert not read.done()
        late.may_go_on.set()
        assert read.result().ok
    assert len(koha.patrons.rows()) == 2


@pytest.mark.parametrize(
    ("planned", "status"),
    [
        ([{"operation": "create", "kind": "late", "seconds": 15}], 204),
        ([{"operation": "set_pin", "kind": "without effect", "times": 3}], 204),
        ([], 204),
        ([{"operation": "create", "kind": "slow"}], 400),
        ([{"operation": "delete", "kind": "late"}], 400),
        ([{"operation": "create"}], 400),
        ([{"operation": "create", "kind": "late", "seconds": "1"}], 400),
        ([{"operation": "create", "kind": "late", "colour": 1}], 400),
        ([1], 400),
        ("late", 400),
    ],
)
def test_faults_are_planned_over_http(app: Flask, koha: Simulation, planned: object, status: int) -> None:
    """What is misspelt plans nothing, and what is sent stands in place of what was planned."""
    koha.faults.plan("read", "refused")
    answer = app.test_client().post("/__faults", json={"planned": planned})
    assert answer.status_code == status
    operations = [fault.operation for fault in koha.faults.planned]
    assert operations == (["read"] if status == 400 else [one["operation"] for one in planned])  # type: ignore[attr-defined]
