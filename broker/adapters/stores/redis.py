"""The store for more than one machine: Redis, alone, behind Sentinel or as a Cluster."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha1
from itertools import islice
from typing import Any, Final

from redis.exceptions import AskError, MovedError, NoScriptError, RedisClusterException, RedisError

from broker.adapters.stores import redis_scripts
from broker.adapters.stores.redis_connection import Address, loss_faults, servers
from broker.adapters.stores.timestamps import micros, moment
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store

_LEEWAY: Final = timedelta(
    minutes=5
)  # Redis forgets this long after ``until``, for machines whose clocks differ
_MILLISECOND: Final = timedelta(milliseconds=1)
_REPLICA_WAIT: Final = 1000  # milliseconds
_TRIES: Final = 3
_PAGE: Final = 200
_FIELDS: Final = ("v", "n", "u", "d")
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
    """Keeps records in Redis; a group's keys share a hash tag, and each change is one script (design 4b)."""

    def __init__(self, address: Address, *, accept_loss: bool = False) -> None:
        """Take where Redis is, asked at the first use; ``accept_loss`` keeps what may lose writes out of ``faults``."""
        self._address = address
        self._accept_loss = accept_loss
        self._client: Any = None
        self._opening = threading.Lock()

    def get(self, key: Key, now: datetime) -> Kept | None:
        """Give the record, or None where there is none or it has expired."""
        with _failing_as_unavailable():
            return _kept(
                self._opened().execute_command("HMGET", redis_scripts.place(key).record, *_FIELDS),
                now,
            )

    def put(
        self, key: Key, kept: Kept, was: str | None, now: datetime, *, durable: bool = False
    ) -> bool:
        """Compare and set; ``durable`` also waits until a replica, where one is attached, has it."""
        place = redis_scripts.place(key)
        arguments = (
            kept.value,
            kept.version,
            micros(kept.until),
            "" if kept.due is None else micros(kept.due),
            "" if was is None else f"={was}",
            micros(now),
            _milliseconds(kept.until, now),
            place.member,
            place.name,
            micros(now - _LEEWAY),
            int(durable),
        )
        keys = (place.record, place.names, place.due)
        with _failing_as_unavailable():
            run = self._run_durably if durable else self._run
            return bool(run(redis_scripts.PUT, keys, *arguments))

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        place = redis_scripts.place(key)
        with _failing_as_unavailable():
            keys = (place.record, place.names, place.due, place.counter)
            self._run(redis_scripts.DROP, keys, place.member, place.name)

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, Kept]]:
        """Give a group as of one moment; a whole kind by scanning, so what changes meanwhile may be seen or not."""
        if group is None:
            yield from self._scan(kind, now)
            return
        place = redis_scripts.place(Key(kind, group))
        with _failing_as_unavailable():
            rows = self._run(redis_scripts.LIST, (place.record, place.names), micros(now))
        for name, *fields in rows:
            kept = _kept(fields, now)
            if kept:
                yield redis_scripts.key_of(kind, place.member.encode() + name), kept

    def claim(
        self, kind: str, group: str | None, version: str, lease: timedelta, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Take the earliest record due at ``now``: of the group, or of the shard whose queue's head is the earliest."""
        begins, due = (
            ("" if group is None else redis_scripts.place(Key(kind, group)).member),
            now + lease,
        )
        with _failing_as_unavailable():
            while True:
                again = False
                for shard in self._shards(kind, group, now):
                    arguments = (f"{shard}:r:", begins, micros(now), micros(due), version)
                    claimed = self._run(redis_scripts.CLAIM, (f"{shard}:due",), *arguments)
                    if claimed:
                        member, value, until = claimed
                        return redis_scripts.key_of(kind, member), Kept(
                            value, version, moment(int(until)), due
                        )
                    again = claimed == 0
                    if again:
                        break
                if not again:
                    return None

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` to the counter and give its new value; never tried twice, for it might be added twice."""
        arguments = (by, micros(until), micros(now), _milliseconds(until, now))
        with _failing_as_unavailable():
            return int(
                self._run(redis_scripts.COUNT, (redis_scripts.place(key).counter,), *arguments)
            )

    def faults(self) -> Sequence[str]:
        """Say in sentences what makes the servers unfit for production."""
        with _failing_as_unavailable():
            client = self._opened()
            lossy = () if self._accept_loss else loss_faults(client)
            return (*self._address.faults(servers(client)), *lossy)

    def _opened(self) -> Any:
        if self._client is None:
            with self._opening:
                if self._client is None:
                    self._client = self._address.open()
        return self._client

    def _run(self, script: str, keys: Sequence[str], *arguments: object) -> Any:
        client = self._opened()
        try:
            return client.execute_command("EVALSHA", _DIGESTS[script], len(keys), *keys, *arguments)
        except NoScriptError:  # the server was restarted, or another one was promoted
            return client.execute_command("EVAL", script, len(keys), *keys, *arguments)

    def _run_durably(self, script: str, keys: Sequence[str], *arguments: object) -> Any:
        """Run on one connection and WAIT on the same: on another WAIT would speak of that one's writes."""
        client = self._opened()
        for _ in range(_TRIES):
            pool = _pool(client, keys[0])
            connection = pool.get_connection()
            try:
                done = _ask(connection, "EVAL", script, len(keys), *keys, *arguments)
                if (
                    done
                    and _replicas(connection)
                    and not _ask(connection, "WAIT", 1, _REPLICA_WAIT)
                ):
                    raise StoreUnavailable("redis: no replica has confirmed the write")
            except (MovedError, AskError):
                client.execute_command("EXISTS", keys[0])  # follows the move and remembers where to
            else:
                return done
            finally:
                pool.release(connection)
        raise StoreUnavailable("redis: the slot is being moved")

    def _scan(self, kind: str, now: datetime) -> Iterator[tuple[Key, Kept]]:
        with _failing_as_unavailable():
            client = self._opened()
            names = client.scan_iter(match=redis_scripts.records(kind), count=1000)
        seen: set[bytes] = set()  # SCAN may give a key twice
        while True:
            with _failing_as_unavailable():
                scanned = tuple(islice(names, _PAGE))
                page = [name for name in dict.fromkeys(scanned) if name not in seen]
                pipeline = client.pipeline(transaction=False)
                for name in page:
                    pipeline.execute_command("HMGET", name, *_FIELDS)
                rows = pipeline.execute()
            if not scanned:
                return
            seen.update(page)
            for name, fields in zip(page, rows, strict=True):
                kept = _kept(fields, now)
                if kept:
                    yield redis_scripts.key_of(kind, name.partition(b":r:")[2]), kept

    def _shards(self, kind: str, group: str | None, now: datetime) -> Sequence[str]:
        """Give the shards to claim from, the one with the earliest head first."""
        if group is not None:
            return (redis_scripts.place(Key(kind, group)).due.removesuffix(":due"),)
        tags = tuple(redis_scripts.tags(kind))
        pipeline = self._opened().pipeline(transaction=False)
        for shard in tags:
            limits = ("-inf", micros(now), "WITHSCORES", "LIMIT", 0, 1)
            pipeline.execute_command("ZRANGEBYSCORE", f"{shard}:due", *limits)
        heads = [
            (float(head[1]), shard)
            for shard, head in zip(tags, pipeline.execute(), strict=True)
            if head
        ]
        return [shard for _, shard in sorted(heads)]


@contextmanager
def _failing_as_unavailable() -> Iterator[None]:
    """Turn every failure of Redis or of the network into StoreUnavailable, naming its class only.

    The text may quote a value or an address with its password.
    """
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        raise StoreUnavailable(f"redis: {type(error).__name__}") from None


def _kept(fields: Sequence[Any], now: datetime) -> Kept | None:
    value, version, until, due = fields
    if version is None or int(until) <= micros(now):
        return None
    return Kept(value, version.decode(), moment(int(until)), moment(int(due)) if due else None)


def _milliseconds(until: datetime, now: datetime) -> int:
    return max((until - now + _LEEWAY) // _MILLISECOND, 1)


def _pool(client: Any, key: str) -> Any:
    cluster = hasattr(client, "get_node_from_key")
    return (client.get_node_from_key(key).redis_connection if cluster else client).connection_pool


def _ask(connection: Any, *command: object) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _replicas(connection: Any) -> bool:
    # ROLE of a master: the word, the offset, the replicas attached.
    return bool(_ask(connection, "ROLE")[2])
