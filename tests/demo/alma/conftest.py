"""A simulated Alma, and ways to ask it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from broker.demo.alma.administration import Administration, ApiKey
from broker.demo.alma.simulated_alma import Simulation, create_app

KEYS = {"demo": ApiKey(), "reads": ApiKey(writes_users=False, reads_configuration=False)}


@pytest.fixture(name="app")
def _app() -> Flask:
    return create_app(administration=Administration(keys=KEYS, per_second=10_000))


@pytest.fixture(name="alma")
def _alma(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["alma"]
    return simulation


@pytest.fixture(name="ask")
def _ask(app: Flask) -> Callable[..., TestResponse]:
    """Return what asks one thing below /almaws/v1; ``key`` is the API key."""

    def ask(method: str, path: str, body: Any = None, *, key: str = "demo", **headers: str) -> TestResponse:
        sent = {"Accept": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"apikey {key}"
        return app.test_client().open(f"/almaws/v1{path}", method=method, json=body, headers=sent)

    return ask


@pytest.fixture(name="code")
def _code(ask: Callable[..., TestResponse]) -> Callable[..., str]:
    """Return what asks one thing and gives the code of the error that comes back, "" for none."""

    def code(*asked: Any, status: int = 400, **headers: str) -> str:
        answer = ask(*asked, **headers)
        if answer.status_code < 300:
            return ""
        assert answer.status_code == status
        (error,) = answer.get_json()["errorList"]["error"]
        return str(error["errorCode"])

    return code


@pytest.fixture(name="add")
def _add(ask: Callable[..., TestResponse]) -> Callable[..., dict[str, Any]]:
    """Return what adds a user, with the fields named."""

    def add(**more: Any) -> dict[str, Any]:
        answer = ask("POST", "/users", user(**more))
        assert answer.status_code == 200, answer.get_data(as_text=True)
        made: dict[str, Any] = answer.get_json()
        return made

    return add


def user(**more: Any) -> dict[str, Any]:
    """Give the object of an external user, with the fields named; a text for a code is its value."""
    sent: dict[str, Any] = {
        "record_type": {"value": "PUBLIC"},
        "account_type": {"value": "EXTERNAL"},
        "external_id": "SIS",
        "primary_id": "B-1",
        "first_name": "Åse",
        "last_name": "Prøvesen",
        "user_group": {"value": "STUDENT"},
    }
    return {**sent, **more}


def identifier(kind: str, value: str, segment: str = "External") -> dict[str, Any]:
    """Give an additional identifier."""
    return {"id_type": {"value": kind}, "value": value, "segment_type": segment}
