"""What anybody may fetch: our metadata, liveness and readiness."""

from collections.abc import Callable, Mapping, Sequence

from flask import Blueprint, abort, jsonify, request
from werkzeug.wrappers import Response

from broker.adapters.web.client_address import on_this_machine


def blueprint(
    idp: Callable[[], bytes],
    sps: Mapping[str, Callable[[], bytes]],
    checks: Callable[[], Mapping[str, Sequence[str]]],
    notes: Callable[[], Mapping[str, str]] = dict,
) -> Blueprint:
    """Give the metadata of both faces, ``/healthz`` and ``/readyz``.

    ``checks`` gives, by what is checked, the sentences that say why logins would fail; empty when
    they would not. ``notes`` gives what is amiss although they would not.
    """
    rooms = Blueprint("public", __name__)

    @rooms.get("/saml/idp/metadata")
    def idp_metadata() -> Response:
        return Response(idp(), mimetype="application/samlmetadata+xml")

    @rooms.get("/saml/sp/<upstream>/metadata")
    def sp_metadata(upstream: str) -> Response:
        if upstream not in sps:
            abort(404)
        return Response(sps[upstream](), mimetype="application/samlmetadata+xml")

    @rooms.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @rooms.get("/readyz")
    def readyz() -> tuple[Response, int]:
        found = checks()
        ready = not any(found.values())
        # Details only to this machine: what is broken is nobody else's business.
        told = notes()
        detail = {name: list(faults) or told.get(name, "ok") for name, faults in found.items()}
        body = {"ready": ready, **(detail if on_this_machine(request) else {})}
        return jsonify(body), 200 if ready else 503

    return rooms
