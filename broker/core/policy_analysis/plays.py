"""Simulate every persona of a site at every service, under one policy set or two."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Final

from broker.core.borrowers.library_system import list_categories
from broker.core.entities import Names, Service
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.login.described_login import DescribedBorrower, DescribedLogin, SimulationTerms
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.decision import find_entry
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import Policy, PolicySet, Release, ReleasedAttribute
from broker.core.policy_analysis.personas import (
    ANY_LOGIN,
    ComparedPolicies,
    LoginFilter,
    Persona,
    PersonaChooser,
    can_lower,
    find_field_sources,
)
from broker.core.policy_analysis.sources import Site, Source
from broker.core.policy_analysis.two_sites import find_service, find_source, read_login

OTHER_CATEGORY: Final = "(another category)"
_ADDRESS: Final = "someone@x7q.example"
_WITHHELD: Final = "scope_mismatch"
# Called with the number of sources done and to do.
Progress = Callable[[int, int], None]


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

    ``given`` selects logins. ``sites`` are the two sites that ``site`` joins, if configurations
    are compared too.
    """

    sets: tuple[PolicySet, ...]
    site: Site
    now: datetime
    given: LoginFilter = ANY_LOGIN
    report_progress: Progress = field(default=lambda *_: None, compare=False)
    sites: tuple[Site, ...] = ()

    def plays(self) -> Iterator[Play]:
        """Yield every persona at every service that offers its upstream."""
        for chooser in self.choosers():
            upstream = chooser.source.upstream
            services = [each for each in self.site.services if upstream in each.methods]
            for persona in chooser.personas() if services else ():
                policies = [each.policy for each in persona.deciding]
                for service in services:
                    entries = [find_entry(each, service) if each else None for each in policies]
                    yield from _ServicePlays(
                        self, chooser, persona, service, policies, entries
                    ).plays()

    def choosers(self) -> Iterator[PersonaChooser]:
        """Yield the choosers of each source, on each day that makes a difference."""
        compared = ComparedPolicies(self.sets, self.given)
        whole = ComparedPolicies(self.sets, self.given, whole=True) if self.sites else compared
        days = find_days(self.sets, self.now.date())
        many = len(self.site.sources)
        for position, source in enumerate(self.site.sources):
            self.report_progress(position, many)
            if not self.given.upstreams or source.upstream in self.given.upstreams:
                chosen = whole if self._is_changed(source) else compared
                yield from (PersonaChooser(source, chosen, day) for day in days)
        self.report_progress(many, many)

    def _is_changed(self, source: Source) -> bool:
        """Return whether the two sites differ in a source, or in any service."""
        if not self.sites:
            return False
        old, new = self.sites
        return old.services != new.services or find_source(old, source) != find_source(new, source)

    def incomplete(self) -> tuple[str, ...]:
        """Return the upstreams and institutions where not all pairs of alternatives were tried."""
        choosers = replace(self, report_progress=lambda *_: None).choosers()
        names = (
            f"{each.source.upstream} {each.source.institution}".strip()
            for each in choosers
            if each.is_incomplete
        )
        return tuple(dict.fromkeys(names))


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


