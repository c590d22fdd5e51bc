"""Every store that has to keep the laws of its port: SQLite, Redis, a Cluster, and each of them sealed."""

import secrets
from pathlib import Path

import pytest

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Store


@pytest.fixture(params=["sqlite", *(pytest.param(name, marks=pytest.mark.server) for name in ("redis", "cluster"))])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Give each store as its URL opens it."""
    urls = {"redis": "redis_url", "cluster": "redis_cluster_url"}
    url = request.getfixturevalue(urls[request.param]) if request.param in urls else "sqlite:broker.db"
    return open_store(url, tmp_path)


@pytest.fixture(params=["bare", "sealed"])
def store(request: pytest.FixtureRequest, bare: Store) -> Store:
    """Give each store as it is and sealed."""
    return bare if request.param == "bare" else EncryptedStore(bare, {"k1": secrets.token_bytes(32)}, "k1")
