"""The values of the page after a sign-up: only what the account shows to be true."""

from typing import Any

from broker.adapters.web.pages.language import localize_text
from broker.adapters.web.pages.page_links import add_query
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Service, Text
from broker.core.identity.rights import Right
from broker.core.login.steps import Done
from broker.core.login.transaction import AccountState, LoginPurpose, Transaction
from broker.core.policy.model import Policy, PolicySet
from broker.use_cases.transactions.transactions import LoginContext

_UNCHANGED = EnrolmentOutcome.UNCHANGED


def sign_up_result(step: Done, context: LoginContext, ports: WebPorts) -> dict[str, Any]:
    """Return the values of done.html: affiliation, number, outcome, and the service to go on to."""
    transaction = context.transaction
    decision = step.decision
    account = transaction.account
    policy = decision.policy if decision else None
    label = _account_label(ports.login_flow.person_at_login.policies(context), policy, transaction)
    here = ports.services[transaction.request.service]
    back = service_to_return_to(ports, transaction)
    if back and back.name == here.name:
        back = None
    return {
        "number": step.number,
        "cpr_cards": ports.cpr_cards,
        "decision": decision,
        "account": localize_text(label),
        "outcome": _outcome(transaction),
        "declined": transaction.upgrade is False,
        "mailed": account is not None and account.state is AccountState.DONE and account.pin_mailed,
        "address": ports.login_flow.find_account_address(context, ports.now()),
        "here": here,
        "pin": pin_url(ports, transaction.back),
        "choose_action": f"{ports.base_url}/pin?login={transaction.id}",
        "choose_token": (
            ports.forms.token(transaction, "pin") if may_choose_pin(step, transaction) else ""
        ),
        "back": back,
    }


def may_choose_pin(step: Done, transaction: Transaction) -> bool:
    """Return whether the last page of a sign-up offers a PIN.

    It does for a borrower that the sign-up created, or whose mail address it replaced.
    """
    account = transaction.account
    return (
        transaction.purpose is LoginPurpose.SIGN_UP
        and step.number is not None
        and step.decision is not None
        and step.decision.has(Right.CHOOSE_PIN)
        and account is not None
        and account.state is AccountState.DONE
        and (account.outcome is EnrolmentOutcome.CREATED or transaction.has_new_address)
    )


def service_to_return_to(ports: WebPorts, transaction: Transaction) -> Service | None:
    """Return the service that the person came from, if it has a place to begin at."""
    service = ports.services.get(transaction.back or "")
    if service is None or not service.url:
        return None
    return service


def pin_url(ports: WebPorts, back: str | None) -> str:
    """Return the address where a PIN is asked for, with the service to go back to."""
    return add_query(f"{ports.base_url}/pin", {"service": back})


def _outcome(transaction: Transaction) -> str | None:
    account = transaction.account
    if transaction.upgrade is False:
        # The account may still have been given a new name or mail address.
        return _UNCHANGED
    return account.outcome if account else None


def _account_label(
    policies: PolicySet, policy: Policy | None, transaction: Transaction
) -> Text | None:
    """Return the library's label for people with an account like this; None if it has several.

    ``policy`` is the one that decided.
    """
    category = transaction.account.category if transaction.account else None
    if category is None:
        if policy is None or transaction.upgrade is False:
            return None
        return policy.label
    if policy and _makes(policy, category):
        return policy.label
    labels = {other.label for other in policies.policies if _makes(other, category)}
    return labels.pop() if len(labels) == 1 else None


def _makes(policy: Policy, category: str) -> bool:
    rules = (each.borrower for each in policy.variants)
    return any(rule is not None and rule.category == category for rule in rules)
