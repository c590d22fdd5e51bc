"""Carries out a call of the simulated Koha as the fault planned for it has it."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue

from broker.demo.koha.injected_faults import Fault, FaultKind, InjectedFaults
from broker.demo.koha.patrons import Patrons
from broker.demo.koha.refusals import Refused, broken

_HUGE: Final = 10_000_000  # bytes
_PAGE: Final = "<!doctype html><title>Library</title><h1>Welcome</h1>"

View = Callable[..., ResponseReturnValue]


class StruckCalls:
    """Strikes the calls of named operations by their planned faults."""

    def __init__(self, patrons: Patrons, faults: InjectedFaults) -> None:
        self._patrons = patrons
        self._faults = faults

    def struck(self, operation: str, view: View) -> View:
        """Return a view that goes wrong whenever a fault is planned for the operation."""

        def call(**parts: str) -> ResponseReturnValue:
            fault = self._faults.struck(operation)
            if fault is None:
                return view(**parts)
            _strike_before(fault)
            if fault.kind is FaultKind.DROPPED_BEFORE:
                return _drop_connection()
            if fault.kind is FaultKind.WITHOUT_EFFECT:
                return self._without_effect(view, parts)
            answer = current_app.make_response(view(**parts))
            return _after(fault, answer)

        return call

    def _without_effect(self, view: View, parts: dict[str, str]) -> Response:
        """Do the work, and undo it: the answer is a success's."""
        number = parts.get("number", "")
        saved = self._patrons.saved(int(number)) if number.isdecimal() else None
        answer = current_app.make_response(view(**parts))
        if saved is not None:
            self._patrons.restore(int(number), saved)
        elif answer.status_code == 201 and request.path.endswith("/patrons"):
            self._patrons.drop(answer.get_json()["patron_id"])
        return answer


def _strike_before(fault: Fault) -> None:
    if fault.kind is FaultKind.LATE:
        time.sleep(fault.seconds)
    if fault.kind is FaultKind.FAILED_BEFORE:
        raise broken()
    if fault.kind is FaultKind.REFUSED:
        if fault.operation == "token":
            raise Refused(403, error="access_denied")
        raise Refused(400, error="Refused as it was planned")


def _after(fault: Fault, answer: Response) -> Response:
    """Return what becomes of an answer once the work is done."""
    if fault.kind is FaultKind.FAILED_AFTER:
        raise broken()
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
    """End the connection under the answer; outside a server, where there is none, answer 502."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    return Response(status=502)


def _wrong(value: Any, field: str) -> Any:
    """Return the same objects with values of other types: all of them, or those of one field."""
    if isinstance(value, list):
        return [_wrong(one, field) for one in value]
    if not isinstance(value, dict):
        return _of_another_type(value)
    wrong = {}
    for name, kept in value.items():
        wrong[name] = _of_another_type(kept) if field in {"", name} else kept
    return wrong


def _of_another_type(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if value is None or isinstance(value, bool):
        return {}
    return f"wrong {value}"
