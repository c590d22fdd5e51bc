"""The routes of the simulated users API: limits, key and parameters first, then the work."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from broker.demo.circulation.loan_table import LoanTable
from broker.demo.faults.fault_injector import FaultInjector
from tests.conformance.simulated_alma.call_limits import CallLimits
from tests.conformance.simulated_alma.injected_faults import InjectedFaults
from tests.conformance.simulated_alma.refusals import (
    GENERAL,
    NOT_CHANGED,
    NOT_CREATED,
    Refused,
    general_error,
    make_unauthorized,
    no_such_key,
    not_understood,
)
from tests.conformance.simulated_alma.user_object import UserRow, brief, show_user
from tests.conformance.simulated_alma.user_search import find_users, page, sort_users
from tests.conformance.simulated_alma.users import Users

ROOT: Final = "/almaws/v1"
REMAINING: Final = "X-Exl-Api-Remaining"
_TRUTHS: Final = {"true": True, "false": False}
_LENT_FOR: Final = timedelta(days=30)

View = Callable[..., ResponseReturnValue]


class Api:
    """The part of Alma's REST API that concerns users, and the code tables about them."""

    def __init__(
        self, users: Users, loans: LoanTable, limits: CallLimits, faults: InjectedFaults, injector: FaultInjector
    ) -> None:
        self._users = users
        self._loans = loans
        self._limits = limits
        self._faults = faults
        self._injector = injector

    def serve(self, app: Flask) -> None:
        """Add the routes to an application."""
        views: Mapping[str, View] = {
            "test users": self._test,
            "test users by writing": self._test,
            "test configuration": self._test,
            "search": self._search,
            "create": self._create,
            "loans": self._loans_of,
            "read": self._read,
            "change": self._change,
            "authenticate": self._authenticate,
            "configuration": self._code_table,
        }
        for route in _ROUTES:
            view = self._injector.wrap_view(route.operation, views[route.operation])
            app.add_url_rule(ROOT + route.path, route.operation, self._guard(route, view), methods=[route.method])

    def _guard(self, route: "_Route", view: View) -> View:
        known = {*route.parameters, "apikey", "format"}

        def call(**parts: str) -> ResponseReturnValue:
            self._count()
            key = self._users.administration.keys.get(_read_key())
            if key is None:
                raise no_such_key()
            if not getattr(key, route.right):
                raise make_unauthorized()
            # A parameter that the simulation does not know may mean anything; XML is not played.
            if not wants_json() or not request.args.keys() <= known:
                raise general_error(route.general)
            return view(**parts)

        return call

    def _count(self) -> None:
        if self._faults.quota_gone:
            text = "Daily API Request Threshold has been exceeded."
            raise Refused("DAILY_THRESHOLD", text, 429)
        if self._faults.strikes("per_second_gone"):
            text = "HTTP requests are more than allowed per second"
            raise Refused("PER_SECOND_THRESHOLD", text, 429)
        self._limits.count(self._users.administration)

    def _test(self) -> ResponseReturnValue:
        return "", 200

    def _search(self) -> Response:
        sent = request.args
        rows = find_users(self._users.rows(), sent.get("q", ""))
        rows = sort_users(rows, sent.get("order_by", ""))
        part = page(rows, sent.get("limit", ""), sent.get("offset", ""))
        answer: dict[str, Any] = {"total_record_count": len(rows)}
        if part:
            answer["user"] = [brief(row, _link(row)) for row in part]
        return jsonify(answer)

    def _create(self) -> Response:
        if _truth("social_authentication", NOT_CREATED):
            raise general_error(NOT_CREATED)
        sends_letter = _truth("send_pin_number_letter", NOT_CREATED)
        return self._show(self._users.create(_body()), sends_letter=sends_letter)

    def _read(self, identifier: str) -> Response:
        if request.args.get("view", "full") != "full":
            raise general_error()
        if request.args.get("expand", "none") not in {"", "none"}:
            raise general_error()
        return self._show(self._users.read(identifier, request.args.get("user_id_type")))

    def _change(self, identifier: str) -> Response:
        sends_letter = _truth("send_pin_number_letter", NOT_CHANGED)
        changed = self._users.change(
            identifier,
            request.args.get("user_id_type"),
            _body(),
            override=[name for name in request.args.get("override", "").split(",") if name],
            recalculates_roles=_truth("recalculate_roles", NOT_CHANGED),
        )
        return self._show(changed, sends_letter=sends_letter)

    def _authenticate(self, identifier: str) -> ResponseReturnValue:
        """Check the password of an internal user; never a PIN."""
        if request.args.get("op", "auth") != "auth":
            raise general_error()
        row = self._users.read(identifier, request.args.get("user_id_type"))
        if not self._users.has_password(row, request.headers.get("Exl-User-Pw", "")):
            raise Refused("401866", "User authentication failed")
        return "", 204

    def _loans_of(self, identifier: str) -> Response:
        row = self._users.read(identifier, request.args.get("user_id_type"))
        books = self._loans.loans(row["primary_id"])
        answer: dict[str, Any] = {"total_record_count": len(books)}
        if books:
            answer["item_loan"] = [_loan(row, place, book) for place, book in enumerate(books, 1)]
        return jsonify(answer)

    def _code_table(self, name: str) -> Response:
        administration = self._users.administration
        tables: Mapping[str, Mapping[str, str]] = {
            "UserIdentifierTypes": administration.identifier_types,
            "UserGroups": administration.user_groups,
            "UserPreferredLanguage": administration.languages,
        }
        if name not in tables:
            raise general_error()
        rows = [
            {"code": code, "description": description, "enabled": True, "default": False}
            for code, description in tables[name].items()
        ]
        return jsonify({"name": name, "row": rows})

    def _show(self, row: UserRow, *, sends_letter: bool = False) -> Response:
        if sends_letter:
            self._users.pin_letters.append(row["primary_id"])
        return jsonify(show_user(row, self._users.administration, _link(row)))


