"""The reports of the web workers: the digest that decides in each, and what it could not load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Store
from broker.core.retention.table import POLICY_WORKER
from broker.use_cases.records import Record, Records

_GROUP: Final = "workers"
_RENEWED_EVERY: Final = timedelta(seconds=3)
SILENT_FOR: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One worker: where it runs, the digest in force there, and the faults of what is not."""

    machine: str
    pid: int
    digest: str
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the worker."""
        return f"{self.machine}, process {self.pid}"


@dataclass(slots=True)
class OwnReport:
    """The report of one worker, written when it changes and renewed while the worker lives."""

    store: Store
    name: str
    _last: WorkerReport | None = field(default=None, init=False)
    _at: datetime | None = field(default=None, init=False)

    def tell(self, report: WorkerReport, now: datetime) -> None:
        """Write the report if it is news or time; a store that is away hears it later."""
        recent = self._at is not None and timedelta() <= now - self._at < _RENEWED_EVERY
        if report == self._last and recent:
            return
        try:
            _records(self.store).put(self._key, report, POLICY_WORKER.until(now), now)
        except StoreUnavailable:
            return
        self._last = report
        self._at = now

    def renew(self, now: datetime) -> None:
        """Write the last report again if it is time: a long load must not pass for an end."""
        if self._last is not None:
            self.tell(self._last, now)

    def drop(self) -> None:
        """Remove it; a store that is away forgets it by itself."""
        try:
            self.store.drop(self._key)
        except StoreUnavailable:
            return

    @property
    def _key(self) -> Key:
        return Key("policy", _GROUP, self.name)


@dataclass(frozen=True, slots=True)
class Behind:
    """The workers that have not come to a digest: ``late`` live, of ``silent`` nothing is heard.

    A silent worker has ended, or hangs, or does not reach the store: nothing tells which.
    """

    late: tuple[WorkerReport, ...] = ()
    silent: tuple[WorkerReport, ...] = ()


NONE_BEHIND: Final = Behind()


@dataclass(slots=True)
class Waiting:
    """The wait for every worker to have a digest, looked at again and again.

    Clocks of machines differ: a worker that does not renew its report while we look is silent.
    """

    digest: str
    _seen: dict[str, tuple[str, datetime]] = field(default_factory=dict, init=False)

    def behind(self, store: Store, now: datetime) -> Behind:
        """Return the workers that have not come to the digest; StoreUnavailable."""
        reports: dict[bool, list[WorkerReport]] = {True: [], False: []}
        for name, record in sorted(current(store, now).items()):
            heard = self._is_heard(name, record, now)
            if record.value.digest != self.digest:
                reports[heard].append(record.value)
        return Behind(tuple(reports[True]), tuple(reports[False]))

    def _is_heard(self, name: str, record: Record[WorkerReport], now: datetime) -> bool:
        version, since = self._seen.get(name, ("", now))
        if version != record.version:
            since = now
        self._seen[name] = (record.version, since)
        return now - since < SILENT_FOR


def current(store: Store, now: datetime) -> Mapping[str, Record[WorkerReport]]:
    """Return the reports by the names of their workers; StoreUnavailable."""
    return {record.key.name: record for record in _records(store).list("policy", _GROUP, now)}


def _records(store: Store) -> Records[WorkerReport]:
    return Records(store, WorkerReport)
