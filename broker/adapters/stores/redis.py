"""The store for several machines: Redis, alone, behind Sentinel or as a Cluster."""

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha1
from itertools import islice
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from broker.adapters.stores import redis_scripts
from broker.adapters.stores.redis_connection import (
    Address,
    find_loss_faults,
    find_unreplicated_writes,
    list_hosts,
)
from broker.adapters.stores.redis_scripts import LEEWAY, milliseconds_to_keep
from broker.adapters.stores.timestamps import from_microseconds, to_microseconds
from broker.core.errors import StoreUnavailable, name_cause
from broker.core.ports import Key, Store, StoredRecord, Write
from broker.core.retention import RecordKind

_REPLICA_WAIT: Final = 1000  # milliseconds
_PAGE: Final = 200
_RECORD_FIELDS: Final = ("v", "n", "u", "d")  # value, version, until, due
_DIGESTS: Final = {
    script: sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (
        redis_scripts.PUT,
        redis_scripts.DROP,
        redis_scripts.LIST,
        redis_scripts.CLAIM,
        redis_scripts.COUNT,
    )
}


class RedisStore(Store):
    """Stores records in Redis: a group has one hash tag, and each change is one script.

    Source: docs/reference/design.md#4b.
    """

    def __init__(self, address: Address, *, accept_loss: bool = False) -> None:
        """Use the Redis at ``address``, which is connected at its first use.

        With ``accept_loss``, ``faults`` does not report settings that may lose writes.
        """
        self._address = address
        self._accept_loss = accept_loss
        self._client: Any = None
        self._opening = threading.Lock()

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[StoredRecord | None]":
        """Return the records, None for a missing one.

        They are read by one pipeline, so another process may write between two of the reads.
        """
        with _raise_unavailable():
            pipeline = self._connect().pipeline(transaction=False)
            for key in keys:
                record = redis_scripts.make_keys(key).record
                pipeline.execute_command("HMGET", record, *_RECORD_FIELDS)
            rows = pipeline.execute()
        return [_read_fields(fields, now) for fields in rows]

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Write ``first``; only if it is stored, write each of ``others``, by one atomic script.

        In a Cluster a script can change the keys of one hash tag only. Writes with several hash
        tags are made there by a script each: ``first``, then each of the others. ``durable`` also
        waits for a replica if there is one.
        """
        writes = [first, *others]
        with _raise_unavailable():
            tags = {redis_scripts.hash_tag(write.key) for write in writes}
            if len(tags) == 1 or not _is_cluster(self._connect()):
                return self._put(writes, now, durable=durable)
            if not self._put([first], now, durable=durable):
                return False
            for write in others:
                self._put([write], now, durable=durable)
        return True

    def _put(self, writes: Sequence[Write], now: datetime, *, durable: bool) -> bool:
        """Run the script; True if the first write is stored."""
        keys, arguments = redis_scripts.build_put(writes, now, durable=durable)
        run = self._run_durably if durable else self._run
        return bool(run(redis_scripts.PUT, keys, *arguments))

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        redis_keys = redis_scripts.make_keys(key)
        keys = (redis_keys.record, redis_keys.names, redis_keys.due, redis_keys.counter)
        with _raise_unavailable():
            self._run(redis_scripts.DROP, keys, redis_keys.member, redis_keys.name)

    def list(
        self, kind: RecordKind, group: str | None, now: datetime
    ) -> Iterator[tuple[Key, StoredRecord]]:
        """Yield the unexpired records: a group as of one moment, a whole kind by a scan.

        A scan may miss changes that are made meanwhile.
        """
        if group is None:
            yield from self._scan(kind, now)
            return
        redis_keys = redis_scripts.make_keys(Key(kind, group))
        keys = (redis_keys.record, redis_keys.names)
        with _raise_unavailable():
            rows = self._run(redis_scripts.LIST, keys, to_microseconds(now))
        for name, *fields in rows:
            record = _read_fields(fields, now)
            if record is not None:
                member = redis_keys.member.encode() + name
                yield redis_scripts.read_key(kind, member), record

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, StoredRecord] | None:
        """Lease the earliest record due at ``now``, in the group or in the whole kind."""
        prefix = ""
        if group is not None:
            prefix = redis_scripts.make_keys(Key(kind, group)).member
        lasts = milliseconds_to_keep(until, now)
        arguments = (
            prefix,
            to_microseconds(now),
            token,
            to_microseconds(until),
            lasts,
            to_microseconds(now - LEEWAY),
        )
        with _raise_unavailable():
            claimed = self._run(
                redis_scripts.CLAIM, redis_scripts.make_claim_keys(kind), *arguments
            )
        if claimed is None:
            return None
        member, *fields = claimed
        record = _read_fields(fields, now)
        if record is None:
            return None
        return redis_scripts.read_key(kind, member), record

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` and return the sum. It is not retried, because it could be added twice."""
        keys = (redis_scripts.make_keys(key).counter,)
        arguments = (
            by,
            to_microseconds(until),
            to_microseconds(now),
            milliseconds_to_keep(until, now),
        )
        with _raise_unavailable():
            return int(self._run(redis_scripts.COUNT, keys, *arguments))

    def faults(self) -> Sequence[str]:
        """Return in sentences what makes the servers unfit for production."""
        with _raise_unavailable():
            client = self._connect()
            faults = self._address.faults(list_hosts(client))
            if self._accept_loss:
                return faults
            return (*faults, *find_loss_faults(client))

    def warnings(self) -> Sequence[str]:
        """Return in sentences which settings of the servers may lose writes at a failover."""
        with _raise_unavailable():
            return tuple(find_unreplicated_writes(self._connect()))

    def purge(self) -> Sequence[str]:
        """Let Redis rewrite its files in the background, without dropped values.

        Return a sentence for each server that refuses, and one if a server outside a Cluster has
        replicas, which rewrite their files later.
        """
        with _raise_unavailable():
            client = self._connect()
            if _is_cluster(client):
                nodes = client.get_nodes()
                named = {f"Redis {node.name}": node.redis_connection for node in nodes}
                return tuple(_purge_faults(named))
            pending = tuple(_purge_faults({"Redis": client}))
            if client.info("replication").get("connected_slaves"):
                pending += ("Replicas of Redis: run BGREWRITEAOF and BGSAVE on each of them.",)
            return pending

    def _connect(self) -> Any:
        if self._client is None:
            with self._opening:
                if self._client is None:
                    self._client = self._close_at_end(self._address.open())
        return self._client

    def _close_at_end(self, client: Any) -> Any:
        """Return the client; its connections are closed when the store is garbage collected."""
        closing = weakref.finalize(self, client.close)
        closing.atexit = False
        return client

    def _run(self, script: str, keys: Sequence[str], *arguments: object) -> Any:
        client = self._connect()
        given = (len(keys), *keys, *arguments)
        try:
            return client.execute_command("EVALSHA", _DIGESTS[script], *given)
        except NoScriptError:  # the server was restarted, or another one was promoted
            return client.execute_command("EVAL", script, *given)

    def _run_durably(self, script: str, keys: Sequence[str], *arguments: object) -> Any:
        """Run a script and WAIT on one connection: WAIT counts the writes of its connection."""
        pool = _pool(self._connect(), keys[0])
        connection = pool.get_connection()
        try:
            done = _ask(connection, "EVAL", script, len(keys), *keys, *arguments)
            if done:
                _confirm(connection)
        finally:
            pool.release(connection)
        return done

    def _scan(self, kind: RecordKind, now: datetime) -> Iterator[tuple[Key, StoredRecord]]:
        with _raise_unavailable():
            client = self._connect()
            names = client.scan_iter(match=redis_scripts.scan_pattern(kind), count=1000)
        seen: set[bytes] = set()  # SCAN may return a key twice
        while True:
            with _raise_unavailable():
                scanned = tuple(islice(names, _PAGE))
                page = [name for name in dict.fromkeys(scanned) if name not in seen]
                pipeline = client.pipeline(transaction=False)
                for name in page:
                    pipeline.execute_command("HMGET", name, *_RECORD_FIELDS)
                rows = pipeline.execute()
            if not scanned:
                return
            seen.update(page)
            for name, fields in zip(page, rows, strict=True):
                record = _read_fields(fields, now)
                if record is not None:
                    member = name.partition(b":r:")[2]
                    yield redis_scripts.read_key(kind, member), record


