"""The record of the set in force: moved by compare-and-set on its base, with its history beside it.

Source: docs/policies-in-force.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.core.ports import Key, RecordUnreadable, Store
from broker.core.retention.table import POLICY_CHANGE, POLICY_SET
from broker.use_cases.policies.stored_sets import StoredSets
from broker.use_cases.records import Claimed, Content, Record, Records

# The time that whoever moved the record has to write it on the trail; others do so after it.
_TELLS_WITHIN: Final = timedelta(seconds=10)
_GROUP: Final = "live"
_LIVE: Final = Key("policy", _GROUP)


class Move(StrEnum):
    """A way in which a set comes into force."""

    FIRST = "first"  # the store held none: the first start adds its folder
    APPLIED = "applied"
    ROLLED_BACK = "rolled back"
    SAVED = "saved"  # by an edit of the folder, where that itself is in force


@dataclass(frozen=True, slots=True)
class Proposal:
    """A set that is to be in force: its files, who wants it and why, and the site it is for.

    ``approved_by`` are the two who signed it, with ``signatures`` that show it; ``alone`` says that
    two should have. ``broken`` are the site rules that it breaks, in sentences.
    """

    files: Mapping[str, bytes]
    move: Move
    who: str
    why: str
    site: Mapping[str, str]
    summary: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    alone: bool = False
    broken: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetChange:
    """One change of the set in force; ``base`` is the digest of the set before it.

    ``approved_by``, ``alone``, ``broken`` and ``signatures`` are those of its proposal.
    """

    number: int
    digest: str
    base: str | None
    move: Move
    at: datetime
    who: str
    why: str
    site: Mapping[str, str]
    summary: tuple[str, ...]
    approved_by: tuple[str, ...] = ()
    alone: bool = False
    broken: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()


Live = Record[SetChange] | None


@dataclass(frozen=True, slots=True)
class SetInForce:
    """The record in a store, one for all machines.

    Every method raises StoreUnavailable where the store does not answer.
    """

    store: Store

    @property
    def sets(self) -> StoredSets:
        """The sets themselves."""
        return StoredSets(self.store)

    def live(self, now: datetime) -> Live:
        """Return the record of the set in force; None before there is any."""
        return self._records.get(_LIVE, now)

    def history(self, now: datetime) -> tuple[SetChange, ...]:
        """Return every change of the last five years, the oldest first, but for those ``lost``."""
        entries = sorted(self._entries(now).items())
        return tuple(change for _, change in entries if change)

    def lost(self, now: datetime) -> tuple[int, ...]:
        """Return the numbers of the changes whose entry in the history does not open."""
        return tuple(number for number, change in self._entries(now).items() if change is None)

    def _entries(self, now: datetime) -> dict[int, SetChange | None]:
        """Return the history by number; None for what does not open, which hides no other."""
        try:
            records = list(self._records.list("policy", _GROUP, now))
        except RecordUnreadable:
            return dict(self._each_entry(now))
        return {record.value.number: record.value for record in records}

    def _each_entry(self, now: datetime) -> Iterator[tuple[int, SetChange | None]]:
        live = self._records.get(_LIVE, now)
        last = live.value.number if live else 0
        for number in range(1, last + 1):
            try:
                record = self._records.get(_entry(number), now)
            except RecordUnreadable:
                yield number, None
                continue
            if record is not None:
                yield number, record.value
        if live is not None:
            yield last, live.value

    def move(self, was: Live, proposal: Proposal, now: datetime) -> SetChange | None:
        """Put the proposal in force in the place of ``was``; None where another came first.

        The set is stored before; the record and its entry in the history stand together, or
        neither does. The entry is due until ``tell_done`` says that it is on the trail.
        """
        digest = self.sets.keep(proposal.files, now)
        change = next_change(was, digest, proposal, now)
        records = self._records
        version = was.version if was else None
        live = records.drafted(_LIVE, Content(change, POLICY_SET.until(now)), version)
        due = now + _TELLS_WITHIN
        entry = Content(change, POLICY_CHANGE.until(change.at), due=due)
        told = records.drafted(_entry(change.number), entry, None)
        if not self.store.put_many(live, [told], now, durable=True):
            return None
        return change

    def tell_done(self, change: SetChange, now: datetime) -> None:
        """Note that a change is on the trail: it is due no more."""
        record = self._records.get(_entry(change.number), now)
        if record is not None:
            self._records.replace(record, record.value, now)

    def untold(self, deadline: datetime, now: datetime) -> Claimed[SetChange] | None:
        """Lease the earliest change that is not on any trail: who made it died over that."""
        return self._records.claim("policy", deadline, now)

    @property
    def _records(self) -> Records[SetChange]:
        return Records(self.store, SetChange, durable=True)


def next_change(was: Live, digest: str, proposal: Proposal, now: datetime) -> SetChange:
    """Return the change that puts a proposal, of files of this digest, in the place of ``was``."""
    first = SetChange(
        number=1,
        digest=digest,
        base=None,
        move=proposal.move,
        at=now,
        who=proposal.who,
        why=proposal.why,
        site=dict(proposal.site),
        summary=proposal.summary,
        approved_by=proposal.approved_by,
        alone=proposal.alone,
        broken=proposal.broken,
        signatures=proposal.signatures,
    )
    if was is None:
        return first
    before = was.value
    # A clock that was set back must not date a change before the one it follows.
    at = max(now, before.at)
    return replace(first, number=before.number + 1, base=before.digest, at=at)


def _entry(number: int) -> Key:
    return Key("policy", _GROUP, f"{number:08}")
