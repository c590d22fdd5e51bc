"""Starts Redis servers for tests: a single server and a cluster of three, on free ports, in temporary folders."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.plugins.ports import free_port
from tests.plugins.programs import wait_until

KEEPING = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")
_SLOTS = 16384


@dataclass
class RedisServer:
    """A redis-server that a test can kill and start again on the same folder."""

    folder: Path
    settings: tuple[str, ...] = KEEPING
    port: int = field(default_factory=free_port)
    client_options: Mapping[str, Any] = field(default_factory=dict)
    program: str = "redis-server"
    _running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        """Start the server and wait until it has loaded its data and answers."""
        # Every server gets a settings file, because Sentinel writes its state into it.
        settings = self.folder / "conf"
        settings.touch()
        place = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder))
        with (self.folder / "log").open("ab") as log:
            self._running = subprocess.Popen(
                (self.program, str(settings), *place, *self.settings), stdout=log, stderr=log
            )
        wait_until(self._answers)
        return self

    def kill(self) -> None:
        """Kill the server with SIGKILL and wait until it is gone."""
        if self._running is not None:
            self._running.send_signal(signal.SIGKILL)
            self._running.wait()
            self._running = None

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal: SIGSTOP makes it hang, SIGCONT continues it."""
        assert self._running is not None
        self._running.send_signal(number)

    def client(self) -> redis.Redis:
        """Return a plain client that bypasses the store."""
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(host="127.0.0.1", port=self.port, protocol=2, retry=retry, **self.client_options)

    def _answers(self) -> bool:
        assert self._running is not None
        assert self._running.poll() is None, (self.folder / "log").read_text()
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a server that persists every acknowledged write, for the whole run."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Return the URL of an empty Redis."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, ...]]:
    """Return three servers of one cluster, for the whole run."""
    nodes = [
        RedisServer(
            tmp_path_factory.mktemp("node"), (*KEEPING, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        )
        for _ in range(3)
    ]
    try:
        _join([node.start() for node in nodes])
        yield tuple(nodes)
    finally:
        for node in nodes:
            node.kill()


@pytest.fixture
def redis_cluster_url(redis_cluster: tuple[RedisServer, ...]) -> str:
    """Return the URL of an empty cluster."""
    for node in redis_cluster:
        with node.client() as client:
            client.flushall()
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in redis_cluster)


def _join(nodes: list[RedisServer]) -> None:
    for number, node in enumerate(nodes):
        with node.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * _SLOTS // 3, (number + 1) * _SLOTS // 3 - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].settings[-1])
    for node in nodes:
        wait_until(partial(_knows_all, node))


def _knows_all(node: RedisServer) -> bool:
    with node.client() as client:
        told = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in told and b"cluster_known_nodes:3" in told
