"""The next step in proofs, offers, PINs, and logins that no service asked for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.entities import Controller, Service, Text
from broker.core.identity.rights import Ground
from broker.core.login.next_step import StepInputs, next_step
from broker.core.login.steps import Ask, Done, Enrol, Issue, OfferUpgrade, ProveMailbox, Refuse, TellChange, VerifyPin
from broker.core.login.transaction import Account, AccountState, LoginPurpose, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, Reason
from tests.core.login.transaction_strategies import LACKING, terms_of, transactions

DENY = Decision(Effect.DENY, (Reason("no_affiliation"),))


@pytest.fixture
def terms(service: Service, hmacs: LookupHmacs) -> Any:
    """Give a maker of terms with one decision and, if wanted, one lacking proof."""

    def make(decision: Decision, lacking: ProveMailbox | None = None) -> StepInputs:
        giver = Controller(Text("AU", "AU"))
        ways, local = ("wayf", "library"), frozenset({"library"})
        return StepInputs(service, giver, hmacs, decision, lacking, ways, local)

    return make


def test_the_library_account_is_verified_here(transaction: Transaction, terms: Any) -> None:
    """The person types number and PIN here; no upstream is asked."""
    chosen = replace(transaction, upstream="library")
    assert next_step(chosen, terms(DENY), transaction.begun) == VerifyPin()


def test_a_pin_makes_no_new_pin(arrived_transaction: Transaction, terms: Any, permit: Any) -> None:
    """A person who logged in by a PIN, perhaps a guessed one, cannot change it."""
    account = Account("7", AccountState.DONE)
    by_pin = replace(arrived_transaction, upstream="library", purpose=LoginPurpose.PIN, account=account)
    step = next_step(by_pin, terms(permit(borrower="make")), arrived_transaction.begun)
    assert isinstance(step, Refuse)
    by_login = replace(arrived_transaction, purpose=LoginPurpose.PIN, account=account)
    assert isinstance(next_step(by_login, terms(permit(borrower="make")), arrived_transaction.begun), Done)


def test_a_new_pin_needs_more_than_a_name(arrived_transaction: Transaction, terms: Any, permit: Any) -> None:
    """A name that led to the account last year may be the next holder's by now, and a PIN would make it theirs."""
    unsure = replace(permit(borrower="make"), ground=Ground.ALUMNI)
    step = next_step(
        replace(arrived_transaction, purpose=LoginPurpose.PIN, account=Account("7", AccountState.KNOWN)),
        terms(unsure),
        arrived_transaction.begun,
    )
    assert isinstance(step, Refuse)
    assert step.reason == "assurance_too_low"


def test_a_new_pin_needs_a_borrower(arrived_transaction: Transaction, terms: Any, permit: Any) -> None:
    """Without an account there is no PIN to change."""
    step = next_step(
        replace(arrived_transaction, purpose=LoginPurpose.PIN, account=Account(None, AccountState.NONE)),
        terms(permit(borrower="make")),
        arrived_transaction.begun,
    )
    assert isinstance(step, Refuse)
    assert step.reason == "no_library_account"


def test_choices_are_shown_whatever_the_policies_say(arrived_transaction: Transaction, terms: Any) -> None:
    """A person whom no policy permits can still withdraw consents, and see and delete stored data."""
    step = next_step(
        replace(arrived_transaction, purpose=LoginPurpose.CHOICES, person=None), terms(DENY), arrived_transaction.begun
    )
    assert step == Done()


@given(data=st.data())
def test_a_login_without_a_service_never_issues(data: st.DataObject) -> None:
    """Only a login that a service asked for ends in an assertion."""
    transaction, decision = data.draw(transactions())
    step = next_step(transaction, terms_of(decision), transaction.begun)
    if transaction.purpose is not LoginPurpose.LOGIN:
        assert not isinstance(step, Issue)
    else:
        assert not isinstance(step, Done)


@given(data=st.data())
def test_a_passive_request_meets_no_page(data: st.DataObject) -> None:
    """IsPassive is answered by a status or an assertion, never by a page that asks something."""
    transaction, decision = data.draw(transactions())
    passive = replace(transaction, purpose=LoginPurpose.LOGIN, request=replace(transaction.request, is_passive=True))
    local = data.draw(st.sampled_from([frozenset(), frozenset({"wayf"})]))
    step = next_step(passive, terms_of(decision, data.draw(st.sampled_from([None, LACKING])), local), passive.begun)
    assert not isinstance(step, Ask | ProveMailbox | OfferUpgrade | TellChange | VerifyPin)


@given(data=st.data())
def test_no_category_changes_unasked(data: st.DataObject) -> None:
    """Where another category stands open, no borrower is written before the person has answered."""
    transaction, decision = data.draw(transactions())
    offered = replace(
        transaction, account=Account(None, AccountState.NONE, upgrade_from="PRIVATE"), upgrade=None, person=Person("p")
    )
    step = next_step(offered, terms_of(decision), offered.begun)
    assert not isinstance(step, Enrol)
