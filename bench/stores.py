"""The stores of the benchmark: SQLite, a Redis that syncs each write, and the same with slow answers."""

import socket
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from statistics import median
from typing import Final

import redis

from bench.brokers import SQLITE

# A round trip to a store in another room of the same data centre.
_SLOW_MS: Final = "1"
_PINGS: Final = 300
_READY_WITHIN: Final = 20.0
_KEEPING: Final = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")


@contextmanager
def sqlite() -> Iterator[str]:
    """Give the URL of the embedded store, a file of the broker's own folder."""
    yield SQLITE


@contextmanager
def loopback_redis() -> Iterator[str]:
    """Run a redis-server that syncs every write, and give its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        place = ("--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--logfile", "log")
        with run_program(("redis-server", *place, *_KEEPING)):
            _await(port)
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def slow_redis() -> Iterator[str]:
    """Run the same, each of whose answers comes a millisecond later, and give its URL."""
    with loopback_redis() as url:
        server, port = url.rpartition(":")[2].partition("/")[0], free_port()
        with run_program((sys.executable, "-m", "bench.slow_answers", str(port), server, _SLOW_MS)):
            _await(port)
            yield f"redis://127.0.0.1:{port}/0"


def measure_delay() -> float:
    """Return by how many milliseconds an answer of ``slow_redis`` really comes later."""
    with loopback_redis() as near, slow_redis() as far:
        return (_ping(far) - _ping(near)) * 1000


def _ping(url: str) -> float:
    """Return the median seconds of an answer."""
    with redis.Redis.from_url(url) as client:
        return median(timeit.repeat(client.ping, number=1, repeat=_PINGS))


STORES: Final[dict[str, Callable[[], AbstractContextManager[str]]]] = {
    "SQLite": sqlite,
    "Redis": loopback_redis,
    "Redis, 1 ms more an answer": slow_redis,
}


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_program(command: Sequence[str]) -> Iterator[int]:
    """Run a program until the block ends, and give its process id."""
    try:
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is not installed: make programs") from None
    try:
        yield running.pid
    finally:
        running.terminate()
        running.wait()


def _await(port: int) -> None:
    until = time.monotonic() + _READY_WITHIN
    while time.monotonic() < until:
        try:
            with redis.Redis(host="127.0.0.1", port=port) as client:
                if client.ping():
                    return
        except redis.RedisError:
            time.sleep(0.05)
    raise SystemExit(f"no Redis answers at port {port}")
