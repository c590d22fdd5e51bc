"""``/metrics``, for this machine itself or whoever has the token; nobody else learns that it is there."""

import hmac
from collections.abc import Callable
from typing import Final

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from broker.adapters.web.client_address import on_this_machine

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def blueprint(page: Callable[[], bytes], token: str | None) -> Blueprint:
    """Give ``/metrics``; ``page`` writes them, ``token`` is what a reader elsewhere brings (RFC 6750), if any."""
    rooms = Blueprint("metrics", __name__)

    @rooms.get("/metrics")
    def metrics() -> Response:
        if not (on_this_machine(request) or _brought(token)):
            abort(404)
        return Response(page(), content_type=_TYPE)

    return rooms


def _brought(token: str | None) -> bool:
    given = request.headers.get("Authorization", "")
    return token is not None and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
