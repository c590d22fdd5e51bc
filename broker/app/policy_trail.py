"""Changes of the policies in force on the audit trail: each of them, also where its maker died."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.app.policy_sources import SHOWN
from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.entities import Names
from broker.core.errors import AuditUnavailable
from broker.core.ports import Trail
from broker.use_cases.policies.set_in_force import Move, SetChange, SetInForce

_KINDS: Final[Mapping[Move, AuditEventKind]] = {
    Move.FIRST: AuditEventKind.POLICIES_BEGUN,
    Move.APPLIED: AuditEventKind.POLICIES_APPLIED,
    Move.ROLLED_BACK: AuditEventKind.POLICIES_ROLLED_BACK,
    Move.SAVED: AuditEventKind.POLICIES_SAVED,
}
ALONE: Final = "alone"  # one person made a change that two should have signed
_WRITTEN_WITHIN: Final = timedelta(seconds=15)
_LOOKED_EVERY: Final = timedelta(seconds=10)
# A line of the trail is 16 kB at most, and has two lists of what changes.
_MOST_OCTETS: Final = 6_000


@dataclass(slots=True)
class PolicyTrail:
    """The trail of this machine, and the record of what is in force."""

    trail: Trail
    sets: SetInForce
    now: Callable[[], datetime]
    _next: datetime | None = None

    def tell(self, change: SetChange) -> bool:
        """Write a change, and note that it is on a trail; False where it cannot be written.

        Then ``broker work`` writes it, here or on another machine. StoreUnavailable.
        """
        try:
            self.trail.add(_event(change, self.now()))
        except AuditUnavailable:
            return False
        self.sets.tell_done(change, self.now())
        return True

    def step(self) -> bool:
        """Write the earliest change that no trail has: a step of ``broker work``."""
        moment = self.now()
        if self._next and moment < self._next:
            return False
        claimed = self.sets.untold(moment + _WRITTEN_WITHIN, moment)
        if claimed is None:
            self._next = moment + _LOOKED_EVERY
            return False
        told = self.tell(claimed.record.value)
        claimed.lease.end(self.now())
        return told


def _event(change: SetChange, now: datetime) -> AuditEvent:
    return AuditEvent(
        _KINDS[change.move],
        now,
        digest=change.digest[:SHOWN],
        base=change.base[:SHOWN] if change.base else None,
        by=change.who,
        why=change.why or None,
        changes=(*_shortened(change.summary), *_shortened(change.broken)),
        approved_by=change.approved_by,
        reason=ALONE if change.alone else None,
        count=change.number,
    )


def _shortened(lines: Names) -> Names:
    """Return as many of the lines as a line of the trail has room for; the record has them all."""
    kept = []
    octets = 0
    for line in lines:
        octets += len(json.dumps(line))
        if octets > _MOST_OCTETS:
            break
        kept.append(line)
    left = len(lines) - len(kept)
    return (*kept, f"and {left} more") if left else lines