@dataclass(frozen=True, slots=True)
class _Route:
    """A call: its operation, the right that it takes, its general error, its parameters."""

    operation: str
    method: str
    path: str
    right: str
    general: str = GENERAL
    parameters: Collection[str] = ()


_ROUTES: Final = (
    _Route("test users", "GET", "/users/operation/test", "reads_users"),
    _Route("test users by writing", "POST", "/users/operation/test", "writes_users"),
    _Route("test configuration", "GET", "/conf/test", "reads_configuration"),
    _Route("search", "GET", "/users", "reads_users", parameters=("q", "limit", "offset", "order_by")),
    _Route(
        "create",
        "POST",
        "/users",
        "writes_users",
        NOT_CREATED,
        parameters=("send_pin_number_letter", "social_authentication"),
    ),
    _Route("loans", "GET", "/users/<identifier>/loans", "reads_users", parameters=("user_id_type",)),
    _Route("read", "GET", "/users/<identifier>", "reads_users", parameters=("user_id_type", "view", "expand")),
    _Route(
        "change",
        "PUT",
        "/users/<identifier>",
        "writes_users",
        NOT_CHANGED,
        parameters=("user_id_type", "override", "send_pin_number_letter", "recalculate_roles"),
    ),
    _Route("authenticate", "POST", "/users/<identifier>", "writes_users", parameters=("user_id_type", "op")),
    _Route("configuration", "GET", "/conf/code-tables/<name>", "reads_configuration"),
)


def wants_json() -> bool:
    """Return whether the request asks for JSON: what asks for nothing gets XML."""
    by_header = request.accept_mimetypes.best == "application/json"
    return by_header or request.args.get("format") == "json"


def _read_key() -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "apikey":
        return key
    return request.args.get("apikey", "")


def _body() -> Any:
    """Return the user object of a request; 401676 where it is no JSON, or not said to be."""
    body = request.get_json(silent=True)
    if body is None:
        raise not_understood()
    return body


def _truth(name: str, general: str) -> bool:
    sent = request.args.get(name, "false")
    if sent not in _TRUTHS:
        raise general_error(general)
    return _TRUTHS[sent]


def _link(row: UserRow) -> str:
    return f"{request.host_url.rstrip('/')}{ROOT}/users/{row['primary_id']}"


def _loan(row: UserRow, place: int, book: str) -> dict[str, Any]:
    due = datetime.now(UTC) + _LENT_FOR
    return {
        "loan_id": str(place),
        "user_id": row["primary_id"],
        "title": book,
        "loan_status": "ACTIVE",
        "due_date": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
