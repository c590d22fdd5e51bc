"""``/metrics``, for this machine itself and for readers with the token; all others get 404."""

import hmac
from collections.abc import Callable
from typing import Final

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from broker.adapters.web.client_address import on_this_machine

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def blueprint(page: Callable[[], bytes], token: str | None) -> Blueprint:
    """Return ``/metrics``, written by ``page``; a reader elsewhere sends ``token`` (RFC 6750)."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        if not (on_this_machine(request) or _authorized(token)):
            abort(404)
        return Response(page(), content_type=_TYPE)

    return routes


def _authorized(token: str | None) -> bool:
    if token is None:
        return False
    sent = request.headers.get("Authorization", "")
    return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())
