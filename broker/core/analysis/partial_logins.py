"""The part of a login that is given: every login that is so belongs to it, whatever else it has."""

from dataclasses import dataclass
from typing import Final

from broker.core.analysis.modelled_matching import Demand, Kinds
from broker.core.analysis.sources import Source
from broker.core.entities import Assurance, Names

_EVERY_AGE: Final = 200


@dataclass(frozen=True, slots=True)
class AgeRange:
    """The ages from ``least`` on, and below ``under``; with a limit no login of unknown age."""

    least: int = 0
    under: int = _EVERY_AGE

    @property
    def limits(self) -> set[int]:
        """Return the ages at which something changes."""
        return {self.least, self.under} - {0, _EVERY_AGE}

    def holds(self, age: int | None) -> bool:
        """Return whether a person of this age is among them."""
        if age is None:
            return not self.limits
        return self.least <= age < self.under


@dataclass(frozen=True, slots=True)
class PartialLogin:
    """What is given of a login; what is empty, or None, may be anything.

    A login has one of each of the several that are given. ``demands`` are on attributes, and on
    domains of proved mailboxes, as alternatives of policies have them.
    """

    upstreams: Names = ()
    levels: tuple[Assurance, ...] = ()
    cpr: Names = ()
    ages: AgeRange = AgeRange()
    intents: Names = ()
    borrower: bool | None = None
    demands: tuple[Demand, ...] = ()

    def comes_from(self, source: Source) -> bool:
        """Return whether such logins may come from ``source``."""
        if source.local and self.borrower is False:
            return False  # the library system has verified an account
        return not self.upstreams or source.upstream in self.upstreams

    def levels_of(self, source: Source) -> tuple[Assurance | None, ...]:
        """Return those of the levels of ``source`` that such logins have."""
        if not self.levels:
            return source.levels
        return tuple(level for level in source.levels if level in self.levels)

    def holds(self, kinds: Kinds) -> bool:
        """Return whether values of these kinds meet all that is given of attributes."""
        return all(demand.holds(kinds) for demand in self.demands)

    def numbered(self, cpr: str, age: int | None) -> bool:
        """Return whether such a login may have this kind of CPR number, and the age with it."""
        return (not self.cpr or cpr in self.cpr) and self.ages.holds(age)
