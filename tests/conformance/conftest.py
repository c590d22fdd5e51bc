"""The stores under test: SQLite, Redis, a Redis cluster, and each of them encrypted."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Store

URLS = {"redis": "redis_url", "cluster": "redis_cluster_url"}


def _stores() -> Iterator[Any]:
    """Return each store, plain and encrypted. ``make test`` encrypts the first only, since all use the same code."""
    for name in ("sqlite", *URLS):
        for sealed in (False, True):
            marks = [pytest.mark.server] if name in URLS else []
            if name in URLS and sealed:
                marks.append(pytest.mark.full)
            yield pytest.param((name, sealed), marks=marks, id=f"{name}, sealed" if sealed else name)


@pytest.fixture(params=list(_stores()))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return each store, plain and encrypted."""
    name, sealed = request.param
    url = request.getfixturevalue(URLS[name]) if name in URLS else "sqlite:broker.db"
    bare = open_store(url, tmp_path)
    if not sealed:
        return bare
    return EncryptedStore(bare, {"k1": secrets.token_bytes(32)}, "k1")
