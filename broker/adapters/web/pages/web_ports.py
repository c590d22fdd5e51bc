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
    """Everything that an endpoint may use. Other adapters are behind ports."""

    login_flow: LoginFlow
    idp_role: IdpRole
    sp_role: SpRole
    messages: MessageRecorder
    cookies: BrowserCookies
    forms: FormTokens
    now: Callable[[], datetime]
    tell: EventPort
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    labels: Mapping[str, Text]  # of each canonical attribute
    base_url: str
    log_unexpected: Callable[[BaseException, str], None]
    shared: Callable[[], bool]  # whether the request comes from a shared computer
    network: Callable[[], str]  # the network of the request, as limits count
    limits: NetworkLimits
    submit: Callable[[Callable[[], None]], bool]  # queues a check of an account; False if full
    library_name: Text
    cpr_cards: bool  # whether CPR numbers are card numbers; else the library system draws them
    logo: Callable[[str], str]  # the address of a service's picture, or ""
    sign_up: str | None  # the address of the sign-up pages, if there are any
    library_account: str | None  # the upstream that is the library account, if there is one
    patience: float = 2.0  # seconds that a request waits for its enrolment

    def next_step(self, context: LoginContext) -> Step:
        """Return what comes next in a login."""
        return self.login_flow.next_step(context, self.now())

    def make_stranger_reference(self, step: str, reason: str) -> str:
        """Return a help code that encodes step, reason and time, so that nothing is stored."""
        return StatelessReferences(self.login_flow.hmacs).encode(step, reason, self.now())

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
        """Record an event of a login: ``facts`` in the log, ``audited`` in the audit log."""
        written = None
        if audit is not None:
            written = make_login_event(audit, self.now(), transaction.names, **audited)
        shown = {"reference": transaction.reference, **(facts or {})}
        self.tell(BrokerEvent(kind, shown, written, trace))

    def tell_proved(self, transaction: Transaction, proof: str, **audited: Any) -> None:
        """Record that a code, an answer or a card number of a login has proved something."""
        self.tell_login(
            EventKind.MAILBOX_PROVED,
            transaction,
            {"proof": proof},
            audit=AuditEventKind.PROVED,
            about=proof,
            **audited,
        )

    def tell_proof_refused(self, transaction: Transaction, step: str, reason: str) -> None:
        """Record that a code, address or card number of a login has proved nothing."""
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
