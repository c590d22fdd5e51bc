"""Limit of the log lines that visitors without a login can cause."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final

from broker.core.window_counts import WindowCounts

MOST_A_MINUTE: Final = 60
MOST_OF_A_NETWORK: Final = 20
# So many names are counted, so that memory is bounded even if a reason had text from outside.
_MOST_NAMES: Final = 500


@dataclass(slots=True)
class LogBudget:
    """Writes at most sixty lines a minute for each event and reason, in each process.

    A request costs its sender little, and a full disk would stop all logins. One network causes at
    most twenty of the lines, so that an attacker's lines do not hide those of a new service.
    """

    write: Callable[..., None]
    now: Callable[[], datetime]
    find_network: Callable[[], str]
    of_networks: WindowCounts = field(default_factory=lambda: WindowCounts(_MOST_NAMES))
    counts: WindowCounts = field(default_factory=lambda: WindowCounts(_MOST_NAMES))
    lock: Lock = field(default_factory=Lock)

    def write_limited(self, event: str, **facts: str | int | None) -> None:
        """Write a line, a last one that says that further lines are left out, or nothing."""
        reason = facts.get("reason")
        name, now = f"{event} {reason or ''}", self.now()
        with self.lock:
            excess = (
                self.of_networks.count(f"{name} {self.find_network()}", now) - MOST_OF_A_NETWORK
            )
            # The line "left out" of a network counts for the total too; its later lines do not.
            if excess <= 1:
                excess = max(excess, self.counts.count(name, now) - MOST_A_MINUTE)
        if excess <= 0:
            self.write(event, **facts)
        elif excess == 1:
            self.write(event, reason=reason, more="left out for the rest of this minute")