@dataclass(frozen=True, slots=True)
class _ServicePlays:
    """One persona at one service, with the deciding policy and release entry of each set."""

    trial: Analysis
    chooser: PersonaChooser
    persona: Persona
    service: Service
    policies: Sequence[Policy | None]
    entries: Sequence[Release | None]

    def plays(self) -> Iterator[Play]:
        """Yield the persona with each CPR number, borrower and variation of values."""
        numbers = () if self._is_same() else tuple(self.chooser.numbers(self.persona))
        if not numbers:
            return
        usual, *others = numbers
        logins = self.chooser.logins(self.persona, usual)
        makers = self._makers
        yield from self._vary_borrowers(logins, makers)
        yield from self._drop_field_attributes(usual)
        for varied in self._vary_values(usual, logins):
            yield from self._vary_borrowers(varied)
        if can_lower(makers):
            withheld = ((AFFILIATIONS[0], _WITHHELD),)
            unread = tuple(_change_reading(each, withheld=withheld) for each in logins)
            yield from self._vary_borrowers(unread, makers)
        if self._demands <= {"none"} and self.trial.given is ANY_LOGIN:
            others = others[-1:]
        for number in others:
            yield from self._vary_borrowers(self.chooser.logins(self.persona, number))

    @property
    def _demands(self) -> set[str]:
        """Return the access of the entries: ``make``, ``need`` or ``none``."""
        return {entry.borrower for entry in self.entries if entry}

    @property
    def _makers(self) -> list[Policy]:
        """Return the policies that make or change a borrower here."""
        makers = [each for each in self.policies if each and each.borrower]
        return makers if "make" in self._demands else []

    def _is_same(self) -> bool:
        """Return whether both sets decide the persona by equal rules, so that nothing changes."""
        if len(self.policies) == 1 or self.chooser.compared.changed is None:
            return False
        before, after = self.persona.deciding
        if before.key != after.key or before.proof:
            return False
        old, new = self.policies
        if old is None or new is None:
            return old is new
        one, other = self.entries
        return (one, old.require, old.borrower) == (other, new.require, new.borrower)

    @property
    def _filling(self) -> set[str]:
        """Return the attributes and proofs that fill borrower fields."""
        return set().union(*(find_field_sources(each.borrower) for each in self.policies if each))

    def _drop_field_attributes(self, number: tuple[str, int | None]) -> Iterator[Play]:
        """Yield the persona without each attribute that only fills a field."""
        for name in sorted(self._filling):
            shown = {key: of for key, of in self.persona.shown.items() if key != name}
            proved = f"{name}{PROOF_DOMAIN}" in shown
            if not proved and self.chooser.decides_alike(self.persona, shown):
                lacking = self.chooser.logins(self.persona, number, without=name)
                plays = self._vary_borrowers(lacking)
                yield from (replace(each, without=name) for each in plays)

    def _vary_values(
        self, number: tuple[str, int | None], logins: tuple[DescribedLogin, ...]
    ) -> Iterator[tuple[DescribedLogin, ...]]:
        """Yield the login with other values, and with a verified mail address."""
        for name, values in self._more_values():
            shown = {**self.persona.shown, name: values}
            if self.chooser.decides_alike(self.persona, shown):
                yield self.chooser.logins(replace(self.persona, shown=shown), number)
        if any(entry and entry.subject for entry in self.entries):
            yield tuple(_change_reading(each, verified_address=_ADDRESS) for each in logins)

    def _more_values(self) -> Iterator[tuple[str, Names]]:
        """Yield values that only one entry releases, and values that fill fields."""
        listed = [*map(_list_attributes, self.entries)]
        names = dict.fromkeys(chain.from_iterable(listed))
        filling = self._filling
        for name in (*names, *sorted(filling - names.keys())):
            own = self.persona.shown.get(name, ())
            rules = [of_entry.get(name) for of_entry in listed]
            is_lacking = name in filling and not own
            for value in self.chooser.values.get(name, ()):
                if value not in own and (is_lacking or _adds_release(value, own, rules)):
                    kept = () if self.chooser.is_single(name) else own
                    yield name, tuple(sorted({*kept, value}))

    def _vary_borrowers(
        self, logins: tuple[DescribedLogin, ...], makers: Iterable[Policy] = ()
    ) -> Iterator[Play]:
        given = self.trial.given
        if not all(map(given.holds, logins)):
            return
        if self.chooser.source.local:
            if given.borrower is not False:
                yield self._simulate(logins)
            return
        is_looked_up = not self._demands <= {"none"}
        if not is_looked_up or given.borrower is not True:
            yield self._simulate(logins)
        if is_looked_up and given.borrower is not False:
            for borrower in _iter_borrowers(makers):
                yield self._simulate(tuple(replace(each, borrower=borrower) for each in logins))

    def _simulate(self, logins: tuple[DescribedLogin, ...]) -> Play:
        trial, source, day = self.trial, self.chooser.source, self.chooser.day
        now = datetime.combine(day, time(12), trial.now.tzinfo)
        terms = SimulationTerms(giver=source.giver, local=trial.site.local)
        services = [self.service] * len(logins)
        read = logins
        if trial.sites:
            found = [find_service(site, self.service.name) for site in trial.sites]
            services = [each or self.service for each in found]
            sources = [find_source(site, source) for site in trial.sites]
            read = tuple(map(read_login, logins, sources, found))
        played = tuple(
            simulate_login(login, service, policies, now, terms)
            for login, service, policies in zip(read, services, trial.sets, strict=True)
        )
        return Play(logins[-1], source, self.service, day, played)


def _list_attributes(entry: Release | None) -> dict[str, ReleasedAttribute]:
    return {each.name: each for each in entry.attributes} if entry else {}


def _adds_release(value: str, own: Names, rules: Sequence[ReleasedAttribute | None]) -> bool:
    """Return whether only some rules release a value, or all do and release none of ``own``."""
    allowed = {_is_allowed(value, rule) for rule in rules}
    if len(allowed) > 1:
        return True
    return True in allowed and not any(_is_allowed(each, rule) for each in own for rule in rules)


def _is_allowed(value: str, rule: ReleasedAttribute | None) -> bool:
    return rule is not None and (not rule.values or value_allowed(value, rule.values))


def _change_reading(login: DescribedLogin, **changes: object) -> DescribedLogin:
    reading = replace(login.reading, **changes)  # type: ignore[arg-type]
    return replace(login, reading=reading)


def _iter_borrowers(makers: Iterable[Policy]) -> Iterator[DescribedBorrower]:
    """Yield a borrower of each category that the policies name, and of one other category."""
    categories: dict[str, None] = {}
    for policy in makers:
        if policy.borrower:
            categories |= dict.fromkeys(list_categories(policy.borrower))
    for category in (*categories, OTHER_CATEGORY):
        yield DescribedBorrower(category, linked=True)
