"""Choose sample logins: logins from one source that differ in all that policies can tell apart.

A sample login meets the conditions of no alternative, of one, or of two. It may have one more
affiliation or proof. The engine of real logins decides each of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from itertools import chain, combinations, product
from typing import Final

from broker.core.entities import Assurance, Names, Service
from broker.core.identity.attribute_values import (
    AFFILIATIONS,
    SCOPED_AFFILIATION,
    is_known_affiliation,
)
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE, Attributes
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.login.given_facts import UNNAMED_CATEGORY, DescribedLogin, GivenFacts
from broker.core.login.site import CATEGORY, Site
from broker.core.policy.decision import pick_policy
from broker.core.policy.matching import PROOF_DOMAIN, matching_policies, value_allowed
from broker.core.policy.missing_proof import missing_proof, remembering_proof
from broker.core.policy.model import (
    NO_ATTRIBUTES,
    Alternative,
    BorrowerRule,
    Condition,
    LoginFacts,
    Policy,
    PolicySet,
    ProofRule,
)
from broker.core.policy_analysis.sources import Source, choose_values, find_rank, list_sources

_WITHOUT_AGE: Final = ("none", "replacement", "constructed", "invalid")
_ADULT: Final = 30
_OURS: Final = SUBJECT_IDENTIFIERS | {BORROWER_NUMBER, CPR_ATTRIBUTE}
_PROOF_SOURCE: Final = "proof."
# Called with the number of sources done and to do.
Progress = Callable[[int, int], None]

# Values by attribute; the domain of a proved mailbox stands under its condition's name.
ShownValues = Mapping[str, Names]
# A kind of CPR number, and the age that it shows.
CprNumber = tuple[str, int | None]


def find_field_sources(rule: BorrowerRule | None) -> set[str]:
    """Return the attributes, and the proofs, that fields of the borrower come from."""
    fields = rule.fields if rule else ()
    return {source.removeprefix(_PROOF_SOURCE) for each in fields for source in each.sources}


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


@dataclass(frozen=True)
class Analysis:
    """The sample logins of a site under one policy set, or under two that are compared.

    ``sites`` are one site for all sets, or one for each. ``given`` selects logins.
    """

    sets: tuple[PolicySet, ...]
    sites: tuple[Site, ...]
    now: datetime
    given: LoginFilter = ANY_LOGIN
    report_progress: Progress = field(default=lambda *_: None, compare=False)

    @property
    def today(self) -> date:
        """Return the day of the logins."""
        return self.now.date()

    @property
    def set_sites(self) -> tuple[tuple[PolicySet, Site], ...]:
        """Return each set with its site."""
        sites = self.sites * len(self.sets) if len(self.sites) == 1 else self.sites
        return tuple(zip(self.sets, sites, strict=True))

    @property
    def services(self) -> tuple[Service, ...]:
        """Return the services of all sites."""
        named = {name: each for site in self.sites for name, each in site.services.items()}
        return tuple(named.values())

    def is_offered(self, service: Service, upstream: str) -> bool:
        """Return whether a service offers an upstream at any of the sites."""
        there = (site.services.get(service.name) for site in self.sites)
        return any(each is not None and upstream in each.methods for each in there)

    def choosers(self) -> "Iterator[SampleLoginChooser]":
        """Yield the chooser of each source."""
        sources: list[Source] = []
        for site in self.sites:  # an institution that differs between the sites is a source twice
            new = [each for each in list_sources(site) if each not in sources]
            sources += [one for each in new for one in each.split_by_scopes(sources)]
        for position, source in enumerate(sources):
            self.report_progress(position, len(sources))
            if not self.given.upstreams or source.upstream.name in self.given.upstreams:
                yield SampleLoginChooser(source, self)
        self.report_progress(len(sources), len(sources))

    @property
    def is_comparison(self) -> bool:
        """Whether two policy sets are compared for one site, so that equal rules change nothing."""
        return len(self.sets) > len(self.sites)

    @cached_property
    def changed_affiliations(self) -> frozenset[str]:
        """The affiliations whose policies differ between the sets."""
        return self._find_different(lambda policy: policy)

    @cached_property
    def rematched_affiliations(self) -> frozenset[str]:
        """The affiliations whose match rules differ between the sets."""
        return self._find_different(_list_matching_rules)

    def _find_different(self, select: Callable[[Policy], object]) -> frozenset[str]:
        """Return the affiliations for which ``select`` returns different values in the two sets.

        Return all affiliations if no sets are compared.
        """
        old, new = (
            {policy.affiliation: select(policy) for policy in policies.policies}
            for policies in (self.sets[0], self.sets[-1])
        )
        names = {*old, *new}
        return frozenset(
            name for name in names if not self.is_comparison or old.get(name) != new.get(name)
        )

    @cached_property
    def patterns(self) -> Mapping[str, set[str]]:
        """The values that the sets name, by attribute; also attributes named without a value."""
        written: dict[str, set[str]] = {name: set() for name in AFFILIATIONS}
        named = [(each.name, each.values) for each in self.given.conditions]
        for policies in self.sets:
            for policy in policies.policies:
                named += _iter_policy_values(policy)
        for name, values in named:
            if name not in NO_ATTRIBUTES:
                written.setdefault(name, set()).update(values)
        return written

    @cached_property
    def affiliation_names(self) -> frozenset[str]:
        """The affiliations that a line of a set names exactly."""
        return frozenset[str]().union(*(each.affiliation_names for each in self.sets))


def _list_matching_rules(policy: Policy) -> tuple[object, ...]:
    """Return the rules that say whom a policy matches."""
    return (
        policy.match,
        policy.proofs,
        policy.precedence,
        set(policy.exceptions),
        policy.require.upstream,
    )


def _iter_policy_values(policy: Policy) -> Iterator[tuple[str, Names]]:
    yield from ((each.name, each.values) for each in policy.conditions)
    names = {proof.name for proof in policy.proofs}
    for proof in policy.proofs:
        yield f"{proof.name}{PROOF_DOMAIN}", tuple(each.name for each in proof.domains)
    for release in policy.releases:
        for listed in release.attributes:
            if listed.name not in _OURS:
                yield listed.name, listed.values
    yield from ((name, ()) for name in find_field_sources(policy.borrower) - names)


@dataclass(frozen=True, slots=True)
class DecidingPolicy:
    """The policy that decides a login under one set, at any service.

    ``is_highest`` is False if an intent picked it. ``proofs`` are the proof that the intent needs,
    and the one that says how long it is remembered. ``withholds``: the set does not know one of the
    affiliations.
    """

    policy: Policy | None
    alternative: Alternative | None
    is_highest: bool
    proofs: tuple[ProofRule | None, ...]
    withholds: bool

    @property
    def key(self) -> object:
        """Return a value that is equal for equal decisions."""
        policy = self.policy
        return (policy and (policy.affiliation, policy.institution), self.is_highest, self.proofs)


Deciding = tuple[DecidingPolicy, ...]


@dataclass(frozen=True, slots=True)
class SampleLogin:
    """A login without CPR number, age and borrower, and the policies that decide it."""

    shown: ShownValues
    level: Assurance | None
    intent: str | None
    deciding: Deciding


@dataclass(frozen=True)
class SampleLoginChooser:
    """Chooses the sample logins of one source."""

    source: Source
    analysis: Analysis

    @cached_property
    def values(self) -> Mapping[str, Names]:
        """A value of each kind that the source may assert, by attribute."""
        found = {
            name: choose_values(self.source, name, patterns, self.analysis.affiliation_names)
            for name, patterns in self.analysis.patterns.items()
        }
        return {name: values for name, values in found.items() if values}

    @cached_property
    def _alternatives(self) -> dict[tuple[Condition, ...], bool]:
        """The conditions of each alternative that a login from this source can meet.

        The value says whether a policy with the alternative is in ``rematched_affiliations``.
        """
        changed: dict[tuple[Condition, ...], bool] = {}
        for policy in chain.from_iterable(each.policies for each in self.analysis.sets):
            for conditions in _iter_alternatives(policy):
                if conditions in changed or self.can_meet(conditions):
                    is_changed = policy.affiliation in self.analysis.rematched_affiliations
                    changed[conditions] = changed.get(conditions, False) or is_changed
        return changed

    @cached_property
    def _extras(self) -> tuple[tuple[str, str], ...]:
        """Further values: one affiliation of each kind, and one proved domain for each proof.

        Affiliations of one kind have the same rank and are known to the same sets. The last of them
        meets the fewest conditions. Among them is an affiliation that no set names.
        """
        kinds: dict[object, tuple[str, str]] = {}
        for name in AFFILIATIONS:
            for value in self.values.get(name, ()):
                known = tuple(_is_known(value, policies) for policies in self.analysis.sets)
                kinds[find_rank(name, value), known] = (name, value)
        extras = [*kinds.values()]
        if self.source.has_attribute(SCOPED_AFFILIATION):
            extras.append((SCOPED_AFFILIATION, self.source.value_in_scope))
        proofs = (name for name in self.values if name.endswith(PROOF_DOMAIN))
        return (*extras, *((name, self.values[name][-1]) for name in proofs))

    def sample_logins(self) -> Iterator[SampleLogin]:
        """Yield one sample login for each way in which the sets decide at this source."""
        seen = set()
        for shown, level in product(self._iter_values(), self.source.levels):
            for intent, deciding in self._iter_deciding(shown, level):
                sample = SampleLogin(shown, level, intent, deciding)
                key = self._make_key(sample)
                if key not in seen:
                    seen.add(key)
                    yield self._add_usual_values(sample)

    def decides_alike(self, sample: SampleLogin, shown: ShownValues) -> bool:
        """Return whether the same policies decide the sample login with other values."""
        deciding = self._decide(shown, sample.level, sample.intent)
        return all(
            one.key == other.key for one, other in zip(deciding, sample.deciding, strict=True)
        )

    def make_facts(self, sample: SampleLogin, number: CprNumber) -> GivenFacts:
        """Return the facts of the sample login, with a kind of CPR number and an age."""
        upstream, institution = self.source.key
        attributes = dict(sample.shown)
        proved = {}
        for name, values in sample.shown.items():
            if name.endswith(PROOF_DOMAIN):
                del attributes[name]
                proved[name.removesuffix(PROOF_DOMAIN)] = f"someone@{values[0]}"
            elif name == MAIL_PROOF and not self.source.has_attribute(name):
                proved[name] = attributes.pop(name)[0]
        if self.source.institution is None:
            attributes.setdefault(CATEGORY, self.values.get(CATEGORY, (UNNAMED_CATEGORY,))[-1:])
        cpr, age = number
        return GivenFacts(
            upstream,
            institution,
            attributes=attributes,
            assurance=sample.level,
            cpr=cpr,
            age=age,
            intent=sample.intent,
            proved=proved,
        )

    def numbers(self, sample: SampleLogin) -> Iterator[CprNumber]:
        """Yield the kinds of CPR number with the ages that matter, the usual one first."""
        if not self.source.asserts_cpr:
            yield "none", None
            return
        limits = {each.policy.require.age for each in sample.deciding if each.policy}
        ages = self.analysis.given.ages
        if ages is not None:
            limits |= {ages.start, ages.stop}
        known = sorted(age for age in limits if age) or [_ADULT]
        for age in dict.fromkeys((*reversed(known), *(age - 1 for age in known))):
            yield "real", age
        yield from ((kind, None) for kind in _WITHOUT_AGE)

    def _iter_values(self) -> Iterator[ShownValues]:
        """Yield the least values for each alternative and pair, and with a further value."""
        seen = set()
        alternatives = self._alternatives
        pairs = (pair for pair in combinations(alternatives, 2) if any(map(alternatives.get, pair)))
        for chosen in chain(((), *combinations(alternatives, 1)), pairs):
            conditions = chain(self.analysis.given.conditions, *chosen)
            for least in self._choose_least_values(conditions):
                for shown in self._add_extras(least):
                    content = frozenset(shown.items())
                    if content not in seen:
                        seen.add(content)
                        yield shown

    def can_meet(self, conditions: Iterable[Condition]) -> bool:
        """Return whether a login from this source can meet all conditions at some level."""
        named = (each for each in conditions if each.name == "upstream")
        if not all(self.source.upstream.name in each.values for each in named):
            return False
        return next(self._choose_least_values(conditions), None) is not None

    def _choose_least_values(self, conditions: Iterable[Condition]) -> Iterator[ShownValues]:
        """Yield the fewest values that meet all conditions."""
        choices: dict[str, list[Names]] = {}
        for each in conditions:
            if each.name not in NO_ATTRIBUTES:
                choices[each.name] = self._list_choices(each, choices.get(each.name))
        for name, values in choices.items():
            if name.endswith(PROOF_DOMAIN) and values:
                values.append(())  # not proved yet
        for combined in product(*choices.values()):
            yield {name: of for name, of in zip(choices, combined, strict=True) if of}

    def _list_choices(self, condition: Condition, before: list[Names] | None) -> list[Names]:
        """Return the sets of values that meet a condition and the earlier ones on its attribute.

        ``before`` are those that meet the earlier conditions; None if there are none.
        """
        known = self.values.get(condition.name, ())
        meeting = [value for value in known if value_allowed(value, condition.values)]
        if before is None:
            return [(value,) for value in meeting]
        if self.source.is_single(condition.name):
            return [values for values in before if values[0] in meeting]
        joined = (tuple(sorted({*of, value})) for of, value in product(before, meeting))
        return [*dict.fromkeys(joined)]

    def _add_extras(self, shown: ShownValues) -> Iterator[ShownValues]:
        """Yield the values as they are, and with each further value that fits."""
        yield shown
        for name, value in self._extras:
            own = shown.get(name, ())
            if value not in own and not (own and self.source.is_single(name)):
                yield {**shown, name: tuple(sorted((*own, value)))}

    def _add_usual_values(self, sample: SampleLogin) -> SampleLogin:
        """Return the sample login with an unnamed value for each attribute that it lacks."""
        for name, values in self.values.items():
            if name in {*sample.shown, *AFFILIATIONS, CATEGORY} or name.endswith(PROOF_DOMAIN):
                continue
            more = {**sample.shown, name: values[-1:]}
            if self.decides_alike(sample, more):
                sample = replace(sample, shown=more)
        return sample

    def _iter_deciding(
        self, shown: ShownValues, level: Assurance | None
    ) -> Iterator[tuple[str | None, Deciding]]:
        """Yield the intents that may make a difference, with the policies that decide each."""
        intents: dict[str | None, None] = dict.fromkeys((None, *self.analysis.given.intents))
        for policies in self.analysis.sets:
            facts = self._make_facts(shown, level, None, policies)
            matched = [each for each, _ in matching_policies(policies, facts, self.analysis.today)]
            is_affected = any(
                each.affiliation in self.analysis.changed_affiliations for each in matched
            )
            chosen = (*matched[1:], *(each for each in policies.policies if each.proofs))
            names = dict.fromkeys(each.affiliation for each in chosen)
            intents |= {
                name: None
                for name in names
                if is_affected or name in self.analysis.changed_affiliations
            }
        for intent in intents:
            yield intent, self._decide(shown, level, intent)

    def _decide(self, shown: ShownValues, level: Assurance | None, intent: str | None) -> Deciding:
        """Return the policy that decides under each set."""
        found = []
        for policies in self.analysis.sets:
            facts = self._make_facts(shown, level, intent, policies)
            matched = matching_policies(policies, facts, self.analysis.today)
            policy, alternative, _ = pick_policy(matched, facts) if matched else (None,) * 3
            is_highest = not matched or policy is matched[0][0]
            missing = missing_proof(policies, facts, self.analysis.today) if intent else None
            proofs = (missing, remembering_proof(policies, missing.name)) if missing else ()
            withholds = any(facts.attributes.get(name) != shown.get(name) for name in AFFILIATIONS)
            found.append(DecidingPolicy(policy, alternative, is_highest, proofs, withholds))
        return tuple(found)

    def _make_facts(
        self, shown: ShownValues, level: Assurance | None, intent: str | None, policies: PolicySet
    ) -> LoginFacts:
        attributes = dict(shown)
        for name in AFFILIATIONS:
            if name in shown:
                known = (value for value in shown[name] if _is_known(value, policies))
                attributes[name] = tuple(known)
        return LoginFacts(self.source.upstream.name, Attributes(attributes), level, intent=intent)

    def _make_key(self, sample: SampleLogin) -> object:
        """Return a value that is equal for sample logins that no later step tells apart."""
        deciding, intent = sample.deciding, sample.intent
        policies = list(filter(None, (each.policy for each in deciding)))
        relevant = frozenset[str]().union(*map(_find_relevant_attributes, policies))
        needs_intent = intent in self.analysis.given.intents or any(
            each.proofs for each in deciding
        )
        return (
            tuple(each.key for each in deciding),
            deciding[0].alternative if len(deciding) == 1 else None,
            sample.level if self.analysis.given.levels else None,
            self._compare_level(sample.level, policies),
            _find_highest_rank(sample.shown),
            _find_withholding_sets(deciding, policies),
            relevant.intersection(sample.shown),
            intent if needs_intent else None,
        )

    def _compare_level(
        self, level: Assurance | None, policies: Iterable[Policy]
    ) -> tuple[bool, ...]:
        """Return whether ``level`` reaches each level that the policies or a CPR number require."""
        required = [self.source.least_level_for_cpr, *(each.require.assurance for each in policies)]
        return tuple(level is not None and level >= least for least in required if least)


def _find_relevant_attributes(policy: Policy) -> set[str]:
    """Return the attributes whose presence changes a result of the policy."""
    listed = {each.name for release in policy.releases for each in release.attributes}
    sources = find_field_sources(policy.borrower)
    return listed | sources | {f"{name}{PROOF_DOMAIN}" for name in sources}


def _iter_alternatives(policy: Policy) -> Iterator[tuple[Condition, ...]]:
    """Yield the conditions of each alternative, alone and with that of each exception."""
    for alternative in policy.match:
        yield alternative.conditions
        for each in policy.institution_conditions:
            yield (*alternative.conditions, each)


def _find_highest_rank(shown: ShownValues) -> int:
    ranks = (find_rank(name, value) for name in AFFILIATIONS for value in shown.get(name, ()))
    return max(ranks, default=0)


def _find_withholding_sets(deciding: Deciding, policies: Iterable[Policy]) -> tuple[bool, ...]:
    """Return which sets withhold an affiliation, if it may change a result."""
    withholds = tuple(each.withholds for each in deciding)
    lowers = any(each.borrower and each.borrower.lowers for each in policies)
    return withholds if lowers or len(set(withholds)) > 1 else ()


def _is_known(affiliation: str, policies: PolicySet) -> bool:
    return is_known_affiliation(affiliation, policies.affiliation_names)
