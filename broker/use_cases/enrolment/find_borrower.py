"""Finds the borrower of a person by CPR number, name and birth date."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from broker.core.borrowers.borrower import Borrower, list_numbers
from broker.core.borrowers.change_plan import find_case_reason, plan_change
from broker.core.borrowers.matching import AddressQuestion, PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.entities import Names
from broker.core.errors import LibraryError
from broker.core.person_record import PersonRecord
from broker.use_cases.enrolment.ports import REQUEST_CALL, EnrolmentPorts
from broker.use_cases.library_system.guarded_library import WaitingSlots, waiting_slot
from broker.use_cases.storage.records import Record

T = TypeVar("T")

# While the library system is silent, a borrower that it confirmed so lately is used for logins.
_TRUST_WHILE_SILENT: Final = timedelta(days=1)


class Finding(StrEnum):
    """The answer to the question which borrower is a person's."""

    FOUND = "found"
    NONE = "none"
    CASE = "case"  # several, or one that is another person's; staff must decide
    SILENT = "silent"  # the library system does not answer, and nothing is known


@dataclass(frozen=True, slots=True)
class FoundBorrower:
    """The borrower that was found.

    ``borrower`` is None where the stored number was used without an answer of the library system;
    ``stored`` is the record that it stands in.
    ``borrowers`` are the numbers that a case is about.
    """

    finding: Finding
    number: str | None = None
    borrower: Borrower | None = None
    reason: str | None = None
    borrowers: Names = ()
    stored: PersonRecord | None = None
    question: AddressQuestion | None = None  # of a first match that the person has not confirmed


@dataclass(frozen=True, slots=True)
class BorrowerFinder:
    """Asks the library system, and keeps the number that it confirmed in the person record.

    ``slots`` bounds the requests that wait for the library system; None sets no bound.
    """

    ports: EnrolmentPorts
    slots: WaitingSlots | None = None

    def find_borrower(
        self,
        person_id: str,
        cpr_number: str,
        person: PersonFacts,
        record: Record[PersonRecord] | None,
        wanted: WantedBorrower | None = None,
        *,
        email: str | None = None,
        confirmed: str | None = None,
    ) -> FoundBorrower:
        """Return the borrower with the CPR number, if it is this person's.

        ``email`` is the address that the login brings, ``confirmed`` the hash of the first match
        whose address the person has said to be their own. Without either a first match comes with
        a question, and the record does not name the borrower.

        The library system is not asked within ``trust_for`` of its last answer, unless the
        borrower would have to be changed to be as ``wanted``. The stored number counts only for
        the name and birth date that agreed with the borrower.
        """
        ports = self.ports
        stored = record.value if record else None
        number = self._read_number(stored, person)
        age = self._age_of(stored)
        if number and age < ports.trust_for and self.is_as_wanted(stored, wanted):
            return FoundBorrower(Finding.FOUND, number, stored=stored)
        try:
            found = self.call(lambda deadline: ports.library.find(cpr_number, deadline))
        except LibraryError:
            if number and age < _TRUST_WHILE_SILENT:
                return FoundBorrower(Finding.FOUND, number, stored=stored)
            return FoundBorrower(Finding.SILENT)
        reason = find_case_reason(found, person, cpr_number)
        if reason or not found:
            if stored and stored.borrower_number:
                # It was deleted, merged, or is another person's by now.
                ports.persons.change(person_id, PersonRecord.forget_borrower, ports.now())
            finding = Finding.CASE if reason else Finding.NONE
            return FoundBorrower(finding, reason=reason, borrowers=list_numbers(found))
        question = ports.ask_about_match(stored, found[0], email)
        if question and question.match_hash == confirmed:
            question = None
        note = self._draft_note(found, person, wanted, question)
        language = wanted.language if wanted else "da"
        notice = ports.draft_notice_of_match(stored, found[0], language)
        ports.persons.change(person_id, note, ports.now(), read=record, others=notice)
        if notice:
            ports.wake_mails()
        return FoundBorrower(Finding.FOUND, found[0].number, found[0], question=question)

    def _read_number(self, stored: PersonRecord | None, person: PersonFacts) -> str | None:
        """Return the stored number, if the facts that agreed with the borrower are the login's."""
        if stored is None or stored.borrower_facts_hash != self.ports.hash_facts(person):
            return None
        return stored.borrower_number

    def has_borrower(self, person_id: str, borrower_number: str) -> bool:
        """Return whether the record of a person names this borrower.

        Only a login with a usable CPR number that agrees with the borrower writes it there.
        """
        record = self.ports.persons.read(person_id, self.ports.now())
        return record is not None and record.value.borrower_number == borrower_number

    def is_as_wanted(self, stored: PersonRecord | None, wanted: WantedBorrower | None) -> bool:
        """Return whether the stored borrower met ``wanted`` when confirmed, and still does."""
        if wanted is None:
            return True
        if stored is None or stored.borrower_wanted_hash != self.ports.hash_wanted(wanted):
            return False
        return not wanted.moves(stored.borrower_category or "")

    def is_known_as(self, stored: PersonRecord, wanted: WantedBorrower) -> bool:
        """Return whether the library system has just confirmed that the borrower is as wanted."""
        is_trusted = self._age_of(stored) < self.ports.trust_for
        return is_trusted and self.is_as_wanted(stored, wanted)

    def call(self, call: Callable[[datetime], T]) -> T:
        """Return what ``call`` is answered within 3 s.

        LibraryError; LibraryUnavailable at once where too many requests wait already.
        """
        with waiting_slot(self.slots):
            return call(self.ports.now() + REQUEST_CALL)

    def _age_of(self, stored: PersonRecord | None) -> timedelta:
        confirmed_at = stored.borrower_confirmed_at if stored else None
        return self.ports.now() - confirmed_at if confirmed_at else timedelta.max

    def _draft_note(
        self,
        found: tuple[Borrower, ...],
        person: PersonFacts,
        wanted: WantedBorrower | None,
        question: AddressQuestion | None,
    ) -> Callable[[PersonRecord], PersonRecord]:
        """Return the change that notes the borrower as the person's, or that they are asked."""
        ports, now = self.ports, self.ports.now()
        if question:
            match_hash = question.match_hash
            return lambda each: each.note_match(match_hash)
        facts_hash, wanted_hash = ports.hash_facts(person), None
        if wanted and plan_change(found[0], wanted, now.date()) is None:
            wanted_hash = ports.hash_wanted(wanted)
        return lambda each: each.mark_seen(now).confirm_borrower(
            found[0], now, facts_hash, wanted_hash
        )
