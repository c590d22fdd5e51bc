"""The addresses that are open to everybody: our metadata, liveness and readiness."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, abort, jsonify, request
from werkzeug.wrappers import Response

from broker.adapters.web.client_address import on_this_machine


def blueprint(
    idp: Callable[[], bytes],
    sps: Mapping[str, Callable[[], bytes]],
    checks: Callable[[], Mapping[str, Sequence[str]]],
    notes: Callable[[], Mapping[str, str]] = dict,
) -> Blueprint:
    """Return the metadata of both faces, ``/healthz`` and ``/readyz``.

    ``checks`` returns, for every part that is checked, the sentences that say why logins would
    fail; empty where they would not. ``notes`` returns what is amiss although they would not.
    """
    routes = Blueprint("public", __name__)

    @routes.get("/saml/idp/metadata")
    def idp_metadata() -> Response:
        return Response(idp(), mimetype="application/samlmetadata+xml")

    @routes.get("/saml/sp/<upstream>/metadata")
    def sp_metadata(upstream: str) -> Response:
        if upstream not in sps:
            abort(404)
        return Response(sps[upstream](), mimetype="application/samlmetadata+xml")

    @routes.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @routes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        faults = checks()
        ready = not any(faults.values())
        answer: dict[str, Any] = {"ready": ready}
        details = _details(faults, notes())
        # Details only to this machine: what is broken is nobody else's business.
        if on_this_machine(request):
            answer |= details
        return jsonify(answer), 200 if ready else 503

    return routes


def _details(
    faults: Mapping[str, Sequence[str]], notes: Mapping[str, str]
) -> dict[str, list[str] | str]:
    """Return for every part its faults, else its note, else "ok"; and every other note."""
    found = {part: list(sentences) or notes.get(part, "ok") for part, sentences in faults.items()}
    return {**notes, **found}
