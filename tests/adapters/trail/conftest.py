"""A chain to spoil: months of events in a folder, and what verification says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.opening import open_store
from broker.adapters.stores.sealed import Sealed
from broker.adapters.trail.anchors import Anchors
from broker.adapters.trail.journal import Journal
from broker.adapters.trail.keeping import KeptTrail
from broker.adapters.trail.sealing import Sealing
from broker.core.ports import Store
from broker.core.pseudonyms import Pseudonyms
from tests.plugins.trail_bench import KEY, fill


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Give an empty journal."""
    (tmp_path / "audit").mkdir(mode=0o700)
    return Journal(tmp_path / "audit", KEY)


@pytest.fixture
def two_months(journal: Journal) -> Journal:
    """Give a journal with seven lines of October and seven of November."""
    return fill(journal)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store, sealed."""
    return Sealed(open_store("sqlite:broker.db", tmp_path), {"k1": b"s" * 32}, "k1")


@pytest.fixture
def told() -> list[Mapping[str, Any]]:
    """Give what the log was told."""
    return []


@pytest.fixture
def trail(journal: Journal, store: Store, told: list[Mapping[str, Any]]) -> KeptTrail:
    """Give a trail over journal and store."""

    def tell(event: str, **facts: str | int | None) -> None:
        told.append({"event": event, **facts})

    return KeptTrail(journal, Sealing(store, Pseudonyms("k1", b"i" * 32)), Anchors(store, ""), tell)
