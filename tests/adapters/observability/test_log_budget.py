"""The limit of log lines that visitors without a login can cause."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.adapters.observability.event_sinks import to_log
from broker.adapters.observability.log_budget import MOST_A_MINUTE, MOST_OF_A_NETWORK, LogBudget
from broker.core.events.broker_events import BrokerEvent, EventKind, Sink

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Log:
    """A log with a clock that the test sets."""

    def __init__(self) -> None:
        """Begin empty."""
        self.now = NOW
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.network = "192.0.2.0/24"
        self.budget = LogBudget(self.write, lambda: self.now, lambda: self.network)

    def write(self, event: str, **facts: str | int | None) -> None:
        """Record a line."""
        self.lines.append((event, {name: fact for name, fact in facts.items() if fact is not None}))


@pytest.fixture
def log() -> Log:
    """Give an empty log."""
    return Log()


def test_the_sixty_first_line_of_a_minute_is_the_last(log: Log) -> None:
    """It says that further lines with this reason are left out. The next minute begins again."""
    for number in range(1000):
        log.network = f"192.0.{number % 100}.0/24"
        log.budget.write_limited("refused", reason="transaction_gone", reference="B")
    log.budget.write_limited("refused", reason="other")
    assert len(log.lines) == MOST_A_MINUTE + 2 == 62
    assert log.lines[60][1] == {"reason": "transaction_gone", "more": "left out for the rest of this minute"}
    log.now += timedelta(minutes=1)
    log.budget.write_limited("refused", reason="transaction_gone", reference="C")
    assert log.lines[62:] == [("refused", {"reason": "transaction_gone", "reference": "C"})]


def test_many_networks_write_no_more_lines_than_one_reason_has(log: Log) -> None:
    """The last line of each network counts too: its number would grow with that of the networks."""
    for number in range(200):
        log.network = f"192.0.{number}.0/24"
        for _ in range(MOST_OF_A_NETWORK + 1):
            log.budget.write_limited("refused", reason="transaction_gone")
    assert len(log.lines) == MOST_A_MINUTE + 1


def test_one_network_does_not_use_up_the_lines_of_a_reason(log: Log) -> None:
    """The messages of a service that is being connected are seen, whatever a stranger sends."""
    for _ in range(1000):
        log.budget.write_limited("refused", reason="request_refused")
    assert [facts.get("more") for _, facts in log.lines] == [None] * MOST_OF_A_NETWORK + [
        "left out for the rest of this minute"
    ]
    log.network = "198.51.100.0/24"
    log.budget.write_limited("refused", reason="request_refused", cause="xml.root")
    assert log.lines[-1][1]["cause"] == "xml.root"


def test_lines_of_authenticated_persons_are_not_limited(log: Log) -> None:
    """An issued assertion is always a line."""
    sink = to_log(log.write, log.budget.write_limited)
    for kind in (EventKind.ASSERTION_ISSUED, EventKind.STRANGER_REFUSED):
        for _ in range(100):
            sink(BrokerEvent(kind, {}))
    assert [event for event, _ in log.lines] == ["issued"] * 100 + ["refused"] * (MOST_OF_A_NETWORK + 1)


def test_no_limited_event_is_in_the_audit_log() -> None:
    """A visitor without a login fills neither the audit log nor the store."""
    budgeted = [kind.value for kind in EventKind if kind.value.budgeted]
    assert len(budgeted) == 7
    assert all(Sink.LOG in route.sinks for route in budgeted)
    assert not any({Sink.AUDIT_LOG, Sink.TRACE}.intersection(route.sinks) for route in budgeted)
