"""The routes of the simulated patron API.

Koha's order is kept: check the token, then the rights, then the body, then carry out the call.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

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
from broker.demo.koha.paged_lists import build_page, page_size
from broker.demo.koha.patron_search import Unanswerable, holds, parameters_hold

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
_SEE: Final = ({"catalogue": "1"},)
_EMBEDS: Final = (
    "extended_attributes",
    "checkouts+count",
    "overdues+count",
    "account_balance",
    "library",
)
_NUMBER: Final = re.compile(r"-?[0-9]+")
_MADE_DATES: Final = ("date_enrolled", "expiry_date")


class TokenIssuer(Protocol):
    """Issues tokens and returns the rights of their bearers."""

    def grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Return a token for a client's credentials."""
        ...

    def rights(self, authorization: str) -> frozenset[str]:
        """Return the rights of a request's bearer."""
        ...


class Api:
    """The part of Koha's REST API that concerns patrons."""

    def __init__(self, patrons: Patrons, tokens: TokenIssuer, injector: FaultInjector) -> None:
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
            ("", "GET", "/libraries", _SEE, self._libraries),
            ("search", "GET", "/patrons", _SEARCH, self._search),
            ("create", "POST", "/patrons", _EDIT, self._create),
            ("read", "GET", patron, _EDIT, self._read),
            ("change", "PUT", patron, _WHOLE, self._change),
            ("", "DELETE", patron, _DELETE, self._drop),
            ("set_pin", "POST", patron + "/password", _WHOLE, self._set_password),
            ("", "GET", attributes, _EDIT, self._attributes),
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
            numbers = {name: _whole_number(name, text) for name, text in parts.items()}
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

    def _libraries(self) -> ResponseReturnValue:
        queries = _read_queries()
        every = self._patrons.administration.libraries
        rows = []
        for name in every:
            row = {"library_id": name, "name": name}
            if all(holds(query, row, embedded=False) for query in queries):
                rows.append(row)
        return build_page(rows, self._page(), len(every))

    def _search(self) -> ResponseReturnValue:
        embedded, queries, page = _wants_attributes(), _read_queries(), self._page()
        if (number := _find_page_start(queries)) is not None:
            total, rows = self._patrons.list_after(number, page[1])
            listed = [render_patron(row, embedded=embedded) for row in rows]
            return build_page(listed, (1, page[1]), self._patrons.count(), total)
        for query in queries:  # an unknown column is an error even in an empty table
            holds(query, blank(), embedded=embedded)
        parameters = request.args.to_dict()
        matching = []
        for row in self._patrons.find_candidates(queries):
            if not parameters_hold(parameters, row):
                continue
            if all(holds(query, row, embedded=embedded) for query in queries):
                matching.append(render_patron(row, embedded=embedded))
        return build_page(matching, page, self._patrons.count())

    def _page(self) -> tuple[int, int]:
        return page_size(self._patrons.administration.preferences.rest_default_page_size)

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
        body = _read_texts("password", optional=("identifier", "userid"))
        identifiers = [body[name] for name in ("identifier", "userid") if name in body]
        if len(identifiers) > 1:
            text = "Bad request. Only one identifier attribute can be passed."
            raise Refused(400, error=text)
        is_known = "userid" not in body or self._logins.knows_user_name(body["userid"])
        if not identifiers or not is_known:
            raise Refused(400, error="Validation failed")
        return jsonify(self._logins.validate(identifiers[0], body["password"])), 201

    def _attributes(self, number: int) -> ResponseReturnValue:
        return jsonify(self._patrons.row(number, "Patron not found")["extended_attributes"])

    def _add_attribute(self, number: int) -> ResponseReturnValue:
        body = _read_texts("type", "value")
        return jsonify(self._patrons.add_attribute(number, body["type"], body["value"])), 201

    def _drop_attribute(self, number: int, attribute: int) -> ResponseReturnValue:
        self._patrons.drop_attribute(number, attribute)
        return Response(status=204)


def _find_page_start(queries: Sequence[Any]) -> int | None:
    """Return N if the only query is ``patron_id > N``, else None."""
    if len(queries) == 1 and list(queries[0]) == ["me.patron_id"]:
        test = queries[0]["me.patron_id"]
        if isinstance(test, dict) and list(test) == [">"]:
            return int(test[">"])
    return None


def _whole_number(name: str, text: str) -> int:
    if _NUMBER.fullmatch(text):
        return int(text)
    path = {"number": "/patron_id", "attribute": "/extended_attribute_id"}[name]
    raise schema_violation(schema_error("Expected integer - got string.", path))


def _wants_attributes() -> bool:
    sent = request.headers.get("x-koha-embed", "")
    wanted = [name for name in sent.split(",") if name]
    for place, name in enumerate(wanted):
        if name not in _EMBEDS:
            text = f"Not in enum list: {', '.join(_EMBEDS)}."
            raise schema_violation(schema_error(text, f"/x-koha-embed/{place}"))
    return "extended_attributes" in wanted


def _read_queries() -> list[Any]:
    """Return the JSON queries in URL, header and body; a patron must match all of them.

    The query in the body must be an object: the API refuses a list there.
    """
    sent = [*request.args.getlist("q"), request.headers.get("x-koha-query")]
    try:
        queries = [json.loads(query) for query in sent if query]
    except ValueError:
        raise Unanswerable from None
    if request.get_data():
        queries.append(_body_query())
    return queries


def _body_query() -> Any:
    query = request.get_json(force=True, silent=True)
    if not isinstance(query, dict):
        got = "string" if query is None else json_name(query)
        raise schema_violation(schema_error(f"Expected object - got {got}.", "/query"))
    return query


def _read_patron_body() -> PatronRow:
    body: Any = request.get_json(force=True, silent=True)
    errors = find_schema_errors(body)
    if errors:
        raise schema_violation(*errors)
    return dict(body)


def _read_texts(*names: str, optional: Sequence[str] = ()) -> dict[str, str]:
    """Return a body of texts with the required ``names`` and perhaps the ``optional`` ones."""
    body = request.get_json(force=True, silent=True)
    sent = body if isinstance(body, dict) else {}
    errors = [
        schema_error("Missing property.", f"/body/{name}") for name in names if name not in sent
    ]
    unknown = ", ".join(sorted(sent.keys() - {*names, *optional}))
    if unknown:
        errors.append(schema_error(f"Properties not allowed: {unknown}.", "/body"))
    for name, value in sent.items():
        if not isinstance(value, str):
            text = f"Expected string - got {json_name(value)}."
            errors.append(schema_error(text, f"/body/{name}"))
    if errors:
        raise schema_violation(*errors)
    return dict(sent)
