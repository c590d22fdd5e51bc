"""Plays every persona of a site at every service, under one policy set or two that are compared."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Final

from broker.core.borrowers.library_setup import categories_of
from broker.core.entities import Names, Service
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.login.described_login import DescribedBorrower, DescribedLogin, IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.decision import find_entry
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import Policy, PolicySet, Release, ReleasedAttribute
from broker.core.policy_analysis.personas import (
    ANY_LOGIN,
    Compared,
    Crowd,
    Given,
    Persona,
    field_sources,
)
from broker.core.policy_analysis.sources import Site, Source

OTHER_CATEGORY: Final = "(another category)"
_ADDRESS: Final = "someone@x7q.example"
_WITHHELD: Final = "scope_mismatch"
# Called with the number of sources done and to do.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Play:
    """One persona at one service, and what came of it under each set.

    ``without`` is an attribute that the persona lacks on purpose.
    """

    login: DescribedLogin
    source: Source
    service: Service
    day: date
    played: tuple[PlayedLogin, ...] = field(repr=False)
    without: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """All personas of a site, under ``sets``; with ``given`` those that are as given."""

    sets: tuple[PolicySet, ...]
    site: Site
    now: datetime
    given: Given = ANY_LOGIN
    report_progress: Progress = field(default=lambda *_: None, compare=False)

    def plays(self) -> Iterator[Play]:
        """Yield every persona at every service that offers its way to log in."""
        for crowd in self.crowds():
            upstream = crowd.source.upstream
            services = [each for each in self.site.services if upstream in each.methods]
            stage = _Stage(self, crowd, crowd.day)
            for persona in crowd.personas() if services else ():
                for service in services:
                    yield from stage.at(persona, service)

    def crowds(self) -> Iterator[Crowd]:
        """Yield the personas of each source, on each day that makes a difference."""
        compared = Compared(self.sets, self.given)
        days = days_of(self.sets, self.now.date())
        many = len(self.site.sources)
        for position, source in enumerate(self.site.sources):
            self.report_progress(position, many)
            if not self.given.upstreams or source.upstream in self.given.upstreams:
                yield from (Crowd(source, compared, day) for day in days)
        self.report_progress(many, many)

    def incomplete(self) -> tuple[str, ...]:
        """Return the upstreams and institutions where not each two alternatives were tried."""
        crowds = replace(self, report_progress=lambda *_: None).crowds()
        names = (
            f"{each.source.upstream} {each.source.institution}".strip()
            for each in crowds
            if each.is_incomplete
        )
        return tuple(dict.fromkeys(names))


def days_of(sets: Sequence[PolicySet], today: date) -> tuple[date, ...]:
    """Return the days that are tried: today, and each after the last day of a mail domain."""
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
class _Stage:
    trial: Trial
    crowd: Crowd
    day: date

    def at(self, persona: Persona, service: Service) -> Iterator[Play]:
        """Yield the persona at a service: each number, each borrower, and each attribute varied."""
        policies = [each.policy for each in persona.deciding]
        entries = [find_entry(each, service) if each else None for each in policies]
        if self._is_same(persona, policies, entries):
            return
        demands = {entry.borrower for entry in entries if entry}
        makers = [each for each in policies if each and each.borrower] if "make" in demands else []
        numbers = list(self.crowd.numbers(persona))
        if not numbers:
            return
        usual, *others = numbers
        logins = self.crowd.logins(persona, usual)
        yield from self._with_borrowers(logins, service, demands, makers)
        for name in sorted(self._filling(policies)):
            shown = {key: of for key, of in persona.shown.items() if key != name}
            proved = f"{name}{PROOF_DOMAIN}" in shown
            if proved or not self.crowd.decides_alike(persona, shown):
                continue
            lacking = self.crowd.logins(persona, usual, without=name)
            plays = self._with_borrowers(lacking, service, demands, ())
            yield from (replace(each, without=name) for each in plays)
        for varied in self._varied(persona, usual, logins, policies, entries):
            yield from self._with_borrowers(varied, service, demands, ())
        if any(each.borrower and each.borrower.lowers for each in makers):
            withheld = ((AFFILIATIONS[0], _WITHHELD),)
            unread = tuple(_with_reading(each, withheld=withheld) for each in logins)
            yield from self._with_borrowers(unread, service, demands, makers)
        if demands <= {"none"} and self.trial.given is ANY_LOGIN:
            others = others[-1:]
        for number in others:
            logins = self.crowd.logins(persona, number)
            yield from self._with_borrowers(logins, service, demands, ())

    def _is_same(
        self, persona: Persona, policies: Sequence[Policy | None], entries: Sequence[Release | None]
    ) -> bool:
        """Return whether both sets decide the persona by equal rules: then nothing changes."""
        if len(policies) == 1 or self.crowd.compared.changed is None:
            return False
        before, after = persona.deciding
        if before.key != after.key or before.proof:
            return False
        old, new = policies
        if old is None or new is None:
            return old is new
        return (entries[0], old.require, old.borrower) == (entries[1], new.require, new.borrower)

    def _filling(self, policies: Iterable[Policy | None]) -> set[str]:
        """Return the attributes, and proofs, that fill fields."""
        return set().union(*(field_sources(each.borrower) for each in policies if each))

    def _varied(
        self,
        persona: Persona,
        number: tuple[str, int | None],
        logins: tuple[DescribedLogin, ...],
        policies: Sequence[Policy | None],
        entries: Sequence[Release | None],
    ) -> Iterator[tuple[DescribedLogin, ...]]:
        """Yield the login with more values, and with an address that is shown to be theirs."""
        for name, values in self._more_values(persona, policies, entries):
            shown = {**persona.shown, name: values}
            if self.crowd.decides_alike(persona, shown):
                yield self.crowd.logins(replace(persona, shown=shown), number)
        if any(entry and entry.subject for entry in entries):
            yield tuple(_with_reading(each, verified_address=_ADDRESS) for each in logins)

    def _more_values(
        self, persona: Persona, policies: Sequence[Policy | None], entries: Sequence[Release | None]
    ) -> Iterator[tuple[str, Names]]:
        """Yield values that one entry releases and another does not, and those that fill fields."""
        listed = [
            {each.name: each for each in entry.attributes} if entry else {} for entry in entries
        ]
        names = dict.fromkeys(name for of_entry in listed for name in of_entry)
        filling = self._filling(policies)
        for name in (*names, *sorted(filling - names.keys())):
            own = persona.shown.get(name, ())
            rules = [of_entry.get(name) for of_entry in listed]
            for value in self.crowd.values.get(name, ()):
                allowed = {_is_allowed(value, rule) for rule in rules}
                leaves = any(_is_allowed(each, rule) for each in own for rule in rules)
                is_wanted = len(allowed) > 1 or (True in allowed and not leaves)
                if value in own or not (is_wanted or (name in filling and not own)):
                    continue
                if name.endswith(PROOF_DOMAIN) or self.crowd.source.is_single(name):
                    yield name, (value,)
                else:
                    yield name, tuple(sorted({*own, value}))

    def _with_borrowers(
        self,
        logins: tuple[DescribedLogin, ...],
        service: Service,
        demands: AbstractSet[str],
        makers: Iterable[Policy],
    ) -> Iterator[Play]:
        given = self.trial.given
        if not all(map(given.holds, logins)):
            return
        if self.crowd.source.local:
            if given.borrower is not False:
                yield self._play(logins, service)
            return
        is_looked_up = not demands <= {"none"}
        if not is_looked_up or given.borrower is not True:
            yield self._play(logins, service)
        if is_looked_up and given.borrower is not False:
            for borrower in _borrowers(makers):
                there = tuple(replace(each, borrower=borrower) for each in logins)
                yield self._play(there, service)

    def _play(self, logins: tuple[DescribedLogin, ...], service: Service) -> Play:
        trial = self.trial
        now = datetime.combine(self.day, time(12), trial.now.tzinfo)
        terms = IdealTerms(giver=self.crowd.source.giver, local=trial.site.local)
        played = tuple(
            play(login, service, policies, now, terms)
            for login, policies in zip(logins, trial.sets, strict=True)
        )
        return Play(logins[-1], self.crowd.source, service, self.day, played)


def _is_allowed(value: str, rule: ReleasedAttribute | None) -> bool:
    return rule is not None and (not rule.values or value_allowed(value, rule.values))


def _with_reading(login: DescribedLogin, **changes: object) -> DescribedLogin:
    reading = replace(login.reading, **changes)  # type: ignore[arg-type]
    return replace(login, reading=reading)


def _borrowers(makers: Iterable[Policy]) -> Iterator[DescribedBorrower]:
    """Yield a borrower of each category that the policies name, and of another."""
    categories: dict[str, None] = {}
    for policy in makers:
        if policy.borrower:
            categories |= dict.fromkeys(categories_of(policy.borrower))
    for category in (*categories, OTHER_CATEGORY):
        yield DescribedBorrower(category, linked=True)
