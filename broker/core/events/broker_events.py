"""Every kind of event of the broker, and where each kind is recorded.

Only two other things write to the application log: an unexpected error, and a log that reports
about its own disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final, Literal, Protocol

from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.login.refused_facts import RefusedFacts

Facts = Mapping[str, str | int | None]


class Sink(Enum):
    """A place that keeps or counts events."""

    LOG = auto()  # one line of the application log, for the people who run the broker
    METRIC = auto()  # a counter that Prometheus reads
    AUDIT_LOG = auto()  # the audit log (docs/audit.md)
    TRACE = auto()  # what the service desk finds by the reference on a page, for 30 days


class EventKind(Enum):
    """The events of web pages and application. Use cases record kinds of the audit log."""

    # A login
    REQUEST_REFUSED = auto()  # an AuthnRequest that its service gets an error Response for
    UPSTREAM_ASKED = auto()
    ASSERTION_ISSUED = auto()
    LOGIN_REFUSED = auto()  # of a person; who has shown no authentication is a stranger
    LOGIN_HELD_UP = auto()  # a page that the person cannot get past by now
    SIGNED_UP = auto()
    UPGRADE_ANSWERED = auto()
    CPR_REVEALED = auto()
    # Proofs of a person, and the borrower's PIN
    PROOF_MAILED = auto()
    PROOF_REFUSED = auto()
    MAILBOX_PROVED = auto()
    PIN_VERIFIED = auto()
    PIN_REFUSED = auto()
    PIN_FORM_INCOMPLETE = auto()  # a slip of the pen: nobody tried a PIN
    PIN_ASKED = auto()
    PIN_CHOSEN = auto()
    CONSENT_TAKEN_BACK = auto()
    RECORDS_SHOWN = auto()  # what is kept about a person, to themselves
    FORGET_ASKED = auto()  # by the person themselves
    # A single logout; its events on the audit log are one a person
    LOGOUT_RECEIVED = auto()
    LOGOUT_SENT = auto()
    LOGOUT_ANSWERED = auto()
    LOGOUT_RESPONDED = auto()
    # An enrolment that could not be carried out now
    ENROLMENT_HELD_UP = auto()
    # A look-up in the register of persons
    REGISTER_LOOKED_UP = auto()
    REGISTER_HELD_UP = auto()
    # Pages that end a request
    ERROR_SHOWN = auto()  # to a person who has logged in
    STRANGER_REFUSED = auto()  # by a page or a status, before any authentication
    NETWORK_BUSY_SHOWN = auto()
    HTTP_ERROR_SHOWN = auto()
    SERVICE_ERROR_SHOWN = auto()
    # The surroundings of the broker
    NETWORK_REFUSED = auto()  # once a minute and network
    PROXY_UNCOUNTED = auto()  # X-Forwarded-For that no configured proxy accounts for
    LIBRARY_FAULT = auto()  # in the set-up of the library system, or it is down
    LIBRARY_MENDED = auto()
    MAIL_REFUSED = auto()  # the mail server knows no such recipient
    METADATA_FETCHED = auto()
    METADATA_REFUSED = auto()
    METADATA_RENEWED = auto()
    METADATA_LOST = auto()  # a party is left out, or its last good descriptor stands in
    METADATA_RECOVERED = auto()
    POLICIES_STALE = auto()
    POLICIES_MENDED = auto()
    POLICIES_CHANGED = auto()  # another set decides in this worker from now on
    CONFIGURATION_RELOADED = auto()
    RELOAD_REFUSED = auto()
    WORKER_WAITS = auto()
    WORK_STARTED = auto()  # broker work, or its next configuration


@dataclass(frozen=True, slots=True)
class Route:
    """The sinks of an event, in their order, and the name and level of its log line.

    ``budgeted`` events can be caused by anybody without a login, so that their log lines have a
    budget per minute.
    """

    sinks: tuple[Sink, ...]
    line: str = ""
    level: Literal["info", "error"] = "info"
    budgeted: bool = False


def _to_log(line: str, *others: Sink) -> Route:
    return Route((Sink.LOG, *others), line)


def _to_budgeted_log(line: str, *others: Sink) -> Route:
    return Route((Sink.LOG, *others), line, budgeted=True)


def _alarm(line: str) -> Route:
    """Return the route of an event that somebody must act on: its level alerts people."""
    return Route((Sink.LOG,), line, "error")


# The order counts: an audit log that cannot be written stops the sinks after it.
ROUTES: Final[Mapping[EventKind | AuditEventKind, Route]] = {
    EventKind.REQUEST_REFUSED: _to_budgeted_log("request_refused", Sink.METRIC),
    EventKind.UPSTREAM_ASKED: _to_budgeted_log("asked_upstream"),
    EventKind.ASSERTION_ISSUED: _to_log("issued", Sink.METRIC),
    EventKind.LOGIN_REFUSED: _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG),
    EventKind.LOGIN_HELD_UP: Route((Sink.TRACE,)),
    EventKind.SIGNED_UP: _to_log("signed_up"),
    EventKind.UPGRADE_ANSWERED: _to_log("upgrade_answered", Sink.AUDIT_LOG),
    EventKind.CPR_REVEALED: _to_log("revealed", Sink.AUDIT_LOG),
    EventKind.PROOF_MAILED: _to_log("proof_mailed"),
    EventKind.PROOF_REFUSED: _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG, Sink.TRACE),
    EventKind.MAILBOX_PROVED: _to_log("proved", Sink.AUDIT_LOG),
    EventKind.PIN_VERIFIED: _to_log("verified_pin", Sink.AUDIT_LOG),
    EventKind.PIN_REFUSED: _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG),
    EventKind.PIN_FORM_INCOMPLETE: _to_budgeted_log("refused", Sink.METRIC),
    EventKind.PIN_ASKED: _to_budgeted_log("pin_asked"),
    EventKind.PIN_CHOSEN: _to_log("pin_changed", Sink.AUDIT_LOG),
    EventKind.CONSENT_TAKEN_BACK: Route((Sink.AUDIT_LOG, Sink.LOG), "choice"),
    EventKind.RECORDS_SHOWN: Route((Sink.AUDIT_LOG, Sink.LOG), "records_shown"),
    EventKind.FORGET_ASKED: Route((Sink.AUDIT_LOG, Sink.LOG), "forget_asked"),
    EventKind.LOGOUT_RECEIVED: _to_log("logout_requested"),
    EventKind.LOGOUT_SENT: _to_log("logout_asked"),
    EventKind.LOGOUT_ANSWERED: _to_log("logout_answered"),
    EventKind.LOGOUT_RESPONDED: _to_log("logout"),
    EventKind.ENROLMENT_HELD_UP: _to_log("enrolment_held_up"),
    EventKind.REGISTER_LOOKED_UP: _to_log("register_looked_up", Sink.METRIC),
    EventKind.REGISTER_HELD_UP: _to_log("register_held_up"),
    EventKind.ERROR_SHOWN: _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG, Sink.TRACE),
    EventKind.STRANGER_REFUSED: _to_budgeted_log("refused", Sink.METRIC),
    EventKind.NETWORK_BUSY_SHOWN: Route((Sink.METRIC,)),
    EventKind.HTTP_ERROR_SHOWN: _to_budgeted_log("refused", Sink.METRIC),
    EventKind.SERVICE_ERROR_SHOWN: _to_budgeted_log("service_error"),
    EventKind.NETWORK_REFUSED: _to_budgeted_log("network_refused"),
    EventKind.PROXY_UNCOUNTED: _to_log("proxy_uncounted"),
    EventKind.LIBRARY_FAULT: _alarm("library_fault"),
    EventKind.LIBRARY_MENDED: _to_log("library_mended"),
    EventKind.MAIL_REFUSED: _to_log("mail_refused"),
    EventKind.METADATA_FETCHED: Route((Sink.METRIC,)),
    EventKind.METADATA_REFUSED: _to_log("metadata_refused"),
    EventKind.METADATA_RENEWED: _to_log("metadata_renewed"),
    EventKind.METADATA_LOST: _alarm("metadata_lost"),
    EventKind.METADATA_RECOVERED: _to_log("metadata_recovered"),
    EventKind.POLICIES_STALE: _alarm("policies_stale"),
    EventKind.POLICIES_MENDED: _to_log("policies_mended"),
    EventKind.POLICIES_CHANGED: _to_log("policies_changed"),
    EventKind.CONFIGURATION_RELOADED: _to_log("reloaded"),
    EventKind.RELOAD_REFUSED: _alarm("reload_refused"),
    EventKind.WORKER_WAITS: _to_log("worker_waits"),
    EventKind.WORK_STARTED: _to_log("work_started", Sink.METRIC),
    # Events of the use cases go to the audit log only.
    **dict.fromkeys(AuditEventKind, Route((Sink.AUDIT_LOG,))),
}


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """A page that a person could not get past. Staff find it by ``reference``, the help code.

    ``reason`` is the code of the sentence on the page. ``refused`` are the facts that led to a
    refusal, by kind and name. ``person`` is the person id of the login.
    """

    reference: str
    at: datetime
    step: str
    reason: str
    upstream: str | None = None
    refused: RefusedFacts | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class BrokerEvent:
    """One event with what its sinks need; raises ValueError for less or more.

    ``facts`` are codes, names of the configuration, references and counts, never personal values.
    They make the log line and the labels of a counter. ``audit`` goes to the audit log, ``trace``
    to the traces.
    """

    kind: EventKind | AuditEventKind
    facts: Facts = field(default_factory=dict)
    audit: AuditEvent | None = None
    trace: TraceFacts | None = None

    def __post_init__(self) -> None:
        """Reject an event without what its sinks need: the audit log must lose none."""
        sinks = ROUTES[self.kind].sinks
        carried = (self.audit is not None, self.trace is not None)
        if carried != (Sink.AUDIT_LOG in sinks, Sink.TRACE in sinks):
            raise ValueError(f"{self.kind.name} does not carry what its sinks read")

    def __repr__(self) -> str:
        """Name the kind only."""
        return f"BrokerEvent({self.kind.name})"


class EventPort(Protocol):
    """The port that records events. The kind of an event decides where."""

    def __call__(self, event: BrokerEvent | AuditEvent) -> None:
        """Send ``event`` to each sink of its row in ``ROUTES``, in the order of the row.

        Raises AuditUnavailable if the audit log refuses it (``AuditLog.add``). Then the action must
        not happen.
        """
        ...


def discard_event(event: BrokerEvent | AuditEvent) -> None:
    """Record nothing, for parts that are used without sinks."""
    del event
