"""The account of a login, by the borrower that was found and the one that the login wants."""

from dataclasses import dataclass, replace
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.matching import AddressQuestion
from broker.core.borrowers.wanted_borrower import WantedBorrower, can_take_contact_address
from broker.core.identity.canonical_attributes import Attributes
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.login.transaction import Account, AccountState
from broker.core.policy.model import Decision

_NO_ADDRESS: Final = "account_case"
_IN_PERSON: Final = "national_eid_required"


@dataclass(frozen=True, slots=True)
class FoundBorrower:
    """The result of a search; without ``number`` and ``reason`` the person has no borrower.

    ``is_as_wanted`` is False if the login would change the borrower. ``reason`` is why staff must
    decide first. ``question`` is that of a first match which the person has not confirmed.
    """

    number: str | None = None
    category: str | None = None
    is_as_wanted: bool = True
    reason: str | None = None
    question: AddressQuestion | None = None


def describe_account(
    found: FoundBorrower, wanted: WantedBorrower | None, decision: Decision, attributes: Attributes
) -> Account:
    """Return the account as ``wanted`` would change it; None if the borrower is not changed."""
    if found.reason:
        return make_case_account(found.reason)
    if found.number is None:
        return _describe_none(wanted, decision, attributes)
    known = Account(found.number, AccountState.KNOWN, address_question=found.question)
    if wanted is None:
        return known
    category = found.category
    if found.is_as_wanted:
        outcome = EnrolmentOutcome.UNCHANGED
        return replace(known, state=AccountState.DONE, outcome=outcome, category=category)
    # The person is asked before the category is raised (R40).
    offered = category if wanted.upgrades_from(category or "") else None
    return replace(known, state=AccountState.NONE, upgrade_from=offered)


def make_case_account(reason: str | None) -> Account:
    """Return the account of a person whom another login, or staff, must help first."""
    return Account(None, AccountState.CASE, reason=reason)


def _describe_none(
    wanted: WantedBorrower | None, decision: Decision, attributes: Attributes
) -> Account:
    """Return the account of a person without a borrower.

    Without a mail address a mailbox is asked for, but only if a proved one would help. It would not
    if the rule takes no such address, or if the upstream sent an address that cannot be stored.
    """
    if wanted is None:
        return Account(None, AccountState.NONE)
    if not wanted.creates:
        return make_case_account(_IN_PERSON)
    if wanted.email is not None:
        return Account(None, AccountState.NONE, can_claim=True)
    if attributes.one(MAIL_PROOF) is None and can_take_contact_address(decision):
        return Account(None, AccountState.MAIL_REQUIRED)
    return make_case_account(_NO_ADDRESS)
