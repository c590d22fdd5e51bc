"""Loans and print balances of the simulated library, kept by the borrower's number."""

import threading
from typing import Final

BOOKS: Final = (
    "Tides of the Limfjord",
    "A Short Grammar of Gothic",
    "Bees, Bridges and Other Engineers",
)
_FIRST_BALANCE: Final = 50  # kroner on a new account

Number = int | str  # Koha uses whole numbers; the table compares them as text


class LoanTable:
    """Loans and balances by borrower number: they stay through any change of category."""

    def __init__(self) -> None:
        self._loans: dict[str, list[str]] = {}
        self._balances: dict[str, int] = {}
        self._lock = threading.Lock()

    def lend(self, number: Number, book: str) -> bool:
        """Lend ``book``, one of ``BOOKS``; False where the borrower has it already."""
        with self._lock:
            held = self._loans.setdefault(str(number), [])
            if book in held:
                return False
            held.append(book)
            return True

    def loans(self, number: Number) -> tuple[str, ...]:
        """Return the loans of a borrower, oldest first."""
        with self._lock:
            return tuple(self._loans.get(str(number), ()))

    def balance(self, number: Number) -> int:
        """Return a borrower's print balance in kroner."""
        with self._lock:
            return self._balances.setdefault(str(number), _FIRST_BALANCE)
