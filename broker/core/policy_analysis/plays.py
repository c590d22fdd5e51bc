"""Simulate every persona of a site at every service, under one policy set or two."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Final

from broker.core.borrowers.library_system import list_categories
from broker.core.entities import Names, Service
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.login.described_login import DescribedBorrower, DescribedLogin
from broker.core.login.given_facts import NOT_OFFERED
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.login.site import Site
from broker.core.policy.decision import find_entry
from broker.core.policy.matching import value_allowed
from broker.core.policy.model import Policy, PolicySet, Release, ReleasedAttribute
from broker.core.policy_analysis.personas import (
    ANY_LOGIN,
    ComparedPolicies,
    CprNumber,
    LoginFilter,
    Persona,
    PersonaChooser,
    ShownValues,
    can_lower,
    find_field_sources,
)
from broker.core.policy_analysis.sources import Source, list_sources

OTHER_CATEGORY: Final = "(another category)"
# Called with the number of sources done and to do.
Progress = Callable[[int, int], None]
_UNCHANGED: Final[Mapping[str, object]] = {}
_WITHHELD_AFFILIATION: Final = {"withheld": ((AFFILIATIONS[0], "scope_mismatch"),)}
_VERIFIED_ADDRESS: Final = {"verified_address": "someone@x7q.example"}


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


@dataclass(frozen=True, slots=True)
class Analysis:
    """The personas of a site under one policy set, or under two that are compared.

    ``sites`` are one site for all sets, or one for each. ``given`` selects logins.
    """

    sets: tuple[PolicySet, ...]
    sites: tuple[Site, ...]
    now: datetime
    given: LoginFilter = ANY_LOGIN
    report_progress: Progress = field(default=lambda *_: None, compare=False)

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

    def plays(self) -> Iterator[Play]:
        """Yield every persona at every service that offers its upstream."""
        for chooser in self.choosers():
            upstream = chooser.source.upstream.name
            services = [each for each in self.services if self._is_offered(each, upstream)]
            for persona in chooser.personas() if services else ():
                for service in services:
                    yield from _ServicePlays(self, chooser, persona, service).plays()

    def choosers(self) -> Iterator[PersonaChooser]:
        """Yield the choosers of each source, on each day that makes a difference."""
        compared = ComparedPolicies(self.sets, self.given)
        days = find_days(self.sets, self.now.date())
        sources: list[Source] = []
        for site in self.sites:  # an institution that differs between the sites is a source twice
            sources += (each for each in list_sources(site) if each not in sources)
        for position, source in enumerate(sources):
            self.report_progress(position, len(sources))
            if not self.given.upstreams or source.upstream.name in self.given.upstreams:
                yield from (PersonaChooser(source, compared, day) for day in days)
        self.report_progress(len(sources), len(sources))

    def _is_offered(self, service: Service, upstream: str) -> bool:
        there = (site.services.get(service.name) for site in self.sites)
        return any(each is not None and upstream in each.methods for each in there)


def find_days(sets: Sequence[PolicySet], today: date) -> tuple[date, ...]:
    """Return the days to try: today, and the day after each last day of a mail domain."""
    ends = {
        domain.until
        for policies in sets
        for policy in policies.policies
        for proof in policy.proofs
        for domain in proof.domains
        if domain.until is not None and domain.until >= today
    }
    return (today, *(end + timedelta(days=1) for end in sorted(ends)))


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
        makers = self._makers
        yield from self._vary_borrowers(self.persona, usual, _UNCHANGED, makers)
        if can_lower(makers):
            yield from self._vary_borrowers(self.persona, usual, _WITHHELD_AFFILIATION, makers)
        if any(entry.subject for entry in filter(None, self.entries)):
            yield from self._vary_borrowers(self.persona, usual, _VERIFIED_ADDRESS)
        for name, shown in self._vary_values():
            varied = replace(self.persona, shown=shown)
            without = "" if name in shown else name
            plays = self._vary_borrowers(varied, usual)
            yield from (replace(each, without=without) for each in plays)
        if not self._is_looked_up and self.trial.given is ANY_LOGIN:
            others = others[-1:]
        for number in others:
            yield from self._vary_borrowers(self.persona, number)

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

    def _is_same(self) -> bool:
        """Return whether both sets decide the persona by equal rules, so that nothing changes."""
        persona, trial = self.persona, self.trial
        affiliations = (value for name in AFFILIATIONS for value in persona.shown.get(name, ()))
        is_contested = not self.chooser.compared.contested_values.isdisjoint(affiliations)
        if len(trial.sets) == 1 or len(trial.sites) > 1 or is_contested:
            return False
        before, after = persona.deciding
        if before.key != after.key or before.proof:
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
        persona: Persona,
        number: CprNumber,
        changes: Mapping[str, object] = _UNCHANGED,
        makers: Iterable[Policy] = (),
    ) -> Iterator[Play]:
        """Yield the persona without a borrower, and with each kind of borrower."""
        given, now = self.trial.given, self._now
        described = [
            self.chooser.describe(persona, number, site, policies, now)
            for policies, site in self.trial.set_sites
        ]
        logins = [
            replace(each, reading=replace(each.reading, **changes))  # type: ignore[arg-type]
            for each in described
        ]
        if not all(map(given.holds, logins)):
            return
        yield from self._add_borrowers(logins, makers)

    def _add_borrowers(
        self, logins: Sequence[DescribedLogin], makers: Iterable[Policy]
    ) -> Iterator[Play]:
        given = self.trial.given
        if self.chooser.source.institution is None:
            if given.borrower is not False:
                yield self._simulate(logins)
            return
        if not self._is_looked_up or given.borrower is not True:
            yield self._simulate(logins)
        if self._is_looked_up and given.borrower is not False:
            for borrower in _iter_borrowers(makers):
                yield self._simulate([replace(each, borrower=borrower) for each in logins])

    @property
    def _now(self) -> datetime:
        return datetime.combine(self.chooser.day, time(12), self.trial.now.tzinfo)

    def _simulate(self, logins: Sequence[DescribedLogin]) -> Play:
        source, now = self.chooser.source, self._now
        played = []
        for described, (policies, site) in zip(logins, self.trial.set_sites, strict=True):
            service = site.services.get(self.service.name)
            is_offered = service is not None and described.upstream in service.methods
            login = described if is_offered else replace(described, fault=NOT_OFFERED)
            upstream = site.upstreams.get(login.upstream, source.upstream)
            terms = site.make_terms(upstream, login.institution)
            played.append(simulate_login(login, service or self.service, policies, now, terms))
        return Play(logins[-1], source, self.service, self.chooser.day, tuple(played))


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
