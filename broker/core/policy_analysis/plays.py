"""Simulate every sample login of a site at every service, under one policy set or two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Final

from broker.core.borrowers.library_setup import list_categories
from broker.core.entities import Names, Service
from broker.core.identity.rights import has_usable_cpr
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import (
    NOT_OFFERED,
    UNNAMED_CATEGORY,
    DescribedLogin,
    GivenFacts,
    describe_login,
)
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.decision import find_entry
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import Policy, Release
from broker.core.policy_analysis.sample_logins import (
    ANY_LOGIN,
    Analysis,
    SampleLogin,
    SampleLoginChooser,
    ShownValues,
    find_field_sources,
)

_MAIL: Final = "mail"


@dataclass(frozen=True, slots=True)
class Play:
    """A sample login at a service, with its result under each set."""

    login: DescribedLogin
    service: Service
    played: tuple[PlayedLogin, ...] = field(repr=False)


def iter_plays(analysis: Analysis) -> Iterator[Play]:
    """Yield every sample login of ``analysis`` at every service that offers its upstream."""
    for chooser in analysis.choosers():
        upstream = chooser.source.upstream.name
        services = [each for each in analysis.services if analysis.is_offered(each, upstream)]
        for sample in chooser.sample_logins() if services else ():
            for service in services:
                yield from _SampleLoginAtService(analysis, chooser, sample, service).plays()


@dataclass(frozen=True)
class _SampleLoginAtService:
    """A sample login at a service: the policies that decide it, and their entries."""

    analysis: Analysis
    chooser: SampleLoginChooser
    sample: SampleLogin
    service: Service

    def plays(self) -> Iterator[Play]:
        """Yield the sample login with each CPR number, borrower and variation of values."""
        if self.analysis.is_comparison and self._is_same():
            return
        usual, *others = self.chooser.numbers(self.sample)
        facts = self.chooser.make_facts(self.sample, usual)
        yield from self._vary_borrowers(facts, self._list_categories())
        for shown in chain(self._add_own_address(), self._vary_values()):
            varied = replace(self.sample, shown=shown)
            yield from self._vary_borrowers(self.chooser.make_facts(varied, usual))
        if self.analysis.given is ANY_LOGIN and not self._is_looked_up:
            others = others[-1:]  # the kind of number matters for the account only
        for number in others:
            yield from self._vary_borrowers(self.chooser.make_facts(self.sample, number))

    @cached_property
    def _policies(self) -> list[Policy | None]:
        """The deciding policy of each set."""
        return [each.policy for each in self.sample.deciding]

    @cached_property
    def _entries(self) -> list[Release | None]:
        """The release entry of each set."""
        return [find_entry(each, self.service) if each else None for each in self._policies]

    @cached_property
    def _is_looked_up(self) -> bool:
        """Whether a borrower is looked up."""
        return any(entry and entry.borrower != "none" for entry in self._entries)

    def _is_same(self) -> bool:
        """Return whether both sets decide the sample login by equal rules."""
        before, after = self.sample.deciding
        if (before.key, before.withholds) != (after.key, after.withholds):
            return False
        old, new = (
            (entry, policy.require, policy.borrower) if policy else None
            for entry, policy in zip(self._entries, self._policies, strict=True)
        )
        return old == new

    def _add_own_address(self) -> Iterator[ShownValues]:
        """Yield the sample login's values with a verified address, if it is sent as NameID.

        The institution asserts an address in its scope, or the person proves one for a policy. The
        same policies still decide.
        """
        if not any(entry and entry.subject for entry in self._entries):
            return
        source = self.chooser.source
        more = [(_MAIL, source.value_in_scope)] if source.has_attribute(_MAIL) else []
        for name, values in self.chooser.values.items():
            if name.endswith(PROOF_DOMAIN):
                more += [(name, value) for value in values]
        for name, value in more:
            shown = {**self.sample.shown, name: (value,)}
            if self.chooser.decides_alike(self.sample, shown):
                yield shown

    def _vary_values(self) -> Iterator[ShownValues]:
        """Yield the sample login's values with one attribute changed that leaves or fills a field.

        The same policies still decide. Each other kind of value is added. An attribute that fills a
        field is also left out.
        """
        listed = (each.name for entry in self._entries if entry for each in entry.attributes)
        rules = (each.borrower for each in self._policies if each)
        filling = set[str]().union(*map(find_field_sources, rules))
        for name in sorted(filling.union(listed)):
            for values in self._list_other_values(name, fills=name in filling):
                shown = {key: of for key, of in self.sample.shown.items() if key != name}
                if values:
                    shown[name] = values
                if self.chooser.decides_alike(self.sample, shown):
                    yield shown

    def _list_other_values(self, name: str, *, fills: bool) -> Iterator[Names]:
        own = self.sample.shown.get(name, ())
        if fills and own:
            yield ()
        kept = () if self.chooser.source.is_single(name) else own
        for value in self.chooser.values.get(name, ()):
            if value not in own:
                yield tuple(sorted({*kept, value}))

    def _list_categories(self) -> list[str]:
        """Return the categories that the policies name, where they make or change a borrower."""
        is_made = any(entry and entry.borrower == "make" for entry in self._entries)
        makers = [each.borrower for each in self._policies if each and each.borrower]
        named = (category for rule in makers for category in list_categories(rule))
        return [*dict.fromkeys(named)] if is_made else []

    def _vary_borrowers(self, facts: GivenFacts, categories: Sequence[str] = ()) -> Iterator[Play]:
        """Yield the login without a borrower, and with a borrower of each kind that it finds.

        A library account is a borrower itself.
        """
        described = [
            describe_login(facts, site, policies, self.analysis.now)
            for policies, site in self.analysis.set_sites
        ]
        if not all(map(self.analysis.given.holds, described)):
            return
        wanted = self.analysis.given.borrower
        is_found = any(has_usable_cpr(each.reading.ground) for each in described)
        is_account = self.chooser.source.institution is None
        if (wanted is not False) if is_account else (wanted is not True or not self._is_looked_up):
            yield self._simulate(described)
        if self._is_looked_up and is_found and wanted is not False:
            for category in (*categories, UNNAMED_CATEGORY):
                borrower = DescribedBorrower(category)
                yield self._simulate([replace(each, borrower=borrower) for each in described])

    def _simulate(self, logins: Sequence[DescribedLogin]) -> Play:
        played = []
        for described, (policies, site) in zip(logins, self.analysis.set_sites, strict=True):
            service = site.services.get(self.service.name)
            is_offered = service is not None and described.upstream in service.methods
            login = described if is_offered else replace(described, fault=NOT_OFFERED)
            at = service or self.service
            played.append(simulate_login(login, at, policies, self.analysis.now, site))
        return Play(logins[-1], self.service, tuple(played))
