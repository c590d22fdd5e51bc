"""A no to another category: how long it is remembered."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.login.transaction import AuthnRequest, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.borrowers.borrower_at_login import BorrowerAtLogin


def test_a_no_lasts_from_the_day_it_was_said(tmp_path: Path) -> None:
    """Half a year, however long before the person was first looked up."""
    sqlite.prepare(tmp_path / "broker.db")
    nobody: Any = None
    accounts = BorrowerAtLogin(SqliteStore(tmp_path / "broker.db"), LookupHmacs("k1", b"k" * 32), nobody)
    now = datetime(2026, 11, 25, tzinfo=UTC)
    request = AuthnRequest("_1", "my-loans", "https://loans.example", "acs")
    login = Transaction("t" * 32, "BCDFGHJK", now, now + timedelta(minutes=30), request, person=Person("p"))
    assert not accounts._is_declined(login, now)
    accounts.keep_category(login, now + timedelta(days=179))
    asked = [accounts._is_declined(login, now + timedelta(days=179 + days)) for days in (0, 2, 179, 181)]
    assert asked == [True, True, True, False]
    accounts.keep_category(login, now + timedelta(days=300))
    assert accounts._is_declined(login, now + timedelta(days=470))  # said again, it lasts from then
