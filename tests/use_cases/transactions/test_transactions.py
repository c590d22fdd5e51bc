"""Transactions in the store: to their end, changed on what is there, and each fact of one authentication."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.errors import BrowserUnmatched
from broker.core.login.transaction import Transaction
from broker.use_cases.transactions.transactions import Transactions, draw_reference
from tests.plugins.core_values import make_authentication, make_transaction

INSTANT, HALF_AN_HOUR = timedelta(microseconds=1), timedelta(minutes=30)
Change = Callable[[Transaction], Transaction]


@pytest.fixture
def transactions(world: Any) -> Transactions:
    """Give the transactions of a worker."""
    return Transactions(world.store)


@pytest.fixture
def begun(world: Any) -> Transaction:
    """Give a transaction whose person has logged in."""
    now: datetime = world.now
    return make_transaction(browser="b", arrival="a", authenticated=now)


def intend(intent: str) -> Change:
    """Give a change of the intent."""
    return lambda found: replace(found, intent=intent)


JOINED: Final[dict[str, dict[str, Any]]] = {
    "by another answer": {"arrival": "other"},
    "by the same answer at another time": {"authenticated": None},
}


@pytest.mark.parametrize("joined", JOINED.values(), ids=JOINED)
def test_a_fact_of_a_person_is_nobody_else_s(
    world: Any, transactions: Transactions, begun: Transaction, joined: dict[str, Any]
) -> None:
    """Where another authentication has joined meanwhile nothing is changed and nothing shown."""
    context = transactions.add(begun, world.now)
    assert transactions.reread(context, world.now) == context
    transactions.put(replace(begun, **joined), context.version, world.now)
    with pytest.raises(BrowserUnmatched):
        transactions.change(context, intend("student"), world.now)
    with pytest.raises(BrowserUnmatched):
        transactions.reread(context, world.now)
    assert transactions.read(begun.id, world.now).transaction.intent is None
    changed = transactions.change(context, intend("student"), world.now, of_person=False)
    assert changed.transaction == replace(begun, **joined, intent="student")


def test_requests_at_a_shared_computer_prolong_the_login(
    world: Any, transactions: Transactions, begun: Transaction
) -> None:
    """A request some seconds after the last one writes nothing."""
    shared = replace(begun, shared=True, authentication=make_authentication())
    context = transactions.add(shared.mark_attended(world.now), world.now)
    until, minute = context.transaction.until, timedelta(minutes=1)
    assert transactions.mark_attended(context, world.now + timedelta(seconds=4)) == context
    assert transactions.mark_attended(context, world.now + minute).transaction.until == until + minute


def test_a_reference_can_be_read_aloud() -> None:
    """Eight characters, no two of which are taken for one another, and no words."""
    references = {draw_reference() for _ in range(200)}
    assert len(references) > 190
    assert {len(each) for each in references} == {8}
    assert set("".join(references)).isdisjoint("01AEIOUYL")
