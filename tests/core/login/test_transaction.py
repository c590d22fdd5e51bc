"""The facts of a login, each added once and by a guarded transition."""

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from broker.core.errors import AUTHN_FAILED, BrowserUnmatched, TooMany
from broker.core.login.transaction import (
    Account,
    AccountState,
    Authentication,
    Issued,
    Outstanding,
    Transaction,
    UpstreamRefusal,
)
from broker.core.logout.sessions import NameID
from broker.use_cases.storage.records import dump, load


def test_it_is_bound_to_one_browser_for_good(transaction: Transaction) -> None:
    """A bound transaction is never another browser's (docs/reference/design.md#4a-1)."""
    bound = transaction.bind("b1")
    assert bound.bind("b1") == bound
    with pytest.raises(BrowserUnmatched):
        bound.bind("b2")


@pytest.mark.parametrize(
    ("force_authn", "begun_shared", "shared", "stays", "answerable"),
    [
        (False, False, False, False, True),
        (False, False, True, True, False),  # begun elsewhere: the one before may have left a login open
        (False, True, False, True, True),
        (False, True, True, True, True),  # asked with ForceAuthn from the start
        (True, False, True, True, True),
        (True, False, False, False, True),
    ],
)
def test_a_shared_computer_is_never_forgotten(
    transaction: Transaction,
    now: datetime,
    *,
    force_authn: bool,
    begun_shared: bool,
    shared: bool,
    stays: bool,
    answerable: bool,
) -> None:
    """There or begun there it stays shared, and what was asked without ForceAuthn is answered there no more."""
    request = replace(transaction.request, force_authn=force_authn)
    asked = replace(transaction, request=request, shared=begun_shared).add_request(Outstanding("_1", "wayf", now))
    bound = asked.bind("b1", shared=shared)
    assert bound.shared is stays
    assert bound.is_forced is (stays or force_authn)
    assert (bound.find_request("_1") is not None) is answerable
    assert bound.bind("b1").shared is stays


def test_a_bound_transaction_lasts_half_an_hour_from_its_beginning(transaction: Transaction, now: datetime) -> None:
    """However late the browser came, and however short it was to wait for one."""
    waiting = replace(transaction, until=now + timedelta(minutes=5))
    assert waiting.bind("b1").until == transaction.begun + timedelta(minutes=30)


def test_an_authenticated_login_at_a_shared_computer_times_out(
    transaction: Transaction, authentication: Authentication, now: datetime
) -> None:
    """From the authentication on, three minutes after each visit, and half an hour after its beginning at most."""
    begun = transaction.begun
    end = begun + timedelta(minutes=30)
    bound = replace(transaction.bind("b1", shared=True), until=end)
    assert bound.mark_attended(now) == bound
    known = bound.add_request(Outstanding("_1", "wayf", now)).add_answer(authentication, "_1", "a1", now)
    assert known.until == now + timedelta(minutes=3)
    assert known.mark_attended(now + timedelta(minutes=2)).until == now + timedelta(minutes=5)
    assert known.mark_attended(end - timedelta(seconds=1)).until == end
    assert known.bind("b1", shared=True).until == known.until
    own = replace(known, shared=False, until=end)
    assert own.mark_attended(now) == own


def test_a_finished_login_ends_some_seconds_later_at_a_shared_computer(transaction: Transaction, now: datetime) -> None:
    """Ten at most, and no visit prolongs it; elsewhere it lasts as long as it would have."""
    issued = Issued("_r", "_a", now, "n", "c")
    shared = replace(transaction, shared=True, until=now + timedelta(minutes=3))
    left = shared.record_issued(issued)
    assert (left.issued, left.until) == (issued, now + timedelta(seconds=10))
    assert left.mark_attended(now + timedelta(seconds=9)) == left
    assert left.mark_finished(now + timedelta(seconds=9)) == left
    own = replace(shared, shared=False)
    assert own.record_issued(issued) == replace(own, issued=issued)


