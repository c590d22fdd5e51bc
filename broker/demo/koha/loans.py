"""Loans and print balances of the simulated library, kept by borrower number."""

from dataclasses import dataclass, field
from typing import Any

from broker.demo.circulation.loan_table import BOOKS, LoanTable
from broker.demo.koha.patrons import Patrons

__all__ = ["BOOKS", "Circulation"]


@dataclass(slots=True)
class Circulation:
    """Loans and balances by borrower number: they stay through any change of category."""

    patrons: Patrons
    table: LoanTable = field(default_factory=LoanTable)

    def account(self, number: str) -> dict[str, Any] | None:
        """Return the borrower of this number, or None."""
        for row in self.patrons.rows():
            if str(row["patron_id"]) == number:
                return row
        return None

    def lend(self, number: int, book: str) -> bool:
        """Lend ``book``, one of ``BOOKS``; False where the borrower has it already."""
        return self.table.lend(number, book)

    def loans(self, number: int) -> tuple[str, ...]:
        """Return the loans of a borrower, oldest first."""
        return self.table.loans(number)

    def merge(self, kept: int, merged: int) -> None:
        """Merge one borrower into another as staff do: loans and attributes move."""
        self.patrons.merge(kept, merged)
        self.table.move(kept, merged)

    def balance(self, number: int) -> int:
        """Return a borrower's print balance in kroner."""
        return self.table.balance(number)
