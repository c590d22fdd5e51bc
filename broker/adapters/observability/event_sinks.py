"""Sends events to their sinks (application log, metrics, audit log, traces) by the route table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from broker.core.events.audit_events import AuditEvent
from broker.core.events.broker_events import OWN_FAULTS, BrokerEvent, Sink, TraceFacts, find_route

SinkPort = Callable[[BrokerEvent], None]


class TracePort(Protocol):
    """The traces that the service desk finds by the reference on a page."""

    def add_trace(self, trace: TraceFacts) -> None:
        """Store a trace under its reference. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class EventSinks:
    """The sinks of this process. A process that opens no store has only log and metrics."""

    sinks: Mapping[Sink, SinkPort]

    def tell(self, event: BrokerEvent | AuditEvent) -> None:
        """Send ``event`` to each sink of its route (``find_route``), in the order of the route.

        Raises AuditUnavailable if the audit log cannot be written. Then the later sinks get
        nothing, and the caller must not release or enrol (``EventPort``).
        """
        if isinstance(event, AuditEvent):
            facts = {"reason": event.reason} if event.reason else {}
            event = BrokerEvent(event.kind, facts, event)
        for sink in find_route(event.kind).sinks:
            self.sinks[sink](event)


def to_log(
    write: Callable[..., None], write_limited: Callable[..., None] | None = None
) -> SinkPort:
    """Return the sink that writes an event's line.

    ``write_limited`` takes the lines that visitors without a login can cause.
    """

    def write_line(event: BrokerEvent) -> None:
        route = find_route(event.kind)
        is_error = route.level == "error" or event.facts.get("reason") in OWN_FAULTS
        level = {"level": "error"} if is_error else {}
        port = write_limited if route.budgeted and write_limited else write
        port(route.line, **level, **event.facts)

    return write_line


def to_audit_log(add: Callable[[AuditEvent], None]) -> SinkPort:
    """Return the sink that adds an event to the audit log."""

    def add_event(event: BrokerEvent) -> None:
        if event.audit is not None:
            add(event.audit)

    return add_event


def to_traces(traces: TracePort) -> SinkPort:
    """Return the sink that stores an event's trace under its reference."""

    def store_trace(event: BrokerEvent) -> None:
        if event.trace is not None:
            traces.add_trace(event.trace)

    return store_trace
