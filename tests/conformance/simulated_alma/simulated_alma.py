"""A simulated Alma: a users API that answers as its published interface says.

It answers unknown requests with an error. It was written without access to a real Alma.
Source: docs/alma.md#simulated.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_plus

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from broker.demo.faults.fault_injector import FaultInjector
from broker.demo.faults.planned_faults import PlannedFaults
from tests.conformance.simulated_alma.administration import GROUPS, IDENTIFIER_TYPES, Administration
from tests.conformance.simulated_alma.refusals import GENERAL, Refused, not_understood
from tests.conformance.simulated_alma.user_object import UserRow, show_user
from tests.conformance.simulated_alma.users import Users

__all__ = ["Simulation", "create_app"]

ROOT: Final = "/almaws/v1"
_MOST: Final = 100  # users of one search
# The call, the method that answers it, the right that it takes, and its parameters.
_CALLS: Final[Mapping[str, tuple[str, str, Collection[str]]]] = {
    "GET /users": ("search", "reads_users", ("q", "limit")),
    "POST /users": ("create", "writes_users", ()),
    "GET /users/<identifier>": ("read", "reads_users", ("user_id_type",)),
    "PUT /users/<identifier>": (
        "change",
        "writes_users",
        ("user_id_type", "override", "send_pin_number_letter", "recalculate_roles"),
    ),
    "GET /conf/code-tables/<name>": ("list_codes", "reads_configuration", ()),
}

View = Callable[..., ResponseReturnValue]


@dataclass
class InjectedFaults(PlannedFaults):
    """The switches of every simulated system, and those that only Alma has.

    ``per_second_gone`` refuses so many calls with 429 and PER_SECOND_THRESHOLD, ``quota_gone``
    every call as if the day's were used up.
    """

    per_second_gone: int = 0
    quota_gone: bool = False


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts of a simulated Alma that a test may look at: ``app.extensions["alma"]``."""

    users: Users
    faults: InjectedFaults = field(default_factory=InjectedFaults)
    access: list[str] = field(default_factory=list)

    def search(self) -> Response:
        """Answer GET /users: by a whole mail address only."""
        field_name, _, wanted = request.args.get("q", "").partition("~")
        limit = int(request.args.get("limit", "10"))
        if field_name != "email" or limit > _MOST:
            raise Refused(GENERAL)
        rows = [row for row in self.users.rows() if wanted.casefold() in _list_addresses(row)]
        shown = [{"primary_id": row["primary_id"], "last_name": row["last_name"]} for row in rows[:limit]]
        return jsonify({"total_record_count": len(rows), "user": shown})

    def create(self) -> Response:
        """Answer POST /users."""
        return _show(self.users.create(_read_body()))

    def read(self, identifier: str) -> Response:
        """Answer GET /users/IDENTIFIER."""
        return _show(self.users.read(identifier, request.args.get("user_id_type")))

    def change(self, identifier: str) -> Response:
        """Answer PUT /users/IDENTIFIER."""
        sent = request.args
        changed = self.users.change(
            identifier,
            sent.get("user_id_type"),
            _read_body(),
            override=[name for name in sent.get("override", "").split(",") if name],
            recalculates_roles=sent.get("recalculate_roles") == "true",
        )
        if sent.get("send_pin_number_letter", "false") != "false":
            self.users.pin_letters.append(changed["primary_id"])
        return _show(changed)

    def list_codes(self, name: str) -> Response:
        """Answer GET /conf/code-tables/NAME."""
        tables = {"UserIdentifierTypes": IDENTIFIER_TYPES, "UserGroups": GROUPS}
        if name not in tables:
            raise Refused(GENERAL)
        return jsonify({"name": name, "row": [{"code": code, "enabled": True} for code in tables[name]]})

    def check_call(self, right: str, parameters: Collection[str]) -> None:
        """Refuse a call beyond the limits, without the right, or with a parameter that may mean anything."""
        if self.faults.quota_gone:
            raise Refused("DAILY_THRESHOLD", "Daily API Request Threshold has been exceeded.", 429)
        if self.faults.use_up("per_second_gone"):
            raise Refused("PER_SECOND_THRESHOLD", "HTTP requests are more than allowed per second", 429)
        key = self.users.administration.keys.get(request.headers.get("Authorization", "").removeprefix("apikey "))
        if key is None:
            raise Refused("INVALID_REQUEST", "Invalid API Key", 403)
        if not getattr(key, right):
            raise Refused("UNAUTHORIZED", "API-key not defined or not configured to allow this API.")
        if not set(request.args) <= set(parameters):
            raise Refused(GENERAL)


def create_app(*, administration: Administration | None = None) -> Flask:
    """Return the application.

    Without ``administration`` there is one API key, ``demo``, which may do all.
    """
    alma = Simulation(Users(administration or Administration()))
    app = Flask("broker.demo")
    app.extensions["alma"] = alma
    app.register_error_handler(Refused, lambda refused: (jsonify(refused.body), refused.status))
    _strike(app, alma)
    injector = FaultInjector(alma.faults, _make_error, lambda _: Refused(GENERAL))
    for call, (name, right, parameters) in _CALLS.items():
        method, path = call.split()
        view = injector.wrap_view(name, getattr(alma, name))
        app.add_url_rule(ROOT + path, name, _guard(alma, view, right, parameters), methods=[method])
    return app


def _guard(alma: Simulation, view: View, right: str, parameters: Collection[str]) -> View:
    def answer(**parts: str) -> ResponseReturnValue:
        alma.check_call(right, parameters)
        return view(**parts)

    return answer


def _strike(app: Flask, alma: Simulation) -> None:
    """Let the faults strike, and write the access log."""

    @app.before_request
    def before() -> Response | None:
        if alma.faults.down:
            return Response("<h1>Service Unavailable</h1>", 503, mimetype="text/html")
        return None

    @app.after_request
    def after(response: Response) -> Response:
        path = unquote_plus(request.full_path.removesuffix("?"))
        alma.access.append(f"{request.method} {path} {response.status_code}")
        is_change = request.method != "GET" and response.status_code < 400
        if is_change and alma.faults.use_up("lose_answer"):
            return Response("<h1>Bad Gateway</h1>", 502, mimetype="text/html")
        return response


def _make_error() -> Refused:
    return Refused("INTERNAL_SERVER_ERROR", "The web server encountered an error.", 500)


def _show(row: UserRow) -> Response:
    return jsonify(show_user(row, f"{request.host_url}almaws/v1/users/{row['primary_id']}"))


def _read_body() -> Any:
    """Return the user object of a request; 401676 where it is no JSON, or not said to be."""
    body = request.get_json(silent=True)
    if body is None:
        raise not_understood()
    return body


def _list_addresses(row: UserRow) -> list[str]:
    return [entry["email_address"].casefold() for entry in row["email"]]
