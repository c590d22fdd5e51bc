"""An index from the conditions of policies to the policies that a login may match."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from broker.core.identity.canonical_attributes import Values

# One condition as (name, values); a value is exact or ends in "*".
NamedValues = tuple[str, Values]
# The alternatives of one policy, each a list of conditions.
Match = Sequence[Sequence[NamedValues]]

_NO_CONDITION: Final[NamedValues] = ("", ("",))


@dataclass(frozen=True, slots=True)
class ConditionIndex:
    """The positions of policies by name and value of their rarest conditions.

    ``prefix_lengths`` are the lengths of the values that end in ``*``, by name.
    """

    positions: Mapping[tuple[str, str], set[int]]
    prefix_lengths: Mapping[str, set[int]]

    @classmethod
    def from_matches(cls, matches: Sequence[Match]) -> "ConditionIndex":
        """Index every alternative of each policy by the condition whose values are rarest."""
        frequencies = Counter(
            (name, value)
            for match in matches
            for conditions in match
            for name, values in conditions
            for value in values
        )

        def frequency(condition: NamedValues) -> int:
            name, values = condition
            return sum(frequencies[name, value] for value in values)

        positions: dict[tuple[str, str], set[int]] = defaultdict(set)
        lengths: dict[str, set[int]] = defaultdict(set)
        for position, match in enumerate(matches):
            for conditions in match:
                name, values = min(conditions, key=frequency, default=_NO_CONDITION)
                for value in values:
                    positions[name, value].add(position)
                    if value.endswith("*"):
                        lengths[name].add(len(value) - 1)
        return cls(dict(positions), dict(lengths))

    def find_candidates(self, facts: Iterable[NamedValues]) -> list[int]:
        """Return the positions of all policies that ``facts`` may match, in order."""
        found: set[int] = set()
        for name, values in (_NO_CONDITION, *facts):
            lengths = self.prefix_lengths.get(name, ())
            for value in values:
                found.update(self.positions.get((name, value), ()))
                for length in lengths:
                    found.update(self.positions.get((name, f"{value[:length]}*"), ()))
        return sorted(found)
