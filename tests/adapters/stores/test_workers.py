"""Several workers on one store, and what is left when one of them, or the store, is killed."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.ports import Key
from tests.adapters.stores.worker import many
from tests.plugins.redis_server import RedisServer

pytestmark = pytest.mark.server

NOW = datetime(2031, 1, 1, tzinfo=UTC)
TOTAL = Key("transaction", "total")
Worker = Callable[[str, Path, str], Popen[str]]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """Give each store's URL."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else "sqlite:broker.db"


def _total(url: str, folder: Path) -> bytes | None:
    found = open_store(url, folder).get(TOTAL, NOW)
    return found and found.value


def _read_acknowledged(running: Popen[str], least: int) -> list[int]:
    assert running.stdout is not None
    return [int(running.stdout.readline()) for _ in range(least)]


def test_a_store_used_before_a_fork_serves_both_sides(url: str, tmp_path: Path, worker: Worker) -> None:
    """Children forked from a worker with open connections, and the worker itself, lose no change."""
    running = worker(url, tmp_path, "fork")
    assert (running.communicate()[1], running.returncode) == ("", 0)
    assert _total(url, tmp_path) == b"256"


def test_a_killed_worker_loses_nothing_acknowledged(url: str, tmp_path: Path, worker: Worker) -> None:
    """After kill -9 of a writer, each enrolment whose put had returned is there, and can be claimed."""
    running = worker(url, tmp_path, "acknowledge")
    told = _read_acknowledged(running, 25)
    running.kill()
    told += [int(line) for line in running.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    listed = {key.group for key, _ in open_store(url, tmp_path).list("person", None, NOW)}
    assert {str(number) for number in told} <= listed


def test_a_killed_redis_loses_nothing_acknowledged(tmp_path: Path, worker: Worker) -> None:
    """After kill -9 of the server and a new start on its folder, each acknowledged enrolment is there and queued."""
    server = RedisServer(tmp_path).start()
    try:
        running = worker(server.url, tmp_path, "acknowledge")
        told = _read_acknowledged(running, 25)
        server.kill()
        rest, error = running.communicate()
        assert "StoreUnavailable" in error
        told += [int(line) for line in rest.splitlines()]
        server.start()
        store = open_store(server.url, tmp_path)
        assert {str(number) for number in told} <= {key.group for key, _ in store.list("person", None, NOW)}
        assert all(store.claim("person", str(number), "c", NOW, NOW) for number in told)
    finally:
        server.kill()


@pytest.mark.parametrize(("kind", "stands"), [("sqlite", False), ("redis_cluster_url", True)])
def test_a_worker_killed_between_first_and_others(
    *, kind: str, stands: bool, request: pytest.FixtureRequest, tmp_path: Path, worker: Worker
) -> None:
    """SQLite has nothing of it, a Cluster the first alone; the same call again has all of it."""
    url = "sqlite:broker.db" if kind == "sqlite" else str(request.getfixturevalue(kind))
    assert worker(url, tmp_path, "die").wait() == -signal.SIGKILL
    store = open_store(url, tmp_path)
    keys = [TOTAL, Key("session", "0"), Key("session", "1")]
    assert [found is not None for found in store.get_many(keys, NOW)] == [stands, False, False]
    assert many(store)
    assert None not in store.get_many(keys, NOW)
