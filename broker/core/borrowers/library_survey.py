"""Counts what going live will meet among the borrowers that a library system already has."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from broker.core.borrowers.borrower import Borrower

_DAYS: Final = 31 * 12 * 100
_NUMBERS_A_DAY: Final = 10_000


@dataclass(slots=True)
class LibrarySurvey:
    """The counts of one survey; ``expected`` are the categories that policies name.

    Every count is a number of borrowers. No value of a borrower is kept but its category.
    """

    expected: frozenset[str]
    borrowers: int = 0
    without_cpr: int = 0
    doubled_cpr: int = 0
    contradicting_birth_date: int = 0
    without_email: int = 0
    unnamed_categories: Counter[str] = field(default_factory=Counter)

    def add_all(self, borrowers: Iterable[Borrower]) -> None:
        """Count borrowers in constant memory: one bit for each CPR number that there can be."""
        seen = bytearray(_DAYS * _NUMBERS_A_DAY // 8)
        for borrower in borrowers:
            self._add(borrower)
            if borrower.cpr:
                place, bit = divmod(_place(borrower.cpr), 8)
                self.doubled_cpr += seen[place] >> bit & 1
                seen[place] |= 1 << bit

    def _add(self, borrower: Borrower) -> None:
        self.borrowers += 1
        if borrower.cpr is None:
            self.without_cpr += 1
        else:
            self.contradicting_birth_date += borrower.has_other_birth_date(borrower.cpr)
        self.without_email += not borrower.email
        if borrower.category not in self.expected:
            self.unnamed_categories[borrower.category] += 1

    def as_mapping(self) -> Mapping[str, object]:
        """Return the counts by their names."""
        counts = asdict(self)
        del counts["expected"]
        return {**counts, "unnamed_categories": dict(sorted(self.unnamed_categories.items()))}


def _place(number: str) -> int:
    """Return the place of a CPR number among all numbers of all days."""
    day, month, year = int(number[:2]), int(number[2:4]), int(number[4:6])
    return (((day - 1) * 12 + month - 1) * 100 + year) * _NUMBERS_A_DAY + int(number[6:])
