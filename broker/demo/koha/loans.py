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

    def proven(self, identifier: str, pin: str) -> dict[str, Any] | None:
        """Return the borrower with this number, card or CPR and this PIN, as SIP2 does, or None."""
        wanted = _bare(identifier)
        for row in self.patrons.rows():
            names = {str(row["patron_id"])}
            names.update(_bare(row[name] or "") for name in ("userid", "cardnumber"))
            if wanted not in names:
                continue
            known = row["userid"] or row["cardnumber"]
            patron = self.patrons.proven(known, pin)
            if patron is not None and patron["patron_id"] == row["patron_id"]:
                return patron
        return None

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

    def balance(self, number: int) -> int:
        """Return a borrower's print balance in kroner."""
        with self._lock:
            return self._balances.setdefault(number, _FIRST_BALANCE)


def _bare(text: str) -> str:
    return text.strip().replace("-", "").replace(" ", "").casefold()
