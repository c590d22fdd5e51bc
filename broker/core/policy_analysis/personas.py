"""Choose personas: logins from one source that differ in all that policies can tell apart.

A persona meets the conditions of no alternative, of one, or of two. Personas vary in further
affiliations, proved mailboxes, assurance, intent, kind of CPR number and age. The engine of real
logins decides each of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import combinations, product
from typing import Final

from broker.core.entities import Assurance, Names
from broker.core.identity.attribute_values import AFFILIATIONS, is_known_affiliation
from broker.core.identity.canonical_attributes import (
    BORROWER_NUMBER,
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    AttributeReading,
    Attributes,
)
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.person_id import MINTED
from broker.core.identity.rights import find_ground_without_cpr
from broker.core.login.described_login import DescribedLogin
from broker.core.policy.decision import pick_policy
from broker.core.policy.matching import PROOF_DOMAIN, matching_policies, value_allowed
from broker.core.policy.missing_proof import missing_proof
from broker.core.policy.model import (
    Alternative,
    BorrowerRule,
    Condition,
    LoginFacts,
    Policy,
    PolicySet,
)
from broker.core.policy_analysis.asserted_values import NamedPatterns, choose_values, find_rank
from broker.core.policy_analysis.sources import CATEGORY, Source

# With more pairs of alternatives at one source, each alternative is tried alone.
MOST_PAIRS: Final = 5_000
INCOMPLETE: Final = "not complete: too many alternatives come together at {}"
_WITHOUT_AGE: Final = ("none", "replacement", "constructed", "invalid")
_ADULT: Final = 30
_IDENTIFIED: Final = 3  # the rank of people whom institutions identify
_OURS: Final = MINTED | {BORROWER_NUMBER, CPR_ATTRIBUTE}
_NO_VALUES: Final = frozenset({"upstream", "assurance"})
_PROOF_SOURCE: Final = "proof."

# Values by attribute; the domain of a proved mailbox stands under its condition's name.
ShownValues = Mapping[str, Names]


def find_field_sources(rule: BorrowerRule | None) -> set[str]:
    """Return the attributes, and the proofs, that fields of the borrower come from."""
    fields = rule.fields if rule else ()
    return {
        source.removeprefix(_PROOF_SOURCE)
        for each in fields
        for source in (each.source, *each.otherwise)
    }


@dataclass(frozen=True, slots=True)
class LoginFilter:
    """Selects the logins that a site rule is about; an empty field, or None, selects all.

    ``conditions`` must all hold. An age limit excludes logins of unknown age.
    """

    upstreams: Names = ()
    levels: tuple[Assurance, ...] = ()
    cpr: Names = ()
    ages: range | None = None
    intents: Names = ()
    borrower: bool | None = None
    conditions: tuple[Condition, ...] = ()

    def holds(self, login: DescribedLogin) -> bool:
        """Return whether a login is selected; its borrower is not compared."""
        reading = login.reading
        if self.ages is not None and reading.age not in self.ages:
            return False
        chosen = (
            (login.upstream, self.upstreams),
            (reading.assurance, self.levels),
            (reading.cpr, self.cpr),
            (login.intent, self.intents),
        )
        if any(allowed and value not in allowed for value, allowed in chosen):
            return False
        return all(
            any(
                value_allowed(value, each.values) for value in reading.attributes.get(each.name, ())
            )
            for each in self.conditions
        )


ANY_LOGIN: Final = LoginFilter()


@dataclass(frozen=True, slots=True)
class ComparedPolicies:
    """The policy sets that personas are chosen for: one, or two that are compared.

    ``changed`` are the affiliations whose policies differ (None: all). ``contested`` are the
    affiliation values that only one set names. ``whole``: treat all affiliations as changed.
    """

    sets: tuple[PolicySet, ...]
    given: LoginFilter = ANY_LOGIN
    whole: bool = False
    patterns: Mapping[str, NamedPatterns] = field(init=False, repr=False)
    affiliations: frozenset[str] = field(init=False, repr=False)
    changed: frozenset[str] | None = field(init=False, repr=False)
    proofs: frozenset[str] = field(init=False, repr=False)
    conditions: Mapping[str, Mapping[Names, None]] = field(init=False, repr=False)
    contested: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        written: dict[str, set[str]] = {name: set() for name in AFFILIATIONS}
        for name, values in (
            *_iter_written_values(self.sets),
            *_iter_named_values(self.given.conditions),
        ):
            written.setdefault(name, set()).update(values)
        patterns = {
            name: NamedPatterns.from_values(name, values) for name, values in written.items()
        }
        looking = (*_iter_conditions(self.sets), *self.given.conditions)
        known = frozenset[str]().union(*(each.named_affiliations for each in self.sets))
        derived = {
            "patterns": patterns,
            "affiliations": known,
            "changed": None if self.whole else _find_changed(self.sets),
            "proofs": frozenset(
                name.removesuffix(PROOF_DOMAIN) for name in written if name.endswith(PROOF_DOMAIN)
            ),
            "conditions": _group_values(looking),
            "contested": frozenset(
                value
                for value in known
                if not all(
                    is_known_affiliation(value, each.named_affiliations) for each in self.sets
                )
            ),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def _iter_conditions(sets: Iterable[PolicySet]) -> Iterator[Condition]:
    for policies in sets:
        yield from policies.conditions


def _iter_named_values(conditions: Iterable[Condition]) -> Iterator[tuple[str, Names]]:
    for each in conditions:
        if each.name not in _NO_VALUES:
            yield each.name, each.values


def _group_values(conditions: Iterable[Condition]) -> dict[str, dict[Names, None]]:
    """Return the values that conditions name by attribute, without duplicates."""
    grouped: dict[str, dict[Names, None]] = {}
    for name, values in _iter_named_values(conditions):
        grouped.setdefault(name, {})[values] = None
    return grouped


def _iter_written_values(sets: Iterable[PolicySet]) -> Iterator[tuple[str, Names]]:
    """Yield the attributes that the sets read, with the values that they name."""
    for policies in sets:
        yield from _iter_named_values(policies.conditions)
        for policy in policies.policies:
            for proof in policy.proofs:
                yield f"{proof.name}{PROOF_DOMAIN}", tuple(each.name for each in proof.domains)
            for release in policy.releases:
                for listed in release.attributes:
                    if listed.name not in _OURS:
                        yield listed.name, listed.values
            yield from ((name, ()) for name in find_field_sources(policy.borrower))


def _find_changed(sets: Sequence[PolicySet]) -> frozenset[str] | None:
    """Return the affiliations whose policies differ; None if a difference concerns all logins."""
    if len(sets) == 1:
        return None
    before, after = sets
    if before.named_affiliations != after.named_affiliations:
        return None
    if _find_proof_spans(before) != _find_proof_spans(after):
        return None
    every = {**before.named, **after.named}
    return frozenset(name for name in every if before.named.get(name) != after.named.get(name))


def _find_proof_spans(policies: PolicySet) -> dict[str, object]:
    """Return how long each proof is remembered, as the highest policy with the proof says."""
    found: dict[str, object] = {}
    for policy in policies.policies:
        for proof in policy.proofs:
            found.setdefault(proof.name, proof.remembered_for)
    return found


@dataclass(frozen=True, slots=True)
class DecidingPolicy:
    """The policy that decides a login under one set, at any service.

    ``is_highest`` is False if an intent picked it. ``proof`` is the proof that the intent needs.
    """

    policy: Policy | None
    is_highest: bool
    proof: str | None
    alternative: Alternative | None = None

    @property
    def key(self) -> object:
        """Return a value that is equal for equal decisions."""
        policy = self.policy
        return (policy and (policy.affiliation, policy.institution), self.is_highest, self.proof)


@dataclass(frozen=True, slots=True)
class Persona:
    """A login without CPR number, age and borrower, and the policies that decide it."""

    shown: ShownValues
    level: Assurance | None
    intent: str | None
    deciding: tuple[DecidingPolicy, ...]


@dataclass(frozen=True, slots=True)
class PersonaChooser:
    """Chooses the personas of one source on one day.

    ``provable`` are, by set, the affiliations with a proof that logins from this source can reach.
    """

    source: Source
    compared: ComparedPolicies
    day: date
    values: Mapping[str, Names] = field(init=False, repr=False)
    provable: tuple[Names, ...] = field(init=False, repr=False)
    _kinds: dict[tuple[str, str], object] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        anything = Source(self.source.upstream)
        values: dict[str, Names] = {}
        for name, named in self.compared.patterns.items():
            is_proof = name.endswith(PROOF_DOMAIN)
            if is_proof and self.source.local:
                continue
            asserted_by = anything if is_proof else self.source
            found = choose_values(asserted_by, named, self.compared.affiliations)
            if found:
                values[name] = found
        object.__setattr__(self, "values", values)
        provable = (
            tuple(
                policy.affiliation
                for policy in policies.policies
                if policy.proofs and any(map(self._is_open, policy.match))
            )
            for policies in self.compared.sets
        )
        object.__setattr__(self, "provable", tuple(provable))

    def personas(self) -> Iterator[Persona]:
        """Yield one persona for each way in which the sets decide at this source."""
        seen = set()
        allowed = self.compared.given.levels
        levels = [each for each in self.source.levels if not allowed or each in allowed]
        for shown in self._iter_values():
            for level in levels:
                for intent in self._iter_intents(shown, level):
                    deciding = self._find_deciding(shown, level, intent)
                    key = self._make_key(shown, level, intent, deciding)
                    if key not in seen:
                        seen.add(key)
                        yield self._add_usual_values(Persona(shown, level, intent, deciding))

    def _add_usual_values(self, persona: Persona) -> Persona:
        """Return the persona with an unnamed value for each attribute that it lacks."""
        for name, values in self.values.items():
            if name in {*persona.shown, *AFFILIATIONS, CATEGORY} or name.endswith(PROOF_DOMAIN):
                continue
            more = {**persona.shown, name: values[-1:]}
            if name not in self.compared.conditions or self.decides_alike(persona, more):
                persona = replace(persona, shown=more)
        return persona

    def decides_alike(self, persona: Persona, shown: ShownValues) -> bool:
        """Return whether the same policies decide the persona with other values."""
        deciding = self._find_deciding(shown, persona.level, persona.intent)
        return all(
            one.key == other.key for one, other in zip(deciding, persona.deciding, strict=True)
        )

    def logins(
        self, persona: Persona, number: tuple[str, int | None], *, without: str = ""
    ) -> tuple[DescribedLogin, ...]:
        """Return the login with a kind of CPR number and an age, as read under each set."""
        shown = self._complete(persona.shown)
        kept = {name: of for name, of in shown.items() if name != without}
        return tuple(
            self._make_login(kept, persona.level, persona.intent, number, policies)
            for policies in self.compared.sets
        )

    def numbers(self, persona: Persona) -> Iterator[tuple[str, int | None]]:
        """Yield the kinds of CPR number with the ages that matter, the usual one first."""
        given = self.compared.given
        for kind, age in self._iter_numbers(persona):
            if (not given.cpr or kind in given.cpr) and (given.ages is None or age in given.ages):
                yield kind, age

    def _iter_numbers(self, persona: Persona) -> Iterator[tuple[str, int | None]]:
        affiliations = _list_affiliations(persona.shown)
        if self.source.find_ground(affiliations, persona.level) is not None:
            limits = {each.policy.require.age for each in persona.deciding if each.policy}
            ages = self.compared.given.ages
            if ages is not None:
                limits |= {ages.start, ages.stop}
            known = sorted(age for age in limits if age)
            for age in dict.fromkeys((*reversed(known), *(age - 1 for age in known))):
                yield "real", age
            if not known:
                yield "real", _ADULT
        yield from (
            (kind, None) for kind in (_WITHOUT_AGE if self.source.asserts_cpr else ("none",))
        )

    def _iter_values(self) -> Iterator[ShownValues]:
        """Yield values for each alternative and pair, with further affiliations and proofs."""
        seen = set()
        for conditions in self._combine_alternatives():
            asked = (*conditions, *self.compared.given.conditions)
            for least in self._choose_least_values(asked):
                for ranked in self._add_affiliations(least):
                    for shown in self._add_proofs(ranked):
                        content = frozenset(shown.items())
                        if content not in seen:
                            seen.add(content)
                            yield shown

    def _combine_alternatives(self) -> Iterator[tuple[Condition, ...]]:
        """Yield the conditions that one persona meets: of none, one or two alternatives."""
        yield ()
        first, rest = self._alternatives()
        yield from (each.conditions for each in first)
        if not self.is_incomplete:
            pairs = (*combinations(first, 2), *product(first, rest))
            yield from ((*one.conditions, *other.conditions) for one, other in pairs)

    @property
    def is_incomplete(self) -> bool:
        """Return whether this source has too many alternatives to try all pairs."""
        first, rest = self._alternatives()
        return len(first) * (len(first) + len(rest)) > MOST_PAIRS

    def _alternatives(self) -> tuple[list[Alternative], list[Alternative]]:
        """Return the alternatives that can match: those of changed policies, and the others."""
        found: dict[object, tuple[Alternative, bool]] = {}
        changed = self.compared.changed
        for policies in self.compared.sets:
            for policy in policies.policies:
                counts = changed is None or policy.affiliation in changed
                for alternative in filter(self._is_open, _iter_alternatives(policy)):
                    content = frozenset((each.name, each.values) for each in alternative.conditions)
                    _, counted = found.get(content, (alternative, False))
                    found[content] = (alternative, counts or counted)
        first = [each for each, counts in found.values() if counts]
        return first, [each for each, counts in found.values() if not counts]

    def find_deciding(self, alternative: Alternative) -> Alternative | None:
        """Return the alternative that decides a login that meets only ``alternative``."""
        for shown, level in product(
            self._choose_least_values(alternative.conditions), self.source.levels
        ):
            (deciding,) = self._find_deciding(shown, level, None)
            if deciding.alternative is not None and self._is_open(alternative):
                return deciding.alternative
        return None

    def _is_open(self, alternative: Alternative) -> bool:
        """Return whether a login from this source can meet each condition alone."""
        return all(self._can_meet(each) for each in alternative.conditions)

    def _can_meet(self, condition: Condition) -> bool:
        if condition.name == "upstream":
            return self.source.upstream in condition.values
        if condition.name == "assurance":
            return True
        return bool(self._find_values(condition.name, (condition.values,)))

    def _find_values(self, name: str, written: Iterable[Names]) -> Names:
        """Return a value of each kind that meets all of ``written``."""
        found: dict[object, str] = {}
        for value in self.values.get(name, ()):
            if all(value_allowed(value, each) for each in written):
                found.setdefault(self._find_kind(name, value), value)
        return tuple(found.values())

    def _find_kind(self, name: str, value: str) -> object:
        """Return a value that is equal for values that no condition tells apart."""
        known = self._kinds.get((name, value))
        if known is None:
            met = tuple(
                value_allowed(value, each) for each in self.compared.conditions.get(name, ())
            )
            contested = value in self.compared.contested and value
            known = (met, find_rank(name, value), contested)
            self._kinds[name, value] = known
        return known

    def _choose_least_values(self, conditions: Iterable[Condition]) -> Iterator[ShownValues]:
        """Yield the fewest values that meet all conditions."""
        choices: list[list[tuple[str, Names]]] = []
        for name, written in _group_values(conditions).items():
            if self.is_single(name):
                chosen: list[Names] = [(value,) for value in self._find_values(name, written)]
            else:
                each = (self._find_values(name, (values,)) for values in written)
                sets = (tuple(sorted(set(values))) for values in product(*each))
                chosen = list(dict.fromkeys(sets))
            if name.endswith(PROOF_DOMAIN):
                chosen.append(())  # not proved yet
            choices.append([(name, values) for values in chosen])
        for combined in product(*choices):
            yield {name: values for name, values in combined if values}

    def is_single(self, name: str) -> bool:
        """Return whether an attribute, or the domain of a proof, has at most one value."""
        return name.endswith(PROOF_DOMAIN) or self.source.is_single(name)

    def _add_affiliations(self, shown: ShownValues) -> Iterator[ShownValues]:
        """Yield the values as they are, and with further affiliations."""
        yield shown
        present = self._find_rank(shown)
        added: dict[object, tuple[int, str, str]] = {}
        for name in AFFILIATIONS:
            if shown.get(name) and self.is_single(name):
                continue
            for value in self.values.get(name, ()):
                rank = find_rank(name, value)
                contested = value in self.compared.contested
                if rank <= present and not contested:
                    continue
                met = sum(
                    value_allowed(value, each) for each in self.compared.conditions.get(name, ())
                )
                key: object = value if contested else rank
                if key not in added or added[key][0] > met:
                    added[key] = (met, name, value)
        for _, name, value in added.values():
            more = dict.fromkeys((*shown.get(name, ()), value))
            yield {**shown, name: tuple(sorted(more))}

    def _find_rank(self, shown: ShownValues) -> int:
        ranks = (find_rank(name, value) for name in AFFILIATIONS for value in shown.get(name, ()))
        return max(ranks, default=0)

    def _add_proofs(self, shown: ShownValues) -> Iterator[ShownValues]:
        """Yield the values as they are, and with a proved mailbox that meets no condition."""
        yield shown
        for proof in sorted(self.compared.proofs):
            name = f"{proof}{PROOF_DOMAIN}"
            if name not in shown and name in self.values:
                yield {**shown, name: self.values[name][-1:]}

    def _iter_intents(self, shown: ShownValues, level: Assurance | None) -> Iterator[str | None]:
        """Yield no intent, and each other affiliation that the person has or could prove."""
        if self.compared.given.intents:
            yield from self.compared.given.intents
            return
        yield None
        intents: dict[str, None] = {}
        for policies, provable in zip(self.compared.sets, self.provable, strict=True):
            facts = self._make_facts(shown, level, None, policies)
            matched = matching_policies(policies, facts, self.day)
            intents |= {policy.affiliation: None for policy, _ in matched[1:]}
            for affiliation in provable:
                if missing_proof(policies, replace(facts, intent=affiliation), self.day):
                    intents[affiliation] = None
        yield from intents

    def _find_deciding(
        self, shown: ShownValues, level: Assurance | None, intent: str | None
    ) -> tuple[DecidingPolicy, ...]:
        found = []
        for policies in self.compared.sets:
            facts = self._make_facts(shown, level, intent, policies)
            matched = matching_policies(policies, facts, self.day)
            proof = missing_proof(policies, facts, self.day) if intent else None
            lacking = proof.name if proof else None
            if matched:
                policy, alternative, _ = pick_policy(matched, facts)
                is_highest = policy is matched[0][0]
                found.append(DecidingPolicy(policy, is_highest, lacking, alternative))
            else:
                found.append(DecidingPolicy(None, is_highest=True, proof=lacking))
        return tuple(found)

    def _make_key(
        self,
        shown: ShownValues,
        level: Assurance | None,
        intent: str | None,
        deciding: tuple[DecidingPolicy, ...],
    ) -> object:
        """Return a value that is equal for personas that no later step tells apart."""
        affiliations = _list_affiliations(shown)
        policies = [each.policy for each in deciding if each.policy]
        given = self.compared.given
        return (
            tuple(each.key for each in deciding),
            deciding[0].alternative if len(deciding) == 1 else None,
            self.source.find_ground(affiliations, level),
            _compare_levels(level, policies),
            can_lower(policies) and self._find_rank(shown) == _IDENTIFIED,
            self.compared.contested.intersection(affiliations),
            frozenset(shown) & frozenset().union(*map(_find_relevant_attributes, policies)),
            level if given.levels else None,
            intent if any(each.proof for each in deciding) else None,
        )

    def _complete(self, shown: ShownValues) -> dict[str, Names]:
        """Return the values with the addresses of the mailboxes that were proved."""
        completed = dict(shown)
        for proof in self.compared.proofs:
            domain = shown.get(f"{proof}{PROOF_DOMAIN}")
            if domain:
                completed[proof] = (f"someone@{domain[0]}",)
            elif proof != MAIL_PROOF:
                completed.pop(proof, None)
        if self.source.local:
            completed.setdefault(CATEGORY, self.values.get(CATEGORY, ("OTHER",))[-1:])
        return completed

    def _make_facts(
        self, shown: ShownValues, level: Assurance | None, intent: str | None, policies: PolicySet
    ) -> LoginFacts:
        attributes, _ = _read_values(shown, policies)
        return LoginFacts(self.source.upstream, Attributes(attributes), level, intent=intent)

    def _make_login(
        self,
        shown: ShownValues,
        level: Assurance | None,
        intent: str | None,
        number: tuple[str, int | None],
        policies: PolicySet,
    ) -> DescribedLogin:
        attributes, withheld = _read_values(shown, policies)
        cpr, age = number
        ground = find_ground_without_cpr(
            attributes, is_library_account=self.source.local, has_persistent_name_id=False
        )
        if cpr == "real":
            attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
            usable = self.source.find_ground(_list_affiliations(attributes), level)
            if usable is None:
                del attributes[CPR_ATTRIBUTE]
                cpr, age = "none", None
            else:
                ground = usable
        reading = AttributeReading(
            attributes=Attributes(attributes),
            assurance=level,
            cpr=cpr,
            age=age,
            withheld=withheld,
            ground=ground,
        )
        return DescribedLogin(
            upstream=self.source.upstream,
            reading=reading.mask_cpr(),
            institution=self.source.institution,
            intent=intent,
        )


def _iter_alternatives(policy: Policy) -> Iterator[Alternative]:
    """Yield the alternatives, alone and with the condition of each exception."""
    for alternative in policy.match:
        yield alternative
        for each in policy.institution_conditions:
            yield Alternative((*alternative.conditions, each), alternative.place)


def can_lower(policies: Iterable[Policy]) -> bool:
    """Return whether a login by one of the policies may lower the category of a borrower."""
    return any(each.borrower and each.borrower.lowers for each in policies)


def _compare_levels(level: Assurance | None, policies: Iterable[Policy]) -> tuple[bool, ...]:
    """Return, for each level that the policies require, whether ``level`` reaches it."""
    required = (each.require.assurance for each in policies)
    return tuple(level is not None and level >= least for least in required if least is not None)


def _find_relevant_attributes(policy: Policy) -> set[str]:
    """Return the attributes whose presence changes a result of the policy."""
    listed = {each.name for release in policy.releases for each in release.attributes}
    sources = find_field_sources(policy.borrower)
    return listed | sources | {f"{name}{PROOF_DOMAIN}" for name in sources}


def _list_affiliations(shown: Mapping[str, Names]) -> list[str]:
    return [value for name in AFFILIATIONS for value in shown.get(name, ())]


def _read_values(
    shown: ShownValues, policies: PolicySet
) -> tuple[dict[str, Names], tuple[tuple[str, str], ...]]:
    """Return the values that count under ``policies``, and the attributes withheld."""
    attributes = dict(shown)
    withheld = []
    for name in AFFILIATIONS:
        sent = attributes.get(name, ())
        known = tuple(
            each for each in sent if is_known_affiliation(each, policies.named_affiliations)
        )
        if len(known) < len(sent):
            withheld.append((name, "unknown_affiliation"))
            attributes[name] = known
            if not known:
                del attributes[name]
    return attributes, tuple(withheld)
