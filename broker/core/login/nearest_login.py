"""What would let a refused person in: the fewest facts that another login would have to bring."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from broker.core.entities import Assurance, Names, Service
from broker.core.identity.attribute_values import AFFILIATIONS, SCOPED_AFFILIATION, read_level
from broker.core.identity.canonical_attributes import ASSURANCE
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import CATEGORY, HOME, UNNAMED_CATEGORY, GivenFacts
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.missing_proof import provable_domains
from broker.core.policy.model import Alternative, Policy, PolicyLine, PolicySet, Release

# One may log in otherwise, and not be somebody else: an attribute weighs more than a way.
_ANOTHER_PERSON: Final = 4
_PREFIX_ENDS: Final = "au.dk"
# What one person may be given and another not: to have it is to be nobody else.
_GRANTED: Final = frozenset({"eduPersonEntitlement"})
# What only an institution asserts: by another upstream the person brings none of it.
_OF_INSTITUTION: Final = frozenset({*AFFILIATIONS, HOME, "eduPersonPrincipalName", CATEGORY})


@dataclass(frozen=True, slots=True)
class NearLogin:
    """Facts that differ from those given by ``changes``, in words, by the rule at ``place``."""

    facts: GivenFacts = field(repr=False)
    changes: Names
    place: PolicyLine
    affiliation: str
    effort: int  # how much would have to be otherwise


def near_logins(
    given: GivenFacts, service: Service, policies: PolicySet, today: date
) -> list[NearLogin]:
    """Return the logins that the policies would let in to ``service``, the nearest first.

    One for each alternative of each policy with an entry for the service. Whether it is let in is
    for ``ideal_login.play`` to say.
    """
    near = []
    for policy in policies.policies:
        for release in policy.releases:
            if release.service in {service.name, *service.categories}:
                near += [
                    _near(given, policy, alternative, release, today)
                    for alternative in policy.match
                ]
    return sorted(near, key=lambda each: each.effort)


def _near(
    given: GivenFacts, policy: Policy, alternative: Alternative, release: Release, today: date
) -> NearLogin:
    steps = _Changes(given)
    required = policy.require if release.borrower == "make" else None
    allowed = _upstreams(alternative)
    if required and required.upstream:
        allowed = tuple(name for name in required.upstream if not allowed or name in allowed)
    steps.by_upstream(allowed)
    steps.with_assurance(_least(alternative))
    _match(steps, policy, alternative, today)
    if required:
        steps.with_assurance(required.assurance)
        steps.with_number(needed=required.cpr or required.age is not None)
        steps.with_age(required.age)
    if release.borrower == "need":
        steps.with_borrower(policy)
    return NearLogin(
        facts=steps.facts,
        changes=tuple(steps.words),
        place=alternative.place,
        affiliation=policy.affiliation,
        effort=len(steps.words) + steps.mailboxes + steps.identities * _ANOTHER_PERSON,
    )


def _match(steps: "_Changes", policy: Policy, alternative: Alternative, today: date) -> None:
    for condition in alternative.conditions:
        if condition.name in {"upstream", "assurance"}:
            continue
        if condition.name.endswith(PROOF_DOMAIN):
            steps.with_proof(policy, condition.name.removesuffix(PROOF_DOMAIN), today)
        else:
            steps.with_value(condition.name, condition.values)


def _upstreams(alternative: Alternative) -> Names:
    for condition in alternative.conditions:
        if condition.name == "upstream":
            return condition.values
    return ()


def _least(alternative: Alternative) -> Assurance | None:
    levels = [
        Assurance.named(value)
        for condition in alternative.conditions
        if condition.name == "assurance"
        for value in condition.values
    ]
    return max(levels, default=None)


@dataclass(slots=True)
class _Changes:
    """The facts as they are changed, and each change in words."""

    facts: GivenFacts
    words: list[str] = field(default_factory=list)
    identities: int = 0
    mailboxes: int = 0  # at work: not everybody has one, and each weighs one more

    def by_upstream(self, allowed: Names) -> None:
        """Come by one of these upstreams; any, where there are none."""
        if not allowed or self.facts.upstream in allowed:
            return
        upstream = allowed[0]
        kept = {
            name: values
            for name, values in self.facts.attributes.items()
            if name not in _OF_INSTITUTION
        }
        self.facts = replace(self.facts, upstream=upstream, affiliations=(), attributes=kept)
        self.words.append(f"upstream {upstream}")

    def with_assurance(self, least: Assurance | None) -> None:
        """Come as surely as ``least``."""
        if least is None:
            return
        written = map(read_level, self.facts.attributes.get(ASSURANCE, ()))
        levels = [each for each in (self.facts.assurance, *written) if each is not None]
        if max(levels, default=Assurance.SELF_ASSERTED) >= least and levels:
            return
        others = {name: of for name, of in self.facts.attributes.items() if name != ASSURANCE}
        self.facts = replace(self.facts, assurance=least, attributes=others)
        self.words.append(f"assurance {least.name.lower()}")

    def with_value(self, name: str, values: Names) -> None:
        """Bring the first of ``values``, unless one of them is there."""
        present = self.facts.attributes.get(name, ())
        if name == SCOPED_AFFILIATION:
            present = (*present, *self.facts.affiliations)
        if any(value_allowed(value, values) for value in present):
            return
        value = values[0]
        if value.endswith("*"):
            value = value[:-1] + _PREFIX_ENDS
        if name == CATEGORY:
            self.facts = replace(self.facts, borrower=DescribedBorrower(value))
        elif name == SCOPED_AFFILIATION:
            self.facts = replace(self.facts, affiliations=(*self.facts.affiliations, value))
        else:
            attributes = {**self.facts.attributes, name: (value,)}
            self.facts = replace(self.facts, attributes=attributes)
        self.words.append(f"{name} {value}")
        self.identities += name not in _GRANTED

    def with_proof(self, policy: Policy, name: str, today: date) -> None:
        """Show a mailbox in a domain of the proof."""
        domains = [
            domain
            for proof in policy.proofs
            if proof.name == name
            for domain in provable_domains(proof, today)
        ]
        shown = self.facts.proved.get(name, "").rpartition("@")[2]
        if not domains or shown in domains:
            return
        proved = {**self.facts.proved, name: f"someone@{domains[0]}"}
        self.facts = replace(self.facts, proved=proved)
        self.words.append(f"proof {name} in {domains[0]}")
        self.mailboxes += 1

    def with_number(self, *, needed: bool) -> None:
        """Bring a real CPR number."""
        if needed and self.facts.cpr != "real":
            self.facts = replace(self.facts, cpr="real")
            self.words.append("cpr real")

    def with_age(self, least: int | None) -> None:
        """Be as old as ``least``."""
        if least is not None and (self.facts.age is None or self.facts.age < least):
            self.facts = replace(self.facts, age=least)
            self.words.append(f"age {least}")

    def with_borrower(self, policy: Policy) -> None:
        """Have a borrower already."""
        if self.facts.borrower is None:
            category = policy.borrower.category if policy.borrower else UNNAMED_CATEGORY
            self.facts = replace(self.facts, borrower=DescribedBorrower(category))
            self.words.append(f"borrower {category}")
