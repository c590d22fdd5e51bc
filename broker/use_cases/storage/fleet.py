"""Status reports of the broker processes on all machines, and differences between them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.entities import Names
from broker.core.ports import Key, NewerRelease, RecordUnreadable, Store
from broker.core.retention import PROCESS_STATUS
from broker.use_cases.storage.records import Records, load

# A process reports every minute. After three it counts as stopped.
LIVE: Final = timedelta(minutes=3)
_MOST_AHEAD: Final = timedelta(seconds=30)
_GROUP: Final = "fleet"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The report of ``broker serve`` or ``broker work`` on one machine.

    ``keys`` are the fingerprints of all keys that the process has loaded. ``used_keys`` are those
    with which it signs and encrypts, and with which others encrypt to it. ``at`` is the time of the
    report by the machine's own clock.
    """

    machine: str
    host: str
    part: str
    at: datetime
    release: str
    configuration: str
    policies: str
    free_megabytes: int
    keys: Names
    used_keys: Names

    @property
    def name(self) -> str:
        """Return the name of the process in a sentence."""
        return f"{self.part} on {self.host} ({self.machine})"

    def find_missing_keys(self, other: "ProcessStatus") -> Sequence[str]:
        """Return the keys that ``other`` uses and this process does not have."""
        return sorted(set(other.used_keys) - set(self.keys))

    def find_late_keys(self, folder: "ProcessStatus") -> Sequence[str]:
        """Return the keys that this process has not loaded, or does not use yet.

        ``folder`` is the status that a process with the present keys would report.
        """
        missing = set(folder.keys) - set(self.keys)
        unused = set(folder.used_keys) - set(self.used_keys)
        return sorted(missing | unused)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The reports in the store that all machines share."""

    store: Store

    def report(self, status: ProcessStatus, now: datetime) -> None:
        """Store the report of a process in place of its last one."""
        key = Key("machine", _GROUP, f"{status.machine} {status.part}")
        Records(self.store, ProcessStatus).put(key, status, PROCESS_STATUS.until(now), now)

    def list_all(self, now: datetime) -> Sequence[ProcessStatus]:
        """Return the last report of every process in the last minutes.

        Leave out reports that cannot be read: another release or a missing key encrypted them.
        """
        found = []
        with suppress(RecordUnreadable, NewerRelease):
            for _, record in self.store.list("machine", _GROUP, now):
                with suppress(RecordUnreadable, NewerRelease):
                    found.append(load(ProcessStatus, record.value))
        return sorted(found, key=lambda status: (status.host, status.machine, status.part))

    def list_live(self, now: datetime) -> Sequence[ProcessStatus]:
        """Return the reports of the processes that run."""
        return [status for status in self.list_all(now) if status.at > now - LIVE]

    def describe_missing_keys(self, own: ProcessStatus, now: datetime) -> Iterator[str]:
        """Yield a sentence for each process that uses keys that this one does not have."""
        fix = "copy the keys folder from there and reload the broker"
        for other in self.list_live(now):
            if missing := own.find_missing_keys(other):
                what = f"this machine lacks keys that {other.name} uses"
                yield f"{what}: {', '.join(missing)}: {fix}"
        try:
            list(self.store.list("machine", _GROUP, now))
        except RecordUnreadable:
            yield f"this machine lacks the key of the store that another machine uses: {fix}"


def describe_differences(
    own: ProcessStatus, others: Sequence[ProcessStatus], now: datetime
) -> Iterator[str]:
    """Yield a sentence for each process that differs from this one and should not."""
    for other in others:
        for what in ("release", "configuration", "policies"):
            theirs, ours = getattr(other, what), getattr(own, what)
            if theirs != ours:
                yield f"{other.name} has another {what}: {theirs}; here it is {ours}"
        if other.at > now + _MOST_AHEAD:
            yield f"the clock of {other.name} is ahead of this machine's: set both by NTP"
