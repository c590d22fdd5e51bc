"""A borrower as the library system returns it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from broker.core.entities import Names
from broker.core.identity import cpr


@dataclass(frozen=True, slots=True, repr=False)
class Borrower:
    """One account as the library system returns it.

    ``number`` is the internal id of the library system. It contains no CPR number, and people do
    not type it. ``mark`` is the enrolment id, which the broker writes into a field reserved for it.
    ``born`` is the birth date, ``cpr`` the real CPR number (ten digits) and ``card`` the card
    number. These four are None if the system has none.
    """

    number: str
    category: str
    expires: date | None = None
    mark: str | None = None
    email: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    born: date | None = None
    cpr: str | None = None
    card: str | None = None

    def has_other_birth_date(self, number: str) -> bool:
        """Return whether the CPR ``number`` contradicts the birth date of this borrower.

        The birth date reveals a wrong match: a card number of ten digits may equal another person's
        CPR number. A mark proves no identity: staff copy records with their marks, or use the field
        for something else.
        """
        born = cpr.birth_date(number)
        return None not in {self.born, born} and self.born != born


def list_numbers(borrowers: Iterable[Borrower]) -> Names:
    """Return the library system's own numbers of borrowers, each once."""
    return tuple(dict.fromkeys(borrower.number for borrower in borrowers))
