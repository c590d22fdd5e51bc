"""A disclosure: exactly what is sent to a service, as it is shown, agreed to and issued."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from broker.core.entities import TRANSIENT, Controller, Service, Text
from broker.core.identity.canonical_attributes import (
    BORROWER_NUMBER,
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    Values,
)
from broker.core.identity.rights import Right
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import NAME_ID, Decision, LegalBasis

# Attributes of which the person agrees to the value too. If the value changes, the person is asked
# again (docs/reference/consent.md#features).
WATCHED = frozenset(
    {"cpr", "eduPersonScopedAffiliation", "eduPersonPrimaryAffiliation", "kaldemail_domain"}
)

# One part of what a person agrees to: kind, name, and the value if it matters.
Part = tuple[str, str, str]
ALWAYS: Final = "always"

# The purpose of a look-up in the register of persons, "" for none.
LookedUp = Literal["address", "number", ""]
_REGISTER: Final = "person_register"
# The page's words about the look-up: a page about the address mentions the CPR number too.
_TOLD_OF: Final[Mapping[LookedUp, tuple[str, ...]]] = {
    "": (),
    "number": ("number",),
    "address": ("number", "address"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """An attribute that is sent: name, values and purpose."""

    name: str
    values: Values
    why: Text
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Everything that one assertion contains, and everything that the page shows about it."""

    service: str
    acs: str
    name_id_format: str
    purpose: Text
    legal_basis: LegalBasis
    giver: Controller | None
    receiver: Controller | None
    items: tuple[Item, ...]
    policy: str
    looked_up: LookedUp = ""

    @property
    def attributes(self) -> tuple[Item, ...]:
        """Return the items that are sent as attributes: all but the NameID."""
        return tuple(item for item in self.items if item.name != NAME_ID)

    @property
    def address(self) -> str | None:
        """Return the mail address that is sent as NameID; None for another kind of NameID."""
        for item in self.items:
            if item.name == NAME_ID:
                return item.values[0]
        return None

    def page_digest(self, hmacs: LookupHmacs) -> str:
        """Return the digest of everything that the page shows.

        The form token of the page, the receipt and the assertion must have the same digest
        (docs/reference/design.md#4a-shown).
        """
        parts: list[str] = []
        for item in self.items:
            # The borrower number may not exist yet when the person is asked. So the digest has the
            # attribute's name only (docs/reference/design.md#borrower-number).
            values = () if item.name == BORROWER_NUMBER else item.values
            parts += [_kind(item), item.name, *values, ""]
        terms = (*self._terms(), *_TOLD_OF[self.looked_up])
        return hmacs.compute("shown", self.acs, self.name_id_format, *terms, *parts)

    def terms_digest(self, hmacs: LookupHmacs) -> str:
        """Return the digest of the terms: service, legal basis, purpose and controllers."""
        return hmacs.compute("terms", *self._terms())

    @property
    def parts(self) -> frozenset[Part]:
        """Return the parts that a person agrees to, apart from the legal terms.

        A part is a name, or each value of a watched attribute, or a persistent NameID, or a purpose
        of a look-up in the register. A disclosure that sends less has a subset of these parts, so
        the person is not asked again.
        """
        parts = {
            (_kind(item), item.name, value)
            for item in self.items
            for value in _material_values(item) or [""]
        }
        if self.name_id_format != TRANSIENT:
            parts.add((ALWAYS, self.name_id_format, ""))
        parts.update((ALWAYS, _REGISTER, purpose) for purpose in _TOLD_OF[self.looked_up])
        return frozenset(parts)

    def _terms(self) -> tuple[str, ...]:
        purpose = self.purpose
        giver = _list_texts(self.giver)
        receiver = _list_texts(self.receiver)
        return (self.service, self.legal_basis, purpose.en, purpose.da, *giver, *receiver)


def _kind(item: Item) -> str:
    # An attribute that is no longer optional is sent without a tick: that is another question.
    return "optional" if item.optional else ALWAYS


def _material_values(item: Item) -> list[str]:
    """Return the values that matter, sorted; none if only the name matters."""
    if item.name == NAME_ID:
        # Exactly as they are: a service may distinguish two people by upper and lower case.
        return [*item.values]
    if item.name in WATCHED:
        return sorted(value.casefold() for value in item.values)
    return []


def _list_texts(controller: Controller | None) -> tuple[str, ...]:
    if controller is None:
        return ("", "", "")
    return (controller.name.en, controller.name.da, controller.contact)


def disclose(
    decision: Decision, service: Service, acs: str, giver: Controller | None
) -> Disclosure:
    """Return what ``decision`` releases to ``service`` at ``acs``.

    Raises ValueError if the decision does not permit the login.
    """
    release = decision.release
    if release is None:
        msg = "a decision without a release entry discloses nothing"
        raise ValueError(msg)
    items = tuple(
        Item(listed.name, values, listed.why, listed.optional)
        for listed, values in decision.released
    )
    return Disclosure(
        service=service.name,
        acs=acs,
        name_id_format=release.name_id_format,
        purpose=release.purpose,
        legal_basis=release.legal_basis,
        giver=giver,
        # the page names the service itself if it has no controller
        receiver=service.controller or Controller(service.label),
        items=items,
        policy=decision.digest,
        looked_up=find_look_up_purpose(decision),
    )


def find_look_up_purpose(decision: Decision) -> LookedUp:
    """Return for what a login with a library account looks the person up in the register."""
    policy, release = decision.policy, decision.release
    rule = policy.borrower.register if policy and policy.borrower else None
    if rule is None or release is None or release.borrower == "none":
        return ""
    if not decision.has(Right.WRITE_BORROWER):
        return ""
    return "number" if rule.address == "never" else "address"


def fill(disclosure: Disclosure, values: Mapping[str, str | None]) -> Disclosure:
    """Put in the values that a decision leaves open, by name; a value of None removes the item."""
    items = []
    for item in disclosure.items:
        if item.name not in values or _has_real_cpr(item):
            items.append(item)
        elif value := values[item.name]:
            items.append(replace(item, values=(value,)))
    return replace(disclosure, items=tuple(items))


def _has_real_cpr(item: Item) -> bool:
    """Return whether an item has a CPR number already, not the stand-in that decisions contain."""
    return item.name == CPR_ATTRIBUTE and item.values != CPR_STAND_IN
