"""Carries an event to the sinks that its row in the table of ``core.event_routes`` names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.core.events.audit_events import AuditEvent
from broker.core.events.broker_events import ROUTES, BrokerEvent, EventPort, Sink, TraceFacts
from broker.core.ports import AuditLog

SinkPort = Callable[[BrokerEvent], None]


class LogPort(Protocol):
    """The application log."""

    def __call__(self, event: str, **facts: str | int | None) -> None:
        """Write one line: the name of the event and its facts, none of them a personal value.

        A ``level`` among them is the line's, "info" by default.
        """
        ...


class TracePort(Protocol):
    """The traces that the service desk looks up by a reference."""

    def add_trace(self, trace: TraceFacts) -> None:
        """Store a trace under its reference. It never fails a request."""
        ...


@dataclass(frozen=True, slots=True)
class EventSinks:
    """The sinks that there are; a process without a store has the log and the metrics only."""

    sinks: Mapping[Sink, SinkPort]

    def tell(self, event: BrokerEvent | AuditEvent) -> None:
        """Carry ``event`` to each sink of its row, in the row's order.

        Raise ``AuditUnavailable`` when the audit log refuses a release or an enrolment
        (``AuditLog.add``): later sinks get nothing, and the action must not happen.
        """
        if isinstance(event, AuditEvent):
            facts = {"reason": event.reason} if event.reason else {}
            event = BrokerEvent(event.kind, facts, event)
        for sink in ROUTES[event.kind].sinks:
            self.sinks[sink](event)


@dataclass(frozen=True, slots=True)
class RoutedAuditLog:
    """Implements the port ``AuditLog`` for use cases: routes an added event like every event."""

    tell: EventPort
    kept: AuditLog

    def add(self, event: AuditEvent) -> None:
        """Tell one event before it has an effect outside; AuditUnavailable as ``AuditLog`` says."""
        self.tell(event)

    def faults(self) -> Sequence[str]:
        """Return in sentences why no event can be written now."""
        return self.kept.faults()

    def count_lost(self) -> int:
        """Return how many events this worker could not write."""
        return self.kept.count_lost()


def to_log(write: LogPort, budgeted: LogPort | None = None) -> SinkPort:
    """Return the sink that writes an event's line, by ``budgeted`` where strangers cause it."""

    def carry(event: BrokerEvent) -> None:
        route = ROUTES[event.kind]
        port = write
        if route.budgeted and budgeted is not None:
            port = budgeted
        if route.level == "error":
            port(route.line, level="error", **event.facts)
        else:
            port(route.line, **event.facts)

    return carry


def to_trail(audit_log: AuditLog) -> SinkPort:
    """Return the sink that adds an event to the audit log."""

    def carry(event: BrokerEvent) -> None:
        if event.audit is not None:
            audit_log.add(event.audit)

    return carry


def to_traces(traces: TracePort) -> SinkPort:
    """Return the sink that stores an event's trace under its reference."""

    def carry(event: BrokerEvent) -> None:
        if event.trace is not None:
            traces.add_trace(event.trace)

    return carry