@contextmanager
def _raise_unavailable() -> Iterator[None]:
    """Turn every failure of Redis or the network into StoreUnavailable, which names its class.

    The failure's own message is left out, because it may quote a stored value or a password.
    """
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        raise StoreUnavailable(f"redis: {name_cause(error)}") from None


def _read_fields(fields: Sequence[Any], now: datetime) -> StoredRecord | None:
    value, version, until, due = fields
    if version is None or int(until) <= to_microseconds(now):
        return None
    due_at = from_microseconds(int(due)) if due else None
    return StoredRecord(value, version.decode(), from_microseconds(int(until)), due_at)


def _purge_faults(servers_by_name: Mapping[str, Any]) -> Iterator[str]:
    for name, server in servers_by_name.items():
        try:
            if server.info("persistence").get("aof_enabled"):
                server.execute_command("BGREWRITEAOF")
            server.execute_command("BGSAVE", "SCHEDULE")
        except ResponseError:
            yield f"{name} did not begin BGREWRITEAOF and BGSAVE: run both there."


def _is_cluster(client: Any) -> bool:
    return hasattr(client, "get_node_from_key")


def _pool(client: Any, key: str) -> Any:
    if _is_cluster(client):
        client = client.get_node_from_key(key).redis_connection
    return client.connection_pool


def _ask(connection: Any, *command: object) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _confirm(connection: Any) -> None:
    """Wait for a replica, if there is one. Raises StoreUnavailable if none confirms in time."""
    # ROLE of a master: the word, the offset, the replicas attached.
    replicas = _ask(connection, "ROLE")[2]
    if replicas and not _ask(connection, "WAIT", 1, _REPLICA_WAIT):
        raise StoreUnavailable("redis: no replica has confirmed the write")
