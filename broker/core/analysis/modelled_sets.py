"""Compared sets as the model sees them, and what sources open: worked out once for all walks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from broker.core.analysis.modelled_matching import Demand, ModelledSet
from broker.core.analysis.source_kinds import SourceKinds, Vocabulary
from broker.core.analysis.sources import Source
from broker.core.policy.model import PolicySet


@dataclass(frozen=True, slots=True)
class ModelledSets:
    """What is the same for every walk over the logins under the same sets.

    With a thousand files each source is held against some thousands of values, and of ways: to do
    so again for each rule of the site would cost more than its logins.
    """

    sets: tuple[PolicySet, ...]
    vocabulary: Vocabulary
    _days: dict[date, tuple[ModelledSet, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )
    # With the source itself: of one that is gone another may have the same identity.
    _sources: dict[int, tuple[Source, SourceKinds]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, sets: tuple[PolicySet, ...], asked: Iterable[Demand] = ()) -> "ModelledSets":
        """Return the sets, with the values that they name and those ``asked`` beside them."""
        return cls(sets, Vocabulary.of(sets, asked))

    def on(self, day: date) -> tuple[ModelledSet, ...]:
        """Return the sets as they are on ``day``."""
        known = self._days.get(day)
        if known is None:
            known = tuple(ModelledSet(each, day) for each in self.sets)
            self._days[day] = known
        return known

    def kinds(self, source: Source) -> SourceKinds:
        """Return a value of each kind that ``source`` may assert."""
        known = self._sources.get(id(source))
        if known is None:
            known = (source, SourceKinds.of(source, self.vocabulary))
            self._sources[id(source)] = known
        return known[1]
