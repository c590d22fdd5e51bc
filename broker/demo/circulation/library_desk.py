"""The library's own view of its borrowers, whichever system keeps them: desk, pages, machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from broker.demo.circulation.loan_table import LoanTable

CONTACTS: Final = ("email", "phone", "address")


@dataclass(frozen=True, slots=True)
class Account:
    """A borrower: the system's own number, and everything that stands on the library's pages.

    ``numbers`` are all numbers and names under which the system keeps them. ``contacts`` are what
    people edit themselves: email, phone, address. ``address`` is the whole one on file: street,
    postal code and city.
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
    """The borrowers of one library system, as its desk and its own pages reach them."""

    @property
    def table(self) -> LoanTable:
        """Return the loans and the print balances."""
        ...

    def accounts(self) -> Sequence[Account]:
        """Return all borrowers, oldest first."""
        ...

    def called(self, typed: str) -> Account | None:
        """Return the borrower of a card number or a user name that a person typed, or None."""
        ...

    def edit(self, number: str, contacts: Mapping[str, str], pin: str) -> None:
        """Write what a borrower has edited on the library's own page; an empty PIN stays."""
        ...


def account(desk: Desk, number: str) -> Account | None:
    """Return the borrower of this number, or None."""
    for found in desk.accounts():
        if found.number == number:
            return found
    return None
