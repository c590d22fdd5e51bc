"""The account of a borrower that is there already: found by a CPR, or by the link of a name."""

from dataclasses import dataclass

from broker.core.borrowers.borrower import Borrower, wrong_with_borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.errors import LibraryUnavailable
from broker.core.login.transaction import Account, AccountState, Person
from broker.flows.arrived_login import Arrived
from broker.flows.borrowers.enrolments import Enrolments
from broker.flows.borrowers.staff_cases import StaffCases
from broker.flows.identity.person_resolution import PersonResolution


@dataclass(frozen=True, slots=True)
class ExistingAccounts:
    """Finds accounts, and opens a case for staff where library system and links disagree."""

    persons: PersonResolution
    enrolments: Enrolments

    def by_cpr(self, person: Person, cpr: str) -> Account:
        """Return the account that the CPR finds now: staff may have corrected the number."""
        stored = self.enrolments.stored(cpr)
        if stored and stored.state is EnrolmentState.CASE:
            return case_account(stored.reason)
        if person.number and person.number == self.enrolments.settled(cpr):
            return _known(person.number)
        try:
            found = self.enrolments.look(cpr)
        except LibraryUnavailable:
            if person.number is None:
                raise
            return _known(person.number)
        return self._agreed(found, cpr, person.number, stored)

    def by_link(self, person: Person, arrived: Arrived) -> Account:
        """Return the account that a name alone leads to.

        Unless staff have a case of it, or it is another's by now: staff may have corrected the CPR
        that once found it; within a day of the last look the library is not asked.
        """
        ports = self.enrolments.ports
        links = self.persons.links
        number = person.number
        owner = links.cpr(self.persons.name(arrived))
        if owner is None:
            return _known(number)
        cases = StaffCases.of(ports)
        reason = cases.reason(owner)
        if reason:
            return case_account(reason)
        if number is None or number == self.enrolments.settled_at(owner):
            return _known(number)
        try:
            borrower = self.enrolments.read(number)
        except LibraryUnavailable:
            return _known(number)
        if borrower is None:
            return _known(None)
        if ports.anothers(borrower, owner):
            cases.dispute(owner, owner)
            return case_account("cpr_changed")
        return _known(number)

    def _agreed(
        self,
        found: tuple[Borrower, ...],
        cpr: str,
        linked: str | None,
        stored: Enrolment | None,
    ) -> Account:
        """Return the account found by the CPR, or the case where a link disagrees with it."""
        reason = wrong_with_borrower(found, cpr, linked)
        if linked is None or reason is None:
            return _known(_only_number(found, cpr))
        borrower = self.enrolments.read(linked)
        if borrower is None:
            # A link to a borrower that is gone names nobody.
            return _known(_only_number(found, cpr))
        ours = stored is not None and borrower.mark == stored.id
        if not found and ours and not borrower.is_anothers(cpr):
            # We made it for this very CPR, and staff have given it another number since.
            return _known(linked)
        owner = self.persons.links.of_cpr(cpr)
        StaffCases.of(self.enrolments.ports).dispute(owner, owner, reason)
        return case_account(reason)


def case_account(reason: str | None) -> Account:
    """Return the account of a person whom staff must look at first."""
    return Account(None, AccountState.CASE, reason=reason)


def _known(number: str | None) -> Account:
    if number is None:
        return Account(None, AccountState.NONE)
    return Account(number, AccountState.KNOWN)


def _only_number(found: tuple[Borrower, ...], cpr: str) -> str | None:
    """Return the number of the one borrower of a CPR; None if it is not one, or is another's."""
    if not found or wrong_with_borrower(found, cpr, None):
        return None
    return found[0].number
