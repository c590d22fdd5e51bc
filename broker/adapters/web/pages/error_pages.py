"""The answer to every error: a page with its reason, what to do next, and a help code."""

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
    """Error pages for people, and error Responses for services."""

    def show_broker_error(self, error: BrokerError) -> Response:
        """Answer an error of the broker: by a Response to the service or by a page."""
        context = self._own_transaction()
        try:
            response = self._answer_service(error, context)
        except BrokerError as unanswerable:
            # The service is no longer in the metadata: answer the person.
            error, response = unanswerable, None
        return response or self._show(error, context)

    def show_http_error(self, error: HTTPException) -> Response:
        """Answer what Flask refuses: no such page, wrong method, too large."""
        code = error.code or _SERVER_ERROR
        reason = _REASONS.get(code, "unexpected" if code >= _SERVER_ERROR else "form_refused")
        reference = self.ports.make_stranger_reference(_route(), reason)
        facts: Facts = {"reference": reference, "reason": reason, "http": code, "route": _route()}
        self.ports.tell(BrokerEvent(EventKind.HTTP_ERROR_SHOWN, facts))
        response = self.error(reason, code, reference)
        if code == 405:
            methods = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(methods)
        return response

    def show_unforeseen(self, error: Exception) -> Response:
        """Answer an unexpected error with 503; page and log do not show its text."""
        reference = self.ports.make_stranger_reference(_route(), "unexpected")
        self.ports.log_unexpected(error, reference)
        return self._page_with_retry("unexpected", 503, reference, self._own_transaction())

    def show_busy(self, error: NetworkBusy) -> Response:
        """Answer a network that begins too many logins."""
        self.ports.tell(BrokerEvent(EventKind.NETWORK_BUSY_SHOWN, {"reason": error.reason}))
        reference = self.ports.make_stranger_reference(_route(), error.reason)
        response = self.error(error.reason, error.http, reference)
        response.headers["Retry-After"] = str(error.retry_after)
        return response

    def _answer_service(self, error: BrokerError, context: LoginContext | None) -> Response | None:
        """Return the error Response for the service, or None if the person gets a page.

        The service gets it if its AuthnRequest was refused or is passive.
        """
        if isinstance(error, RequestRefused) and isinstance(error.request, AuthnRequest):
            return self._refuse_request(error, error.request)
        # IsPassive forbids pages of the broker, also for errors
        # (docs/reference/saml-profiles.md#27).
        if context is None or not context.transaction.request.is_passive:
            return None
        return self.show_refusal(context, Refuse(error.reason, NO_PASSIVE))

    def _refuse_request(self, error: RequestRefused, refused: AuthnRequest) -> Response:
        ports = self.ports
        reference = draw_reference()
        facts = {"reference": reference, "service": refused.service, "cause": str(error)}
        if error.detail:
            facts["detail"] = error.detail
        ports.tell(BrokerEvent(EventKind.REQUEST_REFUSED, facts))
        form = ports.idp_role.refuse(refused, error.refusal, f"_r{reference}", ports.now())
        return self.post_to_service(form, refused.service)

    def _show(self, error: BrokerError, context: LoginContext | None) -> Response:
        ports = self.ports
        facts = self._facts(error)
        if context is None or context.transaction.authentication is None:
            # Store nothing before the authentication (docs/reference/design.md#4e).
            reference = ports.make_stranger_reference(_route(), error.reason)
            ports.tell(BrokerEvent(EventKind.STRANGER_REFUSED, {"reference": reference, **facts}))
        else:
            reference = draw_reference()
            transaction = replace(context.transaction, reference=reference)
            ports.tell_login(
                EventKind.ERROR_SHOWN,
                transaction,
                facts,
                audit=AuditEventKind.REFUSED,
                trace=ports.trace_of(transaction, _route(), error.reason),
                # The text of an error never stands in the audit log.
                reason=error.cause if isinstance(error, MessageRefused) else error.reason,
            )
        return self._page_with_retry(error.reason, error.http, reference, context)

    def _facts(self, error: BrokerError) -> Facts:
        """Return the facts of the log. The cause of a refused message is a code of the broker."""
        # A path could contain any text: name the upstream only if it is configured.
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
        """Return the transaction that the URL names, if it is this browser's or still unbound."""
        context: LoginContext | None = g.get("context")
        if context is None or "name" not in (request.view_args or {}):
            return None
        own = {None, *self.ports.cookies.browsers()}
        return context if context.transaction.browser in own else None

    def _page_with_retry(
        self, reason: str, status: int, reference: str, context: LoginContext | None
    ) -> Response:
        """Return the page of an error, with links that continue the login that the URL names."""
        if context is None:
            return self.error(reason, status, reference)
        transaction = context.transaction
        retry = self.url(transaction, "upstream")
        return self.error(reason, status, reference, retry, transaction.service_before)


def _route() -> str:
    """Return the rule of the route: the path itself could contain pasted personal data."""
    return request.url_rule.rule if request.url_rule else "none"
