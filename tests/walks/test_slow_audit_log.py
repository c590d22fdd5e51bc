"""A trail whose disk is slow or full under sixteen logins at once: they share its syncs, and nothing leaves before."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from werkzeug.test import TestResponse

from broker.adapters.audit_log.audit_log import StoredAuditLog
from tests.plugins.house import House, Person, mark

AT_ONCE = 16
Waiting = list[tuple[Person, str]]


class HeldDisk:
    """A disk whose syncs end when they are let; ``fails`` are those that fail, by their number."""

    def __init__(self, *fails: int) -> None:
        self.fails = fails
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.syncs = 0

    def fdatasync(self, _: int) -> None:
        """Wait, and take what was written or not."""
        self.begun.release()
        assert self.let.acquire(timeout=60)
        self.syncs += 1
        if self.syncs in self.fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def waiting(house: House) -> Waiting:
    """Give browsers whose person has agreed before, and the address of an arrival that goes straight through."""
    first = house.person()
    house.landing(first.agree(first.log_in("asta"), remember=True))
    house.at_rest()  # its line on the trail would be synced with theirs
    people = [house.person() for _ in range(AT_ONCE)]
    return [(each, each.deliver(*house.answer(each.choose(each.ask()), "asta")).location) for each in people]


@contextmanager
def all_at_once(
    house: House, waiting: Waiting, disk: HeldDisk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Future[TestResponse]]]:
    """Open all addresses, and come here when one waits for its own sync and all others for the next."""
    trail = house.parts.trail
    assert isinstance(trail, StoredAuditLog)
    with monkeypatch.context() as patched, ThreadPoolExecutor(AT_ONCE) as browsers:
        patched.setattr("broker.adapters.audit_log.shared_sync.os.fdatasync", disk.fdatasync)
        pages = [browsers.submit(person.get, url) for person, url in waiting]
        assert disk.begun.acquire(timeout=60)
        ended = trail.journal.syncs._ended
        while len(ended._waiters) < AT_ONCE - 1:  # type: ignore[attr-defined]
            assert not any(each.done() for each in pages)
            time.sleep(0.001)
        yield pages
        disk.let.release(AT_ONCE)


def issued(house: House, waiting: Waiting) -> list[bool]:
    """Give for each login whether an assertion is recorded as having left."""
    names = [url.partition("?")[0].rpartition("/")[2] for _, url in waiting]
    reads = [house.broker.read(name, house.clock.now()) for name in names]
    return [held.transaction.issued is not None for held in reads]


def test_sixteen_releases_wait_for_two_syncs(house: House, waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk: one sync for the first, one for all others, and nobody's assertion before it."""
    disk = HeldDisk()
    with all_at_once(house, waiting, disk, monkeypatch) as pages:
        assert issued(house, waiting) == [False] * AT_ONCE
    sessions = {house.landing(each.result()).session for each in pages}
    assert None not in sessions
    assert disk.syncs == 2


def test_a_disk_that_fills_up_lets_none_go_whose_line_it_lost(
    house: House, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first, whose sync was done before, lands; all others are told to try again, and land when there is room."""
    disk = HeldDisk(2)
    with all_at_once(house, waiting, disk, monkeypatch) as pages:
        pass
    assert disk.syncs == 2
    refused = [each.result() for each in pages if mark(each.result())[0] == "error"]
    assert [(page.status_code, mark(page)[1]) for page in refused] == [(503, "audit_unavailable")] * (AT_ONCE - 1)
    assert sum(issued(house, waiting)) == 1
    for person, url in waiting:
        house.landing(person.get(url))