def test_a_refusal_takes_the_place_of_an_authentication_and_the_other_way_round(
    arrived_transaction: Transaction, authentication: Authentication, now: datetime
) -> None:
    """Of the answer that came last: nobody is logged in after an upstream's no, nor refused after its yes."""
    refusal = UpstreamRefusal("nemid", AUTHN_FAILED)
    refused = arrived_transaction.add_answer(refusal, "_1", "a2", now)
    assert (refused.authentication, refused.failure, refused.upstream) == (None, refusal, "nemid")
    again = refused.add_answer(authentication, "_2", "a3", now)
    assert (again.authentication, again.failure, again.upstream) == (authentication, None, "wayf")


@pytest.mark.parametrize(("name_id", "format_", "subject"), [
    (None, "", None),
    ("", "f", None),
    ("n", "", NameID("n", None, "q", "s", "p")),
    ("n", "f", NameID("n", "f", "q", "s", "p")),
])  # fmt: skip
def test_the_subject_is_the_nameid_as_it_was_received(
    authentication: Authentication, name_id: str | None, format_: str, subject: NameID | None
) -> None:
    """To the letter, for a logout must name it so; where none came there is none."""
    received = replace(
        authentication,
        name_id=name_id,
        name_id_format=format_,
        name_qualifier="q",
        sp_name_qualifier="s",
        sp_provided_id="p",
    )
    assert received.subject == subject


def test_each_request_is_answerable_once(transaction: Transaction, now: datetime) -> None:
    """A consumed request awaits nothing; the others still do."""
    asked = transaction.add_request(Outstanding("_1", "wayf", now)).add_request(Outstanding("_2", "wayf", now))
    assert asked.find_request("_1") is not None
    assert asked.drop_request("_1").find_request("_1") is None
    assert asked.drop_request("_1").find_request("_2") is not None


def test_a_loop_of_requests_ends(transaction: Transaction, now: datetime) -> None:
    """Twenty AuthnRequests in one transaction, answered or not, are the most."""
    looping = transaction
    for number in range(20):
        looping = looping.add_request(Outstanding(f"_{number}", "wayf", now)).drop_request(f"_{number}")
    with pytest.raises(TooMany):
        looping.add_request(Outstanding("_20", "wayf", now))


# Facts of the transaction itself. All other facts belong to one authentication.
_OF_ALL = {
    "id", "reference", "begun", "until", "request", "purpose", "shared", "back", "browser", "intent", "upstream",
    "outstanding", "sent", "arrival", "authentication", "authenticated", "awaited",
}  # fmt: skip


def test_nothing_told_in_one_login_is_the_next_persons(
    transaction: Transaction, authentication: Authentication, now: datetime
) -> None:
    """Proofs and answers go with the login in which they came, and so will facts yet to come.

    Source: docs/reference/design.md#4a-3.
    """
    facts: dict[str, Any] = {each.name: object() for each in fields(Transaction) if each.name not in _OF_ALL}
    joined = replace(transaction, **facts).add_answer(authentication, "_1", "a2", now)
    assert {name: getattr(joined, name) for name in facts} == {name: getattr(transaction, name) for name in facts}


def test_a_stored_transaction_comes_back_the_same(arrived_transaction: Transaction, now: datetime) -> None:
    """Facts survive the store to the letter."""
    full = replace(
        arrived_transaction, account=Account("7", AccountState.DONE), outstanding=(Outstanding("_1", "wayf", now),)
    )
    assert load(Transaction, dump(full)) == full


def test_a_login_is_written_down_by_names_alone(arrived_transaction: Transaction) -> None:
    """Codes of configuration, its reference and the person's random id; without an authentication fewer of them."""
    names = {"reference": "BCDFGHJK", "service": "my-loans"}
    person = {"upstream": "wayf", "institution": "https://idp.au.example", "person": "p1"}
    assert arrived_transaction.names == names | person
    begun = replace(arrived_transaction, upstream=None, authentication=None, person=None)
    assert begun.names == names | dict.fromkeys(person)
