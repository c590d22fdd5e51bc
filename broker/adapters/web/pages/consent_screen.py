"""From a step to what its page shows: labels, masked values, and nothing else of the person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, Controller, Service, Text
from broker.core.identity.attributes import BORROWER_NUMBER
from broker.core.login.steps import Ask
from broker.core.login.transaction import Errand, Transaction
from broker.core.policy.model import Decision, LegalBasis

REVEALABLE_FOR: Final = timedelta(minutes=5)
_DOTS: Final = "••••"
_DIGITS_OF_A_CPR: Final = 10
_DIGITS_OF_A_DATE: Final = 6


@dataclass(frozen=True, slots=True, repr=False)
class DisclosureRow:
    """One line of the table: ``pending`` is a value that is made when the person goes on."""

    name: str
    label: str
    values: tuple[str, ...]
    why: str
    pending: bool = False
    revealable: bool = False


@dataclass(frozen=True, slots=True)
class ResponsibleParty:
    """A controller as the page names it."""

    name: str
    contact: str


@dataclass(frozen=True, slots=True, repr=False)
class ConsentScreen:
    """Everything on the page that asks or informs (consent.md section 4)."""

    variant: Literal["ask", "inform"]
    service: str
    description: str
    purpose: str
    legal_basis: LegalBasis
    giver: ResponsibleParty | None
    receiver: ResponsibleParty
    privacy_notice: str
    persistent: bool
    rows: tuple[DisclosureRow, ...]
    choices: tuple[DisclosureRow, ...]
    changed: bool
    affiliation: str
    mismatch: bool
    makes_account: bool
    # whether a borrower that the desk made before the CPR number came may become the account
    temporary: bool
    revealable: bool


def consent(  # noqa: PLR0917 - six values make the page, and each is what it is called
    asked: Ask,
    service: Service,
    labels: Mapping[str, Text],
    language: str,
    transaction: Transaction,
    now: datetime,
) -> ConsentScreen:
    """Give what the page shows of ``asked``: every item of the disclosure, in its order, and nothing that is not in it.

    ``labels`` says what people call an attribute; one without a label is shown by its own name.
    """
    question, decision = asked.question, asked.decision
    disclosure = question.disclosure
    opened = may_reveal(transaction, now)
    number = transaction.account.number if transaction.account else None
    rows = [
        (item.optional, _row(item, labels, language, number, opened=opened))
        for item in disclosure.items
    ]
    return ConsentScreen(
        variant=question.variant,
        service=service.label[language],
        description=service.description[language] if service.description else "",
        purpose=disclosure.purpose[language],
        legal_basis=disclosure.legal_basis,
        giver=_party(disclosure.giver, language),
        receiver=_party(disclosure.receiver, language)
        or ResponsibleParty(service.label[language], ""),
        privacy_notice=service.privacy_notice[language] if service.privacy_notice else "",
        persistent=disclosure.name_id_format == PERSISTENT,
        rows=tuple(row for optional, row in rows if not optional),
        choices=tuple(row for optional, row in rows if optional),
        changed=question.changed,
        affiliation=decision.policy.label[language] if decision.policy else "",
        mismatch=decision.mismatch is not None,
        temporary=may_be_temporary(decision, transaction),
        makes_account=decision.release is not None
        and decision.release.borrower == "make"
        and number is None,
        revealable=opened and any(row.revealable for _, row in rows),
    )


def may_be_temporary(decision: Decision, transaction: Transaction) -> bool:
    """Say whether a borrower that the desk made before the CPR number came may become the person's account.

    Who has an account by that number is asked in a sign-up only: there the two of them are a case
    for staff.
    """
    rule = decision.policy.borrower if decision.policy else None
    making = (
        decision.release is not None
        and decision.release.borrower == "make"
        and decision.may_find_by_cpr
    )
    number = transaction.account.number if transaction.account else None
    asked = number is None or transaction.errand is Errand.SIGN_UP
    return bool(making and asked and transaction.temporary is None and rule and rule.temporary)


def may_reveal(transaction: Transaction, now: datetime) -> bool:
    """Say whether the whole CPR number may still be shown: within five minutes of the person's arrival."""
    arrived = transaction.authenticated
    return arrived is not None and now - arrived < REVEALABLE_FOR


def whole_number(disclosure: Disclosure) -> str | None:
    """Give the CPR number that would leave, as people write it, for the page that shows it to its owner alone."""
    item = next((each for each in disclosure.items if each.name == "cpr"), None)
    if item is None or not item.values:
        return None
    value = item.values[0]
    return (
        f"{value[:_DIGITS_OF_A_DATE]}-{value[_DIGITS_OF_A_DATE:]}" if _is_number(value) else value
    )


def masked(value: str) -> str:
    """Hide a value: of a CPR number the date stays (``DDMMYY-••••``), of anything else nothing."""
    return f"{value[:_DIGITS_OF_A_DATE]}-{_DOTS}" if _is_number(value) else _DOTS


def _is_number(value: str) -> bool:
    return len(value) == _DIGITS_OF_A_CPR and value.isascii() and value.isdigit()


def _row(
    item: Item, labels: Mapping[str, Text], language: str, number: str | None, *, opened: bool
) -> DisclosureRow:
    # The CPR is masked whatever the policy says: no page source holds it (invariant 4).
    hidden = item.mask or item.name == "cpr"
    values = item.values
    if item.name == BORROWER_NUMBER and not values and number:
        values = (number,)
    return DisclosureRow(
        name=item.name,
        label=labels[item.name][language] if item.name in labels else item.name,
        values=tuple(masked(value) for value in values) if hidden else values,
        why=item.why[language],
        pending=not values,
        revealable=opened and item.name == "cpr",
    )


def _party(controller: Controller | None, language: str) -> ResponsibleParty | None:
    return ResponsibleParty(controller.name[language], controller.contact) if controller else None
