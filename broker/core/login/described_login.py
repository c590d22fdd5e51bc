"""The borrower of a described login."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.wanted_borrower import WantedBorrower

# Stands for the borrower number in a simulation.
BORROWER_STAND_IN: Final = "(a borrower number)"


@dataclass(frozen=True, slots=True)
class DescribedBorrower:
    """The borrower that the library system has for the person.

    ``has_duplicate``: there is a second borrower with the same CPR number. ``fields`` None: as the
    login would write them.
    """

    category: str
    has_duplicate: bool = False
    expires: date | None = None
    fields: Mapping[str, str] | None = field(default=None, repr=False)

    def make(self, wanted: WantedBorrower | None) -> Borrower:
        """Return the borrower before a login asks for ``wanted``."""
        fields = self.fields
        if fields is None:
            fields = {each.name: each.value for each in wanted.fields} if wanted else {}
        number = BORROWER_STAND_IN
        return Borrower(number, self.category, self.expires, fields=fields, card=number)
