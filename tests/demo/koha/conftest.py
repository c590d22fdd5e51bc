"""Fixtures: a simulated Koha, and functions that call its API."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from broker.demo.koha.simulated_koha import Client, Simulation, create_app


@pytest.fixture(name="app")
def _app() -> Flask:
    rights = {"broker": "borrowers", "weak": "edit_borrowers", "none": "catalogue"}
    return create_app(clients={name: Client("demo", frozenset({right})) for name, right in rights.items()})


@pytest.fixture(name="koha")
def _koha(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["koha"]
    return simulation


@pytest.fixture(name="ask")
def _ask(app: Flask) -> Callable[..., TestResponse]:
    """Return a function that calls /api/v1. Headers are keywords, with underscores for hyphens."""
    tokens: dict[str, str] = {}

    def token(client: str) -> str:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": "demo"}
        if client not in tokens:
            answer = app.test_client().post("/api/v1/oauth/token", data=form)
            tokens[client] = answer.get_json()["access_token"]
        return tokens[client]

    def ask(method: str, path: str, body: Any = None, *, client: str = "broker", **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {token(client)}"
        return app.test_client().open(f"/api/v1{path}", method=method, json=body, headers=sent)

    return ask


@pytest.fixture(name="add")
def _add(ask: Callable[..., TestResponse]) -> Callable[..., dict[str, Any]]:
    """Return a function that adds a patron with the given fields."""
    least = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}

    def add(**more: object) -> dict[str, Any]:
        answer = ask("POST", "/patrons", {**least, **more})
        assert answer.status_code == 201
        made: dict[str, Any] = answer.get_json()
        return made

    return add
