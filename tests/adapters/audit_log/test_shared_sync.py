"""One sync of the disk for all that wait: none returns before its own line is on the disk."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.shared_sync import SharedSync
from broker.core.errors import AuditUnavailable
from tests.plugins.audit_bench import NOW

FACTS = {"event": "released"}


class SlowDisk:
    """A disk whose syncs begin when they are let, and that knows which octets they covered."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.covered = 0
        self.syncs = 0

    def fdatasync(self, file: int) -> None:
        """Cover what stood in the file when the sync began."""
        size = os.fstat(file).st_size
        self.begun.release()
        assert self.let.acquire(timeout=60)
        self.covered = max(self.covered, size)
        self.syncs += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    """Give the disk that the audit log is on."""
    disk = SlowDisk()
    monkeypatch.setattr("broker.adapters.audit_log.shared_sync.os.fdatasync", disk.fdatasync)
    return disk


def queued(syncs: SharedSync, waiting: int) -> None:
    """Wait until so many wait for a sync that has not ended."""
    until = time.monotonic() + 60
    while len(syncs._ended._waiters) < waiting:  # type: ignore[attr-defined]
        assert time.monotonic() < until
        time.sleep(0.001)


def test_a_sync_that_had_begun_covers_nothing_that_came_after(journal: AuditFiles, disk: SlowDisk) -> None:
    """Who writes while a sync runs waits for the next one."""
    with ThreadPoolExecutor(2) as writers:
        first = writers.submit(journal.append, NOW, FACTS, sync=True)
        assert disk.begun.acquire(timeout=60)
        second = writers.submit(journal.append, NOW, FACTS, sync=True)
        queued(journal.syncs, 1)
        disk.let.release()
        first.result(timeout=60)
        assert disk.begun.acquire(timeout=60)
        assert not second.done()
        disk.let.release()
        second.result(timeout=60)
    assert disk.syncs == 2


def test_a_disk_that_does_not_take_it_stops_every_release(journal: AuditFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """No follower goes on by a sync that failed for its leader."""

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("broker.adapters.audit_log.shared_sync.os.fdatasync", failing)
    refused = []

    def append(_: int) -> None:
        try:
            journal.append(NOW, FACTS, sync=True)
        except AuditUnavailable as error:
            refused.append(str(error))

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(append, range(8)))
    assert refused == ["audit log: Input/output error"] * 8


def test_a_sync_that_failed_fails_for_all_whom_it_covered(
    journal: AuditFiles, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk tells of lost octets once: a follower's own sync would succeed without its line."""
    faults = iter([False, True])
    plain = disk.fdatasync

    def fdatasync(file: int) -> None:
        plain(file)
        if next(faults, False):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("broker.adapters.audit_log.shared_sync.os.fdatasync", fdatasync)
    with ThreadPoolExecutor(16) as writers:
        told = [writers.submit(journal.append, NOW, FACTS, sync=True)]
        assert disk.begun.acquire(timeout=60)
        told += [writers.submit(journal.append, NOW, FACTS, sync=True) for _ in range(15)]
        queued(journal.syncs, 15)
        disk.let.release(16)
    refused = [each.exception(timeout=60) for each in told]
    assert [type(each) for each in refused] == [type(None), *[AuditUnavailable] * 15]
    assert disk.syncs == 2
    disk.let.release()
    journal.append(NOW, FACTS, sync=True)
