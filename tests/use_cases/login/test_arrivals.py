"""An answer between ACS and browser is used once, by one login, within a minute."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.errors import MessageRefused
from broker.core.login.transaction import Authentication, UpstreamRefusal
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.login.arrivals import Arrivals

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND, INSTANT = timedelta(seconds=1), timedelta(microseconds=1)
MINUTE: Final = timedelta(minutes=1)
SKEW: Final = 3 * MINUTE
LOGIN: Final = Authentication("wayf", "https://wayf.example", "au", (), (), NOW, None, NOW, NOW + 4 * MINUTE)
Add = Callable[..., str | None]


@pytest.fixture
def arrivals(world: Any) -> Arrivals:
    """Give the arrivals of a worker."""
    world.now = NOW
    return Arrivals(world.store, LookupHmacs("k1", b"k" * 32))


@pytest.fixture
def add(world: Any, arrivals: Arrivals) -> Add:
    """Give a way to add an answer: its token, or None where it is a replay."""

    def add_arrival(
        answer: Authentication | UpstreamRefusal = LOGIN,
        message: str = "_a",
        *,
        transaction: str = "t1",
        request: str = "_r1",
        until: datetime = NOW + 4 * MINUTE,
    ) -> str | None:
        with suppress(MessageRefused):
            return arrivals.add(transaction, request, answer, (message, until), world.now)
        return None

    return add_arrival


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"transaction": "t2"},
        {"request": "_r2"},
        {"until": NOW + 9 * MINUTE},
        {"answer": replace(LOGIN, received=NOW + SECOND, upstream="other")},  # the issuer is who signed it
    ],
    ids=["the same", "another login", "another request", "another end", "by another upstream of ours"],
)
def test_an_assertion_arrives_once(add: Add, again: dict[str, Any]) -> None:
    """Issuer and id of an assertion are remembered for every browser and login."""
    assert add()
    assert add(**again) is None


@pytest.mark.parametrize(
    ("until", "forgotten"),
    [
        (NOW + 4 * MINUTE, NOW + 4 * MINUTE + SKEW),
        (NOW + MINUTE, NOW + MINUTE + SKEW),
        (NOW + SECOND, NOW + MINUTE + SKEW),
        (NOW - MINUTE, NOW + MINUTE + SKEW),
    ],
)
def test_a_replay_is_known_as_long_as_it_could_be_believed(
    world: Any, add: Add, until: datetime, forgotten: datetime
) -> None:
    """To the end of the assertion and the difference of clocks, and at least as long as the arrival is usable."""
    assert add(until=until)
    world.now = forgotten - INSTANT
    assert add(until=until) is None
    world.now = forgotten
    assert add(until=until)
