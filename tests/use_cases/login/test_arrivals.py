"""An answer between ACS and browser is used once, by one login, within a minute."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.errors import AUTHN_FAILED, MessageRefused
from broker.core.login.transaction import Authentication, AuthnRequest, Outstanding, Transaction, UpstreamRefusal
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.login.arrivals import Arrivals
from tests.plugins.stored_arrivals import read_stored_arrival, spend

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND, INSTANT = timedelta(seconds=1), timedelta(microseconds=1)
MINUTE: Final = timedelta(minutes=1)
SKEW: Final = 3 * MINUTE
LOGIN: Final = Authentication("wayf", "https://wayf.example", "au", (), (), NOW, None, NOW, NOW + 4 * MINUTE)
NO: Final = UpstreamRefusal("wayf", AUTHN_FAILED)
ANY: Final = Transaction(
    "t1",
    "BCDFGHJK",
    NOW,
    NOW + 30 * MINUTE,
    AuthnRequest("_1", "my-loans", "https://a.example", "acs"),
    outstanding=(Outstanding("_r1", "wayf", NOW),),
)
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
    ("other", "arrives"),
    [
        ({}, False),
        ({"message": "_b"}, False),  # anybody can write an error under any id
        ({"transaction": "t2"}, False),
        ({"request": "_r2"}, True),
        ({"answer": replace(NO, upstream="nemid")}, True),
        ({"answer": LOGIN}, True),
    ],
)
def test_each_request_takes_one_refusal(add: Add, other: dict[str, Any], *, arrives: bool) -> None:
    """An unsigned error is counted by the request that it answers, and hinders no assertion."""
    assert add(NO)
    assert (add(**{"answer": NO, **other}) is not None) is arrives


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


@pytest.mark.parametrize(
    ("after", "transaction", "request_id", "usable"),
    [
        (timedelta(), "t1", "_r1", True),
        (MINUTE, "t1", "_r1", True),
        (MINUTE + INSTANT, "t1", "_r1", False),
        (timedelta(), "t2", "_r1", False),
        (timedelta(), "t1", "_r2", False),
    ],
)
def test_an_arrival_is_usable_for_a_minute_by_its_login(
    arrivals: Arrivals, add: Add, after: timedelta, transaction: str, request_id: str, *, usable: bool
) -> None:
    """Through the sixtieth second, by the transaction that it answers only, and while its request is open."""
    token = add()
    assert token
    record = read_stored_arrival(arrivals, token, NOW)
    assert record
    arrival = record.value
    assert (arrival.transaction, arrival.request, arrival.at, arrival.answer) == ("t1", "_r1", NOW, LOGIN)
    waiting = replace(ANY, id=transaction, outstanding=(Outstanding(request_id, "wayf", NOW),))
    assert arrival.find_answer_for(waiting, NOW + after) == (LOGIN if usable else None)


def test_nobody_guesses_a_token(arrivals: Arrivals, add: Add) -> None:
    """A token leads to its own arrival, and another to none."""
    token = add()
    assert token
    assert read_stored_arrival(arrivals, token[:-1] + "x", NOW) is None
    assert read_stored_arrival(arrivals, "", NOW) is None


def test_what_is_spent_is_used_no_more_and_still_known(world: Any, arrivals: Arrivals, add: Add) -> None:
    """The answer is gone from the store, the record that it was here stays to its end; another's is untouched."""
    token, other = add(), add(message="_b")
    assert token
    assert other
    spend(arrivals, token, NOW)
    records = [read_stored_arrival(arrivals, each, NOW) for each in (token, other)]
    assert [record and record.value.find_answer_for(ANY, NOW) for record in records] == [None, LOGIN]
    world.now = NOW + 4 * MINUTE + SKEW - INSTANT
    assert add() is None


def test_a_mark_is_its_token_s_and_not_the_token(arrivals: Arrivals) -> None:
    """The value in the transaction opens no login, so that a reader of the store cannot use it."""
    assert arrivals.compute_mark("a") == arrivals.compute_mark("a")
    assert arrivals.compute_mark("a") != arrivals.compute_mark("b")
    assert "token" not in arrivals.compute_mark("token")
