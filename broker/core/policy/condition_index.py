"""An index of conditions: which of a thousand policies a login can match, by its values."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from broker.core.identity.canonical_attributes import Values

# One condition as (name, values); a value is exact or ends in "*".
NamedValues = tuple[str, Values]
# The conditions of one alternative; the alternatives of one policy.
Conditions = Sequence[NamedValues]
Match = Sequence[Conditions]

NamedValue = tuple[str, str]
Frequencies = Counter[NamedValue]
Positions = dict[NamedValue, list[int]]
FrozenPositions = Mapping[NamedValue, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ConditionIndex:
    """The positions of the policies under their rarest conditions.

    ``exact`` is keyed by (name, value), ``prefixes`` by (name, prefix), ``lengths`` holds the
    lengths of a name's prefixes, ``anyone`` the positions of the policies that fit anyone.
    """

    exact: FrozenPositions
    prefixes: FrozenPositions
    lengths: Mapping[str, tuple[int, ...]]
    anyone: tuple[int, ...]

    @classmethod
    def of(cls, matches: Sequence[Match]) -> "ConditionIndex":
        """Return the index of ``matches``, every alternative under its rarest condition."""
        frequencies = _frequencies(matches)
        exact: Positions = defaultdict(list)
        prefixes: Positions = defaultdict(list)
        anyone = []
        for position, match in enumerate(matches):
            for conditions in match:
                if not conditions:
                    anyone.append(position)
                    continue
                name, values = _rarest(conditions, frequencies)
                for value in values:
                    keyed = prefixes if value.endswith("*") else exact
                    keyed[name, value.removesuffix("*")].append(position)
        return cls(_frozen(exact), _frozen(prefixes), _lengths(prefixes), tuple(anyone))

    def candidates(self, facts: Iterable[NamedValues]) -> list[int]:
        """Return, in order, the positions that ``facts`` may match: none that can is left out."""
        positions = set(self.anyone)
        for name, values in facts:
            lengths = self.lengths.get(name, ())
            for value in values:
                positions.update(self.exact.get((name, value), ()))
                for length in lengths:
                    positions.update(self.prefixes.get((name, value[:length]), ()))
        return sorted(positions)


def _frequencies(matches: Sequence[Match]) -> Frequencies:
    frequencies: Frequencies = Counter()
    for match in matches:
        for conditions in match:
            for name, values in conditions:
                frequencies.update((name, value) for value in values)
    return frequencies


def _rarest(conditions: Conditions, frequencies: Frequencies) -> NamedValues:
    """Return the condition whose values the fewest alternatives name; the first of several."""

    def frequency(condition: NamedValues) -> int:
        name, values = condition
        return sum(frequencies[name, value] for value in values)

    return min(conditions, key=frequency)


def _lengths(prefixes: Positions) -> dict[str, tuple[int, ...]]:
    lengths: dict[str, set[int]] = defaultdict(set)
    for name, prefix in prefixes:
        lengths[name].add(len(prefix))
    return {name: tuple(sorted(of_name)) for name, of_name in lengths.items()}


def _frozen(positions: Positions) -> FrozenPositions:
    return {key: tuple(of_key) for key, of_key in positions.items()}
