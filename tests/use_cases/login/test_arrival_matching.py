"""An arrival meets its transaction: in the browser that asked, once, and with all that it leads to in one write."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.errors import AUTHN_FAILED, BrowserUnmatched
from broker.core.login.transaction import Transaction, UpstreamRefusal
from broker.use_cases.transactions.transactions import Held
from tests.plugins.stored_arrivals import read_stored_arrival, spend

INSTANT: Final = timedelta(microseconds=1)
MINUTE: Final = timedelta(minutes=1)
NO: Final = UpstreamRefusal("wayf", AUTHN_FAILED)


def store_arrival(logins: Any, held: Held) -> Transaction:
    """Give the transaction as the store has it."""
    found: Transaction = logins.flow.read(held.transaction.id, logins.world.now).transaction
    return found


def match_only(logins: Any, held: Held, token: str) -> Held:
    """Match an arrival in the browser that asked, and write nothing."""
    matched: Held = logins.flow.matching.match(logins.brought(held, token), ["b"], logins.world.now)
    return matched


def waits(logins: Any, token: str) -> bool:
    """Say whether the store has the answer of an arrival still, and not only that it was here."""
    record = read_stored_arrival(logins.flow.arrivals, token, logins.world.now)
    assert record
    return record.value.answer is not None


def test_an_answer_joins_in_the_browser_that_asked(logins: Any) -> None:
    """By its pseudonym among those of the browser's cookies; the request is answered by it."""
    held, token = logins.store_answer(logins.begun(), logins.student())
    logins.world.now += INSTANT
    joined = logins.match(held, token, ["older", "b"])
    assert joined
    login = joined.transaction
    assert (login.authentication, login.failure, login.upstream) == (
        replace(logins.student(), **dict.fromkeys(("authn_instant", "received"), held.transaction.begun),
                assertion_until=held.transaction.begun + 4 * MINUTE),
        None,
        "wayf",
    )  # fmt: skip
    assert (login.authenticated, login.outstanding) == (logins.world.now, ())
    assert login.arrival == logins.flow.arrivals.compute_mark(token)
    assert login.person
    assert store_arrival(logins, held) == login


def test_an_upstream_s_refusal_joins_as_such(logins: Any) -> None:
    """An earlier login in the same transaction is over then."""
    before = logins.log_in(logins.begun(), logins.student())
    login = logins.log_in(before, NO).transaction
    assert (login.authentication, login.failure, login.person) == (None, NO, None)


@pytest.mark.parametrize(
    ("bound", "browsers"),
    [("b", []), ("b", ["another"]), ("b", ["", "B"]), (None, ["b"]), (None, [""])],
    ids=["no cookie", "another", "not quite", "not bound", "not bound, no cookie"],
)
def test_an_arrival_in_another_browser_is_destroyed(logins: Any, bound: str | None, browsers: list[str]) -> None:
    """A victim's browser is not logged in by it, and the browser that asked has no use of it any more."""
    held, token = logins.store_answer(logins.begun(), logins.student())
    shown = replace(held, transaction=replace(held.transaction, browser=bound))
    with pytest.raises(BrowserUnmatched):
        logins.match(shown, token, browsers)
    assert logins.match(held, token) is None
    assert store_arrival(logins, held).authentication is None


@pytest.mark.parametrize("case", ["late", "used", "another login's", "spoilt", "unknown"])
def test_an_arrival_that_is_not_this_login_s_open_answer_joins_nothing(logins: Any, case: str) -> None:
    """The login is as it was before."""
    asked, sent = logins.flow.ask_upstream(logins.begun(), "wayf", logins.world.now)
    token = logins.arrive(asked, sent.id, logins.student())
    held = asked
    if case == "late":
        logins.world.now += MINUTE + INSTANT
    elif case == "used":
        spend(logins.flow.arrivals, token, logins.world.now)
    elif case == "another login's":
        held = logins.begun()
    elif case == "spoilt":
        logins.flow.consume_request(asked, sent, logins.world.now)
        held = logins.flow.read(asked.transaction.id, logins.world.now)
    else:
        token = "0" * 64
    assert logins.match(held, token) is None
    assert store_arrival(logins, held) == held.transaction


def test_an_arrival_joins_once(logins: Any) -> None:
    """Its answer is gone from the store; the same browser that comes again goes on and writes nothing."""
    held, token = logins.store_answer(logins.begun(), logins.student())
    joined = logins.match(held, token)
    assert joined
    assert not waits(logins, token)
    puts = logins.world.hooks.calls.count("put")
    again = logins.match(joined, token)
    assert again == joined
    assert logins.world.hooks.calls.count("put") == puts


def test_a_fact_that_is_added_to_a_match_joins_it(logins: Any) -> None:
    """A change of a matched transaction that is not written yet uses up the arrival too."""
    held, token = logins.store_answer(logins.begun(), logins.student())
    matched = match_only(logins, held, token)
    changed = logins.flow.transactions.change(matched, lambda each: replace(each, told=True), logins.world.now)
    assert store_arrival(logins, held) == changed.transaction == replace(matched.transaction, told=True)
    assert not waits(logins, token)


def test_the_trail_has_the_decision_on_whoever_joins(logins: Any) -> None:
    """When it stands, and not before."""
    held, token = logins.store_answer(logins.begun(), logins.student())
    matched = match_only(logins, held, token)
    assert logins.audit_log.events == []
    assert logins.flow.matching.join(matched, logins.world.now)
    assert [str(event.kind) for event in logins.audit_log.events] == ["decided"]
