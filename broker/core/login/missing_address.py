"""The account of a person for whom no borrower is made for want of a mail address."""

from typing import Final

from broker.core.borrowers.wanted_borrower import can_take_contact_address
from broker.core.identity.canonical_attributes import Attributes
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import Right
from broker.core.login.transaction import Account, AccountState
from broker.core.policy.model import Decision

# The reason code of whom staff must help, for no address is taken.
NO_ADDRESS: Final = "account_case"
_IN_PERSON: Final = "national_eid_required"


def describe_missing_address(decision: Decision, attributes: Attributes) -> Account:
    """Return the account of a person without a mail address: ask for a mailbox, or a case.

    A mailbox is asked for only if a proved one would help. It would not if the rule takes no such
    address, if the person may not write to a borrower, or if the upstream sent an address that
    cannot be stored, which no proof replaces.
    """
    if not decision.has(Right.WRITE_BORROWER):
        return Account(None, AccountState.CASE, reason=_IN_PERSON)
    if attributes.one(MAIL_PROOF) is None and can_take_contact_address(decision):
        return Account(None, AccountState.MAIL_REQUIRED)
    return Account(None, AccountState.CASE, reason=NO_ADDRESS)
