"""The log has so many lines a minute of what strangers cause, and a count of the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.adapters.observability.event_sinks import to_log
from broker.adapters.observability.log_budget import MOST_A_MINUTE, LogBudget
from broker.core.events.broker_events import ROUTES, BrokerEvent, EventKind, Sink

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Log:
    """A log under a clock of the test's."""

    def __init__(self) -> None:
        """Begin empty."""
        self.now = NOW
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.budget = LogBudget(self.write, lambda: self.now)

    def write(self, event: str, **facts: str | int | None) -> None:
        """Keep a line."""
        self.lines.append((event, {name: fact for name, fact in facts.items() if fact is not None}))


@pytest.fixture
def log() -> Log:
    """Give an empty log."""
    return Log()


def test_beyond_sixty_a_minute_of_one_reason_comes_one_line_with_a_count(log: Log) -> None:
    """The first sixty are there in full; the rest is a number, told once the minute is over."""
    for _ in range(1000):
        log.budget.tell("refused", reason="transaction_gone", reference="B")
    assert len(log.lines) == MOST_A_MINUTE == 60
    assert not log.budget.step()
    assert len(log.lines) == 60
    log.now += timedelta(minutes=1)
    log.budget.step()
    log.budget.step()
    assert log.lines[60:] == [("refused", {"reason": "transaction_gone", "more": 940})]


def test_what_a_person_causes_is_written_each_time(log: Log) -> None:
    """Only kinds that anybody can cause without a login have a budget; an assertion issued is always a line."""
    sink = to_log(log.write, log.budget.tell)
    for kind in (EventKind.ASSERTION_ISSUED, EventKind.STRANGER_REFUSED):
        for _ in range(100):
            sink(BrokerEvent(kind, {}))
    assert [event for event, _ in log.lines] == ["issued"] * 100 + ["refused"] * 60


def test_no_budgeted_line_is_on_the_trail() -> None:
    """What costs its sender nothing is in the log and the metrics alone."""
    budgeted = [route for route in ROUTES.values() if route.budgeted]
    assert len(budgeted) == 8
    assert all(Sink.LOG in route.sinks for route in budgeted)
    assert not any({Sink.AUDIT_LOG, Sink.TRACE}.intersection(route.sinks) for route in budgeted)
