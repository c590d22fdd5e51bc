"""A borrower as the desk and the library's own pages see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

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
