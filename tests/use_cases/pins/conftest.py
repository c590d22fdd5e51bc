"""A borrower with a PIN, over an empty store."""

from pathlib import Path

import pytest

from broker.adapters.stores import sqlite
from tests.plugins.pin_bench import PinBench


@pytest.fixture
def desk(tmp_path: Path) -> PinBench:
    """Give a borrower with a PIN."""
    sqlite.prepare(tmp_path / "pins.db")
    return PinBench(tmp_path / "pins.db")
