"""Redis URLs, clients, and settings that make a server unfit for production."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import Redis, Sentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, ResponseError, TimeoutError  # noqa: A004
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
_FILE_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_DEFAULT_PORTS: Final = {"sentinel": 26379}
_REDIS_PORT: Final = 6379
_EXAMPLES: Final = (
    "rediss://user:password@host:6379/0, "
    "rediss+sentinel://host,host/service, "
    "rediss+cluster://host,host"
)
# Limits for connecting and for each piece of an answer, so that no request hangs.
_CONNECTION_SETTINGS: Final[dict[str, Any]] = {
    "socket_connect_timeout": 2.0,
    "socket_timeout": 5.0,
    "socket_keepalive": True,
    "protocol": 2,
}


# Settings, the values that they must have, and why. With Debian's defaults a killed server lost
# every acknowledged write (docs/reference/design.md#4b).
_REQUIRED_SETTINGS: Final = (
    ("appendonly", "yes", "without it a restart forgets every write since the last snapshot"),
    ("appendfsync", "always", "otherwise a power cut forgets writes that were acknowledged"),
    (
        "no-appendfsync-on-rewrite",
        "no",
        "otherwise a power cut during a rewrite forgets acknowledged writes",
    ),
    ("maxmemory-policy", "noeviction", "any other policy throws records away when memory is short"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a Redis URL; ``repr`` hides the password."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    files: tuple[tuple[str, str], ...] = ()
    # User name and password at the Sentinels, which may differ from those at the Redis server.
    at_sentinels: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def uses_tls(self) -> bool:
        """Whether connections use TLS (``rediss``)."""
        return self.scheme.startswith("rediss")

    @property
    def kind(self) -> str:
        """``sentinel``, ``cluster``, or "" for one server."""
        return self.scheme.partition("+")[2]

    def faults(self, servers: Iterable[str] = ()) -> tuple[str, ...]:
        """Return a sentence for each protection that is missing: TLS or a password.

        A Redis on this machine needs neither. ``servers`` are further hosts that Sentinel or the
        Cluster has named.
        """
        own = [host for host, _ in self.hosts]
        if all(_is_loopback(host) for host in (*servers, *own)):
            return ()
        faults = []
        if not self.uses_tls:
            fix = "write rediss in store.url instead of redis"
            faults.append(f"Redis is on another machine and not encrypted; {fix}.")
        if not self.password:
            fix = "set one there and in store.url"
            faults.append(f"Redis is on another machine and asks for no password; {fix}.")
        return tuple(faults)

    def open(self) -> Any:
        """Return the client. A Cluster client connects now, other clients at their first use."""
        encryption = self._encryption()
        settings = {
            **_CONNECTION_SETTINGS,
            "username": self.username,
            "password": self.password,
            **encryption,
        }
        if self.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in self.hosts]  # type: ignore[no-untyped-call]
            return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 1), **settings)
        if self.kind == "sentinel":
            settings["retry"] = _never_retry()
            service, *database = self.path
            to_sentinels = {
                **_CONNECTION_SETTINGS,
                "retry": settings["retry"],
                **encryption,
                **self.at_sentinels,
            }
            sentinel = Sentinel(self.hosts, sentinel_kwargs=to_sentinels, **settings)  # type: ignore[no-untyped-call]
            return sentinel.master_for(service, db=_read_database_number(database))  # type: ignore[no-untyped-call]
        host, port = self.hosts[0]
        return Redis(
            host=host,
            port=port,
            db=_read_database_number(self.path),
            retry=_never_retry(),
            **settings,
        )

    def _encryption(self) -> dict[str, Any]:
        if not self.uses_tls:
            return {}
        return {"ssl": True, "ssl_check_hostname": True, **dict(self.files)}


def _never_retry() -> Retry:
    """Return a policy without retries: a repeated command could count twice."""
    return Retry(NoBackoff(), 0)


def parse(url: str, folder: Path) -> Address:
    """Parse a Redis URL; certificate files are relative to ``folder``.

    Raises ConfigurationFaults for an invalid URL, without quoting it (it may hold a password).
    """
    try:
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
        username, _, password = user.partition(":")
        kind = parts.scheme.partition("+")[2]
        port = _DEFAULT_PORTS.get(kind, _REDIS_PORT)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        address = Address(
            scheme=parts.scheme,
            hosts=tuple(_read_host(host, port) for host in hosts.split(",")),
            path=tuple(part for part in parts.path.split("/") if part),
            username=unquote(username) or None,
            password=unquote(password) or None,
            files=tuple(
                (name, str(folder / options[name])) for name in _FILE_OPTIONS if name in options
            ),
            at_sentinels=_read_login_at_sentinels(options),
        )
    except ValueError:
        raise _make_fault("is not a URL of Redis") from None
    allowed = (*_FILE_OPTIONS, *_SENTINEL_OPTIONS) if address.kind == "sentinel" else _FILE_OPTIONS
    if set(options) - set(allowed):
        # ssl_cert_reqs=none, for example, would switch off the check of the certificate.
        raise _make_fault(f"has an option that is not one of {', '.join(allowed)}")
    _check_path(address)
    return address


def _read_login_at_sentinels(options: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("sentinel_"): value
        for name, value in options.items()
        if name in _SENTINEL_OPTIONS
    }


def list_hosts(client: Any) -> tuple[str, ...]:
    """Return the hosts that the client uses, as Sentinel or the Cluster names them."""
    if hasattr(client, "get_nodes"):  # connected already; its ``ping`` fails if one server is down
        return tuple(node.host for node in client.get_nodes())
    client.ping()
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        host, _ = pool.get_master_address()  # type: ignore[no-untyped-call]
        return (host,)
    return (pool.connection_kwargs["host"],)


def find_loss_faults(client: Any) -> tuple[str, ...]:
    """Return a sentence for each setting of a writable server that may lose writes."""
    return tuple(
        fault
        for name, server in _name_primaries(client)
        for fault in _find_setting_faults(name, server)
    )


def find_unreplicated_writes(client: Any) -> Iterator[str]:
    """Yield a sentence if the server also writes when it is cut off from its replicas.

    A Cluster needs no such setting: a server that is cut off stops by itself. And a server that has
    taken over must accept writes although it has no replica until the failed one is back.
    """
    if hasattr(client, "get_primaries"):
        return
    setting = client.config_get("min-replicas-to-write")
    if client.info("replication")["connected_slaves"] and "0" in setting.values():
        what = "has replicas and min-replicas-to-write 0; set it to 1"
        why = "a server that is cut off would confirm writes that a failover forgets"
        yield f"Redis {what}: {why}."


def _name_primaries(client: Any) -> Iterator[tuple[str, Any]]:
    """Yield the writable servers that answer, each with its name for sentences."""
    if not hasattr(client, "get_primaries"):
        yield "Redis", client
        return
    for node in client.get_primaries():
        with suppress(ConnectionError, TimeoutError):
            node.redis_connection.ping()
            yield f"Redis {node.name}", node.redis_connection


def _check_path(address: Address) -> None:
    databases = address.path
    if address.kind == "sentinel":
        databases = address.path[1:]
        if not address.path:
            raise _make_fault("names no Sentinel service after the hosts")
    if address.kind == "cluster" and databases:
        raise _make_fault("names a database, which a Cluster does not have")
    if len(databases) > 1 or not all(part.isdecimal() for part in databases):
        raise _make_fault("ends in something that is no database number")
    if not address.kind and len(address.hosts) > 1:
        raise _make_fault("names several hosts without +sentinel or +cluster")


def _make_fault(what: str) -> ConfigurationFaults:
    return ConfigurationFaults([Fault("store.url", what, f"write it like {_EXAMPLES}")])


def _read_host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_database_number(database: Sequence[str]) -> int:
    return int(database[0]) if database else 0


def _find_setting_faults(name: str, server: Any) -> Iterator[str]:
    try:
        found: Mapping[str, str] = server.config_get(
            *(setting for setting, _, _ in _REQUIRED_SETTINGS)
        )
    except ResponseError:
        fix = "allow the broker's user CONFIG GET, so that they can be checked"
        yield f"{name} does not show its settings; {fix}."
        return
    for setting, value, why in _REQUIRED_SETTINGS:
        if found.get(setting) != value:
            present = found.get(setting, "unset")
            yield f"{name} has {setting} {present}; set it to {value}: {why}."
