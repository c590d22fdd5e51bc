"""From a decision and the attributes to the wish that a borrower be so."""

import calendar
from datetime import date

from broker.core.borrowers.borrower import Wish, WishedField
from broker.core.entities import Names
from broker.core.identity.attributes import CPR_ATTRIBUTE, Attributes
from broker.core.policy.model import BorrowerRule, Decision, Field

_PROOF = "proof."
_CATEGORY = "borrower_category"
_EMAIL = "email"


def months_after(day: date, months: int) -> date:
    """Return the same day ``months`` later, the month's last day where it has none such."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    last_day = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last_day))


def wish(
    decision: Decision,
    attributes: Attributes,
    *,
    find_by_cpr: bool,
    language: str,
    today: date,
    borrower: str | None = None,
) -> Wish | None:
    """Return the wish of a permitted decision, or None where its policy makes no borrower.

    ``borrower`` is the number of the borrower that is proved to be the person's, used where no CPR
    finds it. A login by the library account wishes nothing: its category comes from the library
    system itself, and would renew itself for ever.
    """
    policy = decision.policy
    if policy is None or policy.borrower is None or _CATEGORY in attributes:
        return None
    rule = policy.borrower
    number = _number(rule, attributes, find_by_cpr=find_by_cpr)
    # A name alone may be its next holder's by now: it may lower a category, and write no name or
    # address of theirs.
    fields = _fields(rule, attributes) if number else ()
    return Wish(
        cpr=number,
        affiliation=policy.affiliation,
        category=rule.category,
        upgrades=rule.upgrades,
        expires=months_after(today, rule.expires_after_months),
        fields=fields,
        pin_to=_pin_address(rule, fields),
        language=language,
        lowers=_lowers(rule, decision),
        borrower=None if number else borrower,
        adopts=rule.temporary,
        creates=decision.may_create,
    )


def _number(rule: BorrowerRule, attributes: Attributes, *, find_by_cpr: bool) -> str | None:
    """Return the CPR number to find the borrower by, where person and rule allow it."""
    if not find_by_cpr or CPR_ATTRIBUTE not in rule.find_by:
        return None
    return attributes.one(CPR_ATTRIBUTE)


def _pin_address(rule: BorrowerRule, fields: tuple[WishedField, ...]) -> str | None:
    if rule.pin != "mail":
        return None
    for field in fields:
        if field.name == _EMAIL:
            return field.value
    return None


def _lowers(rule: BorrowerRule, decision: Decision) -> Names:
    if rule.lowers is None or not decision.may_lower:
        return ()
    return rule.lowers.categories


def _fields(rule: BorrowerRule, attributes: Attributes) -> tuple[WishedField, ...]:
    wished = []
    for field in rule.fields:
        value = _first_value(field, attributes)
        if value:
            wished.append(WishedField(field.name, value, field.set))
    return tuple(wished)


def _first_value(field: Field, attributes: Attributes) -> str | None:
    for source in (field.source, *field.otherwise):
        value = attributes.one(source.removeprefix(_PROOF))
        if value:
            return value
    return None
