"""The answer to every error: a page with a reason, a way on and a reference."""

from dataclasses import dataclass, replace
from typing import Final

from flask import Flask, g, request
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
from broker.core.login.transaction import AuthnRequest
from broker.use_cases.transactions.transactions import LoginContext, draw_reference

_REASONS: Final = {404: "not_found", 405: "wrong_method", 413: "too_large", 429: "too_many"}
_SERVER_ERROR: Final = 500


def install(app: Flask, ports: WebPorts) -> None:
    """Answer every error of ``app``: no stack trace, no 500 without a page.

    Source: docs/reference/design.md#invariant-8.
    """
    errors = ErrorPages(ports)
    app.register_error_handler(BrokerError, errors.show_broker_error)
    app.register_error_handler(NetworkBusy, errors.show_busy)
    app.register_error_handler(HTTPException, errors.show_http_error)
    app.register_error_handler(Exception, errors.show_unforeseen)


@dataclass(frozen=True, slots=True)
class ErrorPages(StepPages):
    """The answers to errors, made of the web ports."""

    def show_broker_error(self, error: BrokerError) -> Response:
        """Answer an error of the broker: to the service where it asked for that, else by a page."""
        context = self._own_transaction()
        try:
            response = self._answer_service(error, context)
        except BrokerError as unanswerable:
            # The service itself is gone from the metadata: only the person is left to answer.
            error, response = unanswerable, None
        return response or self._show(error, context)

    def show_http_error(self, error: HTTPException) -> Response:
        """Answer what Flask refuses: no such page, wrong method, too large."""
        code = error.code or _SERVER_ERROR
        reason = _REASONS.get(code, "unexpected" if code >= _SERVER_ERROR else "form_refused")
        name = self.ports.stranger_reference(_route(), reason)
        facts: Facts = {"reference": name, "reason": reason, "http": code, "route": _route()}
        self.ports.tell(BrokerEvent(EventKind.HTTP_ERROR_SHOWN, facts))
        response = self.error(reason, code, name)
        if code == 405:
            methods = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(methods)
        return response

    def show_unforeseen(self, error: Exception) -> Response:
        """Answer an unexpected error with 503; page and log do not show its text."""
        name = self.ports.stranger_reference(_route(), "unexpected")
        self.ports.unexpected(error, name)
        return self._error_page("unexpected", 503, name, self._own_transaction())

    def show_busy(self, error: NetworkBusy) -> Response:
        """Answer a network that begins too many logins."""
        self.ports.tell(BrokerEvent(EventKind.NETWORK_BUSY_SHOWN, {"reason": error.reason}))
        name = self.ports.stranger_reference(_route(), error.reason)
        response = self.error(error.reason, error.http, name)
        response.headers["Retry-After"] = str(error.retry_after)
        return response

    def _answer_service(self, error: BrokerError, context: LoginContext | None) -> Response | None:
        """Return the answer to the service, where that is what it asked for; None for a page."""
        if isinstance(error, RequestRefused) and isinstance(error.request, AuthnRequest):
            return self._refuse_request(error, error.request)
        # IsPassive forbids our page, whatever went wrong (docs/reference/saml-profiles.md#27).
        if context is None or not context.transaction.request.is_passive:
            return None
        return self.show_refusal(context, Refuse(error.reason, NO_PASSIVE))

    def _refuse_request(self, error: RequestRefused, asked: AuthnRequest) -> Response:
        ports = self.ports
        name = draw_reference()
        facts = {"reference": name, "service": asked.service, "cause": str(error)}
        if error.detail:
            facts["detail"] = error.detail
        ports.tell(BrokerEvent(EventKind.REQUEST_REFUSED, facts))
        form = ports.idp_role.refuse(asked, error.refusal, f"_r{name}", ports.now())
        return self.post_to_service(form, asked.service)

    def _show(self, error: BrokerError, context: LoginContext | None) -> Response:
        ports = self.ports
        facts = self._facts(error)
        if context is None or context.transaction.authentication is None:
            # Store nothing before the authentication (docs/reference/design.md#4e).
            name = ports.stranger_reference(_route(), error.reason)
            ports.tell(BrokerEvent(EventKind.STRANGER_REFUSED, {"reference": name, **facts}))
        else:
            name = draw_reference()
            transaction = replace(context.transaction, reference=name)
            ports.tell_login(
                EventKind.ERROR_SHOWN,
                transaction,
                facts,
                audit=AuditEventKind.REFUSED,
                trace=ports.trace_of(transaction, _route(), error.reason),
                # The text of an error never stands in the audit log.
                reason=error.cause if isinstance(error, MessageRefused) else error.reason,
            )
        return self._error_page(error.reason, error.http, name, context)

    def _facts(self, error: BrokerError) -> Facts:
        """Return the facts of the log; the cause of a refused message is one of our codes."""
        # A path could hold any text: name the upstream only if it is configured.
        upstream = (request.view_args or {}).get("upstream")
        facts: dict[str, str | int | None] = {
            "reason": error.reason,
            "cause": str(error),
            "service": error.service if isinstance(error, ServiceNotConnected) else None,
            "route": _route(),
            "upstream": upstream if upstream in self.ports.upstreams else None,
        }
        if isinstance(error, MessageRefused):
            facts["cause"] = error.cause
            facts["detail"] = error.detail or None
            facts["clock_off_seconds"] = error.clock_off
        return facts

    def _own_transaction(self) -> LoginContext | None:
        """Return the transaction of the address if it is this browser's, or still unbound."""
        context: LoginContext | None = g.get("context")
        if context is None or "name" not in (request.view_args or {}):
            return None
        own = {None, *self.ports.cookies.browsers()}
        return context if context.transaction.browser in own else None

    def _error_page(
        self, reason: str, status: int, name: str, context: LoginContext | None
    ) -> Response:
        """Return the page of an error, with the ways on from the login of the address."""
        if context is None:
            return self.error(reason, status, name)
        transaction = context.transaction
        retry = self.url(transaction, "upstream")
        return self.error(reason, status, name, retry, transaction.service_before)


def _route() -> str:
    """Return the rule of the route: a path could hold what somebody pasted into it."""
    return request.url_rule.rule if request.url_rule else "none"
