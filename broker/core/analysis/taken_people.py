"""The people whom a new policy takes from those that were there before, by its precedence."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from broker.core.analysis.compared_logins import Analysis
from broker.core.analysis.login_classes import Member
from broker.core.analysis.minimal_logins import First, bases, standing
from broker.core.analysis.modelled_matching import PROOF, Kinds, ModelledSet, Way
from broker.core.analysis.modelled_requirements import Known
from broker.core.analysis.outcomes import described
from broker.core.analysis.personas import words
from broker.core.analysis.rule_findings import Finding
from broker.core.analysis.source_kinds import SourceKinds, interchangeable
from broker.core.analysis.sources import Source
from broker.core.entities import Assurance, Service
from broker.core.policy.model import Policy, PolicyLine

# By the affiliation that takes and the one that loses, the services at which examples say so.
Meant = Mapping[tuple[str, str], frozenset[str]]
_MEND: Final = "lower its precedence, or say that it is meant by an example with such a person"


def taken_people(analysis: Analysis, before: Collection[str], meant: Meant) -> Iterator[Finding]:
    """Yield for each affiliation that is not among those ``before`` from which of them it takes.

    With the first line by which it does, and a login that shows it. What is ``meant``, since an
    example says so, is left out; but not at other services that the person loses by it.
    """
    (policies,) = analysis.sets
    (modelled,) = analysis.modelled.on(analysis.now.date())
    sources = [_Source.of(source, analysis, modelled) for source in analysis.site.sources]
    services = analysis.site.services
    entered = [_entered(policy, services) for policy in policies.policies]
    for at, policy in enumerate(policies.policies):
        if policy.affiliation in before:
            continue
        for lower, other in enumerate(policies.policies[at + 1 :], at + 1):
            if other.affiliation in before:
                pair = (policy.affiliation, other.affiliation)
                said = meant.get(pair)
                lost = entered[lower] - entered[at]
                if said:
                    lost -= said
                losses = _Losses.of(lost, services, meant=said is not None)
                yield from _taken(modelled, (at, lower), sources, losses)


def _entered(policy: Policy, services: Iterable[Service]) -> frozenset[str]:
    """Return the services of which a policy has an entry, or of a category that they are of."""
    written = {release.service for release in policy.releases}
    entered = set()
    for service in services:
        names = (service.name, *service.categories)
        if not written.isdisjoint(names):
            entered.add(service.name)
    return frozenset(entered)


@dataclass(frozen=True, slots=True)
class _Losses:
    """The services at which people of the other affiliation get in, and would no more.

    By the upstreams that they offer; those of which an example says so are left out, and ``meant``
    is whether one says so of any.
    """

    by: Mapping[str, Sequence[str]]
    meant: bool

    @classmethod
    def of(cls, lost: Collection[str], services: Iterable[Service], *, meant: bool) -> "_Losses":
        by: dict[str, list[str]] = {}
        for service in services:
            if service.name not in lost:
                continue
            for upstream in service.methods:
                by.setdefault(upstream, []).append(service.name)
        return cls(by, meant)


@dataclass(frozen=True, slots=True)
class _Source:
    """A source, with what is the same for every pair of policies: they may be very many."""

    kinds: SourceKinds
    first: First
    ways: Mapping[int, Sequence[Way]]

    @classmethod
    def of(cls, source: Source, analysis: Analysis, modelled: ModelledSet) -> "_Source":
        kinds = analysis.modelled.kinds(source)
        ways: dict[int, list[Way]] = {}
        for way in kinds.opened(modelled):
            ways.setdefault(way.policy, []).append(way)
        return cls(kinds, interchangeable(kinds, (modelled,)), ways)


def _taken(
    modelled: ModelledSet, positions: tuple[int, int], sources: Sequence[_Source], losses: _Losses
) -> Iterator[Finding]:
    for source in sources:
        kinds = source.kinds
        lost = losses.by.get(kinds.source.upstream, ())
        if losses.meant and not lost:
            continue
        of_both = (source.ways.get(each, ()) for each in positions)
        for ways in product(*of_both):
            for base, level in product(bases(ways, kinds, source.first), kinds.source.levels):
                if _takes(ways, source, base, level):
                    yield _finding(modelled, ways, kinds, (base, level), lost)
                    return


def _takes(ways: tuple[Way, ...], source: _Source, base: Kinds, level: Assurance | None) -> bool:
    """Return whether a login that matches both is decided by the higher one."""
    higher, lower = ways
    if not lower.matches(base, level):
        return False
    upwards = (way for at in range(higher.policy + 1) for way in source.ways.get(at, ()))
    first = next((way for way in upwards if way.matches(base, level)), lower)
    return first.policy == higher.policy


def _finding(
    modelled: ModelledSet,
    ways: tuple[Way, ...],
    kinds: SourceKinds,
    shown: tuple[Kinds, Assurance | None],
    lost: Sequence[str],
) -> Finding:
    new, old = (modelled.policies.policies[way.policy] for way in ways)
    places = [_of(policy, way) for policy, way in zip((new, old), ways, strict=True)]
    base, level = shown
    known = Known(standing(base), withheld=False, level=level, cpr="none", age=None)
    proved = {name.removesuffix(PROOF) for name in base if name.endswith(PROOF)}
    member = Member(base, known, None, frozenset(base) | proved, verified=False)
    person = described(member, kinds, None)
    order = f"precedence {new.precedence} before {old.precedence}"
    becomes = f"who is {old.affiliation} too becomes {new.affiliation}"
    mend = _MEND
    if lost:
        services = ", ".join(lost)
        becomes += f" and loses {services}"
        mend += " at each service that is lost"
    what = f"takes from {places[1]}: {becomes} ({order}); {mend}"
    return Finding(places[0], what, words(person, kinds.vocabulary))


def _of(policy: Policy, way: Way) -> PolicyLine:
    return policy.match[way.position].place
