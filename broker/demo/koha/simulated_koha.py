"""The simulated Koha: a patron API that answers as Koha 23.05 was seen to (library_systems.md section 1)."""

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from flask import Flask, Response, jsonify, render_template, request

from broker.demo.koha.injected_faults import AccessLog, InjectedFaults
from broker.demo.koha.patron_api import Api
from broker.demo.koha.patrons import Category, Patrons, Refused, broken

CATEGORIES: Mapping[str, Category] = {
    "STUDENT": Category(12),
    "EMPLOYEE": Category(24),
    "HOSPITAL": Category(24),
    "PRIVATE": Category(60),
    "TEMP": Category(3),
}
_SPELLED = re.compile(r"(?<!\d)(\d{6})[- ]?\d{4}(?!\d)")
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Client:
    """An API client: its secret and the rights of the user it acts as (borrowers, edit_borrowers, catalogue)."""

    secret: str
    rights: frozenset[str] = frozenset({"borrowers", "catalogue"})


class IssuedTokens:
    """The bearer tokens that are good now, and whose they are."""

    def __init__(self, clients: Mapping[str, Client], lifetime: int) -> None:
        self._clients = clients
        self._lifetime = lifetime
        self._good: dict[str, tuple[float, Client]] = {}

    def grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Give a token for a client's credentials."""
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, error="Unimplemented grant type")
        client = self._clients.get(form.get("client_id", ""))
        if client is None or not secrets.compare_digest(
            client.secret, form.get("client_secret", "")
        ):
            raise Refused(403, error="access_denied")
        token = secrets.token_urlsafe(32)
        self._good[token] = (time.monotonic() + self._lifetime, client)
        return {"access_token": token, "expires_in": self._lifetime, "token_type": "Bearer"}

    def rights(self, authorization: str) -> frozenset[str]:
        """Give the rights of a request's bearer; 401 where the token is missing or has expired."""
        until, client = self._good.get(authorization.removeprefix("Bearer "), (0.0, None))
        if client is None or time.monotonic() >= until:
            raise Refused(401, error="Authentication failure.")
        return client.rights

    def revoke(self) -> None:
        """Let every token be expired."""
        self._good.clear()


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts of a simulated Koha that a test may look at: ``app.extensions["koha"]``."""

    patrons: Patrons
    tokens: IssuedTokens
    faults: InjectedFaults
    access: AccessLog


def create_app(
    seed: Sequence[Mapping[str, Any]] = (),
    *,
    faults: InjectedFaults | None = None,
    clients: Mapping[str, Client] | None = None,
    categories: Mapping[str, Category] = CATEGORIES,
    libraries: Sequence[str] = ("AUL",),
    unique_attributes: Sequence[str] = ("CPR",),
    token_lifetime: int = 3600,
) -> Flask:
    """Give the application, with the patrons of ``seed``: bodies of POST /patrons, and a ``password`` where wanted.

    Without ``clients`` there is one, ``broker`` with the secret ``demo``.
    """
    faults = faults or InjectedFaults()
    patrons = Patrons(categories, libraries, unique_attributes, faults)
    for person in seed:
        made = patrons.create({name: value for name, value in person.items() if name != "password"})
        if "password" in person:
            patrons.set_password(made["patron_id"], person["password"], person["password"])
    tokens = IssuedTokens(clients or {"broker": Client("demo")}, token_lifetime)
    app = Flask("broker.demo")
    app.extensions["koha"] = simulation = Simulation(patrons, tokens, faults, AccessLog())
    app.register_error_handler(Refused, lambda refused: (jsonify(refused.body), refused.status))
    _strike(app, simulation)
    Api(patrons, tokens).serve(app)
    _show(app, simulation)
    return app


def _strike(app: Flask, koha: Simulation) -> None:
    """Let the faults strike, and write the access log."""

    @app.before_request
    def before() -> Response | None:
        if not request.path.startswith("/api/"):
            return None
        if koha.faults.down:
            return Response("<h1>Service Unavailable</h1>", 503, mimetype="text/html")
        time.sleep(koha.faults.slow)
        if _is_write() and koha.faults.strikes("fail"):
            raise broken()
        return None

    @app.after_request
    def after(response: Response) -> Response:
        path = unquote_plus(request.full_path.removesuffix("?"))
        koha.access.add(f"{request.method} {path} {response.status_code}")
        if _is_write() and response.status_code < 400 and koha.faults.strikes("lose_answer"):
            return Response("<h1>Proxy Error</h1>", 502, mimetype="text/html")
        return response


def _is_write() -> bool:
    return request.path.startswith("/api/v1/patrons") and request.method != "GET"


def _show(app: Flask, koha: Simulation) -> None:
    """Add what a real Koha has not: the demo's page, the switches and the log, the last two for loopback only."""

    @app.get("/")
    def page() -> str:
        rows = [
            row | {"has_password": koha.patrons.has_password(row["patron_id"])}
            for row in koha.patrons.rows()
        ]
        return render_template("koha.html", patrons=rows)

    @app.post("/__faults")
    def set_faults() -> tuple[str, int]:
        wanted = request.get_json(silent=True)
        try:
            koha.faults.set(wanted if isinstance(wanted, dict) else {"": None})
        except ValueError:
            return "", 400
        return "", 204

    @app.get("/__requests")
    def requests() -> Response:
        return jsonify(koha.access.lines())

    @app.before_request
    def loopback_only() -> tuple[str, int] | None:
        return (
            ("", 403)
            if request.path.startswith("/__") and request.remote_addr not in _LOOPBACK
            else None
        )

    app.add_template_filter(lambda value: _SPELLED.sub(r"\1-••••", str(value or "")), "hidden")
