"""A simulated Alma: a users API that answers as its published interface says.

It answers unknown requests with an error. It was written without access to a real Alma.
Source: docs/alma.md#simulated.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from flask import Flask, Response, jsonify, request

from broker.demo.circulation.loan_table import LoanTable
from broker.demo.faults.fault_injector import FaultInjector
from broker.demo.faults.planned_faults import AccessLog
from tests.conformance.simulated_alma.administration import Administration
from tests.conformance.simulated_alma.call_limits import CallLimits
from tests.conformance.simulated_alma.injected_faults import InjectedFaults
from tests.conformance.simulated_alma.refusals import Refused, broken, general_error
from tests.conformance.simulated_alma.user_api import REMAINING, ROOT, Api, wants_json
from tests.conformance.simulated_alma.users import Users

__all__ = ["Simulation", "create_app"]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts of a simulated Alma that a test may look at: ``app.extensions["alma"]``."""

    users: Users
    loans: LoanTable
    limits: CallLimits
    faults: InjectedFaults
    access: AccessLog


def create_app(
    seed: Iterable[Mapping[str, Any]] = (),
    *,
    administration: Administration | None = None,
    faults: InjectedFaults | None = None,
    limits: CallLimits | None = None,
    loans: LoanTable | None = None,
) -> Flask:
    """Return the application, with the users of ``seed``: bodies of POST /users.

    Without ``administration`` there is one API key, ``demo``, which may do all.
    """
    users = Users(administration or Administration())
    for person in seed:
        users.create(person)
    alma = Simulation(users, loans or LoanTable(), limits or CallLimits(), faults or InjectedFaults(), AccessLog())
    app = Flask("broker.demo")
    app.extensions["alma"] = alma
    app.register_error_handler(Refused, lambda refused: _refusal(refused, alma.faults))
    _strike(app, alma)
    struck = FaultInjector(alma.faults, broken, lambda _: general_error())
    Api(users, alma.loans, alma.limits, alma.faults, struck).serve(app)
    return app


def _refusal(refused: Refused, faults: InjectedFaults) -> Response:
    by_gateway = faults.gateway_in_xml and refused.is_of_gateway
    if wants_json() and not by_gateway:
        answer = jsonify(refused.body)
    else:
        answer = Response(refused.xml, mimetype="application/xml")
    answer.status_code = refused.status
    return answer


def _strike(app: Flask, alma: Simulation) -> None:
    """Let the faults strike, write the access log, and tell how many calls are left today."""

    @app.before_request
    def before() -> Response | None:
        if not request.path.startswith(ROOT):
            return None
        if alma.faults.down:
            return Response("<h1>Service Unavailable</h1>", 503, mimetype="text/html")
        time.sleep(alma.faults.slow)
        if request.method != "GET" and alma.faults.strikes("fail"):
            raise broken()
        return None

    @app.after_request
    def after(response: Response) -> Response:
        path = unquote_plus(request.full_path.removesuffix("?"))
        alma.access.add(f"{request.method} {path} {response.status_code}")
        is_call = request.path.startswith(ROOT)
        if is_call and not alma.faults.down:
            left = 0 if alma.faults.quota_gone else _count_left(alma)
            response.headers[REMAINING] = str(left)
        is_change = is_call and request.method != "GET" and response.status_code < 400
        if is_change and alma.faults.strikes("lose_answer"):
            return Response("<h1>Bad Gateway</h1>", 502, mimetype="text/html")
        return response


def _count_left(alma: Simulation) -> int:
    return alma.limits.remaining(alma.users.administration)
