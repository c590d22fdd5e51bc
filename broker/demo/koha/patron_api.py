"""The routes of the simulated patron API.

Koha's order is kept: check the token, then the rights, then the body, then carry out the call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from broker.demo.faults.fault_injector import FaultInjector
from broker.demo.koha.database.patron_schema import (
    PatronRow,
    blank,
    find_schema_errors,
    json_name,
    render_patron,
    schema_error,
)
from broker.demo.koha.database.patrons import Patrons
from broker.demo.koha.database.refusals import Refused, internal_error, schema_violation
from broker.demo.koha.logins import Logins
from broker.demo.koha.patron_search import Unanswerable, holds
from broker.demo.koha.token_endpoint import IssuedTokens

Rights = Sequence[Mapping[str, str]]
View = Callable[..., ResponseReturnValue]

_EDIT: Final = ({"borrowers": "edit_borrowers"},)
# Any of these rights allows searching.
_SEARCH: Final = (
    *_EDIT,
    {"tools": "label_creator"},
    {"serials": "routing"},
    {"acquisition": "order_manage"},
)
_DELETE: Final = ({"borrowers": "delete_borrowers"},)
_WHOLE: Final = ({"borrowers": "1"},)
_A_PAGE: Final = 20  # patrons
_MADE_DATES: Final = ("date_enrolled", "expiry_date")


class Api:
    """The part of Koha's REST API that concerns patrons."""

    def __init__(self, patrons: Patrons, tokens: IssuedTokens, injector: FaultInjector) -> None:
        self._patrons = patrons
        self._logins = Logins(patrons)
        self._tokens = tokens
        self._injector = injector

    def serve(self, app: Flask) -> None:
        """Add the routes to an application."""
        patron = "/patrons/<number>"
        attributes = patron + "/extended_attributes"
        # The operation's name for planned faults, then method, path, rights and view.
        routes: tuple[tuple[str, str, str, Rights, View], ...] = (
            ("token", "POST", "/oauth/token", (), self._token),
            ("validate", "POST", "/auth/password/validation", _WHOLE, self._validate),
            ("search", "GET", "/patrons", _SEARCH, self._search),
            ("create", "POST", "/patrons", _EDIT, self._create),
            ("read", "GET", patron, _EDIT, self._read),
            ("change", "PUT", patron, _WHOLE, self._change),
            ("", "DELETE", patron, _DELETE, self._drop),
            ("set_pin", "POST", patron + "/password", _WHOLE, self._set_password),
            ("attribute", "POST", attributes, _EDIT, self._add_attribute),
            ("attribute", "DELETE", attributes + "/<attribute>", _EDIT, self._drop_attribute),
        )
        for operation, method, path, rights, view in routes:
            name = f"{method} {path}".replace(".", "_")
            checked = self._injector.wrap_view(operation, self._guard(rights, view))
            app.add_url_rule(f"/api/v1{path}", name, checked, methods=[method])

    def _guard(self, rights: Rights, view: View) -> View:
        def call(**parts: str) -> ResponseReturnValue:
            if rights:
                self._check_rights(rights)
            numbers = {name: int(text) for name, text in parts.items()}
            try:
                return view(**numbers)
            except Unanswerable:
                raise internal_error() from None

        return call

    def _check_rights(self, rights: Rights) -> None:
        granted = self._tokens.rights(request.headers.get("Authorization", ""))
        enough = {word for right in rights for word in (*right.keys(), *right.values())}
        if not granted & enough:
            needed: Any = list(rights) if len(rights) > 1 else rights[0]
            text = "Authorization failure. Missing required permission(s)."
            raise Refused(403, error=text, required_permissions=needed)

    def _token(self) -> ResponseReturnValue:
        return jsonify(self._tokens.grant(request.form))

    def _search(self) -> ResponseReturnValue:
        embedded, query = _wants_attributes(), _read_query()
        most = request.args.get("_per_page", _A_PAGE, type=int)
        # The broker lists all patrons page by page: those after the last number that it has seen.
        if list(query) == ["me.patron_id"]:
            rows = self._patrons.list_after(int(query["me.patron_id"][">"]), most)
        else:
            holds(query, blank(), embedded=embedded)  # an unknown column is always an error
            found = self._patrons.find_candidates(query)
            rows = [row for row in found if holds(query, row, embedded=embedded)][:most]
        return jsonify([render_patron(row, embedded=embedded) for row in rows])

    def _create(self) -> ResponseReturnValue:
        body = _read_patron_body()
        if request.headers.get("x-confirm-not-duplicate") != "1":
            self._patrons.check_namesakes(body)
        made = self._patrons.create(body)
        if "welcome_no" not in request.headers.get("x-koha-override", "").split(","):
            self._patrons.send_welcome_mail(made)
        dates = [name for name in _MADE_DATES if not body.get(name)]
        response = jsonify(render_patron(made, embedded=False, made_now=dates))
        response.headers["Location"] = f"api/v1/patrons/{made['patron_id']}"
        response.autocorrect_location_header = False
        response.status_code = 201
        return response

    def _read(self, number: int) -> ResponseReturnValue:
        embedded = _wants_attributes()
        return jsonify(render_patron(self._patrons.row(number), embedded=embedded))

    def _change(self, number: int) -> ResponseReturnValue:
        return jsonify(
            render_patron(self._patrons.change(number, _read_patron_body()), embedded=False)
        )

    def _drop(self, number: int) -> ResponseReturnValue:
        self._patrons.drop(number)
        return Response(status=204)

    def _set_password(self, number: int) -> ResponseReturnValue:
        body = _read_texts("password", "password_2")
        self._patrons.set_password(number, body["password"], body["password_2"])
        return jsonify("")

    def _validate(self) -> ResponseReturnValue:
        body = _read_texts("identifier", "password")
        return jsonify(self._logins.validate(body["identifier"], body["password"])), 201

    def _add_attribute(self, number: int) -> ResponseReturnValue:
        body = _read_texts("type", "value")
        return jsonify(self._patrons.add_attribute(number, body["type"], body["value"])), 201

    def _drop_attribute(self, number: int, attribute: int) -> ResponseReturnValue:
        self._patrons.drop_attribute(number, attribute)
        return Response(status=204)


def _wants_attributes() -> bool:
    return "extended_attributes" in request.headers.get("x-koha-embed", "").split(",")


def _read_query() -> Mapping[str, Any]:
    """Return the JSON query of the body, which must be an object: Koha refuses a list there.

    Without a body every patron matches.
    """
    if not request.get_data():
        return {}
    query = request.get_json(force=True, silent=True)
    if not isinstance(query, dict):
        raise schema_violation(schema_error(f"Expected object - got {json_name(query)}.", "/query"))
    return query


def _read_patron_body() -> PatronRow:
    body: Any = request.get_json(force=True, silent=True)
    errors = find_schema_errors(body)
    if errors:
        raise schema_violation(*errors)
    return dict(body)


def _read_texts(*names: str) -> dict[str, str]:
    body: Any = request.get_json(force=True)
    return {name: body[name] for name in names}
