"""Limits on tries: a refused try stays counted, and the next span allows no more than the limit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.storage.rate_limits import Limit, Limits

CARDS = Limit("cards", 2, timedelta(days=1))


def test_a_refused_try_is_not_given_back(empty_store: Path, tmp_path: Path) -> None:
    """Otherwise refused tries in flight at the end of a span would allow further tries in the next one."""
    path = tmp_path / "broker.db"
    path.write_bytes(empty_store.read_bytes())
    path.chmod(0o600)
    store = SqliteStore(path)
    times = [datetime(2026, 12, 1, 12, tzinfo=UTC)] * 4
    limits = Limits(store, LookupHmacs("index", b"k" * 32), lambda: times.pop(0))
    counter = limits.take(CARDS, "karla")
    limits.take(CARDS, "karla")
    with pytest.raises(TooMany):
        limits.take(CARDS, "karla")
    assert store.count(counter, 0, datetime(2026, 12, 2, tzinfo=UTC), times[0]) == 3
