"""Takes what was dropped out of the files of every Redis server: masters, replicas, a Cluster."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError
from redis.sentinel import SentinelConnectionPool

from broker.adapters.stores.redis_connection import Address

_PATIENCE: Final = 120.0  # seconds that a rewrite of a large file may take
_LOOK_EVERY: Final = 0.05
_TRIES: Final = 5
_REPLICAS_HAVE_IT: Final = 10_000  # milliseconds


class _Writing(NamedTuple):
    """A command that writes a file anew, and the fields of INFO that tell how it goes."""

    command: str
    running: tuple[str, ...]
    outcome: str


_REWRITE: Final = _Writing(
    "BGREWRITEAOF",
    ("aof_rewrite_in_progress", "aof_rewrite_scheduled"),
    "aof_last_bgrewrite_status",
)
_SNAPSHOT: Final = _Writing("BGSAVE", ("rdb_bgsave_in_progress",), "rdb_last_bgsave_status")
_BUSY: Final = (*_REWRITE.running, *_SNAPSHOT.running)


def rewritten(client: Any, address: Address) -> Iterator[str]:
    """Have every server write its files anew and wait for it; yield what is pending, in sentences.

    An append-only file where one is kept, and a snapshot, which replaces the one of before.
    """
    yield from _down(client)
    yield from _unconfirmed(client)
    for name, server in _servers(client, address):
        try:
            yield from _written_anew(name, server)
        except ResponseError:
            what = f"{name} does not allow BGREWRITEAOF, BGSAVE or INFO to the broker's user"
            yield f"{what}; run both there, and wait for them."
        except RedisError:
            yield f"{name} does not answer; run BGREWRITEAOF and BGSAVE there when it is back."


def _servers(client: Any, address: Address) -> Iterator[tuple[str, Any]]:
    if hasattr(client, "get_nodes"):
        for node in client.get_nodes():
            yield f"Redis {node.name}", node.redis_connection
        return
    yield "Redis", client
    for host, port in _replicas(client):
        yield f"The replica {host}:{port}", address.server(host, port)


def _replicas(client: Any) -> Iterator[tuple[str, int]]:
    told: Mapping[str, Any] = client.info("replication")
    for number in range(int(told.get("connected_slaves", 0))):
        replica = told[f"slave{number}"]
        yield str(replica["ip"]), int(replica["port"])


def _down(client: Any) -> Iterator[str]:
    """Yield each replica that is down: its files hold what was dropped, and nobody asks it."""
    try:
        names = tuple(_known_down(client))
    except RedisError:
        names = ("A replica of Redis, which nobody could be asked about,",)
    for name in names:
        mend = "when it is back and has caught up, run BGREWRITEAOF and BGSAVE there"
        yield f"{name} is down; {mend}."


def _known_down(client: Any) -> Iterator[str]:
    if hasattr(client, "get_nodes"):
        for name, node in client.cluster_nodes().items():
            if "slave" in node["flags"] and ("fail" in node["flags"] or not node["connected"]):
                yield f"The replica {name.partition('@')[0]}"
        return
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        for each in _sentinel_replicas(pool):
            if each["is_sdown"] or each["is_odown"] or each["is_disconnected"]:
                yield f"The replica {each['ip']}:{each['port']}"
        return
    told: Mapping[str, Any] = client.info("replication")
    connected = int(told.get("connected_slaves", 0))
    # A master keeps its backlog for an hour after its last replica has gone.
    if not connected and int(told.get("repl_backlog_active", 0)):
        yield "A replica of Redis"


def _sentinel_replicas(pool: SentinelConnectionPool) -> Sequence[Mapping[str, Any]]:
    """Return what the first Sentinel that answers says of each replica."""
    failed = RedisError("no Sentinel is named")
    for sentinel in pool.sentinel_manager.sentinels:
        try:
            told: Sequence[Mapping[str, Any]] = sentinel.sentinel_slaves(pool.service_name)
        except RedisError as error:
            failed = error
        else:
            return told
    raise failed


def _unconfirmed(client: Any) -> Iterator[str]:
    """Yield that a replica has not yet what the master dropped: its file would still hold it."""
    if hasattr(client, "get_nodes"):
        masters = [node.redis_connection for node in client.get_primaries()]
    else:
        masters = [client]
    for master in masters:
        replicas = sum(1 for _ in _replicas(master))
        if replicas and master.execute_command("WAIT", replicas, _REPLICAS_HAVE_IT) < replicas:
            yield "A replica of Redis has not caught up; do this again when it has."


def _written_anew(name: str, server: Any) -> Iterator[str]:
    keeps_log = bool(server.info("persistence").get("aof_enabled"))
    for writing in (_REWRITE, _SNAPSHOT) if keeps_log else (_SNAPSHOT,):
        # One that is under way began before the last drop.
        if not _is_idle(server):
            yield f"{name} is still writing a file; run {writing.command} there afterwards."
            continue
        if not _is_begun(server, writing.command):
            yield f"{name} begins to write other files all the time; run {writing.command} there."
        elif not _is_idle(server):
            yield f"{name} is still at {writing.command}; look there whether it ends well."
        elif server.info("persistence").get(writing.outcome) != "ok":
            yield f"{name} could not carry out {writing.command}; its log says why."


def _is_begun(server: Any, command: str) -> bool:
    """Begin to write a file; False where another writing came between, each time."""
    for _ in range(_TRIES):
        try:
            server.execute_command(command)
        except ResponseError as error:
            # A replica that connects has its master save: "Background save already in progress".
            if "in progress" not in str(error):
                raise
            _is_idle(server)
        else:
            return True
    return False


def _is_idle(server: Any) -> bool:
    """Wait until no file is being written; False where that takes too long."""
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        told = server.info("persistence")
        if not any(int(told.get(field, 0)) for field in _BUSY):
            return True
        time.sleep(_LOOK_EVERY)
    return False
