"""The desk of the simulated Koha: borrowers, loans and print balances."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.demo.circulation.library_desk import CONTACTS, Account
from broker.demo.circulation.loan_table import BOOKS, LoanTable
from broker.demo.koha.database.patron_schema import REQUIRED, PatronRow
from broker.demo.koha.database.patrons import Patrons

__all__ = ["BOOKS", "Circulation"]


@dataclass(slots=True)
class Circulation:
    """The desk of a Koha. Loans and balances do not depend on the patron's category."""

    patrons: Patrons
    table: LoanTable = field(default_factory=LoanTable)

    def accounts(self) -> list[Account]:
        """Return all borrowers, oldest first."""
        return [_account(row) for row in self.patrons.rows()]

    def find_borrower(self, typed: str) -> Account | None:
        """Return the borrower with this card number, else user name; never by borrowernumber."""
        row = self.patrons.find_patron(typed, ("cardnumber", "userid"))
        if row is None:
            return None
        return _account(row)

    def find_by_number(self, number: str) -> Account | None:
        """Return the borrower with this internal number, or None."""
        return next((found for found in self.accounts() if found.number == number), None)

    def edit(self, number: str, contacts: Mapping[str, str], pin: str) -> None:
        """Save contacts and PIN from the library's profile page. An empty PIN keeps the old one."""
        row = self.patrons.row(int(number))
        body = {name: row[name] for name in REQUIRED}
        body |= {name: value or None for name, value in contacts.items()}
        self.patrons.change(int(number), body)
        if pin:
            self.patrons.set_password(int(number), pin, pin)


def _account(row: PatronRow) -> Account:
    numbers = [row["userid"], row["cardnumber"]]
    numbers += [attribute["value"] for attribute in row["extended_attributes"]]
    return Account(
        number=str(row["patron_id"]),
        name=f"{row['firstname'] or ''} {row['surname']}".strip(),
        category=row["category_id"],
        expires=row["expiry_date"],
        numbers=frozenset(value for value in numbers if value),
        contacts={name: row[name] or "" for name in CONTACTS},
        address=(row["address"] or "", row["postal_code"] or "", row["city"] or ""),
    )
