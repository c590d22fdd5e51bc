"""Faults that a test plans for a simulated system, and the system's access log."""

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """The ways in which one call of an operation goes wrong."""

    REFUSED = "refused"  # 400 (403 of a token endpoint), nothing done
    FAILED_BEFORE = "failed before"  # 500, nothing done
    FAILED_AFTER = "failed after"  # 500, all done
    DROPPED_AFTER = "dropped after"  # the connection ends without an answer, all done
    WRONG_FIELDS = "wrong fields"  # all done; the answer's values are of other types
    HUGE = "huge"  # all done; an answer of 10 MB
    NOT_JSON = "not JSON"  # all done; a page in place of the answer


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one operation, which strikes ``times`` of its calls.

    ``field`` names the only wrong field, "" for all of them.
    """

    operation: str
    kind: FaultKind
    times: int = 1
    field: str = ""


@dataclass
class PlannedFaults:
    """Faults of a simulated library system; counts go down by one with every strike.

    ``down`` answers 503 to every call; ``slow`` waits so many seconds before it; ``fail`` answers
    500 before the work of a write; ``lose_answer`` does the work and answers 502. ``planned`` are
    faults of single operations, struck in their order.
    """

    down: bool = False
    slow: float = 0.0
    fail: int = 0
    lose_answer: int = 0
    planned: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def strikes(self, count: str) -> bool:
        """Return whether the fault of this count strikes now, and count it."""
        with self._lock:
            present: int = getattr(self, count)
            if present > 0:
                setattr(self, count, present - 1)
            return present > 0

    def plan(self, operation: str, kind: str, times: int = 1, *, field: str = "") -> None:
        """Let a fault of ``kind`` strike the next calls of an operation."""
        with self._lock:
            self.planned.append(Fault(operation, FaultKind(kind), times, field))

    def struck(self, operation: str) -> Fault | None:
        """Return the fault that strikes this call of an operation, and count it; None for none."""
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


class AccessLog:
    """The request lines of a web server in front of a system, decoded."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=10_000)

    def add(self, line: str) -> None:
        """Add one line."""
        self._lines.append(line)

    def lines(self) -> list[str]:
        """Return the lines, oldest first."""
        return list(self._lines)
