"""Events reach exactly the sinks that their row names, in the order of the row."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.adapters.observability.event_sinks import EventSinks, to_audit_log, to_log, to_traces
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind, Sink, TraceFacts, find_route

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FACTS = {"reference": "BCDFGHJK", "reason": "code_wrong", "enrolment": "6f"}


@dataclass
class Recorder:
    """Records what the log, the metrics, the audit log and the traces get, in order."""

    calls: list[tuple[Sink, Any]] = field(default_factory=list)
    broken: bool = False

    def write(self, event: str, **facts: str | int | None) -> None:
        """Record a line of the log."""
        self.calls.append((Sink.LOG, (event, facts)))

    def count(self, event: BrokerEvent) -> None:
        """Record an event for the metrics."""
        self.calls.append((Sink.METRIC, event.kind))

    def add(self, event: AuditEvent) -> None:
        """Record an event for the audit log, or refuse it as a full disk does."""
        if self.broken:
            raise AuditUnavailable("full")
        self.calls.append((Sink.AUDIT_LOG, event))

    def add_trace(self, trace: TraceFacts) -> None:
        """Record a trace."""
        self.calls.append((Sink.TRACE, trace))

    def sinks(self) -> EventSinks:
        """Return sinks that record here."""
        return EventSinks(
            {
                Sink.LOG: to_log(self.write),
                Sink.METRIC: self.count,
                Sink.AUDIT_LOG: to_audit_log(self.add),
                Sink.TRACE: to_traces(self),
            }
        )


def make_event(kind: EventKind | AuditEventKind) -> BrokerEvent:
    """Return an event of a kind with what its sinks read."""
    sinks = find_route(kind).sinks
    audit = AuditEvent(AuditEventKind.REFUSED, NOW) if Sink.AUDIT_LOG in sinks else None
    trace = TraceFacts("BCDFGHJK", NOW, "proof", "code_wrong", "nemid", person="p1")
    return BrokerEvent(kind, FACTS, audit, trace if Sink.TRACE in sinks else None)


@pytest.mark.parametrize("kind", [*EventKind, *AuditEventKind])
def test_a_row_reaches_exactly_the_sinks_that_it_names(kind: EventKind | AuditEventKind) -> None:
    """In the order of the row."""
    recorder = Recorder()
    recorder.sinks().tell(make_event(kind))
    assert tuple(sink for sink, _ in recorder.calls) == find_route(kind).sinks


def test_each_sink_gets_its_part() -> None:
    """The line by its name with the facts, the audit log its event, the trace under the reference."""
    recorder = Recorder()
    event = make_event(EventKind.PROOF_REFUSED)
    recorder.sinks().tell(event)
    assert recorder.calls == [
        (Sink.LOG, ("refused", FACTS)),
        (Sink.METRIC, EventKind.PROOF_REFUSED),
        (Sink.AUDIT_LOG, event.audit),
        (Sink.TRACE, event.trace),
    ]


def test_an_audit_log_that_fails_stops_the_release() -> None:
    """The error reaches the use case, and later sinks get nothing."""
    recorder = Recorder(broken=True)
    with pytest.raises(AuditUnavailable):
        recorder.sinks().tell(AuditEvent(AuditEventKind.RELEASED, NOW))
    with pytest.raises(AuditUnavailable):
        recorder.sinks().tell(make_event(EventKind.CONSENT_TAKEN_BACK))
    assert recorder.calls == []


def test_an_event_for_a_missing_sink_is_an_error() -> None:
    """A process without a store loses nothing silently."""
    with pytest.raises(KeyError):
        EventSinks({Sink.LOG: to_log(Recorder().write)}).tell(AuditEvent(AuditEventKind.ACCEPTED, NOW))
