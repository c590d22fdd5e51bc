"""Exactly what would leave for a service: shown to the person, bound into token and receipt, and then issued."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from broker.core.entities import PERSISTENT, TRANSIENT, Controller, Service, Text
from broker.core.identity.subject_ids import MINTED
from broker.core.policy.model import Decision, LegalBasis
from broker.core.pseudonyms import Pseudonyms

# Whose value, and not only whose name, is material: a change of it asks again (consent.md, feature
# table).
_WATCHED = frozenset(
    {"cpr", "eduPersonScopedAffiliation", "eduPersonPrimaryAffiliation", "kaldemail_domain"}
)

# Not yet made when the person is asked: the receipt binds the name (design 3).
BORROWER_NUMBER = "borrower_number"


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """One attribute that leaves: canonical name, values, why, and whether the page masks it."""

    name: str
    values: tuple[str, ...]
    why: Text
    mask: bool = False
    optional: bool = False

    def __repr__(self) -> str:
        """Show the name only: values are personal."""
        return f"Item({self.name!r})"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """All that leaves in one assertion and everything the person is told about it."""

    service: str
    acs: str
    name_id_format: str
    purpose: Text
    legal_basis: LegalBasis
    giver: Controller | None
    receiver: Controller | None
    items: tuple[Item, ...]
    policy: str

    def shown(self, pseudonyms: Pseudonyms) -> str:
        """Return the digest of everything shown; token, receipt and assertion must agree on it (design 4a)."""
        values = (
            part for item in self.items for part in (_kind(item), item.name, *self._bound(item), "")
        )
        return pseudonyms.of("shown", self.acs, self.name_id_format, *self._terms(), *values)

    def material(self, pseudonyms: Pseudonyms) -> str:
        """Return the digest of what asks again when it changes.

        Names and whether each is optional, watched values, the NameID's kind, purpose, basis and
        controllers.
        """
        parts = []
        for item in sorted(self.items, key=lambda each: each.name):
            watched = item.name in _WATCHED
            parts += [
                _kind(item),
                item.name,
                *(sorted(value.casefold() for value in item.values) if watched else ()),
                "",
            ]
        return pseudonyms.of("material", self.name_id_format, *self._terms(), *parts)

    def _terms(self) -> tuple[str, ...]:
        parties = [text for each in (self.giver, self.receiver) for text in _spelt(each)]
        return (self.service, self.legal_basis, self.purpose.en, self.purpose.da, *parties)

    @staticmethod
    def _bound(item: Item) -> tuple[str, ...]:
        return () if item.name == BORROWER_NUMBER else item.values


def _kind(item: Item) -> str:
    # An attribute that was optional and is so no longer leaves though nobody ticked it: that is
    # another question.
    return "optional" if item.optional else "always"


def _spelt(party: Controller | None) -> tuple[str, ...]:
    return (party.name.en, party.name.da, party.contact) if party else ("", "", "")


def disclose(
    decision: Decision, service: Service, acs: str, giver: Controller | None
) -> Disclosure:
    """Return what ``decision`` lets leave for ``service`` at ``acs``; the decision must permit (ValueError)."""
    release = decision.release
    if release is None:
        msg = "a decision without a release entry discloses nothing"
        raise ValueError(msg)
    items = tuple(
        Item(listed.name, values, listed.why, listed.mask, listed.optional)
        for listed, values in decision.released
    )
    return Disclosure(
        service=service.name,
        acs=acs,
        name_id_format=PERSISTENT if release.name_id == "persistent" else TRANSIENT,
        purpose=release.purpose,
        legal_basis=release.legal_basis,
        giver=giver,
        receiver=service.controller
        or Controller(service.label),  # whom the page names where nobody else answers
        items=items,
        policy=decision.digest,
    )


def named(disclosure: Disclosure, ids: Mapping[str, str]) -> Disclosure:
    """Put in the identifiers that we make for the person; one that is not made leaves the disclosure."""
    filled = (
        replace(item, values=(ids[item.name],) if item.name in ids else ())
        if item.name in MINTED
        else item
        for item in disclosure.items
    )
    kept = tuple(item for item in filled if item.values or item.name not in MINTED)
    return replace(disclosure, items=kept)


def numbered(disclosure: Disclosure, number: str | None) -> Disclosure:
    """Put the borrower number in; without one its item leaves the assertion, never as an empty value."""
    kept = []
    for item in disclosure.items:
        if item.name != BORROWER_NUMBER:
            kept.append(item)
        elif number:
            kept.append(replace(item, values=(number,)))
    return replace(disclosure, items=tuple(kept))
