"""Finds the borrower of a person by CPR number, name and birth date."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from broker.core.borrowers.borrower import Borrower, list_numbers
from broker.core.borrowers.change_plan import find_case_reason, plan_change
from broker.core.borrowers.enrolment import CaseReason, Enrolment
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.entities import Names
from broker.core.errors import LibraryError
from broker.core.events.audit_events import AuditEventKind
from broker.core.login.found_account import FoundBorrower
from broker.core.person_record import PersonRecord
from broker.use_cases.enrolment.ports import REQUEST_CALL, EnrolmentPorts
from broker.use_cases.enrolment.requests import new_enrolment
from broker.use_cases.library_system.guarded_library import WaitingSlot
from broker.use_cases.storage.records import Record

T = TypeVar("T")

# While the library system is silent, a borrower that it confirmed so lately is used for logins.
_TRUST_WHILE_SILENT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, repr=False)
class BorrowerSearch:
    """A login whose borrower is searched.

    ``record`` is the person's record if there is one, and ``wanted`` the borrower that the login
    wants, None if nothing is changed. ``email`` is the address that the login brings, and
    ``confirmed`` the hash of the first match whose address the person has confirmed.
    """

    person_id: str
    cpr: str
    facts: PersonFacts
    record: Record[PersonRecord] | None
    wanted: WantedBorrower | None = None
    email: str | None = None
    confirmed: str | None = None

    @property
    def stored_record(self) -> PersonRecord | None:
        """Return the content of the person's record."""
        return self.record.value if self.record else None


@dataclass(frozen=True, slots=True)
class BorrowerFinder:
    """Asks the library system, and stores the number that it confirmed in the person record.

    ``waiting_slot`` limits the requests that wait for the library system.
    """

    ports: EnrolmentPorts
    waiting_slot: WaitingSlot = nullcontext

    def find_borrower(self, search: BorrowerSearch) -> FoundBorrower | None:
        """Return the borrower with the CPR number, if it is this person's.

        None if the library system does not answer and nothing is known. A case that the search
        shows is opened, and one that staff have corrected is ended. A first match comes with a
        question, and the record does not name the borrower, unless the login brings its address or
        the person has confirmed it.

        The library system is not asked within ``trust_for`` of its last answer, unless the borrower
        must be changed to be as wanted. The stored number counts only for the name and birth date
        that agreed with the borrower.
        """
        ports = self.ports
        known, age = self._find_stored(search)
        if known and age < ports.trust_for and known.is_as_wanted:
            return known
        try:
            found = self.call(lambda deadline: ports.library.find(search.cpr, deadline))
        except LibraryError:
            return known if age < _TRUST_WHILE_SILENT else None
        reason = find_case_reason(found, search.facts, search.cpr)
        if reason is None and found:
            return self._note_found(search, found[0])
        self._note_none(search, reason, list_numbers(found))
        return FoundBorrower(reason=reason)

    def _note_none(
        self, search: BorrowerSearch, reason: CaseReason | None, borrowers: Names
    ) -> None:
        """Open the case that the search shows, unless it is open, and forget the borrower.

        It was deleted or merged, or it is another person's now.
        """
        ports, stored = self.ports, search.stored_record
        opened: Enrolment | None = None

        def note(record: PersonRecord) -> PersonRecord:
            nonlocal opened
            before, opened = record.enrolment, None
            record = replace(record, borrower=None)
            if reason is None or (record.has_open_case and before and before.reason == reason):
                return record
            opened = (before or new_enrolment(ports, search.wanted)).open_case(reason, borrowers)
            return record.set_enrolment(opened)

        if reason or (stored and stored.borrower):
            ports.persons.change(search.person_id, note, ports.now(), read=search.record)
        if opened:
            kind = AuditEventKind.ENROLMENT_CASE
            ports.record_event(kind, search.person_id, opened, opened.reason)

    def _find_stored(self, search: BorrowerSearch) -> tuple[FoundBorrower | None, timedelta]:
        """Return the stored borrower, and how long ago the library system confirmed it.

        None if the facts that agreed with it are not the login's.
        """
        stored, wanted = search.stored_record, search.wanted
        borrower = stored.borrower if stored else None
        if borrower is None:
            return None, timedelta.max
        age = self.ports.now() - borrower.confirmed_at
        if borrower.facts_hash != self.ports.hash_facts(search.facts):
            return None, age
        is_as_wanted = wanted is None or (
            borrower.wanted_hash == self.ports.hash_wanted(wanted)
            and not wanted.moves(borrower.category)
        )
        return FoundBorrower(borrower.number, borrower.category, is_as_wanted), age

    def has_borrower(self, person_id: str, borrower_number: str) -> bool:
        """Return whether the record of a person names this borrower.

        Only a login with a usable CPR number that agrees with the borrower writes it there.
        """
        record = self.ports.persons.read(person_id, self.ports.now())
        return record is not None and record.value.borrower_number == borrower_number

    def call(self, call: Callable[[datetime], T]) -> T:
        """Return the answer to ``call``, which has 3 s.

        Raises LibraryError; LibraryUnavailable at once if too many requests wait already.
        """
        with self.waiting_slot():
            return call(self.ports.now() + REQUEST_CALL)

    def _note_found(self, search: BorrowerSearch, borrower: Borrower) -> FoundBorrower:
        """Write the borrower into the person record, or the open question, and mail the notice."""
        ports, wanted, now = self.ports, search.wanted, self.ports.now()
        language = wanted.language if wanted else "da"
        question, notice = ports.check_first_match(
            search.stored_record, borrower, search.email, language
        )
        if question and question.match_hash == search.confirmed:
            question = None
        is_as_wanted = wanted is None or plan_change(borrower, wanted, now.date()) is None
        facts_hash = ports.hash_facts(search.facts)
        wanted_hash = ports.hash_wanted(wanted) if wanted and is_as_wanted else None

        def note(each: PersonRecord) -> PersonRecord:
            each = each.end_corrected_case(now)
            if question:
                return each.note_match(question.match_hash)
            return each.mark_seen(now).confirm_borrower(borrower, now, facts_hash, wanted_hash)

        ports.persons.change(search.person_id, note, now, read=search.record, others=notice)
        if notice or (search.stored_record and search.stored_record.has_open_case):
            ports.pins.outbox.wake_worker()
        return FoundBorrower(borrower.number, borrower.category, is_as_wanted, question=question)
