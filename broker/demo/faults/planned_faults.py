"""Faults planned for single operations of a simulated system, its switches, and its access log."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Final


class FaultKind(StrEnum):
    """The ways in which one call of an operation goes wrong."""

    REFUSED = "refused"  # 400 (403 of a token endpoint), nothing done
    FAILED_BEFORE = "failed before"  # 500, nothing done
    FAILED_AFTER = "failed after"  # 500, all done
    DROPPED_BEFORE = "dropped before"  # the connection ends without an answer, nothing done
    DROPPED_AFTER = "dropped after"  # the same, all done
    LATE = "late"  # done and answered so many seconds later, whoever has given up by then
    WITHOUT_EFFECT = "without effect"  # the answer of a success, nothing done
    WRONG_FIELDS = "wrong fields"  # all done; the answer's values are of other types
    HUGE = "huge"  # all done; an answer of 10 MB
    NOT_JSON = "not JSON"  # all done; a page in place of the answer


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one operation, which strikes ``times`` of its calls.

    ``seconds`` is for a late one; ``field`` names the only wrong field, "" for all of them.
    """

    operation: str
    kind: FaultKind
    times: int = 1
    seconds: float = 0.0
    field: str = ""


@dataclass
class PlannedFaults:
    """Switches, set from Python or by ``POST /__faults``; counts go down by one with every strike.

    ``down`` answers 503 to every call; ``slow`` waits so many seconds before it; ``fail`` answers
    500 before the work of a write; ``lose_answer`` does the work and answers 502. ``planned`` are
    faults of single operations, struck in their order. A system adds switches of its own, and says
    in ``operations`` and ``switches`` what it has.
    """

    operations: ClassVar[Sequence[str]] = ()
    switches: ClassVar[Mapping[str, Sequence[type]]] = {
        "down": (bool,),
        "slow": (int, float),
        "fail": (int,),
        "lose_answer": (int,),
    }

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

    def plan(
        self, operation: str, kind: str, times: int = 1, *, seconds: float = 0.0, field: str = ""
    ) -> None:
        """Let a fault of ``kind`` strike the next calls of an operation; ValueError if unknown."""
        fault = self._known(Fault(operation, FaultKind(kind), times, seconds, field))
        with self._lock:
            self.planned.append(fault)

    def struck(self, operation: str) -> Fault | None:
        """Return the fault that strikes this call of an operation, and count it; None for none."""
        with self._lock:
            for place, fault in enumerate(self.planned):
                if fault.operation == operation:
                    self._count_down(place, fault)
                    return fault
        return None

    def _count_down(self, place: int, fault: Fault) -> None:
        if fault.times > 1:
            self.planned[place] = replace(fault, times=fault.times - 1)
        else:
            del self.planned[place]

    def set(self, wanted: Mapping[str, object]) -> None:
        """Set the switches named; ``ValueError`` where one is unknown or of another type."""
        switches = dict(wanted)
        planned = self._planned(switches.pop("planned", None))
        for name, value in switches.items():
            if type(value) not in self.switches.get(name, ()):
                raise ValueError(name)
        for name, value in switches.items():
            setattr(self, name, value)
        if planned is not None:
            with self._lock:
                self.planned = planned

    def _planned(self, sent: Any) -> list[Fault] | None:
        """Read the faults of a request, a list of objects with the names of ``Fault``."""
        if sent is None:
            return None
        if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
            raise ValueError("planned")
        return [self._known(_fault(one)) for one in sent]

    def _known(self, fault: Fault) -> Fault:
        if fault.operation not in self.operations:
            raise ValueError(fault.operation)
        return fault


def _fault(sent: Mapping[str, Any]) -> Fault:
    wanted = {"times": 1, "seconds": 0.0, "field": "", **sent}
    if wanted.keys() != _FAULT_TYPES.keys():
        raise ValueError("planned")
    for name, types in _FAULT_TYPES.items():
        if type(wanted[name]) not in types:
            raise ValueError(name)
    return Fault(**{**wanted, "kind": FaultKind(wanted["kind"])})


_FAULT_TYPES: Final[Mapping[str, Sequence[type]]] = {
    "operation": (str,),
    "kind": (str,),
    "times": (int,),
    "seconds": (int, float),
    "field": (str,),
}


class AccessLog:
    """The request lines of a web server in front of a system, decoded."""

    def __init__(self, most: int = 10_000) -> None:
        self._lines: deque[str] = deque(maxlen=most)

    def add(self, line: str) -> None:
        """Add one line."""
        self._lines.append(line)

    def lines(self) -> list[str]:
        """Return the lines, oldest first."""
        return list(self._lines)
