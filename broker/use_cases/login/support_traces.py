"""Traces of pages on which a login failed. Staff find them by help code for 30 days."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.events.broker_events import TraceFacts
from broker.core.help_codes import normalize_code
from broker.core.ports import Key, Store
from broker.core.retention import TRACE, TURN
from broker.use_cases.storage.records import Records

# Every visitor can cause traces. Above this number in an hour there is a log line only.
_MOST_AN_HOUR: Final = 3600
_COUNTED_FOR: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class SupportTraces:
    """The traces in the store."""

    store: Store

    def add_trace(self, trace: TraceFacts) -> None:
        """Store a trace under its reference.

        The trace is left out if the store does not answer, or above 3,600 traces in an hour.
        """
        try:
            if self._count(trace.at):
                self._records.put(_key(trace.reference), trace, TRACE.until(trace.at), trace.at)
        except StoreUnavailable:
            return

    def find(self, reference: str, now: datetime) -> TraceFacts | None:
        """Return the trace of a help code, in any case and spacing, or None."""
        record = self._records.get(_key(normalize_code(reference)), now)
        return record.value if record else None

    def _count(self, now: datetime) -> bool:
        """Count one trace of this hour, and return whether it is within the limit."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        key = Key("counter", "traces", hour.isoformat())
        return self.store.count(key, 1, TURN.ends(hour + _COUNTED_FOR), now) <= _MOST_AN_HOUR

    @property
    def _records(self) -> Records[TraceFacts]:
        return Records(self.store, TraceFacts)


def _key(reference: str) -> Key:
    return Key("reference", reference)
