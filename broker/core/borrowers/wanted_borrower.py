"""The wanted borrower, derived from a decision and the attributes of a login."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from broker.core.borrowers import field_values
from broker.core.borrowers.matching import NO_FACTS, PersonFacts, read_person_facts
from broker.core.entities import Names
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, Attributes
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import Right, has_usable_cpr
from broker.core.policy.model import BorrowerRule, Decision, Field, RegisterRule

EMAIL: Final = "email"


@dataclass(frozen=True, slots=True, repr=False)
class WantedField:
    """A borrower field of a request: its value and when it may be written."""

    name: str
    value: str
    set: str  # create | if_empty | always


@dataclass(frozen=True, slots=True, repr=False)
class WantedBorrower:
    """The borrower that a login wants, derived from the decision before anything is looked up.

    ``cpr`` is the number to find the borrower by. ``expires`` is the last day of the category, and
    ``pin_to`` the address for the PIN mail of a new borrower, None for no mail. ``upgrade`` is
    False if the person wants to keep the category, or was not asked yet. ``lowers`` are the
    categories that this login may lower. ``creates`` is False if the person needs staff to enrol:
    only an existing borrower is used. ``register`` says what is done with the answer of the
    register of persons, None if it is not asked. ``person`` is compared with a borrower.
    ``can_write`` is False if the login may only lower the category.
    """

    cpr: str | None
    category: str
    upgrades: Names
    expires: date
    fields: tuple[WantedField, ...]
    pin_to: str | None
    language: str = "da"
    upgrade: bool = True
    lowers: Names = ()
    creates: bool = True
    can_write: bool = True
    register: RegisterRule | None = None
    person: PersonFacts = NO_FACTS

    @property
    def email(self) -> str | None:
        """Return the mail address that the borrower would get, or None."""
        return _find_email(self.fields)

    def upgrades_from(self, category: str) -> bool:
        """Return whether a borrower of ``category`` would be upgraded.

        Only the person's own answer permits it (R40).
        """
        return self.upgrade and category != self.category and category in self.upgrades

    def moves(self, category: str) -> bool:
        """Return whether a borrower of ``category`` would get another one: upgraded or lowered."""
        if category == self.category:
            return False
        return category in self.lowers or self.upgrades_from(category)


_PROOF = "proof."
_CATEGORY = "borrower_category"


def derive_wanted_borrower(
    decision: Decision, attributes: Attributes, *, language: str, today: date
) -> WantedBorrower | None:
    """Return the wanted borrower of a decision; None if policy or login leads to no borrower.

    A person without the right to write to a borrower may have its category lowered only. A login
    with the library account requests nothing: its category comes from the library system itself and
    would renew itself for ever.
    """
    policy = decision.policy
    if policy is None or policy.borrower is None or _CATEGORY in attributes:
        return None
    rule, number = policy.borrower, attributes.one(CPR_ATTRIBUTE)
    if number is None or not has_usable_cpr(decision.ground):
        return None
    sure = decision.has(Right.WRITE_BORROWER)
    fields = _fields(rule, attributes) if sure else ()
    return WantedBorrower(
        cpr=number,
        category=rule.category,
        upgrades=rule.upgrades if sure else (),
        expires=rule.expires.find_date(today),
        fields=fields,
        pin_to=_find_email(fields) if rule.pin == "mail" else None,
        language=language,
        lowers=_lowers(rule, decision),
        creates=sure and decision.permits_creation,
        can_write=sure,
        register=rule.register if sure else None,
        person=read_person_facts(attributes),
    )


def can_take_contact_address(decision: Decision) -> bool:
    """Return whether the rule takes a proved contact address as the borrower's mail address."""
    rule = decision.policy.borrower if decision.policy else None
    fields = rule.fields if rule else ()
    return any(
        source.removeprefix(_PROOF) == MAIL_PROOF
        for field in fields
        if field.name == EMAIL
        for source in field.sources
    )


def _find_email(fields: tuple[WantedField, ...]) -> str | None:
    return next((field.value for field in fields if field.name == EMAIL), None)


def _lowers(rule: BorrowerRule, decision: Decision) -> Names:
    may_lower = decision.has(Right.LOWER_CATEGORY) and decision.permits_lowering
    return rule.lowers.categories if rule.lowers and may_lower else ()


def _fields(rule: BorrowerRule, attributes: Attributes) -> tuple[WantedField, ...]:
    wanted = []
    for field in rule.fields:
        value = _first_value(field, attributes)
        if value:
            wanted.append(WantedField(field.name, value, field.set))
    return tuple(wanted)


def _first_value(field: Field, attributes: Attributes) -> str | None:
    for source in field.sources:
        asserted = attributes.one(source.removeprefix(_PROOF))
        value = field_values.make_harmless(field.name, asserted) if asserted else None
        if value:
            return value
    return None
