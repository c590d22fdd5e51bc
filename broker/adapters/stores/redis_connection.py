"""From a Redis URL to what makes its client, and what the URL itself leaves open to others.

What makes a Redis unfit to keep enrolments: it may forget what it has acknowledged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import Redis, Sentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ResponseError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from broker.core.errors import ConfigurationFaults, Fault

SCHEMES: Final = (
    "redis",
    "rediss",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PORTS: Final = {"sentinel": 26379}
_PORT: Final = 6379
_MEND: Final = "rediss://user:password@host:6379/0, rediss+sentinel://host,host/service, rediss+cluster://host,host"

# A request must not hang on its store: at most this long to connect, and between two pieces of an
# answer.
_SETTINGS: Final[dict[str, Any]] = {
    "socket_connect_timeout": 2.0,
    "socket_timeout": 5.0,
    "socket_keepalive": True,
    "protocol": 2,
}


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis URL taken apart; the password is kept out of ``repr``."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    files: tuple[tuple[str, str], ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken, which ``rediss`` says."""
        return self.scheme.startswith("rediss")

    @property
    def kind(self) -> str:
        """``sentinel``, ``cluster`` or nothing for one server."""
        return self.scheme.partition("+")[2]

    def faults(self, servers: Iterable[str] = ()) -> tuple[str, ...]:
        """Say what is open to others: beyond this machine neither TLS nor the password may be missing.

        ``servers`` are the hosts that Sentinel or the Cluster named beside those of the URL.
        """
        if all(_loopback(host) for host in (*servers, *(host for host, _ in self.hosts))):
            return ()
        found = []
        if not self.encrypted:
            found.append(
                "Redis is on another machine and not encrypted; write rediss in store.url instead of redis."
            )
        if not self.password:
            found.append(
                "Redis is on another machine and asks for no password; set one there and in store.url."
            )
        return tuple(found)

    def open(self) -> Any:
        """Give the client; a Cluster is asked for its nodes at once, the others at the first use."""
        encryption = (
            {"ssl": True, "ssl_check_hostname": True, **dict(self.files)} if self.encrypted else {}
        )
        settings = {**_SETTINGS, "username": self.username, "password": self.password, **encryption}
        if self.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in self.hosts]  # type: ignore[no-untyped-call]
            return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 1), **settings)
        # Never tried twice: what is safe to repeat is repeated by who asked, and a counter would
        # count twice.
        settings["retry"] = Retry(NoBackoff(), 0)
        if self.kind == "sentinel":
            service, *database = self.path
            asking = {**_SETTINGS, "retry": settings["retry"], **encryption}
            sentinel = Sentinel(self.hosts, sentinel_kwargs=asking, **settings)  # type: ignore[no-untyped-call]
            return sentinel.master_for(service, db=_number(database))  # type: ignore[no-untyped-call]
        host, port = self.hosts[0]
        return Redis(host=host, port=port, db=_number(self.path), **settings)


def parse(url: str, folder: Path) -> Address:
    """Take a Redis URL apart, certificate files relative to ``folder``; ConfigurationFaults, which never quote it."""
    try:
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
        username, _, password = user.partition(":")
        kind = parts.scheme.partition("+")[2]
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        address = Address(
            parts.scheme,
            tuple(_host(host, _PORTS.get(kind, _PORT)) for host in hosts.split(",")),
            tuple(part for part in parts.path.split("/") if part),
            unquote(username) or None,
            unquote(password) or None,
            tuple((name, str(folder / file)) for name, file in options.items()),
        )
    except ValueError:
        raise _refused("is not a URL of Redis") from None
    unknown = sorted(set(options) - set(_FILES))
    if unknown:
        # ssl_cert_reqs=none and its like would switch off what keeps the password and the borrowers
        # secret.
        raise _refused(f"has an option that is not one of {', '.join(_FILES)}")
    _check_path(address)
    return address


def _check_path(address: Address) -> None:
    databases = address.path[1:] if address.kind == "sentinel" else address.path
    if address.kind == "sentinel" and not address.path:
        raise _refused("names no Sentinel service after the hosts")
    if address.kind == "cluster" and databases:
        raise _refused("names a database, which a Cluster does not have")
    if len(databases) > 1 or not all(part.isdecimal() for part in databases):
        raise _refused("ends in something that is no database number")
    if not address.kind and len(address.hosts) > 1:
        raise _refused("names several hosts without +sentinel or +cluster")


def _refused(what: str) -> ConfigurationFaults:
    return ConfigurationFaults([Fault("store.url", what, f"write it like {_MEND}")])


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or port


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _number(database: Sequence[str]) -> int:
    return int(database[0]) if database else 0


class _Demand(NamedTuple):
    setting: str
    value: str
    why: str


# Debian's defaults lost every acknowledged write of a server that was killed (design 4b).
_DEMANDS: Final = (
    _Demand(
        "appendonly", "yes", "without it a restart forgets every write since the last snapshot"
    ),
    _Demand("appendfsync", "always", "otherwise a power cut forgets writes that were acknowledged"),
    _Demand(
        "no-appendfsync-on-rewrite",
        "no",
        "otherwise a power cut during a rewrite forgets acknowledged writes",
    ),
    _Demand(
        "maxmemory-policy",
        "noeviction",
        "any other policy throws records away when memory is short",
    ),
)


def servers(client: Any) -> tuple[str, ...]:
    """Give the hosts that the client really speaks to, as Sentinel or the Cluster told it; asks each for a PING."""
    client.ping()
    if hasattr(client, "get_nodes"):
        return tuple(node.host for node in client.get_nodes())
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return (pool.get_master_address()[0],)  # type: ignore[no-untyped-call]
    return (pool.connection_kwargs["host"],)


def loss_faults(client: Any) -> tuple[str, ...]:
    """Say for each server that takes writes which of its settings may lose some."""
    named = {"Redis": client}
    if hasattr(client, "get_primaries"):
        named = {f"Redis {node.name}": node.redis_connection for node in client.get_primaries()}
    return tuple(
        sentence for name, server in named.items() for sentence in _server_faults(name, server)
    )


def _server_faults(name: str, server: Any) -> list[str]:
    try:
        found = server.config_get(*(demand.setting for demand in _DEMANDS))
    except ResponseError:
        return [
            f"{name} does not show its settings; allow the broker's user CONFIG GET, so that they can be checked."
        ]
    return [
        f"{name} has {demand.setting} {found.get(demand.setting, 'unset')}; set it to {demand.value}: {demand.why}."
        for demand in _DEMANDS
        if found.get(demand.setting) != demand.value
    ]
