"""Fixtures: an audit log with a sealed store, and one that fills two months."""

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
from tests.adapters.audit_log.two_month_audit_log import KEY, fill


@pytest.fixture
def files(tmp_path: Path) -> AuditFiles:
    """Give the files of an empty audit log."""
    (tmp_path / "audit").mkdir(mode=0o700)
    return AuditFiles(tmp_path / "audit", KEY)


@pytest.fixture
def two_months(files: AuditFiles) -> AuditFiles:
    """Give an audit log with six lines of October and six of November."""
    return fill(files)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store, sealed."""
    return EncryptedStore(open_store("sqlite:broker.db", tmp_path), {"k1": b"s" * 32}, "k1")


@pytest.fixture
def log_lines() -> list[Mapping[str, Any]]:
    """Give the lines of the application log."""
    return []


@pytest.fixture
def audit_log(files: AuditFiles, store: Store, log_lines: list[Mapping[str, Any]]) -> StoredAuditLog:
    """Give an audit log over files and store."""

    def write_log(event: str, **facts: str | int | None) -> None:
        log_lines.append({"event": event, **facts})

    return StoredAuditLog(files, PersonKeys(store, LookupHmacs("k1", b"i" * 32)), Anchors(store, ""), write_log)
