"""The desk of a simulated library: borrowers as staff and the library's own pages see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from broker.demo.circulation.loan_table import LoanTable

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
    numbers: frozenset[str] = frozenset()
    contacts: Mapping[str, str] = field(default_factory=dict)
    address: tuple[str, str, str] = ("", "", "")

    @property
    def email(self) -> str:
        """Return the mail address, "" for none."""
        return self.contacts.get("email", "")


class Desk(Protocol):
    """The interface of a library system for its desk and the library's own pages."""

    @property
    def table(self) -> LoanTable:
        """Return the loans and the print balances."""
        ...

    def accounts(self) -> Sequence[Account]:
        """Return all borrowers, oldest first."""
        ...

    def find_borrower(self, typed: str) -> Account | None:
        """Return the borrower with this card number or user name, or None."""
        ...

    def edit(self, number: str, contacts: Mapping[str, str], pin: str) -> None:
        """Save contacts and PIN from the library's profile page. An empty PIN keeps the old one."""
        ...


def account(desk: Desk, number: str) -> Account | None:
    """Return the borrower of this number, or None."""
    for found in desk.accounts():
        if found.number == number:
            return found
    return None
