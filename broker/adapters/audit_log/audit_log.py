"""The port ``AuditLog``: an event in, a masked and sealed line out, and losses counted."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from broker.adapters.audit_log.hash_chain import Anchors
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.person_keys import PersonKeys
from broker.core.errors import AuditUnavailable, ConfigurationFaults, Fault, StoreUnavailable
from broker.core.events.audit_events import REQUIRED, AuditEvent, AuditEventKind
from broker.core.identity.cpr import mask_numbers

# A login lets its person be refused for ever, and the disk is not theirs to fill: it would stop all
# others.
_REFUSALS_AN_HOUR: Final = 10_000
_MASK: Final = "******-****"
_PLAIN: Final = (
    "service",
    "upstream",
    "institution",
    "affiliation",
    "policy",
    "digest",
    "reason",
    "by",
    "base",
)
_LISTS: Final = ("attributes", "near_misses")
_OTHERS: Final = 0o022


class Telling(Protocol):
    """The application log, to which losses are reported."""

    def __call__(self, event: str, **facts: str | int | None) -> None:
        """Log one event."""
        ...


@dataclass(slots=True)
class LineQuota:
    """How many refusals came to this worker in an hour."""

    hour: datetime | None = None
    came: int = 0

    def count(self, at: datetime) -> int:
        """Count one more, and return how many came in its hour."""
        hour = at.replace(minute=0, second=0, microsecond=0)
        if self.hour != hour:
            self.hour = hour
            self.came = 0
        self.came += 1
        return self.came


@dataclass(slots=True)
class Losses:
    """How many events this worker could not write, and its quota for refusals."""

    lost: int = 0
    refusals: LineQuota = field(default_factory=LineQuota)


@dataclass(frozen=True, slots=True, repr=False)
class StoredAuditLog:
    """The port ``AuditLog``."""

    journal: AuditFiles
    person_keys: PersonKeys
    anchors: Anchors
    tell: Telling
    losses: Losses = field(default_factory=Losses)

    def add(self, event: AuditEvent) -> None:
        """Write one event, as ``AuditLog`` says; a refusal beyond an hour's most is lost."""
        if event.kind is not AuditEventKind.REFUSED:
            self._write(event)
            return
        came = self.losses.refusals.count(event.at)
        if came <= _REFUSALS_AN_HOUR:
            self._write(event)
            return
        self.losses.lost += 1
        if came == _REFUSALS_AN_HOUR + 1:
            fault = "more refusals in an hour than it has room for"
            self.tell("audit_lost", kind=str(event.kind), fault=fault)

    def faults(self) -> list[str]:
        """Return why no event can be written now, in sentences; empty where it can."""
        return self.journal.faults()

    def count_lost(self) -> int:
        """Return how many events this worker could not write."""
        return self.losses.lost

    def _write(self, event: AuditEvent) -> None:
        must = event.kind in REQUIRED
        kind = str(event.kind)
        try:
            facts = {"event": kind, **_plain(event), **self.person_keys.sealed(event)}
            head = self.journal.append(event.at, facts, sync=must)
        except (AuditUnavailable, StoreUnavailable) as error:
            self.losses.lost += 1
            self.tell("audit_lost", kind=kind, fault=str(error))
            if must:
                raise AuditUnavailable(str(error)) from None
            return
        if fault := self.anchors.keep(head, event.at):
            self.tell("audit_anchor", fault=fault)


def open_audit_log(
    folder: Path, key: bytes, person_keys: PersonKeys, anchors: Anchors, tell: Telling
) -> StoredAuditLog:
    """Return the audit log in ``folder``, which is made if need be; ConfigurationFaults otherwise.

    ``key`` is audit.key. Others may not write in the folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot be made: {error.strerror}"
        fix = "name a folder that is yours to write"
        raise ConfigurationFaults([Fault("audit.folder", what, fix)]) from None
    if folder.stat().st_mode & _OTHERS:
        # Other users could delete the audit log; only the log line about the loss would remain.
        what = "is open for others to write"
        raise ConfigurationFaults([Fault("audit.folder", what, f"chmod go-w {folder}")])
    journal = AuditFiles(folder, key)
    return StoredAuditLog(journal, person_keys, anchors, tell)


def _plain(event: AuditEvent) -> dict[str, Any]:
    """Return the facts about no person, masked; AuditUnavailable for one that is not text."""
    facts: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(event, name)
        if value is not None:
            facts[name] = _masked(value)
    for name in _LISTS:
        if values := getattr(event, name):
            facts[name] = [_masked(value) for value in values]
    if event.count is not None:
        facts["count"] = int(event.count)
    return facts


def _masked(value: object) -> str:
    if not isinstance(value, str):
        # What cannot be masked is not written.
        raise AuditUnavailable("a fact that is no text cannot be masked")
    return mask_numbers(value, _MASK)
