"""Every kind of event of the broker, and where each kind is recorded.

Only unexpected errors write to the application log without an event, and the audit log and the
message log if their own disk fails. Several kinds share the log line ``refused``: its facts say
which page or check refused.
"""

# ruff: noqa: PIE796 - two events may have equal routes, which are compared by identity

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final, Literal, Protocol

from broker.core import errors
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.login.refused_facts import RefusedFacts

Facts = Mapping[str, str | int | None]


class Sink(Enum):
    """A place that keeps or counts events."""

    LOG = auto()  # one line of the application log, for the people who run the broker
    METRIC = auto()  # a counter that Prometheus reads
    AUDIT_LOG = auto()  # the audit log (docs/audit.md)
    TRACE = auto()  # what staff find by the help code (``reference``) of a page, for 30 days


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The sinks of an event, in their order, and the name and level of its log line.

    ``budgeted`` events can be caused by anybody without a login, so that their log lines have a
    budget per minute. Routes are compared by identity, because each is the value of one event.
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


class EventKind(Enum):
    """The events of web pages and application, each with its route.

    Use cases also record events of an ``AuditEventKind``, which have the route ``_AUDIT_ONLY``. The
    order of the sinks counts: if the audit log cannot be written, the sinks after it get nothing.
    """

    # A login
    # an AuthnRequest that is answered with an error Response at once
    REQUEST_REFUSED = _to_budgeted_log("request_refused", Sink.METRIC)
    UPSTREAM_ASKED = _to_budgeted_log("asked_upstream")
    ASSERTION_ISSUED = _to_log("issued", Sink.METRIC)
    # after the authentication; before it, see STRANGER_REFUSED
    LOGIN_REFUSED = _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG)
    # a page from which the person cannot continue at present
    LOGIN_DELAYED = Route((Sink.TRACE,))
    SIGNED_UP = _to_log("signed_up")
    UPGRADE_ANSWERED = _to_log("upgrade_answered", Sink.AUDIT_LOG)
    CPR_REVEALED = _to_log("revealed", Sink.AUDIT_LOG)
    # Proofs of a person, and the borrower's PIN
    PROOF_MAILED = _to_log("proof_mailed")
    PROOF_REFUSED = _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG, Sink.TRACE)
    MAILBOX_PROVED = _to_log("proved", Sink.AUDIT_LOG)
    PIN_VERIFIED = _to_log("verified_pin", Sink.AUDIT_LOG)
    PIN_REFUSED = _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG)
    # a missing or malformed entry, or an old page: no PIN was tried
    PIN_FORM_INCOMPLETE = _to_budgeted_log("refused", Sink.METRIC)
    PIN_ASKED = _to_budgeted_log("pin_asked")
    PIN_CHOSEN = _to_log("pin_changed", Sink.AUDIT_LOG)
    CONSENT_TAKEN_BACK = Route((Sink.AUDIT_LOG, Sink.LOG), "choice")
    # a person has seen the data that is stored about them
    RECORDS_SHOWN = Route((Sink.AUDIT_LOG, Sink.LOG), "records_shown")
    # a person has asked for the deletion of their data
    FORGET_ASKED = Route((Sink.AUDIT_LOG, Sink.LOG), "forget_asked")
    # A single logout; the audit log gets one separate event per person
    LOGOUT_RECEIVED = _to_log("logout_requested")
    LOGOUT_SENT = _to_log("logout_asked")
    LOGOUT_ANSWERED = _to_log("logout_answered")
    LOGOUT_RESPONDED = _to_log("logout")
    # An enrolment that could not be carried out now
    ENROLMENT_DELAYED = _to_log("enrolment_delayed")
    # A look-up in the register of persons
    REGISTER_LOOKED_UP = _to_log("register_looked_up", Sink.METRIC)
    REGISTER_DELAYED = _to_log("register_delayed")
    # Error pages
    # after the authentication
    ERROR_SHOWN = _to_log("refused", Sink.METRIC, Sink.AUDIT_LOG, Sink.TRACE)
    # an error page or a refusal before the authentication
    STRANGER_REFUSED = _to_budgeted_log("refused", Sink.METRIC)
    NETWORK_BUSY_SHOWN = Route((Sink.METRIC,))
    HTTP_ERROR_SHOWN = _to_budgeted_log("refused", Sink.METRIC)
    SERVICE_ERROR_SHOWN = _to_budgeted_log("service_error")
    # The environment of the broker
    # at most once per minute and network
    NETWORK_REFUSED = _to_budgeted_log("network_refused")
    # an X-Forwarded-For header although ``serve.proxies`` counts no proxy
    PROXY_UNCOUNTED = _to_log("proxy_uncounted")
    # the set-up of the library system is wrong, or the system is down
    LIBRARY_FAULT = _alarm("library_fault")
    LIBRARY_RECOVERED = _to_log("library_recovered")
    # the mail server has rejected the recipient
    MAIL_REFUSED = _to_log("mail_refused")
    METADATA_FETCHED = Route((Sink.METRIC,))
    METADATA_REFUSED = _to_log("metadata_refused", Sink.METRIC)
    METADATA_RENEWED = _to_log("metadata_renewed", Sink.METRIC)
    # a party is left out, or its last good descriptor is used
    METADATA_LOST = _alarm("metadata_lost")
    METADATA_RECOVERED = _to_log("metadata_recovered")
    POLICIES_STALE = _alarm("policies_stale")
    POLICIES_RECOVERED = _to_log("policies_recovered")
    # this worker now uses another policy set
    POLICIES_CHANGED = _to_log("policies_changed")
    CONFIGURATION_RELOADED = _to_log("reloaded")
    RELOAD_REFUSED = _alarm("reload_refused")
    WORKER_WAITS = _alarm("worker_waits")
    # the processes that share the store differ, or one lacks a key
    MACHINES_DIFFER = _alarm("machines_differ")
    STORE_LOST = _alarm("store_lost")
    # ``broker work`` has started, or reloaded its configuration
    WORK_STARTED = _to_log("work_started", Sink.METRIC)


