"""What no real library system has: switches for its faults and its access log, for loopback."""

import re
from typing import Final

from flask import Flask, Response, jsonify, request

from broker.demo.faults.planned_faults import AccessLog, PlannedFaults

_CPR_NUMBER: Final = re.compile(r"(?<!\d)(\d{6})[- ]?\d{4}(?!\d)")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


def serve_switches(app: Flask, faults: PlannedFaults, access: AccessLog) -> None:
    """Add ``POST /__faults`` and ``GET /__requests`` to a simulated system."""

    @app.post("/__faults")
    def set_faults() -> tuple[str, int]:
        wanted = request.get_json(silent=True)
        if not isinstance(wanted, dict):
            return "", 400
        try:
            faults.set(wanted)
        except ValueError:
            return "", 400
        return "", 204

    @app.get("/__requests")
    def requests() -> Response:
        return jsonify(access.lines())

    @app.before_request
    def loopback_only() -> tuple[str, int] | None:
        if request.path.startswith("/__") and request.remote_addr not in _LOOPBACK:
            return "", 403
        return None


def hidden(value: object) -> str:
    """Return a value as text, its CPR numbers without the last four digits."""
    return _CPR_NUMBER.sub(r"\1-••••", str(value or ""))
