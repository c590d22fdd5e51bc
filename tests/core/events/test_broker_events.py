"""The table of events: every kind has its row, and an event carries exactly what the sinks of its row read."""

from datetime import UTC, datetime

import pytest

from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind, Sink, TraceFacts, find_route

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CPR = "0101881235"
AUDIT = AuditEvent(AuditEventKind.PIN_CHOSEN, NOW, borrower=CPR)
TRACE = TraceFacts("BCDFGHJK", NOW, "proof", "code_wrong")


@pytest.mark.parametrize("kind", [*EventKind, *AuditEventKind])
def test_an_event_that_a_sink_could_not_read_is_not_made(kind: EventKind | AuditEventKind) -> None:
    """The audit log loses no event because somebody forgot its facts, and gets none that its row does not name."""
    sinks = find_route(kind).sinks
    for audit in (AUDIT, None):
        for trace in (TRACE, None):
            carried = (audit is not None, trace is not None)
            if carried == (Sink.AUDIT_LOG in sinks, Sink.TRACE in sinks):
                assert BrokerEvent(kind, {}, audit, trace).kind is kind
            else:
                with pytest.raises(ValueError, match="does not carry"):
                    BrokerEvent(kind, {}, audit, trace)


def test_an_event_shows_nothing() -> None:
    """An exception's text may quote an event, and whose it is stays out of it."""
    event = BrokerEvent(EventKind.PIN_CHOSEN, {"reference": "BCDFGHJK"}, AUDIT)
    assert CPR not in repr(event)
    assert "BCDFGHJK" not in repr(event)
