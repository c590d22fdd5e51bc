"""Opens the store that ``[store] url`` names: SQLite or Redis."""

from pathlib import Path
from urllib.parse import urlsplit

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.ports import Store


def open_store(url: str, folder: Path, *, accept_loss: bool = False) -> Store:
    """Return the store, without encryption. Call it before forking, because it makes the file.

    ``sqlite:broker.db`` is relative to ``folder``; Redis is connected at its first use. With
    ``accept_loss``, ``faults`` does not report that acknowledged writes may be lost.
    Raises ConfigurationFaults for an unknown kind of URL, without quoting it (it may hold a
    password), and StoreUnavailable if the file cannot be made.
    """
    scheme = urlsplit(url).scheme
    name = url.removeprefix("sqlite:")
    if scheme == "sqlite" and name and not name.startswith("//"):
        path = folder / name
        sqlite.prepare(path)
        return SqliteStore(path)
    # Import the Redis client only if it is used; it is slow.
    from broker.adapters.stores import redis, redis_connection  # noqa: PLC0415

    if scheme in redis_connection.SCHEMES:
        address = redis_connection.parse(url, folder)
        return redis.RedisStore(address, accept_loss=accept_loss)
    fix = f"write sqlite:broker.db, or a URL of {', '.join(redis_connection.SCHEMES)}"
    raise ConfigurationFaults([Fault("store.url", "names no known store", fix)])
