"""The page that services lead to when they refuse a person we have logged in (REFEDS errorURL)."""

from typing import Final

from flask import Blueprint, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.event_routes import BrokerEvent, EventKind

# The codes of the specification; any other, and a placeholder left unfilled, is the last.
_OTHER: Final = "at_service_other"
_REASONS: Final = {
    "IDENTIFICATION_FAILURE": "at_service_identification",
    "AUTHENTICATION_FAILURE": "at_service_authentication",
    "AUTHORIZATION_FAILURE": "at_service_authorization",
    "OTHER_ERROR": _OTHER,
}


def blueprint(ports: WebPorts, pages: StepPages) -> Blueprint:
    """Return ``/error``: its query picks among the reasons that we know, and is never shown."""
    routes = Blueprint("service_errors", __name__)

    @routes.get("/error")
    def error() -> Response:
        reason = _REASONS.get(request.args.get("code", ""), _OTHER)
        service = _service(ports, request.args.get("rp", ""))
        name = ports.stranger_reference("/error", reason)
        facts = {"reference": name, "reason": reason, "service": service}
        ports.tell(BrokerEvent(EventKind.SERVICE_ERROR_SHOWN, facts))
        return pages.error(reason, 200, name, None, service)

    return routes


def _service(ports: WebPorts, entity_id: str) -> str | None:
    """Return the name of the service with this entityID, if it is one of ours."""
    for service in ports.services.values():
        if service.entity_id == entity_id:
            return service.name
    return None
