"""Reads and spends stored arrivals."""

from datetime import datetime

from broker.core.login.transaction import Arrival
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.storage.records import Record, read_together


def read_stored_arrival(arrivals: Arrivals, token: str, now: datetime) -> Record[Arrival] | None:
    """Return the stored arrival of ``token``, used or not."""
    key = arrivals.key(token)
    return arrivals.get_from(key, read_together(arrivals.store, [key], now))


def spend(arrivals: Arrivals, token: str, now: datetime) -> None:
    """Spend the arrival of ``token``."""
    record = read_stored_arrival(arrivals, token, now)
    assert record
    arrivals.spend(record, now)
