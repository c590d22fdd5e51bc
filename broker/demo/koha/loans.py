"""Loans and print balances of the simulated library, kept by borrower number."""

import threading
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.koha.patrons import Patrons

BOOKS: Final = (
    "Tides of the Limfjord",
    "A Short Grammar of Gothic",
    "Bees, Bridges and Other Engineers",
)
_FIRST_BALANCE: Final = 50  # kroner that every account begins with


@dataclass(slots=True)
class Circulation:
    """Loans and balances by borrower number: they stay through any change of category."""

    patrons: Patrons
    _loans: dict[int, list[str]] = field(default_factory=dict)
    _balances: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def account(self, number: str) -> dict[str, Any] | None:
        """Return the borrower of this number, or None."""
        for row in self.patrons.rows():
            if str(row["patron_id"]) == number:
                return row
        return None

    def lend(self, number: int, book: str) -> bool:
        """Lend ``book``, one of ``BOOKS``; False where the borrower has it already."""
        with self._lock:
            held = self._loans.setdefault(number, [])
            if book in held:
                return False
            held.append(book)
            return True

    def loans(self, number: int) -> tuple[str, ...]:
        """Return the loans of a borrower, oldest first."""
        with self._lock:
            return tuple(self._loans.get(number, ()))

    def merge(self, kept: int, merged: int) -> None:
        """Merge one borrower into another as staff do: loans and attributes move."""
        self.patrons.merge(kept, merged)
        with self._lock:
            moving = self._loans.pop(merged, [])
            held = self._loans.setdefault(kept, [])
            held.extend(book for book in moving if book not in held)

    def balance(self, number: int) -> int:
        """Return a borrower's print balance in kroner."""
        with self._lock:
            return self._balances.setdefault(number, _FIRST_BALANCE)
