"""The desk of the simulated Koha: borrowers as its pages show them, and loans."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.demo.koha.database.patron_schema import REQUIRED, PatronRow
from broker.demo.koha.database.patrons import Patrons

BOOKS: Final = (
    "Tides of the Limfjord",
    "A Short Grammar of Gothic",
    "Bees, Bridges and Other Engineers",
)
CONTACTS: Final = ("email", "phone", "address")


@dataclass(frozen=True, slots=True)
class Account:
    """A borrower: the system's internal number, and the data on the library's pages.

    ``numbers`` are all numbers and names that identify the borrower. ``contacts`` are the fields
    that borrowers edit: email, phone, address. ``address`` is the address on file: street, postal
    code and city.
    """

    number: str
    name: str
    category: str
    expires: str
    numbers: frozenset[str]
    contacts: Mapping[str, str]
    address: tuple[str, str, str]

    @property
    def email(self) -> str:
        """Return the mail address, "" for none."""
        return self.contacts["email"]


class Circulation:
    """The desk of a Koha. Loans do not depend on the patron's category."""

    def __init__(self, patrons: Patrons) -> None:
        self.patrons = patrons
        self._loans: dict[int, list[str]] = {}
        self._lock = threading.Lock()

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
