"""Redis as several machines use it: behind three Sentinels, or as a Cluster; with password, TLS and replicas."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from broker.demo.register.register_tls import Certificates
from tests.plugins.ports import free_port
from tests.plugins.programs import wait_until
from tests.plugins.redis_server import RedisServer
from tests.walks.nginx_server import DEPLOY

# Seconds until the Sentinels or the Cluster count a server as dead: as deploy/sentinel.conf says.
DOWN_AFTER: Final = 2.0
_PASSWORD: Final = "of-the-redis"
_AT_SENTINELS: Final = "of-the-sentinels"
_SERVICE: Final = "broker"
_PATIENCE: Final = 60.0
_MILLISECONDS: Final = str(round(DOWN_AFTER * 1000))


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

    def start(self, file: str, name: str, values: Mapping[str, str], *settings: str) -> RedisServer:
        """Start a server with a file of ``deploy/``; ``values`` are what an administrator writes into it.

        The password of the server is the first of them.
        """
        folder, port = self.folder / name, free_port()
        folder.mkdir()
        text = (DEPLOY / file).read_text(encoding="utf-8").replace("/etc/redis/tls", str(self.folder / "tls"))
        for shipped, own in {**values, "authority": "certificate"}.items():
            text = text.replace(shipped, own)
        (folder / "conf").write_text(text, encoding="utf-8")
        password = next(iter(values.values()))
        options: dict[str, Any] = {"password": password, "ssl": True, "ssl_ca_certs": self.certificates.certificate}
        own_port = ("--port", "0", "--tls-port", str(port))
        server = RedisServer(folder, (*own_port, *settings), port, options, self.program)
        self.stack.callback(server.kill)
        return server.start()

    def start_store(self, name: str, *settings: str) -> RedisServer:
        """Start a server that holds records."""
        server = self.start("redis.conf", name, {"PASSWORD": _PASSWORD}, *settings)
        self.servers.append(server)
        return server

    def start_sentinel(self, name: str, master: RedisServer) -> RedisServer:
        """Start a Sentinel that watches a master."""
        values = {
            "SENTINEL_PASSWORD": _AT_SENTINELS,
            "PASSWORD": _PASSWORD,
            "10.0.0.11 6379": f"127.0.0.1 {master.port}",
        }
        return self.start("sentinel.conf", name, values, "--sentinel")

    def name_url(self, scheme: str, servers: list[RedisServer], path: str = "", query: str = "") -> None:
        """Set the address for ``store.url``."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        self.url = f"{scheme}://:{_PASSWORD}@{hosts}{path}?ssl_ca_certs={self.certificates.certificate}{query}"

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
        master = found.start_store("master")
        for name in ("replica-1", "replica-2"):
            found.start_store(name, "--replicaof", "127.0.0.1", str(master.port))
        wait_until(lambda: len(_read_role(master)[2]) == 2)
        sentinels = [found.start_sentinel(f"sentinel-{number}", master) for number in range(3)]
        wait_until(lambda: all(_counts_peers(sentinel) for sentinel in sentinels))
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
            joined = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--tls-cluster", "yes")
            timed = ("--cluster-node-timeout", _MILLISECONDS, "--min-replicas-to-write", "0")
            node = found.start_store(f"node-{number}", *joined, *timed)
            nodes.append(f"127.0.0.1:{node.port}@{bus}")
        client = program.replace("-server", "-cli")
        tls = ("--tls", "--cacert", found.certificates.certificate, "-a", _PASSWORD, "--no-auth-warning")
        command = (client, *tls, "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes")
        subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
        wait_until(lambda: all(_is_whole(node) for node in found.servers))
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
