"""Redis as several machines use it: behind three Sentinels, or as a Cluster; with password, TLS and replicas."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from broker.demo.register.register_tls import Certificates
from tests.plugins.ports import free_port
from tests.plugins.redis_server import KEEPING, RedisServer

DOWN_AFTER: Final = 2.0  # seconds until the Sentinels or the Cluster count a server as dead
_PASSWORD: Final = "of-the-redis"
_AT_SENTINELS: Final = "of-the-sentinels"
_SERVICE: Final = "broker"
_PATIENCE: Final = 60.0
_MILLISECONDS: Final = str(round(DOWN_AFTER * 1000))
# Replicas follow at once: the default waits five seconds for further replicas before it sends a copy.
_COPYING: Final = ("--repl-diskless-sync-delay", "0")
# A Cluster stops a server that is cut off by itself.
_BEHIND_SENTINELS: Final = ("--min-replicas-to-write", "1")


@dataclass(slots=True)
class SecuredRedis:
    """Redis servers with one password and one certificate."""

    folder: Path
    program: str
    stack: ExitStack
    certificates: Certificates = field(init=False)
    servers: list[RedisServer] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        """Make the certificate of all servers."""
        self.certificates = Certificates.create(self.folder / "tls", datetime.now(UTC))

    def start(self, name: str, password: str, *settings: str) -> RedisServer:
        """Start a server that takes connections with TLS and this password only."""
        folder, port = self.folder / name, free_port()
        folder.mkdir()
        own = self.certificates
        tls = {"ssl": True, "ssl_ca_certs": own.authority}
        secured = (
            *("--port", "0", "--tls-port", str(port), "--requirepass", password, "--tls-auth-clients", "no"),
            *("--tls-replication", "yes", "--tls-cert-file", own.certificate, "--tls-key-file", own.key),
            *("--tls-ca-cert-file", own.authority),
        )
        options: dict[str, Any] = {"password": password, **tls}
        server = RedisServer(folder, (*secured, *settings), port, options, self.program)
        self.stack.callback(server.kill)
        return server.start()

    def start_store(self, name: str, *settings: str) -> RedisServer:
        """Start a server that holds records."""
        server = self.start(name, _PASSWORD, "--masterauth", _PASSWORD, *KEEPING, *_COPYING, *settings)
        self.servers.append(server)
        return server

    def name_url(self, scheme: str, servers: list[RedisServer], path: str = "", query: str = "") -> None:
        """Set the address for ``store.url``."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        self.url = f"{scheme}://:{_PASSWORD}@{hosts}{path}?ssl_ca_certs={self.certificates.authority}{query}"

    def find_master(self) -> RedisServer:
        """Return a server that takes writes."""
        return next(server for server in self.servers if _read_role(server)[0] == b"master")


def _read_role(server: RedisServer) -> Any:
    with server.client() as client:
        return client.role()


@contextmanager
def run_sentinels(folder: Path, program: str) -> Iterator[SecuredRedis]:
    """Run a master with two replicas, and three Sentinels that have a password of their own."""
    with ExitStack() as stack:
        found = SecuredRedis(folder, program, stack)
        master = found.start_store("master", *_BEHIND_SENTINELS)
        for name in ("replica-1", "replica-2"):
            found.start_store(name, *_BEHIND_SENTINELS, "--replicaof", "127.0.0.1", str(master.port))
        _wait(lambda: len(_read_role(master)[2]) == 2)
        sentinels = [found.start(f"sentinel-{number}", _AT_SENTINELS, "--sentinel") for number in range(3)]
        for sentinel in sentinels:
            with sentinel.client() as client:
                client.execute_command("SENTINEL", "MONITOR", _SERVICE, "127.0.0.1", master.port, 2)
                client.execute_command("SENTINEL", "SET", _SERVICE, "auth-pass", _PASSWORD)
                client.execute_command("SENTINEL", "SET", _SERVICE, "down-after-milliseconds", _MILLISECONDS)
        _wait(lambda: all(_counts_peers(sentinel) for sentinel in sentinels))
        query = f"&sentinel_password={_AT_SENTINELS}"
        found.name_url("rediss+sentinel", sentinels, f"/{_SERVICE}", query)
        yield found


def _counts_peers(sentinel: RedisServer) -> bool:
    with sentinel.client() as client:
        peers = client.execute_command("SENTINEL", "SENTINELS", _SERVICE)
        replicas = client.execute_command("SENTINEL", "REPLICAS", _SERVICE)
    return len(peers) == len(replicas) == 2


@contextmanager
def run_cluster(folder: Path, program: str) -> Iterator[SecuredRedis]:
    """Run a Cluster of three servers, each with a replica."""
    with ExitStack() as stack:
        found = SecuredRedis(folder, program, stack)
        nodes = []
        for number in range(6):
            bus = free_port()
            settings = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--tls-cluster", "yes")
            node = found.start_store(f"node-{number}", *settings, "--cluster-node-timeout", _MILLISECONDS)
            nodes.append(f"127.0.0.1:{node.port}@{bus}")
        client = program.replace("-server", "-cli")
        tls = ("--tls", "--cacert", found.certificates.authority, "-a", _PASSWORD, "--no-auth-warning")
        command = (client, *tls, "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes")
        subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
        _wait(lambda: all(_is_whole(node) for node in found.servers))
        found.name_url("rediss+cluster", found.servers[:3])
        yield found


def _is_whole(node: RedisServer) -> bool:
    with node.client() as client:
        state = client.execute_command("CLUSTER", "INFO")
    role = _read_role(node)
    is_copying = role[3] == b"connected" if role[0] == b"slave" else bool(role[2])
    return b"cluster_state:ok" in state and is_copying


def find_program() -> str:
    """Return the program of the Cluster: Valkey if it is installed."""
    return "valkey-server" if shutil.which("valkey-server") else "redis-server"


def _wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("the servers of Redis did not find each other within a minute")
        time.sleep(0.1)
