"""Simulate every persona of a site at every service, under one policy set or two."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Final

from broker.core.borrowers.library_system import list_categories
from broker.core.entities import Names, Service
from broker.core.identity.attribute_values import AFFILIATIONS, SCOPED_AFFILIATION
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import NOT_OFFERED, DescribedLogin, GivenFacts, describe_login
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.decision import find_entry
from broker.core.policy.matching import value_allowed
from broker.core.policy.model import Policy, Release, ReleasedAttribute
from broker.core.policy_analysis.personas import (
    ANY_LOGIN,
    Analysis,
    Deciding,
    Persona,
    PersonaChooser,
    ShownValues,
    can_lower,
    find_field_sources,
)
from broker.core.policy_analysis.sources import Source

OTHER_CATEGORY: Final = "(another category)"
_ADDRESS: Final = "someone@x7q.example"


@dataclass(frozen=True, slots=True)
class Play:
    """One persona at one service, with its result under each set.

    ``without`` is an attribute that was removed from the persona on purpose.
    """

    login: DescribedLogin
    source: Source
    service: Service
    day: date
    played: tuple[PlayedLogin, ...] = field(repr=False)
    without: str = ""
    deciding: Deciding = field(default=(), repr=False)


def iter_plays(trial: Analysis) -> Iterator[Play]:
    """Yield every persona of ``trial`` at every service that offers its upstream."""
    for chooser in trial.choosers():
        upstream = chooser.source.upstream.name
        services = [each for each in trial.services if trial.is_offered(each, upstream)]
        for persona in chooser.personas() if services else ():
            for service in services:
                yield from _ServicePlays(trial, chooser, persona, service).plays()


@dataclass(frozen=True)
class _ServicePlays:
    """One persona at one service."""

    trial: Analysis
    chooser: PersonaChooser
    persona: Persona
    service: Service

    @property
    def policies(self) -> list[Policy | None]:
        """Return the deciding policy of each set."""
        return [each.policy for each in self.persona.deciding]

    @property
    def entries(self) -> list[Release | None]:
        """Return the release entry of each set."""
        return [find_entry(each, self.service) if each else None for each in self.policies]

    def plays(self) -> Iterator[Play]:
        """Yield the persona with each CPR number, borrower and variation of values."""
        if self._is_same():
            return
        usual, *others = self.chooser.numbers(self.persona)
        facts, makers = self.chooser.make_facts(self.persona, usual), self._makers
        yield from self._vary_borrowers(facts, makers)
        if can_lower(makers) and self.chooser.source.has_attribute(SCOPED_AFFILIATION):
            yield from self._vary_borrowers(self._add_unknown_affiliation(facts), makers)
        if any(entry.subject for entry in filter(None, self.entries)):
            yield from self._vary_borrowers(facts, verified_address=_ADDRESS)
        for name, shown in self._vary_values():
            varied = self.chooser.make_facts(replace(self.persona, shown=shown), usual)
            yield from self._vary_borrowers(varied, without="" if name in shown else name)
        if self.trial.given is ANY_LOGIN and not self._depends_on_number():
            others = others[-1:]
        for number in others:
            yield from self._vary_borrowers(self.chooser.make_facts(self.persona, number))

    def _add_unknown_affiliation(self, facts: GivenFacts) -> GivenFacts:
        """Return the facts with an affiliation that is withheld, because no policy names it."""
        own = facts.attributes.get(SCOPED_AFFILIATION, ())
        values = (*own, self.chooser.source.unknown_affiliation)
        return replace(facts, attributes={**facts.attributes, SCOPED_AFFILIATION: values})

    @property
    def _makers(self) -> list[Policy]:
        """Return the policies that make or change a borrower here."""
        if "make" not in self._demands:
            return []
        return [each for each in self.policies if each and each.borrower]

    @property
    def _demands(self) -> set[str]:
        return {entry.borrower for entry in self.entries if entry}

    @property
    def _is_looked_up(self) -> bool:
        return not self._demands <= {"none"}

    @property
    def _filling(self) -> set[str]:
        """Return the attributes and proofs that fill borrower fields."""
        rules = [each.borrower for each in self.policies if each]
        return set[str]().union(*map(find_field_sources, rules))

    def _depends_on_number(self) -> bool:
        """Return whether each kind of CPR number may show a change of the account."""
        if len(self.policies) == 1:
            return self._is_looked_up
        old, new = self._list_rules()
        return self._is_looked_up and old[1:] != new[1:]

    def _list_rules(self) -> list[tuple[object, ...]]:
        """Return the rules of each set that decide the persona: entry, demand, account."""
        rules: list[tuple[object, ...]] = []
        for policy, entry in zip(self.policies, self.entries, strict=True):
            demand = entry.borrower if entry else None
            account = (policy.require, policy.borrower) if policy and demand == "make" else None
            rules.append((entry, demand, account))
        return rules

    def _is_same(self) -> bool:
        """Return whether both sets decide the persona by equal rules, so that nothing changes."""
        persona, trial = self.persona, self.trial
        affiliations = (value for name in AFFILIATIONS for value in persona.shown.get(name, ()))
        if trial.changed_affiliations is None or not trial.contested_values.isdisjoint(
            affiliations
        ):
            return False
        before, after = persona.deciding
        if before.key != after.key or (before.proof and trial.has_changed_proofs):
            return False
        old, new = (
            (entry, policy.require, policy.borrower) if policy else None
            for entry, policy in zip(self.entries, self.policies, strict=True)
        )
        return old == new

    def _vary_values(self) -> Iterator[tuple[str, ShownValues]]:
        """Yield the persona's values with one attribute changed that leaves or fills a field.

        The same policies still decide. A value is added that only some entries release, or that all
        release. An attribute that fills a field is also left out.
        """
        listed = [
            {each.name: each for each in entry.attributes} if entry else {}
            for entry in self.entries
        ]
        filling = self._filling
        for name in sorted(filling.union(*listed)):
            released = [of_entry.get(name) for of_entry in listed]
            for values in self._list_other_values(name, released, fills=name in filling):
                shown = {key: of for key, of in self.persona.shown.items() if key != name}
                if values:
                    shown[name] = values
                if self.chooser.decides_alike(self.persona, shown):
                    yield name, shown

    def _list_other_values(
        self, name: str, rules: Sequence[ReleasedAttribute | None], *, fills: bool
    ) -> Iterator[Names]:
        own = self.persona.shown.get(name, ())
        if fills and own:
            yield ()
        kept = () if self.chooser.source.is_single(name) else own
        for value in self.chooser.values.get(name, ()):
            is_lacking = fills and not own
            if value not in own and (is_lacking or _adds_release(value, own, rules)):
                yield tuple(sorted({*kept, value}))

    def _vary_borrowers(
        self,
        facts: GivenFacts,
        makers: Iterable[Policy] = (),
        without: str = "",
        verified_address: str | None = None,
    ) -> Iterator[Play]:
        """Yield the login without a borrower, and with each kind of borrower."""
        described = [
            describe_login(facts, site, policies, self._now)
            for policies, site in self.trial.set_sites
        ]
        if verified_address:
            described = [
                replace(each, reading=replace(each.reading, verified_address=verified_address))
                for each in described
            ]
        if not all(map(self.trial.given.holds, described)):
            return
        for borrower in self._list_borrowers(makers):
            logins = [replace(each, borrower=borrower) for each in described]
            yield self._simulate(logins, without)

    def _list_borrowers(self, makers: Iterable[Policy]) -> Iterator[DescribedBorrower | None]:
        """Yield no borrower, and where one is looked up each kind that the filter selects."""
        wanted = self.trial.given.borrower
        if self.chooser.source.institution is None:  # a library account is a borrower
            if wanted is not False:
                yield None
            return
        if not self._is_looked_up or wanted is not True:
            yield None
        if self._is_looked_up and wanted is not False:
            yield from _iter_borrowers(makers)

    @property
    def _now(self) -> datetime:
        return datetime.combine(self.chooser.day, time(12), self.trial.now.tzinfo)

    def _simulate(self, logins: Sequence[DescribedLogin], without: str) -> Play:
        source, now = self.chooser.source, self._now
        played = []
        for described, (policies, site) in zip(logins, self.trial.set_sites, strict=True):
            service = site.services.get(self.service.name)
            is_offered = service is not None and described.upstream in service.methods
            login = described if is_offered else replace(described, fault=NOT_OFFERED)
            upstream = site.upstreams.get(login.upstream, source.upstream)
            terms = site.make_terms(upstream, login.institution)
            played.append(simulate_login(login, service or self.service, policies, now, terms))
        return Play(
            logins[-1],
            source,
            self.service,
            self.chooser.day,
            tuple(played),
            without,
            self.persona.deciding,
        )


def _adds_release(value: str, own: Names, rules: Sequence[ReleasedAttribute | None]) -> bool:
    """Return whether only some rules release a value, or all do and release none of ``own``."""
    allowed = {_is_allowed(value, rule) for rule in rules}
    if len(allowed) > 1:
        return True
    return True in allowed and not any(_is_allowed(each, rule) for each in own for rule in rules)


def _is_allowed(value: str, rule: ReleasedAttribute | None) -> bool:
    return rule is not None and (not rule.values or value_allowed(value, rule.values))


def _iter_borrowers(makers: Iterable[Policy]) -> Iterator[DescribedBorrower]:
    """Yield a borrower of each category that the policies name, and of one other category."""
    categories: dict[str, None] = {}
    for policy in makers:
        if policy.borrower:
            categories |= dict.fromkeys(list_categories(policy.borrower))
    for category in (*categories, OTHER_CATEGORY):
        yield DescribedBorrower(category, linked=True)
