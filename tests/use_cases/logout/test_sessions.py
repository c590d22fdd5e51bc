"""Sessions over one store: who finds which, what has ended, and how long each record speaks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.logout.sessions import NameID, Session
from broker.core.logout.single_logout import LogoutPeer, LogoutRequest
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.retention import SESSION
from broker.use_cases.logout.sessions import Sessions, session_group

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
INSTANT, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
HOUR: Final = timedelta(hours=1)
MARKED: Final = timedelta(minutes=33)  # as long as a transaction lives, and the difference of clocks
ASTA: Final = Session(
    id="a",
    service="my-loans",
    entity_id="https://a.example",
    name_id=NameID("asta", "persistent"),
    index="_1",
    browser="b1",
    person="asta",
    transaction="t1",
    upstream="wayf",
    at=NOW,
    until=NOW + HOUR,
)
ELSEWHERE: Final = replace(ASTA, id="b", index="_2", browser="b2", transaction="t2", at=NOW - SECOND)
OTHER_SERVICE: Final = replace(ASTA, id="c", entity_id="https://c.example", transaction="t3", at=NOW + SECOND)
BO: Final = replace(ASTA, id="d", person="bo", name_id=NameID("bo"), transaction="t4", at=NOW - 2 * SECOND)
LOGIN: Final = Authentication("wayf", "i", "i", (), (), NOW, None, NOW, NOW + HOUR, "_t", session_index="_i")
REQUEST: Final = AuthnRequest("_1", "my-loans", "https://a.example", "acs")
TRANSACTION: Final = Transaction(
    "t9",
    "BCDFGHJK",
    NOW,
    NOW + HOUR,
    REQUEST,
    browser="b1",
    upstream="wayf",
    authentication=LOGIN,
    authenticated=NOW + 9 * SECOND,
    person=Person("asta"),
)


@pytest.fixture
def sessions(world: Any) -> Sessions:
    """Give the sessions of two people in two browsers at two services."""
    made = Sessions(world.store, LookupHmacs("k1", b"k" * 32))
    for each in (ASTA, ELSEWHERE, OTHER_SERVICE, BO):
        made.add(each, NOW)
    return made


def test_a_session_is_kept_for_twelve_hours() -> None:
    """A service may keep its own session longer."""
    assert timedelta(hours=12) == SESSION.span


def is_gone(name: str, *indexes: str, upstream: str = "wayf", now: datetime = NOW) -> Callable[[Sessions], None]:
    """Give what an upstream's LogoutRequest of that moment does."""
    request = LogoutRequest(LogoutPeer("upstream", upstream), "_q", NameID(name), indexes, issued_by=now)
    return lambda kept: kept.close_upstream(request)


CLOSED: dict[str, tuple[Callable[[Sessions], None], bool]] = {
    "this person here": (lambda kept: kept.close("b1", "asta", NOW), True),
    "by this upstream": (lambda kept: kept.close("b1", "asta", NOW, "wayf"), True),
    "by another upstream": (lambda kept: kept.close("b1", "asta", NOW, "nemid"), False),
    "another person here": (lambda kept: kept.close("b1", "bo", NOW), False),
    "this person elsewhere": (lambda kept: kept.close("b2", "asta", NOW), False),
    "before the answer came": (lambda kept: kept.close("b1", "asta", NOW - INSTANT), False),
    "the upstream's NameID": (is_gone("_t"), True),
    "the upstream's session": (is_gone("_t", "_h", "_i"), True),
    "another of its sessions": (is_gone("_t", "_j"), False),
    "another NameID": (is_gone("_u"), False),
    "another upstream's": (is_gone("_t", upstream="nemid"), False),
    "the upstream's earlier": (is_gone("_t", now=NOW - INSTANT), False),
}


@pytest.mark.parametrize(("close", "over"), CLOSED.values(), ids=CLOSED)
def test_a_login_is_over_where_its_own_has_been_closed(
    sessions: Sessions, close: Callable[[Sessions], None], *, over: bool
) -> None:
    """Since its answer came, in its browser by its person, or by its upstream; at the same moment too."""
    assert not sessions.is_over(TRANSACTION, NOW)
    close(sessions)
    assert sessions.is_over(TRANSACTION, NOW) is over


@pytest.mark.parametrize(
    "transaction",
    [
        replace(TRANSACTION, authentication=None),
        replace(TRANSACTION, browser=None, authentication=replace(LOGIN, name_id=None)),
        replace(TRANSACTION, authentication=replace(LOGIN, received=NOW + INSTANT)),
    ],
    ids=["nobody logged in", "no browser and no name", "a later answer"],
)
def test_what_is_nobody_s_is_not_over(sessions: Sessions, transaction: Transaction) -> None:
    """A login that has not been closed goes on."""
    sessions.close("b1", "asta", NOW)
    is_gone("_t", "", "_i")(sessions)
    assert not sessions.is_over(transaction, NOW)


def test_the_last_closing_counts(sessions: Sessions) -> None:
    """A login between two of them is over; the first had been before it."""
    sessions.close("b1", "asta", NOW - SECOND)
    assert not sessions.is_over(TRANSACTION, NOW)
    sessions.close("b1", "asta", NOW + SECOND)
    assert sessions.is_over(TRANSACTION, NOW + SECOND)


def test_a_mark_outlives_every_login_of_before(sessions: Sessions) -> None:
    """No transaction that was begun before it is left when it is forgotten."""
    sessions.close("b1", "asta", NOW)
    assert sessions.is_over(TRANSACTION, NOW + MARKED - INSTANT)
    assert not sessions.is_over(TRANSACTION, NOW + MARKED)


def test_a_login_without_a_person_is_a_group_of_its_own() -> None:
    """Two people whom no link knows are not ended together."""
    assert session_group(TRANSACTION) == "asta"
    assert session_group(replace(TRANSACTION, person=None)) == "t9"
