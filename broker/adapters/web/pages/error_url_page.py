"""The page that services lead to when they could not let somebody in whom we logged in (REFEDS errorURL)."""

from typing import Final

from flask import Blueprint, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.events import BrokerEvent, EventKind, TraceFacts
from broker.flows.transactions import reference

# The codes of the specification; any other, and the placeholder that nobody filled in, is the last.
_OTHER: Final = "at_service_other"
_REASONS: Final = {
    "IDENTIFICATION_FAILURE": "at_service_identification",
    "AUTHENTICATION_FAILURE": "at_service_authentication",
    "AUTHORIZATION_FAILURE": "at_service_authorization",
    "OTHER_ERROR": _OTHER,
}


def blueprint(ports: WebPorts, pages: StepPages) -> Blueprint:
    """Give ``/error``: whatever stands in its address is read as a choice among what we know, and never shown."""
    rooms = Blueprint("service_errors", __name__)

    @rooms.get("/error")
    def error() -> Response:
        reason, name = _REASONS.get(request.args.get("code", ""), _OTHER), reference()
        asking = request.args.get("rp", "")
        service = next(
            (each.name for each in ports.services.values() if each.entity_id == asking), None
        )
        facts = {"reference": name, "reason": reason, "service": service}
        trace = TraceFacts(name, ports.now(), "service", reason, known=False)
        ports.tell(BrokerEvent(EventKind.SERVICE_ERROR_SHOWN, facts, trace=trace))
        return pages.error(reason, 200, name, None)

    return rooms
