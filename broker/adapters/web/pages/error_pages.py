"""The answer to every error: a page with a reason, a way on and a reference."""

from dataclasses import dataclass
from typing import Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEvent, AuditEventKind, of_login
from broker.core.errors import NO_PASSIVE, BrokerError, MessageRefused, RequestRefused
from broker.core.event_routes import BrokerEvent, EventKind, Facts, TraceFacts
from broker.core.login.steps import Refuse
from broker.core.login.transaction import AuthnRequest
from broker.flows.transactions import Held, reference

_REASONS: Final = {404: "not_found", 405: "wrong_method", 413: "too_large", 429: "too_many"}
_SERVER_ERROR: Final = 500


def install(app: Flask, ports: WebPorts, pages: StepPages) -> None:
    """Answer every error of ``app``: no stack trace, no 500 without a page.

    Source: docs/reference/design.md#invariant-8.
    """
    errors = ErrorPages(ports, pages)
    app.register_error_handler(BrokerError, errors.refused)
    app.register_error_handler(HTTPException, errors.http)
    app.register_error_handler(Exception, errors.unforeseen)


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """The answers to errors, made of the web ports."""

    ports: WebPorts
    pages: StepPages

    def refused(self, error: BrokerError) -> Response:
        """Answer an error of the broker: to the service where it asked for that, else by a page."""
        name = reference()
        try:
            response = self._to_service(error, name)
        except BrokerError as unanswerable:
            # The service itself is gone from the metadata: only the person is left to answer.
            return self._page(unanswerable, name)
        return response or self._page(error, name)

    def http(self, error: HTTPException) -> Response:
        """Answer what Flask refuses: no such page, wrong method, too large."""
        name = reference()
        code = error.code or _SERVER_ERROR
        reason = _http_reason(code)
        facts: Facts = {"reference": name, "reason": reason, "http": code, "route": _route()}
        self.ports.tell(BrokerEvent(EventKind.HTTP_ERROR_SHOWN, facts))
        response = self.pages.error(reason, code, name, None)
        if code == 405:
            methods = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(methods)
        return response

    def unforeseen(self, error: Exception) -> Response:
        """Answer an error that is none of ours with 503; its text stays away from page and log."""
        name = reference()
        self.ports.unexpected(error, name)
        return self.pages.error("unexpected", 503, name, _retry_url(self.ports))

    def _to_service(self, error: BrokerError, name: str) -> Response | None:
        """Return the answer to the service, where that is what it asked for; None for a page."""
        if isinstance(error, RequestRefused) and isinstance(error.request, AuthnRequest):
            return self._request_refused(error, error.request, name)
        # IsPassive forbids our page, whatever went wrong (docs/reference/saml-profiles.md#27).
        held = _own_transaction(self.ports)
        if held is None or not held.transaction.request.is_passive:
            return None
        return self.pages.refused(held, Refuse(error.reason, NO_PASSIVE))

    def _request_refused(self, error: RequestRefused, asked: AuthnRequest, name: str) -> Response:
        ports = self.ports
        now = ports.now()
        audit = AuditEvent(
            AuditEventKind.REFUSED,
            now,
            reference=name,
            service=asked.service,
            reason=error.reason,
        )
        facts = {"reference": name, "service": asked.service, "cause": str(error)}
        if error.detail:
            facts["detail"] = error.detail
        ports.tell(BrokerEvent(EventKind.REQUEST_REFUSED, facts, audit))
        form = ports.service_face.refuse(asked, error.refusal, f"_r{name}", now)
        return self.pages.outgoing.post(form, asked.service)

    def _page(self, error: BrokerError, name: str) -> Response:
        self.ports.tell(_error_shown(error, name, self.ports))
        return self.pages.error(error.reason, error.http, name, _retry_url(self.ports))


def _http_reason(code: int) -> str:
    if code >= _SERVER_ERROR:
        return "unexpected"
    return _REASONS.get(code, "form_refused")


def _error_shown(error: BrokerError, name: str, ports: WebPorts) -> BrokerEvent:
    """Return the event; of an error that is no refused message the text stays in the log."""
    held = _own_transaction(ports)
    now = ports.now()
    cause = str(error)
    audited = error.reason
    detail = None
    clock_off = None
    if isinstance(error, MessageRefused):
        # Why a message was refused is a code of ours.
        cause = error.cause
        audited = error.cause
        detail = error.detail or None
        clock_off = error.clock_off
    facts = {
        "reference": name,
        "reason": error.reason,
        "cause": cause,
        "detail": detail,
        "route": _route(),
        "upstream": _upstream(ports),
        "clock_off_seconds": clock_off,
    }
    known = held is not None and held.transaction.browser is not None
    trace = TraceFacts(name, now, _route(), error.reason, known=known)
    if held is not None:
        kind = AuditEventKind.REFUSED
        login = held.transaction.names
        audit = of_login(kind, now, login, reason=audited, reference=name)
    else:
        upstream = _upstream(ports)
        audit = AuditEvent(
            AuditEventKind.REFUSED, now, reference=name, upstream=upstream, reason=audited
        )
    return BrokerEvent(EventKind.ERROR_SHOWN, facts, audit, trace)


def _route() -> str:
    """Return the rule of the route: a path could hold what somebody pasted into it."""
    return request.url_rule.rule if request.url_rule else "none"


def _upstream(ports: WebPorts) -> str | None:
    """Return the upstream of the address if it is one of ours: a path could hold anything."""
    name = (request.view_args or {}).get("upstream")
    return name if name in ports.upstreams else None


def _own_transaction(ports: WebPorts) -> Held | None:
    """Return the transaction of the address if it lives and is this browser's, or still unbound."""
    name = (request.view_args or {}).get("name")
    if not name:
        return None
    try:
        held = ports.broker.read(name, ports.now())
    except BrokerError:
        return None
    own = {None, *ports.cookies.browsers(request)}
    return held if held.transaction.browser in own else None


def _retry_url(ports: WebPorts) -> str | None:
    """Return the address where this browser may begin the same login again, or None."""
    held = _own_transaction(ports)
    if held is None:
        return None
    return f"{ports.base_url}/login/{held.transaction.id}/upstream"
