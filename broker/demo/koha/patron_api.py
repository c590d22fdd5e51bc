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


class TokenDesk(Protocol):
    """Grants tokens and knows the rights of their bearers."""

    def grant(self, form: Mapping[str, str]) -> dict[str, object]:
        """Give a token for a client's credentials."""
        ...

    def rights(self, authorization: str) -> frozenset[str]:
        """Give the rights of a request's bearer."""
        ...


class Api:
    """The part of Koha's REST API that concerns patrons."""

    def __init__(self, patrons: Patrons, tokens: TokenDesk) -> None:
        self._patrons = patrons
        self._tokens = tokens

    def serve(self, app: Flask) -> None:
        """Add the routes to an application."""
        one, attributes = "/patrons/<int:number>", "/patrons/<int:number>/extended_attributes"
        routes: tuple[
            tuple[str, str, Mapping[str, str] | None, Callable[..., ResponseReturnValue]], ...
        ] = (
            ("POST", "/oauth/token", None, self._token),
            ("POST", "/auth/password/validation", _WHOLE, self._validate),
            ("GET", "/libraries", _SEE, self._libraries),
            ("GET", "/patrons", _EDIT, self._search),
            ("POST", "/patrons", _EDIT, self._create),
            ("GET", one, _EDIT, self._read),
            ("PUT", one, _WHOLE, self._change),
            ("DELETE", one, _WHOLE, self._drop),
            ("POST", one + "/password", _WHOLE, self._set_password),
            ("GET", attributes, _EDIT, self._attributes),
            ("POST", attributes, _EDIT, self._add_attribute),
            ("DELETE", attributes + "/<int:attribute>", _EDIT, self._drop_attribute),
        )
        for method, path, right, view in routes:
            name = f"{method} {path}".replace(".", "_")
            app.add_url_rule(f"/api/v1{path}", name, self._guarded(right, view), methods=[method])

    def _guarded(
        self, right: Mapping[str, str] | None, view: Callable[..., ResponseReturnValue]
    ) -> Callable[..., ResponseReturnValue]:
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
        rows = [{"library_id": each, "name": each} for each in self._patrons.libraries]
        queries = _queries()
        return jsonify(
            [row for row in rows if all(holds(query, row, embedded=False) for query in queries)]
        )

    def _search(self) -> ResponseReturnValue:
        embedded, queries, parameters = _embedded(), _queries(), request.args.to_dict()
        for each in queries:  # a database knows an unknown column without any row
            holds(each, blank(), embedded=embedded)
        rows = self._patrons.rows()
        found = [
            row
            for row in rows
            if parameters_hold(parameters, row)
            and all(holds(each, row, embedded=embedded) for each in queries)
        ]
        page, size = int(parameters.get("_page", 1)), int(parameters.get("_per_page", _MOST))
        part = found if size < 0 else found[(page - 1) * size : page * size]
        response = jsonify([shown(row, embedded=embedded) for row in part])
        response.headers["X-Total-Count"] = str(len(found))
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


def _embedded() -> bool:
    return "extended_attributes" in request.headers.get("x-koha-embed", "").split(",")


def _queries() -> list[Any]:
    """Give the JSON queries of a request: in the URL, in a header, in the body of a GET; all must hold."""
    sent = [
        *request.args.getlist("q"),
        request.headers.get("x-koha-query"),
        request.get_data(as_text=True),
    ]
    try:
        return [json.loads(each) for each in sent if each]
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
    given = body if isinstance(body, dict) else {}
    missing = [name for name in names if not isinstance(given.get(name), str)]
    if missing:
        errors = [{"message": "Missing property.", "path": f"/body/{name}"} for name in missing]
        raise Refused(400, errors=errors, status=400)
    return {name: given[name] for name in names}
