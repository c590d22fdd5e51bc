"""The audit log: writes each event as a masked and sealed line, and counts losses."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from broker.adapters.audit_log.hash_chain import Anchors
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.person_keys import PersonKeys
from broker.configuration import durable_files
from broker.core.errors import AuditUnavailable, StoreUnavailable
from broker.core.events.audit_events import REQUIRED, AuditEvent, AuditEventKind
from broker.core.identity.cpr import mask_numbers
from broker.core.window_counts import WindowCounts

# Limit the lines that one authenticated person can cause: a full disk would stop all logins.
_REFUSALS_PER_MINUTE: Final = 200
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
    "attributes",
    "near_misses",
)


@dataclass(slots=True, repr=False)
class StoredAuditLog:
    """The audit log in files, with its keys and anchors in the store.

    ``write_log`` is the application log, which records losses.
    """

    files: AuditFiles
    person_keys: PersonKeys
    anchors: Anchors
    write_log: Callable[..., None]
    _lost: int = 0
    _refusals: WindowCounts = field(default_factory=lambda: WindowCounts(1))

    def add(self, event: AuditEvent) -> None:
        """Write one event as ``EventPort`` says. Beyond a minute's limit refusals are lost."""
        refusals = 0
        if event.kind is AuditEventKind.REFUSED:
            refusals = self._refusals.count("refused", event.at)
        if refusals <= _REFUSALS_PER_MINUTE:
            self._write(event)
            return
        self._lost += 1
        if refusals == _REFUSALS_PER_MINUTE + 1:
            fault = "too many refusals a minute"
            self.write_log("audit_lost", level="error", kind=str(event.kind), fault=fault)

    def faults(self) -> list[str]:
        """Return sentences that say why no event can be written; empty if one can."""
        return self.files.faults()

    def is_store_lost(self, now: datetime) -> bool:
        """Return whether the store has none of the anchors that it must have.

        Raise AuditUnavailable or StoreUnavailable.
        """
        head = self.files.read_head()
        return head is not None and not self.anchors.has_any(head, now)

    def count_lost(self) -> int:
        """Return the number of events that this worker could not write."""
        return self._lost

    def _write(self, event: AuditEvent) -> None:
        is_required = event.kind in REQUIRED
        kind = str(event.kind)
        try:
            facts = {"event": kind, **_plain_facts(event), **self.person_keys.seal_facts(event)}
            head = self.files.append(event.at, facts, sync=is_required)
        except (AuditUnavailable, StoreUnavailable) as error:
            self._lost += 1
            self.write_log("audit_lost", level="error", kind=kind, fault=str(error))
            if is_required:
                raise AuditUnavailable(str(error)) from None
            return
        if fault := self.anchors.add(head, event.at):
            self.write_log("audit_anchor", level="error", fault=fault)


def open_audit_log(
    folder: Path,
    key: bytes,
    person_keys: PersonKeys,
    anchors: Anchors,
    write_log: Callable[..., None],
) -> StoredAuditLog:
    """Return the audit log in ``folder``, which is made if it does not exist.

    ``key`` is audit.key. Raise ConfigurationFaults if the folder cannot be made or other users can
    write in it: they could delete the audit log.
    """
    durable_files.make_state(folder)
    return StoredAuditLog(AuditFiles(folder, key), person_keys, anchors, write_log)


def _plain_facts(event: AuditEvent) -> dict[str, Any]:
    """Return the facts that are not about the person, masked."""
    values = {name: getattr(event, name) for name in _PLAIN}
    facts = {name: _mask(value) for name, value in values.items() if value}
    if event.count is not None:
        facts["count"] = event.count
    return facts


def _mask(value: object) -> Any:
    match value:
        case str():
            return mask_numbers(value, _MASK)
        case tuple():
            return [_mask(each) for each in value]
    raise AuditUnavailable("a fact that is not text cannot be masked")
