"""The trail that is kept: an event in, a masked and sealed line out, and what could not be written counted.

From ``[audit]`` to the trail that is kept there.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from broker.adapters.trail.hash_chain import Anchors
from broker.adapters.trail.monthly_files import TrailFiles
from broker.adapters.trail.person_keys import PersonKeys
from broker.core.audit_events import REQUIRED, AuditEvent, AuditEventKind
from broker.core.errors import AuditUnavailable, ConfigurationFaults, Fault, StoreUnavailable
from broker.core.identity.cpr import blotted

# Refusals cost their sender nothing, or a login, and the disk is not theirs to fill: it would stop
# all others.
_STRANGERS_AN_HOUR: Final = 1000
_KNOWN_AN_HOUR: Final = 10_000
_MASK: Final = "******-****"
_PLAIN: Final = ("service", "upstream", "institution", "affiliation", "policy", "digest", "reason")


class Telling(Protocol):
    """Where the log is told."""

    def __call__(self, event: str, **facts: str | int | None) -> None:
        """Tell one event."""
        ...


@dataclass(slots=True)
class LineQuota:
    """How many refusals this worker has told of in an hour, and how many more there were."""

    hour: datetime | None = None
    came: int = 0

    def take(self, at: datetime, most: int) -> tuple[bool, int]:
        """Say whether there is room for one more, and how many went untold in the hour before."""
        hour, untold = at.replace(minute=0, second=0, microsecond=0), 0
        if self.hour != hour:
            untold, self.hour, self.came = max(0, self.came - most), hour, 0
        self.came += 1
        return self.came <= most, untold


@dataclass(slots=True)
class Losses:
    """What this worker could not write, and the room that refusals have."""

    lost: int = 0
    strangers: LineQuota = field(default_factory=LineQuota)
    known: LineQuota = field(default_factory=LineQuota)


@dataclass(frozen=True, slots=True, repr=False)
class KeptTrail:
    """The port ``Trail`` over journal and store; ``required`` False lets go on what cannot be written down."""

    journal: TrailFiles
    sealing: PersonKeys
    anchors: Anchors
    tell: Telling
    required: bool = True
    sync: bool = True
    losses: Losses = field(default_factory=Losses)

    def add(self, event: AuditEvent) -> None:
        """Write one event down, as ``Trail`` says."""
        for each in self._told(event):
            self._add(each)

    def faults(self) -> list[str]:
        """Say why no event can be written now."""
        return self.journal.faults()

    def lost(self) -> int:
        """Give how many events this worker could not write."""
        return self.losses.lost

    def _add(self, event: AuditEvent) -> None:
        must = event.kind in REQUIRED
        try:
            facts = {"event": str(event.kind), **_plain(event), **self.sealing.sealed(event)}
            head = self.journal.append(event.at, facts, sync=must and self.sync)
        except (AuditUnavailable, StoreUnavailable) as error:
            self.losses.lost += 1
            self.tell("audit_lost", kind=str(event.kind), fault=str(error))
            if must and self.required:
                raise AuditUnavailable(str(error)) from None
            return
        if fault := self.anchors.keep(head, event.at):
            self.tell("audit_anchor", fault=fault)

    def _told(self, event: AuditEvent) -> tuple[AuditEvent, ...]:
        """Give what is to be written for an event: nothing for a refusal for which there is no room in this hour."""
        if event.kind is not AuditEventKind.REFUSED:
            return (event,)
        known = event.person or event.institution
        room, most = (
            (self.losses.known, _KNOWN_AN_HOUR)
            if known
            else (self.losses.strangers, _STRANGERS_AN_HOUR)
        )
        taken, untold = room.take(event.at, most)
        before = (
            (AuditEvent(AuditEventKind.REFUSED_UNTOLD, event.at, count=untold),) if untold else ()
        )
        return (*before, event) if taken else before


def _plain(event: AuditEvent) -> dict[str, Any]:
    """Give the facts that are nobody's, masked; a fact that is neither text nor number drops the line."""
    facts: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(event, name)
        if value is not None:
            facts[name] = _masked(value)
    if event.attributes:
        facts["attributes"] = [_masked(each) for each in event.attributes]
    if event.count is not None:
        facts["count"] = int(event.count)
    return facts


def _masked(value: object) -> str:
    if not isinstance(value, str):
        # What cannot be masked is not written.
        raise AuditUnavailable("a fact that is no text cannot be masked")
    return blotted(value, _MASK)


_OTHERS: Final = 0o022


def open_trail(
    folder: Path,
    key: bytes,
    sealing: PersonKeys,
    anchors: Anchors,
    tell: Telling,
    *,
    required: bool,
    sync: bool,
) -> KeptTrail:
    """Give the trail in ``folder``, which is made where it is not there; ConfigurationFaults where it cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot be made: {error.strerror}"
        raise ConfigurationFaults(
            [Fault("audit.folder", what, "name a folder that is yours to write")]
        ) from None
    if folder.stat().st_mode & _OTHERS:
        # Who may write there may take the trail away, and the log of a loss would be all that is
        # left of it.
        raise ConfigurationFaults(
            [Fault("audit.folder", "is open for others to write", f"chmod go-w {folder}")]
        )
    return KeptTrail(TrailFiles(folder, key), sealing, anchors, tell, required=required, sync=sync)
