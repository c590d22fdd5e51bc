"""What the simulated library keeps beside the borrowers: loans and print balances, both by borrower number."""

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
    """Loans and balances: what is kept under a borrower number stays through any change of category."""

    patrons: Patrons
    _loans: dict[int, list[str]] = field(default_factory=dict)
    _balances: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def proven(self, identifier: str, pin: str) -> dict[str, Any] | None:
        """Give the borrower whose number, card or CPR this is and whose PIN, as a machine asks by SIP2; or None."""
        wanted = _bare(identifier)
        for row in self.patrons.rows():
            if wanted in {
                str(row["patron_id"]),
                *(_bare(row[name] or "") for name in ("userid", "cardnumber")),
            }:
                known = row["userid"] or row["cardnumber"]
                found = self.patrons.proven(known, pin)
                if found is not None and found["patron_id"] == row["patron_id"]:
                    return found
        return None

    def account(self, number: str) -> dict[str, Any] | None:
        """Give the borrower of this number, or None."""
        return next((row for row in self.patrons.rows() if str(row["patron_id"]) == number), None)

    def lend(self, number: int, book: str) -> bool:
        """Lend ``book``, one of ``BOOKS``; False where the borrower has it already."""
        with self._lock:
            held = self._loans.setdefault(number, [])
            if book in held:
                return False
            held.append(book)
            return True

    def loans(self, number: int) -> tuple[str, ...]:
        """Give what is lent to a borrower, oldest first."""
        with self._lock:
            return tuple(self._loans.get(number, ()))

    def balance(self, number: int) -> int:
        """Give a borrower's print balance in kroner."""
        with self._lock:
            return self._balances.setdefault(number, _FIRST_BALANCE)


def _bare(text: str) -> str:
    return text.strip().replace("-", "").replace(" ", "").casefold()
