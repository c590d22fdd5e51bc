"""Sessions over one store: who finds which, what has ended, and how long each record speaks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.login.transaction import Person
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest
from broker.core.logout.sessions import NameID
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.logout.sessions import Sessions
from tests.plugins.core_values import make_authentication, make_transaction

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
INSTANT, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
MARKED: Final = timedelta(minutes=33)  # as long as a transaction lives, and the difference of clocks
LOGIN: Final = make_authentication(issuer="i", name_id="_t", session_index="_i")
TRANSACTION: Final = make_transaction(
    browser="b1", upstream="wayf", authentication=LOGIN, authenticated=NOW + 9 * SECOND, person=Person("asta")
)


@pytest.fixture
def sessions(world: Any) -> Sessions:
    """Return the sessions of a store."""
    return Sessions(world.store, LookupHmacs("k1", b"k" * 32))


def is_gone(name: str, *indexes: str, upstream: str = "wayf", now: datetime = NOW) -> Callable[[Sessions], None]:
    """Give what an upstream's LogoutRequest of that moment does."""
    request = LogoutRequest(LogoutPeer("upstream", upstream), "_q", NameID(name), indexes, latest_issue_time=now)
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


def test_a_mark_outlives_every_login_of_before(sessions: Sessions) -> None:
    """No transaction that was begun before it is left when it is forgotten."""
    sessions.close("b1", "asta", NOW)
    assert sessions.is_over(TRANSACTION, NOW + MARKED - INSTANT)
    assert not sessions.is_over(TRANSACTION, NOW + MARKED)
