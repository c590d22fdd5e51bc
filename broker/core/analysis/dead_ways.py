"""Alternatives that decide no login, and what stands in their way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

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
    for base, level in product(bases((way,), kinds, first), kinds.source.levels):
        if not way.matches(base, level):
            continue
        highest, own = _deciding(way, [each for each in ways if each.matches(base, level)])
        if own is way and (picked or highest is way):
            return None
        shadow = shadow or (highest if own is way else own)
    return shadow


def _deciding(way: Way, matching: Sequence[Way]) -> tuple[Way, Way]:
    """Return the way that decides, and the one by which the policy of ``way`` matches."""
    own = next(each for each in matching if each.policy == way.policy)
    return matching[0], own


def _place(way: Way, modelled: ModelledSet) -> PolicyLine:
    return modelled.policies.policies[way.policy].match[way.position].place
