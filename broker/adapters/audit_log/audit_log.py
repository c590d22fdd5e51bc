"""The audit log: writes each event as a masked and sealed line, and reads those of a person."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from broker.adapters.audit_log.hash_chain import Anchors, Facts
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.person_keys import KIND as PERSON_KEY
from broker.adapters.audit_log.person_keys import PersonKeys, compute_tag, open_facts
from broker.configuration import durable_files
from broker.core.entities import Names
from broker.core.errors import AuditUnavailable, StoreUnavailable
from broker.core.events.audit_events import REQUIRED, AuditEvent, AuditEventKind
from broker.core.help_codes import normalize_code
from broker.core.identity.cpr import mask_numbers
from broker.core.identity.person_id import PersonIds
from broker.core.ports import Kept, Key
from broker.core.window_counts import WindowCounts

# Limit the lines that one authenticated person can cause: a full disk would stop all logins.
_REFUSALS_PER_MINUTE: Final = 200
_MASK: Final = "******-****"
_SEALED: Final = frozenset({"who", "tag"})
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


_StoredKeys = Sequence[tuple[Key, Kept]]


@dataclass(slots=True, repr=False)
class StoredAuditLog:
    """The audit log in files, with its keys and anchors in the store.

    ``write_log`` is the application log, which records losses. An event can be decrypted while the
    key of its person and year is in the store.
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

        Raises AuditUnavailable or StoreUnavailable if one cannot be read.
        """
        head = self.files.read_head()
        return head is not None and not self.anchors.has_any(head, now)

    def count_lost(self) -> int:
        """Return the number of events that this worker could not write."""
        return self._lost

    def list_by_reference(self, reference: str, now: datetime) -> Iterator[Facts]:
        """Yield the events of the page that has this help code, oldest first."""
        reference = normalize_code(reference)
        tags = {facts.get("tag") for facts in self._lines()}
        stored = self.person_keys.store.list(PERSON_KEY, None, now)
        keys = [(key, kept) for key, kept in stored if compute_tag(kept.value, reference) in tags]
        for facts, _ in self._open_lines(keys):
            if facts.get("reference") == reference:
                yield facts

    def list_events(self, person: PersonIds, now: datetime) -> Iterator[Facts]:
        """Yield the events that the keys of a person decrypt, oldest first."""
        store = self.person_keys.store
        stored = [
            pair for group in self._groups(person) for pair in store.list(PERSON_KEY, group, now)
        ]
        return (facts for facts, is_opened in self._open_lines(stored) if is_opened)

    def erase(self, person: PersonIds, before: datetime | None, now: datetime) -> int:
        """Delete the keys of a person that were made until ``before`` (None: all); log how many."""
        count = sum(self.person_keys.erase(each, now, before) for each in self._groups(person))
        if count:
            self.add(AuditEvent(AuditEventKind.PERSON_ERASED, now, count=count))
        return count

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

    def _groups(self, person: PersonIds) -> Names:
        return self.person_keys.groups(person.ids, person.borrower_numbers)

    def _open_lines(self, keys: _StoredKeys) -> Iterator[tuple[Facts, bool]]:
        """Yield the facts of every line, and whether one of ``keys`` decrypts them."""
        for facts in self._lines():
            # A line may be in the file of the next year, but its key is that of the year in ``at``.
            year = str(facts.get("at"))[:4]
            values = [kept.value for key, kept in keys if key.name == year]
            opened = (open_facts(value, facts.get("who", "")) for value in values)
            person = next(filter(None, opened), None)
            plain = {name: value for name, value in facts.items() if name not in _SEALED}
            yield plain | (person or {}), person is not None

    def _lines(self) -> Iterator[dict[str, Any]]:
        files = self.files
        for month in files.months():
            for _, line in files.read_lines(month):
                if line is not None:
                    yield {"n": line.number, **line.facts}


def open_audit_log(
    folder: Path,
    key: bytes,
    person_keys: PersonKeys,
    anchors: Anchors,
    write_log: Callable[..., None],
) -> StoredAuditLog:
    """Return the audit log in ``folder``, which is made if it does not exist.

    ``key`` is audit.key. Raises ConfigurationFaults if the folder cannot be made or other users can
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
