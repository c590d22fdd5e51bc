"""The simulated Koha: a patron API that answers as Koha 23.05 (docs/reference/koha.md#koha)."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from flask import Flask, Response, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from broker.demo.demo_app import create_demo_app, say
from broker.demo.faults.fault_injector import FaultInjector
from broker.demo.koha.database.administration import Administration
from broker.demo.koha.database.injected_faults import InjectedFaults
from broker.demo.koha.database.patrons import Patrons
from broker.demo.koha.database.refusals import Refused, internal_error
from broker.demo.koha.loans import Circulation
from broker.demo.koha.patron_api import Api
from broker.demo.koha.token_endpoint import Client, IssuedTokens

__all__ = ["Client", "Simulation", "create_app"]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts of a simulated Koha that tests use: ``app.extensions["koha"]``."""

    patrons: Patrons
    tokens: IssuedTokens
    faults: InjectedFaults
    access: list[str]  # the request lines of the web server in front of it, decoded
    desk: Circulation


def create_app(
    seed: Iterable[Mapping[str, Any]] = (),
    *,
    administration: Administration | None = None,
    faults: InjectedFaults | None = None,
    clients: Mapping[str, Client] | None = None,
) -> Flask:
    """Return the application with the patrons of ``seed``: bodies of POST /patrons with a password.

    The default ``administration`` is that of a new Koha, which rejects four-digit PINs. The default
    API client is ``broker`` with the secret ``demo``.
    """
    faults = faults or InjectedFaults()
    patrons = Patrons(administration or Administration(), faults)
    for person in seed:
        body = dict(person)
        password = body.pop("password", None)
        created = patrons.create(body)
        if password is not None:
            patrons.set_password(created["patron_id"], password, password)
    tokens = IssuedTokens(clients or {"broker": Client("demo")})
    app = create_demo_app()
    app.extensions["koha"] = simulation = Simulation(
        patrons, tokens, faults, [], Circulation(patrons)
    )
    app.register_error_handler(Refused, lambda refused: (jsonify(refused.body), refused.status))
    _strike(app, simulation)
    Api(patrons, tokens, FaultInjector(faults, internal_error, _build_refusal)).serve(app)
    _show(app, simulation)
    return app


def _build_refusal(operation: str) -> Refused:
    if operation == "token":
        return Refused(403, error="access_denied")
    return Refused(400, error="Refused as it was planned")


def _strike(app: Flask, koha: Simulation) -> None:
    """Apply the faults of the whole system, and write the access log."""

    @app.before_request
    def before() -> Response | None:
        if not request.path.startswith("/api/"):
            return None
        if koha.faults.down:
            return Response("<h1>Service Unavailable</h1>", 503, mimetype="text/html")
        time.sleep(koha.faults.slow)
        if _is_write() and koha.faults.use_up("fail"):
            raise internal_error()
        return None

    @app.after_request
    def after(response: Response) -> Response:
        path = unquote_plus(request.full_path.removesuffix("?"))
        koha.access.append(f"{request.method} {path} {response.status_code}")
        if _is_write() and response.status_code < 400 and koha.faults.use_up("lose_answer"):
            return Response("<h1>Proxy Error</h1>", 502, mimetype="text/html")
        return response


def _is_write() -> bool:
    return request.path.startswith("/api/v1/patrons") and request.method != "GET"


_TWO_NUMBERS: Final = (
    "Write the numbers of two borrowers of this table.",
    "Skriv numrene på to lånere i tabellen.",
)


def _show(app: Flask, koha: Simulation) -> None:
    """Add the demo's page of patrons, which a real Koha does not have."""

    def render(wrong: str = "") -> str:
        rows = [
            row | {"has_password": koha.patrons.passwords.holds(row["patron_id"])}
            for row in koha.patrons.rows()
        ]
        return render_template("koha.html", patrons=rows, wrong=wrong)

    @app.get("/")
    def show_patrons() -> str:
        return render()

    @app.post("/merge")
    def merge() -> WerkzeugResponse | tuple[str, int]:
        """Merge two borrowers, as staff do in Koha."""
        numbers = {row["patron_id"] for row in koha.patrons.rows()}
        kept, merged = (request.form.get(name, type=int) for name in ("kept", "merged"))
        if kept is None or merged is None or kept == merged or not {kept, merged} <= numbers:
            return render(say(*_TWO_NUMBERS)), 422
        koha.patrons.merge(kept, merged)
        return redirect("/", 303)
