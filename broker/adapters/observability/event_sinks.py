"""Carries an event to the sinks that its row in the table of ``core.event_routes`` names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.core.audit_events import AuditEvent
from broker.core.event_routes import ROUTES, BrokerEvent, Sink, TellPort, TraceFacts
from broker.core.ports import Trail

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

    def leave(self, trace: TraceFacts) -> None:
        """Store a trace under its reference. It never fails a request."""
        ...


@dataclass(frozen=True, slots=True)
class EventSinks:
    """The sinks that there are; a process without a store has the log and the metrics only."""

    sinks: Mapping[Sink, SinkPort]

    def tell(self, event: BrokerEvent | AuditEvent) -> None:
        """Carry ``event`` to each sink of its row, in the row's order.

        ``AuditUnavailable`` where the trail refuses a release or an enrolment (``Trail.add``):
        then the sinks after it hear nothing, and it must not happen.
        """
        if isinstance(event, AuditEvent):
            facts = {"reason": event.reason} if event.reason else {}
            event = BrokerEvent(event.kind, facts, event)
        for sink in ROUTES[event.kind].sinks:
            self.sinks[sink](event)


@dataclass(frozen=True, slots=True)
class RoutedAuditLog:
    """The port ``Trail`` as the use cases have it: what they add is told like every other event."""

    tell: TellPort
    kept: Trail

    def add(self, event: AuditEvent) -> None:
        """Tell one event before it has an effect outside; AuditUnavailable as ``Trail`` says."""
        self.tell(event)

    def faults(self) -> Sequence[str]:
        """Return in sentences why no event can be written now."""
        return self.kept.faults()

    def lost(self) -> int:
        """Return how many events this worker could not write."""
        return self.kept.lost()


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


def to_trail(trail: Trail) -> SinkPort:
    """Return the sink that adds an event to the audit trail."""

    def carry(event: BrokerEvent) -> None:
        if event.audit is not None:
            trail.add(event.audit)

    return carry


def to_traces(traces: TracePort) -> SinkPort:
    """Return the sink that stores an event's trace under its reference."""

    def carry(event: BrokerEvent) -> None:
        if event.trace is not None:
            traces.leave(event.trace)

    return carry
