"""Alternatives that decide no login, and what stands in their way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker.core.analysis.minimal_logins import First, bases
from broker.core.analysis.modelled_matching import ModelledSet, Way
from broker.core.analysis.source_kinds import SourceKinds, interchangeable
from broker.core.policy.model import PolicyLine


@dataclass(frozen=True, slots=True)
class DeadWay:
    """An alternative that decides nothing.

    ``shadow`` is the line that everybody who matches it matches first, None where nobody can match
    it at all.
    """

    place: PolicyLine
    shadow: PolicyLine | None


def dead_ways(modelled: ModelledSet, sources: Sequence[SourceKinds]) -> Iterator[DeadWay]:
    """Yield the alternatives of a set that no login from any source is decided by."""
    living: set[Way] = set()
    shadows: dict[Way, Way] = {}
    for kinds in sources:
        ways = kinds.opened(modelled)
        first = interchangeable(kinds, (modelled,))
        for way in ways:
            if way in living:
                continue
            shadow = _shadow(way, ways, kinds, modelled, first)
            if shadow is None:
                living.add(way)
            else:
                shadows[way] = shadow
    for way in modelled.ways:
        if way not in living:
            before = shadows.get(way)
            yield DeadWay(_place(way, modelled), _place(before, modelled) if before else None)


def _shadow(
    way: Way, ways: Sequence[Way], kinds: SourceKinds, modelled: ModelledSet, first: First
) -> Way | None:
    """Return a way that decides in place of ``way`` whatever the login; None where it decides."""
    shadow = None
    picked = modelled.admits(way.policy, kinds.source.upstream)
    for base in bases((way,), kinds, first):
        for level in kinds.source.levels:
            if not way.matches(base, level):
                continue
            matching = [each for each in ways if each.matches(base, level)]
            own = next(each for each in matching if each.policy == way.policy)
            if own is way and (picked or matching[0] is way):
                return None
            shadow = shadow or (matching[0] if own is way else own)
    return shadow


def _place(way: Way, modelled: ModelledSet) -> PolicyLine:
    return modelled.policies.policies[way.policy].match[way.position].place
