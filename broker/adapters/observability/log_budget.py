"""Limit of the log lines that visitors without a login can cause."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final

from broker.core.window_counts import WindowCounts

MOST_A_MINUTE: Final = 60
# Lines and reasons are names in the code. The limit holds even if a reason came from outside.
_MOST_REASONS: Final = 500


@dataclass(slots=True)
class LogBudget:
    """Writes at most sixty lines a minute of each name and reason, in each process.

    A request costs its sender little; a full disk would stop all logins.
    """

    write: Callable[..., None]
    now: Callable[[], datetime]
    counts: WindowCounts = field(default_factory=lambda: WindowCounts(_MOST_REASONS))
    lock: Lock = field(default_factory=Lock)

    def write_limited(self, event: str, **facts: str | int | None) -> None:
        """Write a line, a last one that says that further lines are left out, or nothing."""
        reason = facts.get("reason")
        with self.lock:
            count = self.counts.count(f"{event} {reason or ''}", self.now())
        if count <= MOST_A_MINUTE:
            self.write(event, **facts)
        elif count == MOST_A_MINUTE + 1:
            self.write(event, reason=reason, more="left out for the rest of this minute")
