"""The borrower of a person who has logged in: what is found, and what the login asks for."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, Literal, assert_never

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.change_plan import Change, Create, Nothing, offered, outcome, plan
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import read_person_facts
from broker.core.borrowers.register_look_up import LookUpReason
from broker.core.borrowers.wanted_borrower import WantedBorrower, derive_wanted_borrower
from broker.core.consent.disclosure import looked_up
from broker.core.errors import LibraryError
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import Right, missing_cpr_reason
from broker.core.login.missing_address import without_address
from broker.core.login.transaction import Account, AccountState, Errand, Person, Transaction
from broker.core.person_record import PersonRecord
from broker.use_cases.arrived_login import Arrived
from broker.use_cases.enrolment.find_borrower import BorrowerFinder, Finding, FoundBorrower
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.requests import EnrolmentRequests, is_under_way, new_enrolment
from broker.use_cases.identity.person_resolution import usable_cpr
from broker.use_cases.records import Record
from broker.use_cases.register_look_ups import LookUpRequests

_EMAIL: Final = "email"
Mode = Literal["live", "observe", "frozen"]

# The cases that a search shows before anything is requested.
_SHOWN_BY_SEARCH = frozenset(
    {CaseReason.SEVERAL_BORROWERS.value, CaseReason.DIFFERENT_PERSON.value}
)


@dataclass(frozen=True, slots=True)
class BorrowerAtLogin:
    """Finds, requests and describes the borrower of a login."""

    ports: EnrolmentPorts
    requests: EnrolmentRequests
    finder: BorrowerFinder
    look_ups: LookUpRequests | None
    mode: Mode = "live"

    def find_number(
        self, transaction: Transaction, arrived: Arrived, record: Record[PersonRecord] | None
    ) -> str | None:
        """Return the number of the borrower that the person has already, or None.

        A login that the policies deny for what it lacks alone is let in with a borrower.
        """
        release, person = arrived.decision.release, transaction.person
        if release is None or person is None or release.borrower == "none":
            return None
        if person.number:
            return person.number
        return self._find(transaction, person, arrived, record).number

    def find_account(
        self,
        transaction: Transaction,
        arrived: Arrived,
        record: Record[PersonRecord] | None,
        now: datetime,
    ) -> Account | None:
        """Return the account before anything is asked of the person.

        None where the service asks for no borrower.
        """
        release, person = arrived.decision.release, transaction.person
        if release is None or person is None or release.borrower == "none":
            return None
        account = None
        if release.borrower == "make" and transaction.errand is not Errand.PIN:
            wanted = self._wanted_before_answer(transaction, arrived, record, now)
            if wanted:
                account = self._find_as_wanted(transaction, wanted, arrived, record, now)
        account = account or self._find_unchanged(transaction, arrived, record, now)
        return replace(account, look_up=self._look_up_reason(record, account, arrived))

    def request_look_up(self, transaction: Transaction, arrived: Arrived) -> None:
        """Request the look-up of a person who has read that the register is asked about them."""
        account, person = transaction.account, transaction.person
        policy = arrived.decision.policy
        rule = policy.borrower.register if policy and policy.borrower else None
        cpr = usable_cpr(arrived)
        if self.look_ups and person and account and account.look_up and account.number and cpr:
            self.look_ups.request(person.id, cpr, account.number, rule)

    def enrol(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
        *,
        language: str,
        patience: float,
    ) -> Account:
        """Request the borrower, wait ``patience`` seconds, and return the account as it then is.

        A silent library system is no error: the request is stored.
        """
        person = transaction.person
        if person is None:
            return Account(None, AccountState.NONE)
        # Only a person who was offered another category, and agreed, gets it.
        wanted = _wanted(arrived, language, now, upgrade=transaction.upgrade is True)
        if wanted is None or self.mode == "frozen":
            return self._close_unless_found(transaction, arrived, now)
        if self.mode == "observe":
            return self._observe(person, wanted, now)
        if not _has_mail(wanted):
            missing = self._find_gap(transaction, person, wanted, arrived, now)
            if missing:
                return missing
        account = self._enrol(transaction, person, wanted, now, patience)
        if account.state is AccountState.DONE and account.number is None:
            # A first match that the worker met: the person is asked about it.
            record = self.ports.persons.read(person.id, self.ports.now())
            return self._find_unchanged(transaction, arrived, record, now)
        return account

    def _find_gap(
        self,
        transaction: Transaction,
        person: Person,
        wanted: WantedBorrower,
        arrived: Arrived,
        now: datetime,
    ) -> Account | None:
        """Return the account where a request without a mail address cannot be stored, else None."""
        record = self.ports.persons.read(person.id, now)
        account = self._find_as_wanted(transaction, wanted, arrived, record, now)
        if account.state in {AccountState.MAIL_REQUIRED, AccountState.CASE}:
            return account
        if account.state is AccountState.UNAVAILABLE:
            return Account(None, AccountState.CLOSED, reason="library_unavailable")
        return None

    def _enrol(
        self,
        transaction: Transaction,
        person: Person,
        wanted: WantedBorrower,
        now: datetime,
        patience: float,
    ) -> Account:
        """Store the request, unless it is stored or carried out already, and wait for its end."""
        has_pin_mail = bool(wanted.pin_to)
        record = self.ports.persons.read(person.id, now)
        if record and _is_done(record.value) and self.finder.is_known_as(record.value, wanted):
            # Another window of this login, or another login, has made it so.
            made = self._outcome_for(transaction, record.value, wanted)
            return _account_of(record.value, made, has_pin_mail=has_pin_mail)
        is_waiting = _is_waiting(transaction)
        enrolment = record.value.enrolment if record else None
        if is_waiting and record and record.value.has_open_case:
            return _account_of(record.value, None)  # this login has waited for it
        is_stored = is_under_way(enrolment)
        if not (is_stored and is_waiting):
            self.requests.request(person.id, wanted, transaction.claim)
        self.requests.wait(person.id, patience)
        record = self.ports.persons.read(person.id, self.ports.now())
        if record is None or record.value.enrolment is None:
            return _case_account("national_eid_required")
        enrolment = record.value.enrolment
        return _account_of(record.value, enrolment.outcome, has_pin_mail=has_pin_mail)

    def _outcome_for(
        self, transaction: Transaction, record: PersonRecord, wanted: WantedBorrower
    ) -> EnrolmentOutcome:
        """Return what was done for this login, if it has waited for just that."""
        enrolment = record.enrolment
        if enrolment is None or enrolment.outcome is None or not _is_waiting(transaction):
            return EnrolmentOutcome.UNCHANGED
        is_own = enrolment.wanted_hash == self.ports.hash_wanted(wanted)
        if not is_own or enrolment.requested_at < transaction.begun:
            return EnrolmentOutcome.UNCHANGED
        return enrolment.outcome

    def keep_category(self, transaction: Transaction, now: datetime) -> None:
        """Remember that the person does not want another category."""
        if transaction.person:
            self.ports.persons.change(
                transaction.person.id, lambda each: replace(each, declined_at=now), now
            )

    def _find(
        self,
        transaction: Transaction,
        person: Person,
        arrived: Arrived,
        record: Record[PersonRecord] | None,
        wanted: WantedBorrower | None = None,
    ) -> FoundBorrower:
        """Return the borrower that the login leads to, and open or end the case that it shows."""
        cpr = usable_cpr(arrived)
        if cpr is None:
            return FoundBorrower(Finding.CASE, reason=missing_cpr_reason(arrived.reading.cpr))
        facts = read_person_facts(arrived.reading.attributes)
        if not facts.has_name:
            return FoundBorrower(Finding.CASE, reason="name_required")
        answer = transaction.address_answer
        confirmed = answer.match_hash if answer and answer.is_own else None
        email = arrived.reading.attributes.one(MAIL_PROOF)
        find = partial(self.finder.find_borrower, person.id, cpr, facts)
        found = find(record, wanted, email=email, confirmed=confirmed)
        address = _find_replacement(transaction, arrived, found)
        if address and found.number:
            try:
                self._replace_address(found.number, address)
            except LibraryError:
                return found  # the login says so, and the next one asks again
            record = self.ports.persons.read(person.id, self.ports.now())
            found = find(record, wanted, email=address)
        if self.mode == "live":
            self._update_case(person.id, found, record, wanted)
        return found

    def _replace_address(self, borrower_number: str, address: str) -> None:
        """Replace the address, and end what reached the holder of the other one.

        That is ended before too: the change may be carried out although its answer is lost.
        """
        change = Change(borrower_number, ((_EMAIL, address),))
        self.ports.end_mailed_access(borrower_number)
        self.finder.call(lambda deadline: self.ports.library.change(change, deadline))
        self.ports.end_mailed_access(borrower_number)

    def _update_case(
        self,
        person_id: str,
        found: FoundBorrower,
        record: Record[PersonRecord] | None,
        wanted: WantedBorrower | None,
    ) -> None:
        """Open a case that a search shows, or end one that staff have corrected meanwhile."""
        enrolment = record.value.enrolment if record else None
        is_open = enrolment is not None and enrolment.state is EnrolmentState.CASE
        has_same = is_open and enrolment is not None and enrolment.reason == found.reason
        if found.finding is Finding.CASE and not has_same:
            opened: Enrolment | None = None
            now = self.ports.now()

            def open_case(each: PersonRecord) -> PersonRecord:
                nonlocal opened
                before = each.enrolment or new_enrolment(self.ports, wanted)
                opened = before.open_case(CaseReason(found.reason or ""), found.borrowers)
                return each.with_enrolment(opened)

            self.ports.persons.change(person_id, open_case, now)
            if opened:
                kind = AuditEventKind.ENROLMENT_CASE
                self.ports.record_event(kind, person_id, opened, found.reason)
        elif found.finding is Finding.FOUND and enrolment and _was_shown_by_search(enrolment):
            now = self.ports.now()
            after = enrolment.retry(now) if enrolment.wanted else None

            def end_case(each: PersonRecord) -> PersonRecord:
                # Another login may have ended it, and asked for something.
                return each.with_enrolment(after) if each.enrolment == enrolment else each

            self.ports.persons.change(person_id, end_case, now)
            self.requests.wake.set()

    def _find_unchanged(
        self,
        transaction: Transaction,
        arrived: Arrived,
        record: Record[PersonRecord] | None,
        now: datetime,
    ) -> Account:
        """Return the account of a borrower that this login changes nothing of."""
        person = transaction.person
        if person is None:
            return Account(None, AccountState.NONE)
        if person.number and not usable_cpr(arrived):
            # Number and PIN were verified a moment ago.
            return Account(person.number, AccountState.KNOWN)
        found = self._find(transaction, person, arrived, record)
        match found.finding:
            case Finding.FOUND:
                return Account(found.number, AccountState.KNOWN, address_question=found.question)
            case Finding.NONE:
                return Account(None, AccountState.NONE)
            case Finding.SILENT:
                return Account(None, AccountState.UNAVAILABLE)
            case Finding.CASE:
                return _case_account(found.reason, self._case_id(person.id, now))
            case _:
                assert_never(found.finding)

    def _find_as_wanted(
        self,
        transaction: Transaction,
        wanted: WantedBorrower,
        arrived: Arrived,
        record: Record[PersonRecord] | None,
        now: datetime,
    ) -> Account:
        """Return the account as the request of this login would change it."""
        person = transaction.person
        if person is None:
            return Account(None, AccountState.NONE)
        found = self._find(transaction, person, arrived, record, wanted)
        match found.finding:
            case Finding.FOUND:
                account = self._describe_found(found, wanted, now)
                return replace(account, address_question=found.question)
            case Finding.CASE:
                return _case_account(found.reason, self._case_id(person.id, now))
            case Finding.NONE:
                account = _describe_none(wanted, arrived)
                can_claim = account.state is AccountState.NONE and self.mode == "live"
                return replace(account, can_claim=can_claim)
            case Finding.SILENT:
                state = AccountState.NONE if _has_mail(wanted) else AccountState.UNAVAILABLE
                return Account(None, state)
            case _:
                assert_never(found.finding)

    def _describe_found(
        self, found: FoundBorrower, wanted: WantedBorrower, now: datetime
    ) -> Account:
        """Return the account of a borrower that is as wanted, or that this login would change."""
        if found.borrower is None:
            if found.stored and self.finder.is_as_wanted(found.stored, wanted):
                return _account_of(found.stored, EnrolmentOutcome.UNCHANGED)
            return Account(found.number, AccountState.NONE)
        borrowers = (found.borrower,)
        planned = plan(borrowers, wanted, now.date())
        if isinstance(planned, Nothing):
            unchanged, category = EnrolmentOutcome.UNCHANGED, found.borrower.category
            return Account(found.number, AccountState.DONE, unchanged, category=category)
        upgrade_from = offered(planned, borrowers, wanted)
        return Account(found.number, AccountState.NONE, upgrade_from=upgrade_from)

    def _case_id(self, person_id: str, now: datetime) -> str | None:
        record = self.ports.persons.read(person_id, now)
        enrolment = record.value.enrolment if record else None
        is_case = enrolment is not None and enrolment.state is EnrolmentState.CASE
        return enrolment.id if enrolment and is_case else None

    def _close_unless_found(
        self, transaction: Transaction, arrived: Arrived, now: datetime
    ) -> Account:
        """Return a borrower that is there as it is; none is made, and none changed."""
        person = transaction.person
        record = self.ports.persons.read(person.id, now) if person else None
        found = self._find_unchanged(transaction, arrived, record, now)
        if found.state is AccountState.NONE:
            return Account(None, AccountState.CLOSED)
        if found.state is AccountState.UNAVAILABLE:
            return Account(None, AccountState.CLOSED, reason="library_unavailable")
        return found

    def _observe(self, person: Person, wanted: WantedBorrower, now: datetime) -> Account:
        """Log what would be written, and write nothing."""
        record = self.ports.persons.read(person.id, now)
        found = self.finder.find_borrower(
            person.id, wanted.cpr or "", wanted.person, record, wanted
        )
        facts: dict[str, str | int | None] = {"reason": found.reason or found.finding.value}
        made = None
        if found.finding in {Finding.FOUND, Finding.NONE}:
            borrowers = (found.borrower,) if found.borrower else ()
            planned = plan(borrowers, wanted, now.date())
            made = EnrolmentOutcome.UNCHANGED
            if isinstance(planned, Create):
                made = EnrolmentOutcome.CREATED
            elif isinstance(planned, Change) and found.borrower:
                made = outcome(found.borrower, planned, wanted)
                facts["fields"] = " ".join(name for name, _ in planned.fields)
            facts["outcome"] = made.value
        self.ports.log(BrokerEvent(EventKind.ENROLMENT_OBSERVED, facts))
        number = found.number
        return Account(number, AccountState.OBSERVED, made, found.reason, category=wanted.category)

    def _wanted_before_answer(
        self,
        transaction: Transaction,
        arrived: Arrived,
        record: Record[PersonRecord] | None,
        now: datetime,
    ) -> WantedBorrower | None:
        """Return the wanted borrower before the person is asked about another category."""
        wanted = _wanted(arrived, "da", now, upgrade=transaction.upgrade is not False)
        if wanted is None or not wanted.upgrade or not wanted.upgrades:
            return wanted
        # A person who signs up is asked again.
        has_declined = record is not None and record.value.has_declined(now)
        is_kept = has_declined and transaction.errand is not Errand.SIGN_UP
        return replace(wanted, upgrade=not is_kept)

    def _look_up_reason(
        self, record: Record[PersonRecord] | None, account: Account, arrived: Arrived
    ) -> LookUpReason | None:
        """Return why the register would be asked about the person; they may say no."""
        if self.look_ups is None or self.mode != "live" or account.number is None:
            return None
        if not looked_up(arrived.decision) or not usable_cpr(arrived):
            return None
        return self.look_ups.find_reason(record.value if record else None)


def _was_shown_by_search(enrolment: Enrolment) -> bool:
    is_case = enrolment.state is EnrolmentState.CASE
    return is_case and enrolment.reason in _SHOWN_BY_SEARCH


def _describe_none(wanted: WantedBorrower, arrived: Arrived) -> Account:
    """Return the account of a person without a borrower."""
    if not wanted.creates:
        return _case_account("national_eid_required")
    if not _has_mail(wanted):
        return without_address(arrived.decision, arrived.reading.attributes)
    return Account(None, AccountState.NONE)


def _case_account(reason: str | None, enrolment_id: str | None = None) -> Account:
    """Return the account of a person whom another login, or staff, must help first."""
    return Account(None, AccountState.CASE, reason=reason, enrolment=enrolment_id)


def _account_of(
    record: PersonRecord, made: EnrolmentOutcome | None, *, has_pin_mail: bool = False
) -> Account:
    enrolment = record.enrolment
    if enrolment is None or enrolment.state is EnrolmentState.DONE:
        return Account(
            record.borrower_number,
            AccountState.DONE,
            made,
            category=record.borrower_category,
            pin_mailed=has_pin_mail and made is EnrolmentOutcome.CREATED,
            enrolment=enrolment.id if enrolment else None,
        )
    if enrolment.state is EnrolmentState.CASE:
        case = _case_account(enrolment.reason, enrolment.id)
        is_duplicate = enrolment.reason == CaseReason.POSSIBLE_DUPLICATE.value
        return replace(case, can_claim=is_duplicate)
    reason = enrolment.reason
    return Account(
        record.borrower_number, AccountState.WANTED, reason=reason, enrolment=enrolment.id
    )


def _find_replacement(
    transaction: Transaction, arrived: Arrived, found: FoundBorrower
) -> str | None:
    """Return the address that takes the place of one that the person said is not their own."""
    answer, question = transaction.address_answer, found.question
    if answer is None or answer.is_own or question is None:
        return None
    if answer.match_hash != question.match_hash or not arrived.decision.has(Right.WRITE_BORROWER):
        return None
    return transaction.find_new_address()


def _is_done(record: PersonRecord) -> bool:
    return record.enrolment is None or record.enrolment.state is EnrolmentState.DONE


def _is_waiting(transaction: Transaction) -> bool:
    account = transaction.account
    return account is not None and account.state is AccountState.WANTED


def _has_mail(wanted: WantedBorrower) -> bool:
    return any(field.name == _EMAIL for field in wanted.fields)


def _wanted(
    arrived: Arrived, language: str, now: datetime, *, upgrade: bool
) -> WantedBorrower | None:
    wanted = derive_wanted_borrower(
        arrived.decision, arrived.reading.attributes, language=language, today=now.date()
    )
    if wanted is None or not wanted.person.has_name:
        # Without a name a borrower of a mistyped CPR number looks like the person's.
        return None
    return replace(wanted, upgrade=upgrade)
