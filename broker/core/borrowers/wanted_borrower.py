"""From a decision and the attributes to the wish that a borrower be so."""

import calendar
from datetime import date

from broker.core.borrowers.borrower import Wish, WishedField
from broker.core.identity.attributes import Attributes
from broker.core.policy.model import BorrowerRule, Decision

_PROOF = "proof."
_CATEGORY = "borrower_category"


def months_after(day: date, months: int) -> date:
    """Give the same day ``months`` later, the month's last day where it has none such."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def wish(
    decision: Decision,
    attributes: Attributes,
    *,
    find_by_cpr: bool,
    language: str,
    today: date,
    borrower: str | None = None,
) -> Wish | None:
    """Give the wish of a permitted decision, or None where its policy makes no borrower.

    ``borrower`` is the number of the borrower that is proved to be the person's, used where no CPR
    finds it. A login by the library account wishes nothing: its category is the library's own word,
    and would renew itself for ever.
    """
    policy = decision.policy
    if policy is None or policy.borrower is None or _CATEGORY in attributes:
        return None
    rule = policy.borrower
    number = attributes.one("cpr") if find_by_cpr and "cpr" in rule.find_by else None
    # A name alone may be its next holder's by now: it may lower a category, and write no name or
    # address of theirs.
    fields = _fields(rule, attributes) if number else ()
    address = next((each.value for each in fields if each.name == "email"), None)
    return Wish(
        cpr=number,
        affiliation=policy.affiliation,
        category=rule.category,
        upgrades=rule.upgrades,
        expires=months_after(today, rule.expires_after_months),
        fields=fields,
        pin_to=address if rule.pin == "mail" else None,
        language=language,
        lowers=rule.lowers.categories if rule.lowers and decision.may_lower else (),
        borrower=None if number else borrower,
        adopts=rule.temporary,
        creates=decision.may_create,
    )


def _fields(rule: BorrowerRule, attributes: Attributes) -> tuple[WishedField, ...]:
    wished = []
    for field in rule.fields:
        sources = (each.removeprefix(_PROOF) for each in (field.source, *field.otherwise))
        value = next((found for each in sources if (found := attributes.one(each))), None)
        if value:
            wished.append(WishedField(field.name, value, field.set))
    return tuple(wished)
