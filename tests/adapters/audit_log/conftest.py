"""A chain to spoil: months of events in a folder, and what verification says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.hash_chain import Anchors
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.person_keys import PersonKeys
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from tests.plugins.audit_bench import KEY, fill


@pytest.fixture
def journal(tmp_path: Path) -> AuditFiles:
    """Give an empty journal."""
    (tmp_path / "audit").mkdir(mode=0o700)
    return AuditFiles(tmp_path / "audit", KEY)


@pytest.fixture
def two_months(journal: AuditFiles) -> AuditFiles:
    """Give a journal with seven lines of October and seven of November."""
    return fill(journal)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store, sealed."""
    return EncryptedStore(open_store("sqlite:broker.db", tmp_path), {"k1": b"s" * 32}, "k1")


@pytest.fixture
def logged() -> list[Mapping[str, Any]]:
    """Give the lines of the application log."""
    return []


@pytest.fixture
def audit_log(journal: AuditFiles, store: Store, logged: list[Mapping[str, Any]]) -> StoredAuditLog:
    """Give a audit log over journal and store."""

    def tell(event: str, **facts: str | int | None) -> None:
        logged.append({"event": event, **facts})

    return StoredAuditLog(journal, PersonKeys(store, LookupHmacs("k1", b"i" * 32)), Anchors(store, ""), tell)
