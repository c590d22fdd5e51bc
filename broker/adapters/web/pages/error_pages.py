"""One place that turns everything that can go wrong into a page with a reason, a way on and a reference."""

from typing import Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEvent, AuditEventKind, of_login
from broker.core.errors import NO_PASSIVE, BrokerError, MessageRefused, RequestRefused
from broker.core.login.steps import Refuse
from broker.core.login.transaction import AuthnRequest
from broker.flows.transactions import Held, reference

_HTTP: Final = {404: "not_found", 405: "wrong_method", 413: "too_large", 429: "too_many"}


def install(app: Flask, ports: WebPorts, pages: StepPages) -> None:
    """Answer every error of ``app``: no stack trace, no 500 without a page (invariant 8)."""
    faults = ErrorPages(ports, pages)
    app.register_error_handler(BrokerError, faults.refused)
    app.register_error_handler(HTTPException, faults.http)
    app.register_error_handler(Exception, faults.unforeseen)


class ErrorPages:
    """The answers to errors over the web ports."""

    def __init__(self, ports: WebPorts, pages: StepPages) -> None:
        """Take where errors are told, and what shows them."""
        self.ports, self.pages = ports, pages

    def refused(self, error: BrokerError) -> Response:
        """Answer what the broker itself refuses or cannot do."""
        ports, name = self.ports, reference()
        try:
            response = self._to_service(error, name)
        except BrokerError as unanswerable:
            # The service itself is gone from the metadata: there is nobody to answer but the
            # person.
            error, response = unanswerable, None
        if response is not None:
            return response
        own = _own(ports)
        message = error if isinstance(error, MessageRefused) else None
        ports.events(
            "refused",
            reference=name,
            reason=error.reason,
            cause=message.cause if message else str(error),
            route=_route(),
            upstream=_upstream(ports),
            clock_off_seconds=message.clock_off if message else None,
        )
        known = own is not None and own.transaction.browser is not None
        ports.trail.add(_refused(error, name, own, ports))
        ports.traces.leave(name, ports.now(), known=known, step=_route(), reason=error.reason)
        return self.pages.error(error.reason, error.http, name, _again(ports))

    def http(self, error: HTTPException) -> Response:
        """Answer what Flask refuses: no such page, wrong method, too large."""
        name, code = reference(), error.code or 500
        reason = _HTTP.get(code, "unexpected" if code >= 500 else "form_refused")
        self.ports.events("refused", reference=name, reason=reason, http=code, route=_route())
        response = self.pages.error(reason, code, name, None)
        if code == 405:
            response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
        return response

    def unforeseen(self, error: Exception) -> Response:
        """Answer what nobody foresaw."""
        name = reference()
        self.ports.unexpected(error, name)
        return self.pages.error("unexpected", 503, name, _again(self.ports))

    def _to_service(self, error: BrokerError, name: str) -> Response | None:
        """Answer the service instead of the person, where that is what the service asked for."""
        ports, pages = self.ports, self.pages
        if isinstance(error, RequestRefused) and isinstance(error.request, AuthnRequest):
            ports.events(
                "request_refused", reference=name, service=error.request.service, cause=str(error)
            )
            service, reason = error.request.service, error.reason
            ports.trail.add(
                AuditEvent(
                    AuditEventKind.REFUSED,
                    ports.now(),
                    reference=name,
                    service=service,
                    reason=reason,
                )
            )
            form = ports.service_face.refuse(error.request, error.refusal, f"_r{name}", ports.now())
            return pages.leaving.post(form, error.request.service)
        # IsPassive forbids our page, whatever went wrong (saml_profiles.md 27).
        passive = _passive(ports)
        return pages.refused(passive, Refuse(error.reason, NO_PASSIVE)) if passive else None


def _refused(error: BrokerError, reference: str, own: Held | None, ports: WebPorts) -> AuditEvent:
    """Give the event; why a message was refused is a code of ours, other errors' texts stay in the log."""
    reason = error.cause if isinstance(error, MessageRefused) else error.reason
    if own is None:
        return AuditEvent(
            AuditEventKind.REFUSED,
            ports.now(),
            reference=reference,
            upstream=_upstream(ports),
            reason=reason,
        )
    return of_login(
        AuditEventKind.REFUSED, ports.now(), own.transaction, reason=reason, reference=reference
    )


def _route() -> str:
    """Name the route by its rule: a path could hold what somebody pasted into it."""
    return request.url_rule.rule if request.url_rule else "none"


def _upstream(ports: WebPorts) -> str | None:
    """Give the upstream whose address was called, if it is one of ours: a path could hold anything."""
    name = (request.view_args or {}).get("upstream")
    return name if name in ports.upstreams else None


def _own(ports: WebPorts) -> Held | None:
    """Give the transaction of the address if it lives and is this browser's, or nobody's yet."""
    name = (request.view_args or {}).get("name")
    if not name:
        return None
    try:
        held = ports.broker.read(name, ports.now())
    except BrokerError:
        return None
    return held if held.transaction.browser in {None, *ports.cookies.browsers(request)} else None


def _passive(ports: WebPorts) -> Held | None:
    held = _own(ports)
    return held if held and held.transaction.request.is_passive else None


def _again(ports: WebPorts) -> str | None:
    """Give the address where this browser may begin the same login again."""
    held = _own(ports)
    return f"{ports.base_url}/login/{held.transaction.id}/upstream" if held else None
