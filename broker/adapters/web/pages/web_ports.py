"""The dependencies of the endpoints: login flow, SAML roles, event log and page contents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.adapters.web.message_recording import MessageRecorder
from broker.adapters.web.network_limits import NetworkLimits
from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.page_security import FormTokens
from broker.core.entities import Service, Text, Upstream
from broker.core.events.audit_events import AuditEventKind, make_login_event
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort, Facts, TraceFacts
from broker.core.help_codes import StatelessReferences
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.steps import Step
from broker.core.login.transaction import Transaction
from broker.core.saml_ports import IdpRole, SpRole
from broker.use_cases.login.login import LoginFlow
from broker.use_cases.transactions.transactions import LoginContext


@dataclass(frozen=True, slots=True)
class WebPorts:
    """Everything an endpoint may reach; adapters only through ports."""

    broker: LoginFlow
    idp_role: IdpRole
    sp_role: SpRole
    messages: MessageRecorder
    cookies: BrowserCookies
    forms: FormTokens
    now: Callable[[], datetime]
    tell: EventPort
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    labels: Mapping[str, Text]  # canonical attribute name to what people call it
    base_url: str
    unexpected: Callable[[BaseException, str], None]
    shared: Callable[[], bool]  # whether several people use the computer that asks
    network: Callable[[], str]  # the network that asks, as limits count
    limits: NetworkLimits
    submit: Callable[[Callable[[], None]], bool]  # queues a check of an account; False if full
    library: Text  # what people call the library
    cpr_cards: bool  # whether the CPR number is the card number; else the system gives one
    logo: Callable[[str], str]  # the address of a service's picture, or ""
    sign_up: str | None  # the address of our sign-up pages, where there are any
    local: str | None  # the upstream where the library system verifies a number and PIN
    patience: float = 2.0  # seconds that a request waits for its enrolment

    def next_step(self, context: LoginContext) -> Step:
        """Return what comes next in a login."""
        return self.broker.next_step(context, self.now())

    def stranger_reference(self, step: str, reason: str) -> str:
        """Return the reference of a page for which nothing is stored, as it is shown now."""
        return StatelessReferences(self.broker.hmacs).encode(step, reason, self.now())

    def tell_login(
        self,
        kind: EventKind,
        transaction: Transaction,
        facts: Facts | None = None,
        *,
        audit: AuditEventKind | None = None,
        trace: TraceFacts | None = None,
        **audited: Any,
    ) -> None:
        """Report an event of a login: ``facts`` to the log, ``audited`` to the audit log."""
        written = None
        if audit is not None:
            written = make_login_event(audit, self.now(), transaction.names, **audited)
        shown = {"reference": transaction.reference, **(facts or {})}
        self.tell(BrokerEvent(kind, shown, written, trace))

    def tell_proved(self, transaction: Transaction, proof: str, **audited: Any) -> None:
        """Report that a code, an answer or a card number of a login has proved something."""
        self.tell_login(
            EventKind.MAILBOX_PROVED,
            transaction,
            {"proof": proof},
            audit=AuditEventKind.PROVED,
            about=proof,
            **audited,
        )

    def tell_proof_refused(self, transaction: Transaction, step: str, reason: str) -> None:
        """Report that a code, address or card number of a login proved nothing."""
        facts = {"reason": reason, "route": step}
        trace = self.trace_of(transaction, step, reason)
        kind, audit = EventKind.PROOF_REFUSED, AuditEventKind.REFUSED
        self.tell_login(kind, transaction, facts, audit=audit, trace=trace, reason=reason)

    def trace_of(
        self, transaction: Transaction, step: str, reason: str, refused: RefusedFacts | None = None
    ) -> TraceFacts:
        """Return what staff find by the help code of a page that shows ``reason``."""
        return TraceFacts(
            transaction.reference,
            self.now(),
            step,
            reason,
            transaction.upstream,
            refused,
            transaction.person_id,
        )
