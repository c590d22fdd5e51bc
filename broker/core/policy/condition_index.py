"""Which of a thousand matches a login can meet at all, found by its values instead of by asking each one."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# One condition as (name, values); a value is exact or ends in "*".
NamedValues = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ConditionIndex:
    """Positions under (name, value) and (name, front), each name's front lengths, and those that fit anyone."""

    exact: Mapping[tuple[str, str], tuple[int, ...]]
    fronts: Mapping[tuple[str, str], tuple[int, ...]]
    lengths: Mapping[str, tuple[int, ...]]
    anyone: tuple[int, ...]

    @classmethod
    def of(cls, matches: Sequence[Sequence[Sequence[NamedValues]]]) -> "ConditionIndex":
        """Put each alternative of each match under its rarest condition; one without conditions fits anyone."""
        common = Counter(
            (name, value)
            for match in matches
            for each in match
            for name, found in each
            for value in found
        )
        exact: dict[tuple[str, str], list[int]] = defaultdict(list)
        fronts: dict[tuple[str, str], list[int]] = defaultdict(list)
        anyone = []
        for at, conditions in ((at, each) for at, match in enumerate(matches) for each in match):
            if not conditions:
                anyone.append(at)
                continue
            name, values = min(
                conditions, key=lambda named: sum(common[named[0], value] for value in named[1])
            )
            for value in values:
                (fronts if value.endswith("*") else exact)[name, value.removesuffix("*")].append(at)
        lengths: dict[str, set[int]] = defaultdict(set)
        for name, front in fronts:
            lengths[name].add(len(front))
        return cls(
            {key: tuple(found) for key, found in exact.items()},
            {key: tuple(found) for key, found in fronts.items()},
            {name: tuple(sorted(found)) for name, found in lengths.items()},
            tuple(anyone),
        )

    def candidates(self, facts: Iterable[NamedValues]) -> list[int]:
        """Give, in order, the positions that ``facts`` may meet: none that can match is left out."""
        found = set(self.anyone)
        for name, values in facts:
            lengths = self.lengths.get(name, ())
            for value in values:
                found.update(self.exact.get((name, value), ()))
                for length in lengths:
                    found.update(self.fronts.get((name, value[:length]), ()))
        return sorted(found)
