"""Many first logins of one person by two ways at once: every one of them gets through, and soon."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Any, Final

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.identity.rights import Ground
from broker.core.login.transaction import Account, AccountState
from broker.core.ports import Store
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.enrolment.worker import PersonWorker
from broker.use_cases.person_records import PersonRecords
from broker.use_cases.worker_loop import run_worker_loop

LOGINS: Final = 40
CALL_TAKES: Final = 0.1  # seconds of the library system, and of the mail server
THREADS: Final = 8


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Give what opens each store, once for each worker."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else "sqlite:broker.db"
    return lambda: open_store(url, tmp_path, accept_loss=True)


def now() -> datetime:
    """Give the time that it is."""
    return datetime.now(UTC)


@contextmanager
def worker(logins: Any, store: Store) -> Iterator[BorrowerAtLogin]:
    """Give the borrowers of logins at one worker with a store of its own, while its loop carries out what is due."""
    ports = logins.world.ports
    wake, stop = Event(), Event()
    ports = replace(ports, persons=PersonRecords(store, ports.hmacs), now=now)
    slots = Semaphore(THREADS // 2)
    requests = EnrolmentRequests(ports, wake, time.sleep, slots)
    surprises: list[Exception] = []
    arguments = ((PersonWorker(ports).step,), wake, stop.is_set, 1, surprises.append)
    loop = Thread(target=run_worker_loop, args=arguments)
    loop.start()
    try:
        yield BorrowerAtLogin(ports, requests, BorrowerFinder(ports, slots))
    finally:
        stop.set()
        wake.set()
        loop.join()
    assert surprises == []


@pytest.mark.slow
def test_forty_first_logins_by_two_ways_are_all_through_in_ten_seconds(
    world: Any, logins: Any, open_one: Callable[[], Store]
) -> None:
    """One borrower, and nobody waits for the lease of work that is done."""
    world.hooks.every = lambda _: time.sleep(CALL_TAKES)
    begun = time.monotonic()
    ways = [logins.arrived(), logins.private(ground=Ground.INSTITUTION, permits_creation=True, permits_lowering=False)]
    with worker(logins, open_one()) as first, worker(logins, open_one()) as second:

        def log_in(number: int) -> tuple[float, Account]:
            borrowers = (first, second)[number % 4 // 2]
            arrived = ways[number % 2]
            transaction = replace(logins.transaction(), begun=now())
            account = borrowers.find_account(transaction, arrived, None)
            while account is None or account.state is not AccountState.DONE:
                assert time.monotonic() - begun < 30, "still waiting"
                transaction = replace(transaction, account=account)
                account = borrowers.enrol(transaction, arrived, language="da", patience=5)
                time.sleep(0.2)
            return time.monotonic() - begun, account

        with ThreadPoolExecutor(LOGINS) as pool:
            ended = list(pool.map(log_in, range(LOGINS)))
    assert {account.number for _, account in ended} == {"1"}
    assert len(world.library.borrowers) == 1
    assert max(at for at, _ in ended) < 10
