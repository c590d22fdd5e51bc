"""The facts of a login, each added once and by a guarded transition."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest

from broker.core.errors import BrowserUnmatched, TooMany
from broker.core.login.transaction import Account, AccountState, Authentication, Issued, Outstanding, Transaction
from broker.core.serialization import dump, load


def test_it_is_bound_to_one_browser_for_good(transaction: Transaction) -> None:
    """A bound transaction is never another browser's (docs/reference/design.md#4a-1)."""
    bound = transaction.bound("b1")
    assert bound.bound("b1") == bound
    with pytest.raises(BrowserUnmatched):
        bound.bound("b2")


def test_each_request_is_answerable_once(transaction: Transaction, now: datetime) -> None:
    """A consumed request awaits nothing; the others still do."""
    asked = transaction.asked(Outstanding("_1", "wayf", now)).asked(Outstanding("_2", "wayf", now))
    assert asked.awaits("_1") is not None
    assert asked.consumed("_1").awaits("_1") is None
    assert asked.consumed("_1").awaits("_2") is not None


def test_a_loop_of_requests_ends(transaction: Transaction, now: datetime) -> None:
    """Twenty AuthnRequests in one transaction, answered or not, are the most."""
    looping = transaction
    for number in range(20):
        looping = looping.asked(Outstanding(f"_{number}", "wayf", now)).consumed(f"_{number}")
    with pytest.raises(TooMany):
        looping.asked(Outstanding("_20", "wayf", now))


def test_a_new_authentication_discards_what_the_older_led_to(
    arrived: Transaction, authentication: Authentication, now: datetime
) -> None:
    """Receipt, borrower, person and issue of one authentication never serve another.

    Source: docs/reference/design.md#4a-3.
    """
    full = replace(
        arrived,
        account=Account("7", AccountState.DONE),
        issued=Issued("_r", "_a", now, "n", "7", "c"),
        outstanding=(Outstanding("_9", "nemid", now),),
    )
    other = replace(authentication, upstream="nemid")
    joined = full.authenticated_by(other, "_9", "a2", now)
    assert (joined.person, joined.receipt, joined.account, joined.issued) == (None, None, None, None)
    assert (joined.authentication, joined.upstream, joined.arrival) == (other, "nemid", "a2")
    assert joined.awaits("_9") is None


# What a transaction is about, whoever is logged in; every other fact is of one login.
_OF_ALL = {
    "id", "reference", "begun", "until", "request", "errand", "shared", "back", "browser", "intent", "upstream",
    "outstanding", "sent", "arrival", "authentication", "authenticated",
}  # fmt: skip


def test_nothing_told_in_one_login_is_the_next_persons(
    transaction: Transaction, authentication: Authentication, now: datetime
) -> None:
    """Proofs, a temporary borrower and answers go with the login in which they came, and so will facts yet to come."""
    facts: dict[str, Any] = {each.name: object() for each in fields(Transaction) if each.name not in _OF_ALL}
    joined = replace(transaction, **facts).authenticated_by(authentication, "_1", "a2", now)
    assert {name: getattr(joined, name) for name in facts} == {name: getattr(transaction, name) for name in facts}


def test_a_stored_transaction_comes_back_the_same(arrived: Transaction, now: datetime) -> None:
    """Facts survive the store to the letter."""
    full = replace(arrived, account=Account("7", AccountState.DONE), outstanding=(Outstanding("_1", "wayf", now),))
    assert load(Transaction, dump(full)) == full


def test_no_repr_shows_an_attribute(arrived: Transaction) -> None:
    """A transaction in a traceback shows no attribute value."""
    assert "Asta" not in repr(arrived)
