"""A simulated Datafordeler: the token endpoint and the GraphQL look-up of the CPR register.

It follows the published documentation; the real service was not available. Unknown requests are
errors. Source: docs/reference/cpr-register.md#graphql.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Flask, Response, abort, jsonify, request

from broker.demo.register.graphql_selection import NotUnderstood, Selection, selection
from broker.demo.register.register_faults import RegisterFaults
from broker.demo.register.register_rows import RegisterRow, make_person_node

TOKEN_PATH: Final = "/realms/distribution/protocol/openid-connect/token"
_LIFETIME: Final = 300  # seconds of a token
_SERVICE: Final = "CPRCustom_PublicSectorPerson"


@dataclass
class SimulatedDatafordeler:
    """The people by number, the faults, the registered client, and the look-ups so far."""

    rows: Mapping[str, RegisterRow]
    client_id: str = "broker"
    client_secret: str = ""
    faults: RegisterFaults = field(default_factory=RegisterFaults)
    looked_up: list[str] = field(default_factory=list)
    _tokens: set[str] = field(default_factory=set)

    def revoke(self) -> None:
        """Make every token expire."""
        self._tokens.clear()

    def grant(self, form: Mapping[str, str]) -> tuple[dict[str, object], int]:
        """Return the answer to a request for a token, and its status."""
        if form.get("grant_type") != "client_credentials":
            return {"error": "unsupported_grant_type"}, 400
        if form.get("client_id") != self.client_id:
            return {"error": "invalid_client"}, 400
        if form.get("client_secret", "") != self.client_secret:
            return {"error": "unauthorized_client"}, 401
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        return {"access_token": token, "expires_in": _LIFETIME, "token_type": "Bearer"}, 200

    def is_valid_token(self, authorization: str) -> bool:
        """Return whether a request's bearer token was issued here and is not revoked."""
        return authorization.removeprefix("Bearer ") in self._tokens

    def answer_query(self, query: str, numbers: list[str]) -> dict[str, Any]:
        """Return the JSON of a look-up, or GraphQL errors without any value of the query."""
        try:
            chosen = selection(query)
        except NotUnderstood as error:
            return _errors(str(error))
        people = chosen.get(_SERVICE, {}).get("nodes", {})
        if not people:
            return _errors(f"the field {_SERVICE} is missing")
        if "beskyttelser" not in people:
            return _errors("Required fields are missing in query selection: beskyttelser")
        self.looked_up += numbers
        nodes = [_select_fields(each, people) for each in self._nodes(numbers)]
        return {"data": {_SERVICE: {"nodes": nodes}}}

    def _nodes(self, numbers: list[str]) -> Iterator[dict[str, Any]]:
        for number in numbers:
            if self.faults.unknown or number not in self.rows:
                continue
            found = make_person_node(number, self.rows[number])
            if self.faults.half_a_record:
                found["beskyttelser"] = None
            yield found


def create_app(register: SimulatedDatafordeler) -> Flask:
    """Return the service as a Flask application: the token endpoint, and the look-up."""
    app = Flask(__name__)

    @app.post(TOKEN_PATH)
    def token() -> tuple[Response, int]:
        granted, status = register.grant(request.form)
        return jsonify(granted), status

    @app.post("/CPR/custom/PublicSector/v1")
    def look_up() -> Response:
        time.sleep(register.faults.slow)
        if register.faults.down:
            abort(503)
        if register.faults.quota_gone:
            abort(429)
        if not register.is_valid_token(request.headers.get("Authorization", "")):
            abort(401)
        if register.faults.answer is not None:
            return Response(register.faults.answer, mimetype="application/json")
        body = request.get_json()
        return jsonify(register.answer_query(body["query"], body["variables"]["numbers"]))

    return app


def _errors(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message}]}


def _select_fields(row: Mapping[str, Any], fields: Selection) -> dict[str, Any]:
    """Return the selected fields of a row; fields that it lacks are None."""
    found: dict[str, Any] = {}
    for name, below in fields.items():
        value = row.get(name)
        if isinstance(value, list):
            value = [_select_fields(each, below) for each in value]
        elif isinstance(value, Mapping):
            value = _select_fields(value, below)
        found[name] = value
    return found
