"""The answer to every error: a page with a reason, a way on and a reference."""

from dataclasses import dataclass, replace
from typing import Final

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.errors import (
    NO_PASSIVE,
    BrokerError,
    MessageRefused,
    NetworkBusy,
    RequestRefused,
    ServiceNotConnected,
)
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind, Facts
from broker.core.login.steps import Refuse
from broker.core.login.transaction import AuthnRequest, Errand
from broker.use_cases.transactions.transactions import (
    Held,
    TransactionAbsent,
    TransactionOfAnotherBrowser,
    draw_reference,
)

_REASONS: Final = {404: "not_found", 405: "wrong_method", 413: "too_large", 429: "too_many"}
_SERVER_ERROR: Final = 500


def install(app: Flask, ports: WebPorts, pages: StepPages) -> None:
    """Answer every error of ``app``: no stack trace, no 500 without a page.

    Source: docs/reference/design.md#invariant-8.
    """
    errors = ErrorPages(ports, pages)
    app.register_error_handler(BrokerError, errors.show_refusal)
    app.register_error_handler(HTTPException, errors.http)
    app.register_error_handler(Exception, errors.unforeseen)


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """The answers to errors, made of the web ports."""

    ports: WebPorts
    pages: StepPages

    def show_refusal(self, error: BrokerError) -> Response:
        """Answer an error of the broker: to the service where it asked for that, else by a page."""
        if isinstance(error, NetworkBusy):
            return self._network_busy(error)
        held = None if _is_not_own(error) else _own_transaction(self.ports)
        try:
            response = self._to_service(error, held)
        except BrokerError as unanswerable:
            # The service itself is gone from the metadata: only the person is left to answer.
            return self._page(unanswerable, held)
        return response or self._page(error, held)

    def http(self, error: HTTPException) -> Response:
        """Answer what Flask refuses: no such page, wrong method, too large."""
        code = error.code or _SERVER_ERROR
        reason = _http_reason(code)
        name = self.ports.stranger_reference(_route(), reason)
        facts: Facts = {"reference": name, "reason": reason, "http": code, "route": _route()}
        self.ports.tell(BrokerEvent(EventKind.HTTP_ERROR_SHOWN, facts))
        response = self.pages.error(reason, code, name, None)
        if code == 405:
            methods = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(methods)
        return response

    def unforeseen(self, error: Exception) -> Response:
        """Answer an unexpected error with 503; page and log do not show its text."""
        name = self.ports.stranger_reference(_route(), "unexpected")
        self.ports.unexpected(error, name)
        held = _own_transaction(self.ports)
        retry = _retry_url(held, self.ports)
        return self.pages.error("unexpected", 503, name, retry, _service(held))

    def _to_service(self, error: BrokerError, held: Held | None) -> Response | None:
        """Return the answer to the service, where that is what it asked for; None for a page."""
        if isinstance(error, RequestRefused) and isinstance(error.request, AuthnRequest):
            return self._request_refused(error, error.request)
        # IsPassive forbids our page, whatever went wrong (docs/reference/saml-profiles.md#27).
        if held is None or not held.transaction.request.is_passive:
            return None
        return self.pages.show_refusal(held, Refuse(error.reason, NO_PASSIVE))

    def _request_refused(self, error: RequestRefused, asked: AuthnRequest) -> Response:
        ports = self.ports
        name = draw_reference()
        facts = {"reference": name, "service": asked.service, "cause": str(error)}
        if error.detail:
            facts["detail"] = error.detail
        ports.tell(BrokerEvent(EventKind.REQUEST_REFUSED, facts))
        form = ports.idp_role.refuse(asked, error.refusal, f"_r{name}", ports.now())
        return self.pages.outgoing.post(form, asked.service)

    def _page(self, error: BrokerError, held: Held | None) -> Response:
        ports = self.ports
        if held is None or held.transaction.authentication is None:
            # Store nothing before the authentication (docs/reference/design.md#4e).
            name = ports.stranger_reference(_route(), error.reason)
            ports.tell(BrokerEvent(EventKind.STRANGER_REFUSED, _facts(error, name, ports)))
        else:
            name = draw_reference()
            transaction = replace(held.transaction, reference=name)
            ports.tell_login(
                EventKind.ERROR_SHOWN,
                transaction,
                _facts(error, name, ports),
                audit=AuditEventKind.REFUSED,
                trace=ports.trace_of(transaction, _route(), error.reason),
                # The text of an error never stands in the audit log.
                reason=error.cause if isinstance(error, MessageRefused) else error.reason,
            )
        retry = _retry_url(held, ports)
        return self.pages.error(error.reason, error.http, name, retry, _service(held))

    def _network_busy(self, error: NetworkBusy) -> Response:
        ports = self.ports
        facts = {"reason": error.reason}
        ports.tell(BrokerEvent(EventKind.NETWORK_BUSY_SHOWN, facts))
        name = ports.stranger_reference(_route(), error.reason)
        response = self.pages.error(error.reason, error.http, name, None)
        response.headers["Retry-After"] = str(error.retry_after)
        return response


def _http_reason(code: int) -> str:
    if code >= _SERVER_ERROR:
        return "unexpected"
    return _REASONS.get(code, "form_refused")


def _facts(error: BrokerError, name: str, ports: WebPorts) -> Facts:
    """Return the facts of the log; the cause of a refused message is one of the broker's codes."""
    facts: dict[str, str | int | None] = {
        "reference": name,
        "reason": error.reason,
        "cause": str(error),
        "service": error.service if isinstance(error, ServiceNotConnected) else None,
        "route": _route(),
        "upstream": _upstream(ports),
    }
    if isinstance(error, MessageRefused):
        facts["cause"] = error.cause
        facts["detail"] = error.detail or None
        facts["clock_off_seconds"] = error.clock_off
    return facts


def _route() -> str:
    """Return the rule of the route: a path could hold what somebody pasted into it."""
    return request.url_rule.rule if request.url_rule else "none"


def _upstream(ports: WebPorts) -> str | None:
    """Return the upstream in the path if it is configured; a path could hold any text."""
    name = (request.view_args or {}).get("upstream")
    return name if name in ports.upstreams else None


def _is_not_own(error: BrokerError) -> bool:
    """Return whether ``error`` says already that no transaction of the address is this browser's.

    This saves a second look-up in the store for each guessed address.
    """
    if not isinstance(error, TransactionAbsent | TransactionOfAnotherBrowser):
        return False
    return error.name == (request.view_args or {}).get("name")


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


def _service(held: Held | None) -> str | None:
    """Return the name of the service that this browser's login is for, or None."""
    if held is None:
        return None
    transaction = held.transaction
    return transaction.request.service if transaction.errand is Errand.LOGIN else transaction.back


def _retry_url(held: Held | None, ports: WebPorts) -> str | None:
    """Return the address where this browser may begin the same login again, or None."""
    if held is None:
        return None
    return f"{ports.base_url}/login/{held.transaction.id}/upstream"
