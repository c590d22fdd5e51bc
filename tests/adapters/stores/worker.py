"""Another worker, for the tests: ``worker.py URL FOLDER add|acknowledge|fork|die``."""

import os
import secrets
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from broker.adapters.stores import redis, sqlite
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Key, Store, StoredRecord, Write

NOW = datetime(2031, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
TOTAL = Key("transaction", "total")


def add(store: Store, times: int = 50) -> None:
    """Add one, ``times`` times, by compare-and-set."""
    for _ in range(times):
        stands = False
        while not stands:
            found = store.get(TOTAL, NOW)
            value, was = (int(found.value), found.version) if found else (0, None)
            stands = store.put(TOTAL, StoredRecord(b"%d" % (value + 1), secrets.token_hex(8), LATER), was, NOW)


def acknowledge(store: Store) -> None:
    """Write durable enrolments without end and print the number of each once it stands."""
    for number in count():
        record = StoredRecord(b"wanted", secrets.token_hex(8), LATER, NOW)
        assert store.put(Key("person", str(number)), record, None, NOW, durable=True)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def fork(store: Store) -> None:
    """Use the store, fork with its connections open, and go on in four children and the parent at once."""
    add(store, 3)
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            add(store)
            os._exit(0)
        children.append(child)
    add(store)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    add(store, 3)


def many(store: Store) -> bool:
    """Put a record and, with it, two of other groups."""
    others = [Write(Key("session", str(number)), StoredRecord(b"", "o", LATER), None) for number in range(2)]
    return store.put_many(Write(TOTAL, StoredRecord(b"", "v", LATER), None), others, NOW)


def die(store: Store) -> None:
    """Put several records at once, and be killed where the second is about to be written."""
    calls = count(1)

    def then_killed(write: Callable[..., bool]) -> Callable[..., bool]:
        def write_or_die(*given: object, **options: object) -> bool:
            if next(calls) > 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*given, **options)

        return write_or_die

    sqlite._write_record = then_killed(sqlite._write_record)
    redis.RedisStore._put = then_killed(redis.RedisStore._put)  # type: ignore[method-assign]
    many(store)


if __name__ == "__main__":
    url, folder, work = sys.argv[1:]
    {"add": add, "acknowledge": acknowledge, "fork": fork, "die": die}[work](open_store(url, Path(folder)))
