"""An event reaches the sinks that its row names, in the row's order, and no other."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.adapters.observability.event_sinks import EventSinks, RoutedAuditLog, to_log, to_traces, to_trail
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import ROUTES, BrokerEvent, EventKind, Sink, TraceFacts

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FACTS = {"reference": "BCDFGHJK", "reason": "code_wrong", "enrolment": "6f"}


@dataclass
class Heard:
    """What the log, the metrics, the audit log and the traces have heard, in order."""

    calls: list[tuple[Sink, Any]] = field(default_factory=list)
    broken: bool = False

    def write(self, event: str, **facts: str | int | None) -> None:
        """Hear a line of the log."""
        self.calls.append((Sink.LOG, (event, facts)))

    def count(self, event: BrokerEvent) -> None:
        """Hear an event for the metrics."""
        self.calls.append((Sink.METRIC, event.kind))

    def add(self, event: AuditEvent) -> None:
        """Hear an event for the audit log, or refuse it as a full disk does."""
        if self.broken:
            raise AuditUnavailable("full")
        self.calls.append((Sink.AUDIT_LOG, event))

    def add_trace(self, trace: TraceFacts) -> None:
        """Hear a trace."""
        self.calls.append((Sink.TRACE, trace))

    def faults(self) -> list[str]:
        """Return what a audit log that is not there says."""
        return ["the audit log is away"]

    def count_lost(self) -> int:
        """Return how many events were lost."""
        return 3

    def events(self) -> EventSinks:
        """Return the sinks over this."""
        return EventSinks(
            {
                Sink.LOG: to_log(self.write),
                Sink.METRIC: self.count,
                Sink.AUDIT_LOG: to_trail(self),
                Sink.TRACE: to_traces(self),
            }
        )


def an_event(kind: EventKind | AuditEventKind) -> BrokerEvent:
    """Give an event of a kind with whatever its sinks read."""
    sinks = ROUTES[kind].sinks
    audit = AuditEvent(AuditEventKind.REFUSED, NOW) if Sink.AUDIT_LOG in sinks else None
    trace = TraceFacts("BCDFGHJK", NOW, "proof", "code_wrong", "nemid", person="p1")
    return BrokerEvent(kind, FACTS, audit, trace if Sink.TRACE in sinks else None)


@pytest.mark.parametrize("kind", ROUTES)
def test_a_row_reaches_exactly_the_sinks_that_it_names(kind: EventKind | AuditEventKind) -> None:
    """In the order of the row: the table is the whole truth about where an event goes."""
    heard = Heard()
    heard.events().tell(an_event(kind))
    assert tuple(sink for sink, _ in heard.calls) == ROUTES[kind].sinks


def test_each_sink_hears_what_is_its_own() -> None:
    """The line by its name with the facts, the audit log its event, the trace under the reference."""
    heard = Heard()
    event = an_event(EventKind.PROOF_REFUSED)
    heard.events().tell(event)
    assert heard.calls == [
        (Sink.LOG, ("refused", FACTS)),
        (Sink.METRIC, EventKind.PROOF_REFUSED),
        (Sink.AUDIT_LOG, event.audit),
        (Sink.TRACE, event.trace),
    ]


def test_what_the_flows_add_is_told_and_reaches_the_trail() -> None:
    """The audit log that the use cases are handed tells; whether it can be written is the kept trail's to say."""
    heard = Heard()
    audit_log = RoutedAuditLog(heard.events().tell, heard)
    event = AuditEvent(AuditEventKind.RELEASED, NOW)
    audit_log.add(event)
    assert heard.calls == [(Sink.AUDIT_LOG, event)]
    assert (audit_log.faults(), audit_log.count_lost()) == (["the audit log is away"], 3)


def test_a_trail_that_cannot_be_written_stops_the_release() -> None:
    """The refusal reaches the flow, which then sends nothing; a sink that comes after the audit log hears nothing."""
    heard = Heard(broken=True)
    with pytest.raises(AuditUnavailable):
        RoutedAuditLog(heard.events().tell, heard).add(AuditEvent(AuditEventKind.RELEASED, NOW))
    with pytest.raises(AuditUnavailable):
        heard.events().tell(an_event(EventKind.CONSENT_TAKEN_BACK))
    assert heard.calls == []


def test_an_event_for_a_sink_that_is_not_there_is_an_error() -> None:
    """A process without a store loses nothing silently."""
    with pytest.raises(KeyError):
        EventSinks({Sink.LOG: to_log(Heard().write)}).tell(AuditEvent(AuditEventKind.ACCEPTED, NOW))
