"""Makes the calls of a simulated system fail as a test has planned."""

import json
import socket
from collections.abc import Callable
from typing import Any, Final

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue

from broker.demo.faults.planned_faults import Fault, FaultKind, PlannedFaults

_HUGE: Final = 10_000_000  # bytes
_PAGE: Final = "<!doctype html><title>Library</title><h1>Welcome</h1>"

View = Callable[..., ResponseReturnValue]


class FaultInjector:
    """Wraps views so that planned faults change their answers.

    ``broken`` returns the system's internal error, ``refused`` its refusal of an operation.
    """

    def __init__(
        self,
        faults: PlannedFaults,
        broken: Callable[[], Exception],
        refused: Callable[[str], Exception],
    ) -> None:
        self._faults = faults
        self._broken = broken
        self._refused = refused

    def wrap_view(self, operation: str, view: View) -> View:
        """Return ``view`` with the planned faults of the operation applied."""

        def call(**parts: str) -> ResponseReturnValue:
            fault = self._faults.take_fault(operation)
            if fault is None:
                return view(**parts)
            if fault.kind is FaultKind.FAILED_BEFORE:
                raise self._broken()
            if fault.kind is FaultKind.REFUSED:
                raise self._refused(fault.operation)
            answer = current_app.make_response(view(**parts))
            return self._after(fault, answer)

        return call

    def _after(self, fault: Fault, answer: Response) -> Response:
        """Change the answer of a call that was carried out."""
        if fault.kind is FaultKind.FAILED_AFTER:
            raise self._broken()
        if fault.kind is FaultKind.DROPPED_AFTER:
            return _drop_connection()
        if fault.kind is FaultKind.HUGE:
            answer.set_data(json.dumps("x" * _HUGE))
        if fault.kind is FaultKind.NOT_JSON:
            answer.set_data(_PAGE)
            answer.mimetype = "text/html"
        if fault.kind is FaultKind.WRONG_FIELDS:
            answer.set_data(json.dumps(_wrong(answer.get_json(), fault.field)))
        return answer


def _drop_connection() -> Response:
    """Close the connection without an answer; without a real connection answer 502."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    return Response(status=502)


def _wrong(value: Any, field: str) -> Any:
    """Return the value with other types in all fields, or in the named field."""
    if isinstance(value, list):
        return [_wrong(one, field) for one in value]
    if not isinstance(value, dict):
        return _change_type(value)
    wrong = {}
    for name, member in value.items():
        wrong[name] = _change_type(member) if field in {"", name} else member
    return wrong


def _change_type(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if value is None or isinstance(value, bool):
        return {}
    return f"wrong {value}"
