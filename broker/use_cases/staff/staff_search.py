"""Finds the person that staff help: by help code, by borrower number, or from the list of cases."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from broker.core.help_codes import ShownPage, StatelessReferences, is_stateless, normalize_code
from broker.core.identity.mail_addresses import mask_address
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.core.staff.staff_sentences import (
    ADVICE_BY_REASON,
    REGISTER_NOTES,
    STATES,
    StaffSentence,
)
from broker.use_cases.enrolment.cases import EnrolmentCases, StaffEnrolment, describe_enrolment
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.storage.mail_outbox import MailOutbox, QueuedMail
from broker.use_cases.storage.rate_limits import Limit, Limits
from broker.use_cases.transactions.transactions import find_by_reference, is_reference

# Staff may mishear a code once or twice. One code in a hundred thousand leads to a page: eight
# characters of 27, and at most 3,600 pages an hour for thirty days.
UNKNOWN_CODES: Final = Limit("staff-unknown-references", 10, timedelta(minutes=10))
_MOST_MAILS: Final = 10
_PERSON_ID: Final = re.compile(r"[^.]{1,40}\.[0-9a-f]{64}")
_BORROWER_NUMBER: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True, slots=True, repr=False)
class FoundPerson:
    """The person that staff help.

    ``pin_mail_number`` is the borrower to which a PIN mail may go. It is None for a case, because
    the borrower may be another person's. ``register_note`` is a key of ``REGISTER_NOTES``.
    """

    page: ShownPage | None = None
    person_id: str | None = None
    enrolment: StaffEnrolment | None = None
    proofs: tuple[MailboxProof, ...] = ()
    mails: tuple[QueuedMail, ...] = ()
    pin_mail_number: str | None = None
    register_note: str | None = None

    @property
    def sentence(self) -> StaffSentence | None:
        """Return what is wrong with the account, and what to do; None if only a page is known."""
        if self.enrolment is not None:
            return self.enrolment.sentence
        return None if self.page else STATES["unknown"]

    @property
    def page_action(self) -> str | None:
        """Return what staff do about the page of a person without an enrolment, or None."""
        return ADVICE_BY_REASON.get(self.page.reason) if self.page else None

    def as_row(self) -> Mapping[str, Any]:
        """Return the values that the command line shows."""
        row: dict[str, Any] = {}
        if self.page is not None:
            row["page_shown"] = self.page.at.isoformat(timespec="minutes")
            row["page_step"] = self.page.step or None
            row["page_reason"] = self.page.reason or None
        if self.enrolment is not None:
            row |= self.enrolment.as_row()
        elif self.sentence is not None:
            row |= asdict(self.sentence)
        else:
            row["action"] = self.page_action or "Nothing to do for the library."
        proofs = [
            f"{mask_address(each.address)} until {each.until:%Y-%m-%d}" for each in self.proofs
        ]
        row["confirmed_addresses"] = tuple(proofs) or None
        row["register_note"] = REGISTER_NOTES[self.register_note] if self.register_note else None
        row["mails"] = tuple(mail.description for mail in self.mails) or None
        return row


@dataclass(frozen=True, slots=True)
class StaffSearch:
    """Searches the store. Neither a CPR number nor a name finds anybody."""

    cases: EnrolmentCases
    outbox: MailOutbox
    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def find(self, typed: str, staff_id: str) -> FoundPerson | None:
        """Return the person of a help code, a borrower number or a person id, or None.

        Raises TooMany for a member of staff who has typed ten unknown codes within ten minutes.
        """
        if _PERSON_ID.fullmatch(typed):
            return self._show(None, typed)
        if is_reference(typed) or is_stateless(typed):
            limits = Limits(self.store, self.hmacs, self.now)
            taken = limits.take(UNKNOWN_CODES, staff_id)
            found = self._find_by_code(normalize_code(typed))
            if found is not None:
                limits.give_back(taken)
                return found
        return self._find_by_borrower(typed)

    def remove_proof(self, found: FoundPerson, proof_name: str) -> None:
        """Remove a proof of a mail address; the person is asked for it at the next login."""
        if found.person_id is not None:
            self.cases.ports.persons.drop_proof(found.person_id, proof_name, self.now())

    def _find_by_code(self, code: str) -> FoundPerson | None:
        now = self.now()
        stranger = StatelessReferences(self.hmacs).read(code, now)
        if stranger is not None:
            return FoundPerson(stranger)
        trace = SupportTraces(self.store).find(code, now)
        if trace is not None:
            return self._show(ShownPage(trace.at, trace.step, trace.reason), trace.person)
        transaction = find_by_reference(self.store, code, now)
        if transaction is None:
            return None
        return self._show(ShownPage(transaction.authenticated or now), transaction.person_id)

    def _find_by_borrower(self, typed: str) -> FoundPerson | None:
        number = typed.strip()
        if not _BORROWER_NUMBER.fullmatch(number):
            return None
        person_id = self.cases.find_person(number)
        if person_id is None:
            # Text in the shape of a help code is a help code that was misheard.
            is_code = (is_reference(number) or is_stateless(number)) and not number.isdigit()
            if is_code:
                return None
            mails = self.outbox.list_mails(number)[:_MOST_MAILS]
            return FoundPerson(mails=mails, pin_mail_number=number)
        return self._show(None, person_id)

    def _show(self, page: ShownPage | None, person_id: str | None) -> FoundPerson | None:
        """Return a person with what is stored about them; None without page and record."""
        now = self.now()
        record = self.cases.ports.persons.read(person_id, now) if person_id else None
        if person_id is None or record is None:
            return FoundPerson(page) if page else None
        person = record.value
        has_account = person.enrolment or person.borrower_number
        enrolment = describe_enrolment(person_id, person) if has_account else None
        number = enrolment.own_number if enrolment and enrolment.is_done else None
        mails = self.outbox.list_mails(person_id, *([number] if number else []))[:_MOST_MAILS]
        proofs = person.list_proofs(now)
        return FoundPerson(page, person_id, enrolment, proofs, mails, number, person.register_note)
