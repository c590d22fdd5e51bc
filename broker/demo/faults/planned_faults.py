"""Faults that a test plans for a simulated library system."""

import threading
from dataclasses import dataclass, field, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """The ways in which a call can fail."""

    REFUSED = "refused"  # 400 (403 of a token endpoint), not carried out
    FAILED_BEFORE = "failed before"  # 500, not carried out
    FAILED_AFTER = "failed after"  # 500, but carried out
    DROPPED_AFTER = "dropped after"  # the connection is closed without an answer, but carried out
    WRONG_FIELDS = "wrong fields"  # carried out; the answer's values have other types
    HUGE = "huge"  # carried out; an answer of 10 MB
    NOT_JSON = "not JSON"  # carried out; an HTML page instead of the answer


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one operation, for the next ``times`` calls.

    ``field`` names the wrong field, "" for all fields.
    """

    operation: str
    kind: FaultKind
    times: int = 1
    field: str = ""


@dataclass
class PlannedFaults:
    """Faults of a simulated library system; each use of a count lowers it by one.

    ``down`` answers every call with 503. ``slow`` waits so many seconds before each call. ``fail``
    counts writes that answer 500 and are not carried out; ``lose_answer`` counts writes that are
    carried out and answer 502. ``planned`` are faults of single operations, used in their order.
    """

    down: bool = False
    slow: float = 0.0
    fail: int = 0
    lose_answer: int = 0
    planned: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def use_up(self, counter_name: str) -> bool:
        """Return whether this counter has a fault left, and lower it."""
        with self._lock:
            present: int = getattr(self, counter_name)
            if present > 0:
                setattr(self, counter_name, present - 1)
            return present > 0

    def plan(self, operation: str, kind: str, times: int = 1, *, field: str = "") -> None:
        """Plan a fault of ``kind`` for the next calls of an operation."""
        with self._lock:
            self.planned.append(Fault(operation, FaultKind(kind), times, field))

    def take_fault(self, operation: str) -> Fault | None:
        """Return the planned fault of this call, or None, and lower its count."""
        with self._lock:
            for place, fault in enumerate(self.planned):
                if fault.operation != operation:
                    continue
                if fault.times > 1:
                    self.planned[place] = replace(fault, times=fault.times - 1)
                else:
                    del self.planned[place]
                return fault
        return None
