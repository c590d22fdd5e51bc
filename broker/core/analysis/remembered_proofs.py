"""Logins in which one of two sets recalls what the person proved before, and the other does not.

Where an upstream names an address, earlier proofs are looked up only if a rule can look at them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from broker.core.analysis.source_kinds import (
    DECIDING_FIELDS,
    SourceKinds,
    field_sources,
    filling_attributes,
)
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import Attributes
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.login.described_login import DescribedLogin
from broker.core.policy.model import PolicySet


@dataclass(frozen=True, slots=True)
class Recall:
    """A login with what was proved before, and what each set sees of it.

    ``proofs`` are the names that a set which recalls nothing does not see.
    """

    login: DescribedLogin
    seen: tuple[DescribedLogin, ...]
    proofs: frozenset[str]


def recalls(
    login: DescribedLogin, sets: Sequence[PolicySet], kinds: SourceKinds
) -> Iterator[Recall]:
    """Yield the login in each way in which the sets see other proofs; nothing where they do not.

    With every attribute that fills a field there, and each left out: without the proof they decide.
    """
    if not kinds.recalled_apart or MAIL_PROOF not in login.reading.attributes:
        return
    recalling = [kinds.source.upstream in policies.provable for policies in sets]
    proved = kinds.vocabulary.proved
    for known in _else_known(login, proved):
        for whole in _with_fillings(login, sets, proved):
            blind = _without(whole, proved, known)
            seen = tuple(whole if recalls_it else blind for recalls_it in recalling)
            yield Recall(whole, seen, proved)


def _else_known(login: DescribedLogin, proved: frozenset[str]) -> tuple[str | None, ...]:
    """Return the verified addresses that may be left where nothing is recalled, each once.

    An address may have been proved before, or be asserted: then every set knows it. Nothing is
    returned of whom nothing is proved.
    """
    verified = login.reading.verified_address
    if not proved.isdisjoint(login.reading.attributes):
        return tuple(dict.fromkeys((None, verified)))
    return () if verified is None else (None,)


def _with_fillings(
    login: DescribedLogin, sets: Sequence[PolicySet], proofs: frozenset[str]
) -> Iterator[DescribedLogin]:
    """Yield the login whole, and without what only fills a field: each alone, a field's, and all.

    A field is filled from the first source that is there: so each is seen where another stands in
    for it, and each field where it stays empty.
    """
    filling = {name for policies in sets for name in filling_attributes(policies)}
    matched = {
        condition.name
        for policies in sets
        for policy in policies.policies
        for alternative in policy.match
        for condition in alternative.conditions
    }
    there = set(login.reading.attributes)
    removable = sorted(filling & there - matched - proofs - set(AFFILIATIONS) - {MAIL_PROOF})
    of_fields = (_filling_one(sets, name).intersection(removable) for name in DECIDING_FIELDS)
    each_alone = (frozenset({name}) for name in removable)
    left_out = (frozenset[str](), *each_alone, *of_fields, frozenset(removable))
    for absent in dict.fromkeys(left_out):
        yield _without(login, absent, login.reading.verified_address)


def _filling_one(sets: Sequence[PolicySet], field: str) -> frozenset[str]:
    """Return the attributes that one borrower field may come from."""
    rules = (policy.borrower for policies in sets for policy in policies.policies)
    return frozenset(name for rule in rules if rule for name in field_sources(rule, field))


def _without(login: DescribedLogin, names: frozenset[str], verified: str | None) -> DescribedLogin:
    attributes = login.reading.attributes
    left = {name: values for name, values in attributes.items() if name not in names}
    reading = replace(login.reading, attributes=Attributes(left), verified_address=verified)
    return replace(login, reading=reading)
