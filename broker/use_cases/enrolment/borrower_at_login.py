"""The borrower of a person who has logged in: what is found, and what the login asks for."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import read_person_facts
from broker.core.borrowers.wanted_borrower import EMAIL, WantedBorrower, derive_wanted_borrower
from broker.core.errors import LibraryError
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import Right, missing_cpr_reason
from broker.core.login.found_account import FoundBorrower, describe_account, make_case_account
from broker.core.login.transaction import Account, AccountState, LoginPurpose, Transaction
from broker.core.person_record import PersonRecord
from broker.use_cases.enrolment.find_borrower import BorrowerFinder, BorrowerSearch
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.storage.records import Record
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin
from broker.use_cases.transactions.person_identification import usable_cpr

Mode = Literal["live", "frozen"]
PersonRead = Record[PersonRecord] | None

_NO_ACCOUNT: Final = Account(None, AccountState.NONE)


@dataclass(frozen=True, slots=True)
class BorrowerAtLogin:
    """Finds, requests and describes the borrower of a login.

    While ``mode`` is "frozen", nothing is written to the library system.
    """

    ports: EnrolmentPorts
    requests: EnrolmentRequests
    finder: BorrowerFinder
    mode: Mode = "live"

    def find_number(
        self, transaction: Transaction, login: EvaluatedLogin, record: PersonRead
    ) -> str | None:
        """Return the number of the borrower that the person has already, or None.

        A login that the policies deny only because something is missing is permitted with a
        borrower.
        """
        if transaction.person is None or _borrower_access(login) == "none":
            return None
        if transaction.person.number:
            return transaction.person.number
        found = self._find(transaction, login, record)
        return found.number if found else None

    def find_account(
        self, transaction: Transaction, login: EvaluatedLogin, record: PersonRead
    ) -> Account | None:
        """Return the account before the person is asked anything.

        None if the service needs no borrower.
        """
        access = _borrower_access(login)
        if transaction.person is None or access == "none":
            return None
        wanted = None
        if access == "make" and transaction.purpose is not LoginPurpose.PIN:
            # A person who is asked about another category, or has agreed, would get it.
            upgrade = transaction.upgrade is not False
            wanted = _derive_wanted(login, "da", self.ports.now(), upgrade=upgrade)
        return self._describe(transaction, login, record, wanted)

    def request_look_up(
        self, transaction: Transaction, login: EvaluatedLogin, record: PersonRead
    ) -> None:
        """Request the look-up of a person who has read that the register is asked.

        Request nothing if the last answer of the register is recent.
        """
        ports, person_id, cpr = self.ports, transaction.person_id, usable_cpr(login)
        policy, account = login.decision.policy, transaction.account
        rule = policy.borrower.register if policy and policy.borrower else None
        number = account.number if account else None
        if self.mode == "live" and ports.asks_register and person_id and number and cpr:
            now = ports.now()
            ports.persons.change(
                person_id,
                lambda each: each.request_look_up(cpr, number, rule, now),
                now,
                read=record,
            )

    def enrol(
        self, transaction: Transaction, login: EvaluatedLogin, *, language: str, patience: float
    ) -> Account:
        """Request the borrower, wait ``patience`` seconds, and return the account as it is then.

        A library system that does not answer is no error: the request is stored.
        """
        person_id = transaction.person_id
        if person_id is None:
            return _NO_ACCOUNT
        wanted = None
        if self.mode == "live":
            # Only a person who was offered another category, and agreed, gets it.
            upgrade = transaction.upgrade is True
            wanted = _derive_wanted(login, language, self.ports.now(), upgrade=upgrade)
        if wanted is None or wanted.email is None:
            # No borrower is made. One that is there is used, and changed if that is wanted.
            account = self._describe(transaction, login, self._read(person_id), wanted)
            if account.state is AccountState.UNAVAILABLE:
                return Account(None, AccountState.CLOSED, reason="library_unavailable")
            if account.state is not AccountState.NONE:
                return account
            if wanted is None:
                return Account(None, AccountState.CLOSED)
        account = self._enrol(transaction, person_id, wanted, patience)
        if account.state is AccountState.DONE and account.number is None:
            # The worker met a first match, or ended the request of a login with another name.
            return self._describe(transaction, login, self._read(person_id))
        return account

    def _read(self, person_id: str) -> PersonRead:
        return self.ports.persons.read(person_id, self.ports.now())

    def _enrol(
        self, transaction: Transaction, person_id: str, wanted: WantedBorrower, patience: float
    ) -> Account:
        """Store the request, unless this login has stored it already, and wait for its end.

        A login that waits for an enrolment requests it again only after a failure.
        """
        enrolment = self.requests.read(person_id)
        is_waiting = transaction.account and transaction.account.state is AccountState.WANTED
        if not is_waiting or (enrolment and enrolment.has_failed):
            self.requests.request(person_id, wanted, transaction.claim)
        self.requests.wait(person_id, patience)
        record = self._read(person_id)
        enrolment = record.value.enrolment if record else None
        if record is None or enrolment is None:
            return make_case_account("national_eid_required")
        if enrolment.outcome and enrolment.requested_at < transaction.begun:
            # An earlier login requested it: to this one nothing is new.
            enrolment = enrolment.finish(EnrolmentOutcome.UNCHANGED)
        return _make_account(record.value, enrolment, wanted, self.ports.hash_facts(wanted.person))

    def _find(
        self,
        transaction: Transaction,
        login: EvaluatedLogin,
        record: PersonRead,
        wanted: WantedBorrower | None = None,
    ) -> FoundBorrower | None:
        """Return the borrower that the login leads to.

        None if the library system does not answer and nothing is known.
        """
        cpr = usable_cpr(login)
        if cpr is None:
            return FoundBorrower(reason=missing_cpr_reason(login.reading.cpr))
        attributes = login.reading.attributes
        facts = read_person_facts(attributes)
        if not facts.has_name:
            return FoundBorrower(reason="name_required")
        answer = transaction.address_answer
        search = BorrowerSearch(
            transaction.person_id or "",
            cpr,
            facts,
            record,
            wanted,
            email=attributes.one(MAIL_PROOF),
            confirmed=answer.match_hash if answer and answer.is_own else None,
        )
        found = self.finder.find_borrower(search)
        address = _find_replacement(transaction, login, found)
        if address and found and found.number and self.mode == "live":
            try:
                self._replace_address(found.number, address)
            except LibraryError:
                return found  # the login says so, and the next one asks again
            search = replace(search, record=self._read(search.person_id), email=address)
            return self.finder.find_borrower(search)
        return found

    def _replace_address(self, borrower_number: str, address: str) -> None:
        """Replace the address, and end the access of everybody who reads the old one.

        The access ends before the call too, because the change may be carried out although its
        answer is lost.
        """
        change = Change(borrower_number, ((EMAIL, address),))
        self.ports.pins.end_mailed_access(borrower_number)
        self.finder.call(lambda deadline: self.ports.library.change(change, deadline))
        self.ports.pins.end_mailed_access(borrower_number)

    def _describe(
        self,
        transaction: Transaction,
        login: EvaluatedLogin,
        record: PersonRead,
        wanted: WantedBorrower | None = None,
    ) -> Account:
        """Return the account as ``wanted`` would change it.

        ``wanted`` is None if the borrower is not changed.
        """
        number = transaction.person.number if transaction.person else None
        if number and not usable_cpr(login):
            # Number and PIN were verified a moment ago.
            return Account(number, AccountState.KNOWN)
        found = self._find(transaction, login, record, wanted)
        if found is None:
            return Account(None, AccountState.UNAVAILABLE)
        account = describe_account(found, wanted, login.decision, login.reading.attributes)
        return replace(account, can_claim=account.can_claim and self.mode == "live")


def _borrower_access(login: EvaluatedLogin) -> str:
    """Return whether the service makes a borrower, needs one or does without."""
    release = login.decision.release
    return release.borrower if release else "none"


def _make_account(
    record: PersonRecord, enrolment: Enrolment, wanted: WantedBorrower, facts_hash: str
) -> Account:
    """Return the account after an enrolment, or while it is under way.

    The record may hold the borrower of a login with the same CPR number and another name: only a
    borrower that agreed with the name of this login counts.
    """
    borrower, outcome = record.borrower, enrolment.outcome
    is_own = borrower is not None and borrower.facts_hash == facts_hash
    number = record.borrower_number if is_own else None
    if enrolment.state is EnrolmentState.DONE:
        is_mailed = bool(wanted.pin_to) and outcome is EnrolmentOutcome.CREATED
        category = borrower.category if borrower else None
        return Account(number, AccountState.DONE, outcome, category=category, pin_mailed=is_mailed)
    if enrolment.state is EnrolmentState.CASE:
        is_duplicate = enrolment.reason == CaseReason.POSSIBLE_DUPLICATE
        return replace(make_case_account(enrolment.reason), can_claim=is_duplicate)
    return Account(number, AccountState.WANTED, reason=enrolment.reason)


def _find_replacement(
    transaction: Transaction, login: EvaluatedLogin, found: FoundBorrower | None
) -> str | None:
    """Return the proved address that replaces one that the person said is not their own."""
    answer, question = transaction.address_answer, found.question if found else None
    if answer is None or answer.is_own or question is None:
        return None
    if answer.match_hash != question.match_hash or not login.decision.has(Right.WRITE_BORROWER):
        return None
    return transaction.find_new_address()


def _derive_wanted(
    login: EvaluatedLogin, language: str, now: datetime, *, upgrade: bool
) -> WantedBorrower | None:
    wanted = derive_wanted_borrower(
        login.decision, login.reading.attributes, language=language, today=now.date()
    )
    if wanted is None or not wanted.person.has_name:
        # Without a name a borrower of a mistyped CPR number looks like the person's.
        return None
    return replace(wanted, upgrade=upgrade)
