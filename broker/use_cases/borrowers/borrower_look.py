"""Looks at borrowers in the library system at once, whatever is remembered of them."""

from dataclasses import dataclass, replace
from enum import StrEnum

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentState
from broker.use_cases.borrowers.enrolment_records import EnrolmentDraft, StoredEnrolment
from broker.use_cases.borrowers.known_borrower import BorrowerQuestion


class Found(StrEnum):
    """What the library system has under a borrower number."""

    THERE = "there"
    GONE = "gone"  # deleted, or merged into another: the next login looks by the CPR number
    NEVER = "not there"  # nor is it remembered here


@dataclass(frozen=True, slots=True)
class Looked:
    """One borrower as the library system has it now.

    ``cpr`` says whether its CPR number is that of the person: "the person's", "another's", "none",
    or None where no person is known.
    """

    number: str
    found: Found
    borrower: Borrower | None = None
    cpr: str | None = None


@dataclass(frozen=True, slots=True)
class BorrowerLook:
    """Looks through the one question about borrowers; LibraryUnavailable, LibraryRefused."""

    question: BorrowerQuestion

    def at(self, entry: StoredEnrolment) -> tuple[Looked, ...]:
        """Look at every borrower that an enrolment or case is about, and at those found by its CPR.

        Nothing where none is known.
        """
        self._believe_no_more(entry)
        enrolment = entry.enrolment
        wish = enrolment.wish
        owner = None if entry.key.name else entry.key.group
        found: dict[str, Looked] = {}
        if wish and wish.cpr:
            cpr = wish.cpr
            library = self.question.ports.library
            for borrower in self.question.in_slot(lambda by: library.find(cpr, by)):
                found[borrower.number] = self._there(borrower, owner)
        for number in (enrolment.number, enrolment.link, *enrolment.borrowers):
            if number is not None and number not in found:
                found[number] = self._read(number, owner, known=True)
        return tuple(found.values())

    def at_number(self, number: str) -> Looked:
        """Look at the borrower of a number, for every enrolment that remembers it."""
        owner = None
        for entry in self.question.ports.records.all():
            if entry.enrolment.number == number:
                self._believe_no_more(entry)
                owner = entry.key.group
        return self._read(number, owner, known=owner is not None)

    def _read(self, number: str, owner: str | None, *, known: bool) -> Looked:
        library = self.question.ports.library
        borrower = self.question.in_slot(lambda by: library.read(number, by))
        if borrower is None:
            return Looked(number, Found.GONE if known else Found.NEVER)
        return self._there(borrower, owner)

    def _there(self, borrower: Borrower, owner: str | None) -> Looked:
        return Looked(borrower.number, Found.THERE, borrower, self._cpr(borrower, owner))

    def _cpr(self, borrower: Borrower, owner: str | None) -> str | None:
        if borrower.cpr is None:
            return "none"
        if owner is None:
            return None
        return "the person's" if self.question.carries(borrower, owner) else "another's"

    def _believe_no_more(self, entry: StoredEnrolment) -> None:
        """Let the next login ask the library system, however lately it was asked."""
        if self.question.mode != "live":
            return

        def unsettled(stored: StoredEnrolment) -> EnrolmentDraft | None:
            if stored.enrolment.state is not EnrolmentState.DONE:
                return None
            return replace(stored.enrolment, settled=None), stored.due

        self.question.ports.records.amend(entry.key, unsettled)
