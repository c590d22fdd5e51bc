"""What the page says on which a sign-up is done: only what the account bears out."""

from typing import Any
from urllib.parse import urlencode

from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.borrowers.borrower import EnrolmentOutcome
from broker.core.entities import Service, Text
from broker.core.login.steps import Done
from broker.core.login.transaction import AccountState, Transaction
from broker.core.policy.model import Decision, PolicySet
from broker.flows.transactions import Held

_UNCHANGED = EnrolmentOutcome.UNCHANGED
_OBSERVED = AccountState.OBSERVED


def sign_up_result(step: Done, held: Held, desk: WebPorts) -> dict[str, Any]:
    """Give what done.html names."""
    transaction = held.transaction
    decision, account = step.decision, transaction.account
    policy = decision.policy if decision else None
    label = _label(desk.broker.policies(held), decision, transaction)
    back, here = service_to_return_to(desk, transaction), desk.services[transaction.request.service]
    return {
        "number": step.number,
        "affiliation": policy.label[language()] if policy else "",
        "account": label[language()] if label else "",
        "code": decision.affiliation if decision else "",
        "mismatch": decision is not None and decision.mismatch is not None,
        "outcome": _outcome(transaction),
        "declined": transaction.upgrade is False,
        "mailed": account is not None and account.state is AccountState.DONE and account.pin_mailed,
        "here": here,
        "pin": pin_url(desk, transaction.back),
        "back": back if back and back.name != here.name else None,
    }


def service_to_return_to(desk: WebPorts, transaction: Transaction) -> Service | None:
    """Give the service that the person came from, if it has a place to begin at."""
    back = desk.services.get(transaction.back or "")
    return back if back and back.url else None


def pin_url(desk: WebPorts, back: str | None) -> str:
    """Give the address where a PIN is asked for, with the service to go back to."""
    return f"{desk.base_url}/pin" + (f"?{urlencode({'service': back})}" if back else "")


def _outcome(transaction: Transaction) -> str | None:
    account = transaction.account
    if transaction.upgrade is False:
        # What a decline leaves as it is may still have got a new name or mail address.
        return _UNCHANGED
    if account is None:
        return None
    # Where the library system is only observed, what would have been done was not.
    return (
        _OBSERVED
        if account.state == _OBSERVED and account.outcome != _UNCHANGED
        else account.outcome
    )


def _label(policies: PolicySet, decision: Decision | None, transaction: Transaction) -> Text | None:
    """Give what the library calls people with an account like this one; None where nobody can say."""
    policy, account = decision.policy if decision else None, transaction.account
    category = account.category if account else None
    if category is None:
        return policy.label if policy and transaction.upgrade is not False else None
    if policy and policy.borrower and policy.borrower.category == category:
        return policy.label
    labels = {
        each.label
        for each in policies.policies
        if each.borrower and each.borrower.category == category
    }
    return labels.pop() if len(labels) == 1 else None
