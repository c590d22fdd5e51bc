"""Keeps what strangers cause from filling the log: so many lines a minute, and then a count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final

from broker.adapters.observability.event_sinks import LogPort
from broker.core.minute_counts import MinuteCounts

Facts = Mapping[str, str | int | None]

MOST_A_MINUTE: Final = 60
# Lines and reasons are names in the code; a reason that came from outside would still be bounded.
_MOST_REASONS: Final = 500


@dataclass(slots=True)
class LogBudget:
    """The lines of one worker, by their name and reason.

    Whoever causes a line costs a request; a disk that is full of them costs everybody's logins.
    """

    write: LogPort
    now: Callable[[], datetime]
    counts: MinuteCounts = field(default_factory=lambda: MinuteCounts(_MOST_REASONS))
    left_out: dict[tuple[str, str], int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def tell(self, event: str, **facts: str | int | None) -> None:
        """Write a line, or count it where its minute has had its most."""
        reason = str(facts.get("reason") or "")
        with self.lock:
            came, ended = self._counted(event, reason)
        self._write(ended)
        if came <= MOST_A_MINUTE:
            self.write(event, **facts)

    def step(self) -> bool:
        """Write the counts of a minute that is over; called by the worker's loop, returns False."""
        with self.lock:
            ended = self._ended()
        self._write(ended)
        return False

    def _counted(self, event: str, reason: str) -> tuple[int, Mapping[tuple[str, str], int]]:
        """Count a line, and return how many came with it and what the minute before left out."""
        ended = self._ended()
        came = self.counts.count(f"{event} {reason}", self.now())
        if came > MOST_A_MINUTE:
            named = (event, reason)
            self.left_out[named] = self.left_out.get(named, 0) + 1
        return came, ended

    def _ended(self) -> Mapping[tuple[str, str], int]:
        if not self.left_out or self.counts.is_current(self.now()):
            return {}
        ended = self.left_out
        self.left_out = {}
        return ended

    def _write(self, ended: Mapping[tuple[str, str], int]) -> None:
        for (event, reason), count in ended.items():
            self.write(event, reason=reason or None, more=count)
