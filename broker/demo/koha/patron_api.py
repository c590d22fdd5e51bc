"""The routes of the simulated patron API, in Koha's order: token, right, body, then the work."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

from broker.demo.koha.patron_schema import (
    Unanswerable,
    blank,
    holds,
    misfits,
    parameters_hold,
    shown,
)
from broker.demo.koha.patrons import Patrons, Refused, broken

_MOST = 20
_EDIT = {"borrowers": "edit_borrowers"}
_WHOLE = {"borrowers": "1"}
_SEE = {"catalogue": "1"}
PatronRow = dict[str, Any]
Right = Mapping[str, str] | None
View = Callable[..., ResponseReturnValue]


class TokenIssuer(Protocol):
    """Issues tokens, and knows the rights of their bearers."""

    def grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Return a token for a client's credentials."""
        ...

    def rights(self, authorization: str) -> frozenset[str]:
        """Return the rights of a request's bearer."""
        ...


class Api:
    """The part of Koha's REST API that concerns patrons."""

    def __init__(self, patrons: Patrons, tokens: TokenIssuer) -> None:
        self._patrons = patrons
        self._tokens = tokens

    def serve(self, app: Flask) -> None:
        """Add the routes to an application."""
        patron = "/patrons/<int:number>"
        attributes = "/patrons/<int:number>/extended_attributes"
        routes: tuple[tuple[str, str, Right, View], ...] = (
            ("POST", "/oauth/token", None, self._token),
            ("POST", "/auth/password/validation", _WHOLE, self._validate),
            ("GET", "/libraries", _SEE, self._libraries),
            ("GET", "/patrons", _EDIT, self._search),
            ("POST", "/patrons", _EDIT, self._create),
            ("GET", patron, _EDIT, self._read),
            ("PUT", patron, _WHOLE, self._change),
            ("DELETE", patron, _WHOLE, self._drop),
            ("POST", patron + "/password", _WHOLE, self._set_password),
            ("GET", attributes, _EDIT, self._attributes),
            ("POST", attributes, _EDIT, self._add_attribute),
            ("DELETE", attributes + "/<int:attribute>", _EDIT, self._drop_attribute),
        )
        for method, path, right, view in routes:
            name = f"{method} {path}".replace(".", "_")
            guarded = self._guarded(right, view)
            app.add_url_rule(f"/api/v1{path}", name, guarded, methods=[method])

    def _guarded(self, right: Right, view: View) -> View:
        def guarded(**parts: int) -> ResponseReturnValue:
            if right is not None:
                rights = self._tokens.rights(request.headers.get("Authorization", ""))
                ((module, part),) = right.items()
                if not rights & {module, part}:
                    text = "Authorization failure. Missing required permission(s)."
                    raise Refused(403, error=text, required_permissions=right)
            try:
                return view(**parts)
            except Unanswerable:
                raise broken() from None

        return guarded

    def _token(self) -> ResponseReturnValue:
        return jsonify(self._tokens.grant(request.form))

    def _libraries(self) -> ResponseReturnValue:
        queries = _queries()
        rows = []
        for name in self._patrons.libraries:
            row = {"library_id": name, "name": name}
            if all(holds(query, row, embedded=False) for query in queries):
                rows.append(row)
        return jsonify(rows)

    def _search(self) -> ResponseReturnValue:
        embedded, queries, parameters = _embedded(), _queries(), request.args.to_dict()
        for query in queries:  # a database knows an unknown column without any row
            holds(query, blank(), embedded=embedded)
        rows = self._patrons.rows()
        matching = []
        for row in rows:
            if not parameters_hold(parameters, row):
                continue
            if all(holds(query, row, embedded=embedded) for query in queries):
                matching.append(row)
        part = _page(matching, parameters)
        response = jsonify([shown(row, embedded=embedded) for row in part])
        response.headers["X-Total-Count"] = str(len(matching))
        response.headers["X-Base-Total-Count"] = str(len(rows))
        return response

    def _create(self) -> ResponseReturnValue:
        made = self._patrons.create(_fitting())
        response = jsonify(shown(made, embedded=False, fresh=True))
        response.headers["Location"] = f"/api/v1/patrons/{made['patron_id']}"
        response.autocorrect_location_header = False
        response.status_code = 201
        return response

    def _read(self, number: int) -> ResponseReturnValue:
        return jsonify(shown(self._patrons.row(number), embedded=_embedded()))

    def _change(self, number: int) -> ResponseReturnValue:
        return jsonify(shown(self._patrons.change(number, _fitting()), embedded=False))

    def _drop(self, number: int) -> ResponseReturnValue:
        self._patrons.drop(number)
        return Response(status=204)

    def _set_password(self, number: int) -> ResponseReturnValue:
        body = _texts("password", "password_2")
        self._patrons.set_password(number, body["password"], body["password_2"])
        return jsonify("")

    def _validate(self) -> ResponseReturnValue:
        body = _texts("identifier", "password")
        row = self._patrons.proven(body["identifier"], body["password"])
        if row is None:
            raise Refused(400, error="Validation failed")
        return jsonify({name: row[name] for name in ("cardnumber", "patron_id", "userid")}), 201

    def _attributes(self, number: int) -> ResponseReturnValue:
        return jsonify(self._patrons.row(number)["extended_attributes"])

    def _add_attribute(self, number: int) -> ResponseReturnValue:
        body = _texts("type", "value")
        return jsonify(self._patrons.add_attribute(number, body["type"], body["value"])), 201

    def _drop_attribute(self, number: int, attribute: int) -> ResponseReturnValue:
        self._patrons.drop_attribute(number, attribute)
        return Response(status=204)


def _page(rows: list[PatronRow], parameters: Mapping[str, str]) -> list[PatronRow]:
    page = int(parameters.get("_page", 1))
    size = int(parameters.get("_per_page", _MOST))
    if size < 0:
        return rows
    return rows[(page - 1) * size : page * size]


def _embedded() -> bool:
    return "extended_attributes" in request.headers.get("x-koha-embed", "").split(",")


def _queries() -> list[Any]:
    """Return the JSON queries of a request, in URL, header and body; all of them must hold."""
    sent = [
        *request.args.getlist("q"),
        request.headers.get("x-koha-query"),
        request.get_data(as_text=True),
    ]
    try:
        return [json.loads(query) for query in sent if query]
    except ValueError:
        raise Unanswerable from None


def _fitting() -> PatronRow:
    body: Any = request.get_json(force=True, silent=True)
    errors = misfits(body)
    if errors:
        raise Refused(400, errors=errors, status=400)
    return dict(body)


def _texts(*names: str) -> dict[str, str]:
    body = request.get_json(force=True, silent=True)
    sent = body if isinstance(body, dict) else {}
    missing = [name for name in names if not isinstance(sent.get(name), str)]
    if missing:
        errors = [{"message": "Missing property.", "path": f"/body/{name}"} for name in missing]
        raise Refused(400, errors=errors, status=400)
    return {name: sent[name] for name in names}
