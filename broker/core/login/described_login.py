"""A described login: the facts that decide, without a name or number of the person."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.entities import Controller
from broker.core.identity.canonical_attributes import ReadingWithoutCpr
from broker.core.login.transaction import Errand

# Stands for the borrower number in a simulation.
BORROWER_STAND_IN: Final = "(a borrower number)"
_ANOTHER: Final = "(another borrower number)"


@dataclass(frozen=True, slots=True)
class DescribedBorrower:
    """The borrower that the library system has for the person.

    ``linked``: an earlier login found it, so this one needs no CPR number. ``twice``: there is a
    second borrower with the same CPR number. ``fields`` None: as the login would write them.
    """

    category: str
    linked: bool = False
    twice: bool = False
    expires: date | None = None
    fields: Mapping[str, str] | None = field(default=None, repr=False)

    def find_all(self, wanted: WantedBorrower | None) -> tuple[Borrower, ...]:
        """Return the borrowers with the person's CPR number, before a login asks for ``wanted``."""
        fields = self.fields
        if fields is None:
            fields = {each.name: each.value for each in wanted.fields} if wanted else {}
        number = BORROWER_STAND_IN
        first = Borrower(number, self.category, self.expires, fields=fields, card=number)
        return (first, replace(first, number=_ANOTHER)) if self.twice else (first,)


@dataclass(frozen=True, slots=True)
class DescribedLogin:
    """The facts of a login, and the answers that the person gives on the way.

    ``reading`` holds the asserted attributes, read as in a real login. ``fault`` is the reason
    code, with the attribute, for which the reading is not trusted. ``addresses`` are the
    mailboxes that the person can prove, by the name of the proof. ``upgrade`` is the answer to the
    offer of another category. The person answers yes to everything else.
    """

    upstream: str
    reading: ReadingWithoutCpr
    institution: str = ""
    intent: str | None = None
    errand: Errand = Errand.LOGIN
    borrower: DescribedBorrower | None = None
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    upgrade: bool = True
    fault: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SimulationTerms:
    """The configuration of a simulated login.

    ``giver`` is the institution that answers. ``local`` are the upstreams where the library system
    verifies the person.
    """

    giver: Controller | None = None
    local: frozenset[str] = frozenset({"library"})