# Reasons that are faults of this installation: somebody must act, whatever page shows them.
OWN_FAULTS: Final = frozenset(
    {
        errors.StoreUnavailable.reason,
        errors.AuditUnavailable.reason,
        errors.MessageLogUnavailable.reason,
    }
)
_AUDIT_ONLY: Final = Route((Sink.AUDIT_LOG,))


def find_route(kind: EventKind | AuditEventKind) -> Route:
    """Return where events of this kind are recorded."""
    return kind.value if isinstance(kind, EventKind) else _AUDIT_ONLY


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """A page on which a login or form ended. Staff find it by its help code, ``reference``.

    ``reason`` is the code of the text on the page. ``refused`` are the facts that led to a
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
    """An event with the data that its sinks need.

    ``facts`` are codes, names of the configuration, references and counts, never personal values.
    They make the log line and the labels of a counter. ``audit`` goes to the audit log, ``trace``
    to the traces. Raises ValueError if one of them is missing for a sink of the route, or has no
    such sink.
    """

    kind: EventKind | AuditEventKind
    facts: Facts = field(default_factory=dict)
    audit: AuditEvent | None = None
    trace: TraceFacts | None = None

    def __post_init__(self) -> None:
        """Reject an event without the data of its sinks: the audit log must not lose an event."""
        sinks = find_route(self.kind).sinks
        carried = (self.audit is not None, self.trace is not None)
        if carried != (Sink.AUDIT_LOG in sinks, Sink.TRACE in sinks):
            raise ValueError(f"{self.kind.name} does not carry what its sinks read")


class EventPort(Protocol):
    """The port that records events. The kind of an event decides where."""

    def __call__(self, event: BrokerEvent | AuditEvent, /) -> None:
        """Send ``event`` to each sink of its route, in their order.

        An event of the audit log is written before its effect is visible outside. Raises
        AuditUnavailable only for an event of ``audit_events.REQUIRED`` that cannot be written: then
        the action must not happen. The loss of another event is counted and reported, so that a
        logout or a refusal goes on.
        """


def discard_event(event: BrokerEvent | AuditEvent) -> None:
    """Record nothing, for parts that are used without sinks."""
    del event
