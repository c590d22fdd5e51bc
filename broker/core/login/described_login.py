"""A login as it is described: the facts that decide, and of the person no name or number."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.entities import Controller
from broker.core.identity.canonical_attributes import ReadingWithoutCpr
from broker.core.login.transaction import Errand
from broker.core.lookup_hmacs import LookupHmacs

# Nobody's pseudonyms: they bind an answer to what was shown within one played login.
_IDEAL: Final = LookupHmacs("ideal", b"no person is behind it")
# The number of whatever borrower a described person has or gets.
BORROWER_STAND_IN: Final = "(a borrower number)"
_ANOTHER: Final = "(another borrower number)"


@dataclass(frozen=True, slots=True)
class DescribedBorrower:
    """The borrower that the library system has of the person.

    ``linked``: an earlier login leads to it, though this one may bring no CPR number. ``twice``:
    the desk has made another beside it. ``fields`` None: as the login would write them.
    """

    category: str
    linked: bool = False
    twice: bool = False
    expires: date | None = None
    fields: Mapping[str, str] | None = field(default=None, repr=False)

    def held(self, wanted: WantedBorrower | None) -> Borrower:
        """Return the borrower as it is before a login that asks for ``wanted``."""
        fields = self.fields
        if fields is None:
            fields = {each.name: each.value for each in wanted.fields} if wanted else {}
        number = BORROWER_STAND_IN
        return Borrower(number, self.category, self.expires, fields=fields, card=number)

    def found(self, wanted: WantedBorrower | None) -> tuple[Borrower, ...]:
        """Return the borrowers that the person's CPR number finds."""
        held = self.held(wanted)
        return (held, replace(held, number=_ANOTHER)) if self.twice else (held,)


@dataclass(frozen=True, slots=True)
class DescribedLogin:
    """What a person brings to a login, and what they do when they are asked.

    ``reading`` is what the upstream asserted, read as a live login's is. ``fault`` is the reason
    code, and the attribute, for which a reading is not trusted. ``addresses`` are the mailboxes
    that the person shows when asked, by the name of the proof; without one they go on without, or
    by a mailbox that is made up where an address must be given. ``upgrade`` is the answer where
    another category is offered. To everything else the answer is yes.
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
class IdealTerms:
    """What a played login goes by beside facts and policies: every port is there, and well.

    ``giver`` is the institution that answers, ``local`` the upstreams where the library system
    itself verifies the person.
    """

    giver: Controller | None = None
    local: frozenset[str] = frozenset({"library"})
    hmacs: LookupHmacs = _IDEAL
