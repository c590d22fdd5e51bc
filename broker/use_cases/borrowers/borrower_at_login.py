"""The borrower of a person who has logged in: the account as it is found, and the wish for it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import read_person_facts
from broker.core.borrowers.register_look_up import LookUpReason
from broker.core.borrowers.wanted_borrower import Wish, wish
from broker.core.consent.disclosure import looked_up
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity.usable_cpr import missing_cpr_reason
from broker.core.login.missing_address import without_address
from broker.core.login.transaction import Account, AccountState, Errand, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import DECLINED
from broker.use_cases.arrived_login import Arrived
from broker.use_cases.borrowers.enrolments import Enrolments, under_way
from broker.use_cases.borrowers.known_borrower import (
    KnownBorrower,
    RememberedBorrower,
    Who,
    person_key,
)
from broker.use_cases.borrowers.staff_cases import StaffCases
from broker.use_cases.identity.person_resolution import find_cpr_person, usable_cpr
from broker.use_cases.records import Reads


@dataclass(frozen=True, slots=True)
class BorrowerAtLogin:
    """Asks the enrolments and the library system about one person's borrower."""

    store: Store
    hmacs: LookupHmacs
    enrolments: Enrolments

    def number(self, transaction: Transaction, arrived: Arrived, now: datetime) -> str | None:
        """Return the number of the borrower that the person has already, or None.

        For whom the policies deny one alone: who has one gets on without what they lack.
        """
        release = arrived.decision.release
        person = transaction.person
        if release is None or release.borrower == "none":
            return None
        if person is None or person.number:
            return person.number if person else None
        return self._known(transaction, arrived, now).number

    def keys(self, cpr_person_id: str | None) -> list[Key]:
        """Return the keys of what is remembered of the person's borrower."""
        return [person_key(cpr_person_id)] if cpr_person_id else []

    def remembered(self, cpr_person_id: str | None, reads: Reads) -> RememberedBorrower | None:
        """Return what is remembered of the borrower, as ``reads`` has it; None without a CPR."""
        if cpr_person_id is None:
            return None
        key = person_key(cpr_person_id)
        return RememberedBorrower(key, self.enrolments.ports.records.found(key, reads))

    def account(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
        remembered: RememberedBorrower | None = None,
    ) -> Account | None:
        """Return the account as it is found, before anything is asked of the person or written.

        None where the service asks for no borrower. ``remembered`` is what this request has read of
        the person's borrower.
        """
        release = arrived.decision.release
        person = transaction.person
        if release is None or person is None:
            return None
        if release.borrower == "none":
            return None
        account = None
        if release.borrower == "make" and transaction.errand is not Errand.PIN:
            wished = self._wish(transaction, arrived, now, remembered, to_be=True)
            account = self._account_by_wish(wished, arrived, remembered) if wished else None
        account = account or self._account_as_it_is(transaction, arrived, now, remembered)
        return replace(account, look_up=self._look_up_reason(person.id, account, arrived))

    def request_look_up(self, transaction: Transaction, arrived: Arrived) -> None:
        """Request the look-up of a person who has read that the register is asked about them."""
        account, person = transaction.account, transaction.person
        policy = arrived.decision.policy
        rule = policy.borrower.register if policy and policy.borrower else None
        cpr = usable_cpr(arrived)
        if person and account and account.look_up and account.number and cpr:
            self.enrolments.ports.look_ups.request(person.id, cpr, account.number, rule)

    def enrol(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
        *,
        language: str,
        patience: float,
    ) -> Account:
        """Write the wish, wait ``patience`` seconds for it, and return the account as it then is.

        A silent library is no error.
        """
        if transaction.person is None:
            return Account(None, AccountState.NONE)
        # Only a person who was offered another category, and agreed, gets it.
        agreed = transaction.upgrade is True
        wished = _wish(transaction, arrived, language, now, upgrade=agreed)
        if wished is None or self.enrolments.mode == "frozen":
            return self._unchanged_account(transaction, arrived, now)
        try:
            if self._lacks_mail(wished):
                return without_address(arrived.decision, arrived.reading.attributes)
            carried_out = self._carried_out_meanwhile(transaction, wished)
            enrolment = carried_out or self.enrolments.want(wished, _absent_since(transaction))
        except (LibraryUnavailable, LibraryRefused):
            # Nothing was stored, so nothing is promised (nobody could say whether the address is
            # needed that the person has not given).
            return Account(None, AccountState.CLOSED, reason="library_unavailable")
        if enrolment.state is EnrolmentState.DONE and carried_out is None:
            # Another login has made it so.
            return _account(enrolment, EnrolmentOutcome.UNCHANGED)
        if enrolment.state is EnrolmentState.WANTED:
            key = self.enrolments.person_key(wished.cpr or "")
            enrolment = self.enrolments.wait(key, patience) or enrolment
        return _account(enrolment, enrolment.outcome)

    def keep_category(self, transaction: Transaction, now: datetime) -> None:
        """Remember that the person does not want another category."""
        key = self._declined_key(transaction)
        if key:
            self.store.drop(key)  # counted anew, it lasts from today
            self.store.count(key, 1, DECLINED.until(now), now)

    def _known(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
        remembered: RememberedBorrower | None = None,
    ) -> KnownBorrower:
        """Return the borrower that the login leads to, by its CPR number."""
        question = self.enrolments.question
        cpr = usable_cpr(arrived)
        if cpr is None:
            return KnownBorrower(Who.NONE)
        person = read_person_facts(arrived.reading.attributes)
        if not person.has_name:
            return KnownBorrower(Who.CASE, reason="name_required")
        wished = self._wish(transaction, arrived, now, remembered, to_be=False)
        return question.who(cpr, person, wished, remembered=remembered)

    def _account_as_it_is(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
        remembered: RememberedBorrower | None = None,
    ) -> Account:
        """Return the account of a borrower that this login changes nothing of."""
        person = transaction.person
        if person and person.number and not usable_cpr(arrived):
            # Number and PIN were verified a moment ago, or the question was asked.
            return Account(person.number, AccountState.KNOWN)
        if transaction.errand is Errand.PIN and not usable_cpr(arrived):
            # A PIN outlives whatever else led here.
            return _case_account(missing_cpr_reason(arrived.reading.cpr))
        known = self._known(transaction, arrived, now, remembered)
        match known.who:
            case Who.ONE:
                return Account(known.number, AccountState.KNOWN)
            case Who.UNKNOWN:
                return Account(None, AccountState.UNAVAILABLE)
            case Who.CASE:
                return _case_account(known.reason, self._listed(arrived, known))
            case Who.NONE if usable_cpr(arrived):
                return Account(None, AccountState.NONE)
            case Who.NONE:
                # Nobody is asked to agree to what cannot be.
                return _case_account(missing_cpr_reason(arrived.reading.cpr))
            case _:
                assert_never(known.who)

    def _account_by_wish(
        self, wished: Wish, arrived: Arrived, remembered: RememberedBorrower | None
    ) -> Account:
        """Return the account as it is, or would be, by what the person's login wishes for."""
        question = self.enrolments.question
        cpr = wished.cpr or ""
        known = question.who(cpr, wished.person, wished, to_be=True, remembered=remembered)
        match known.who:
            case Who.ONE if known.enrolment:
                # Whatever was done to become so was done before: this login finds it so.
                return _account(known.enrolment, EnrolmentOutcome.UNCHANGED)
            case Who.ONE | Who.CASE:
                return Account(known.number, AccountState.NONE, upgrade_from=known.upgrade_from)
            case Who.NONE if wished.temporary is None and not wished.creates:
                return _case_account("national_eid_required")
            case Who.NONE if not _has_mail(wished):
                return without_address(arrived.decision, arrived.reading.attributes)
            case Who.NONE:
                return Account(known.number, AccountState.NONE, absent=True)
            case Who.UNKNOWN if not _has_mail(wished):
                return Account(None, AccountState.UNAVAILABLE)
            case Who.UNKNOWN:
                return Account(None, AccountState.NONE)
            case _:
                assert_never(known.who)

    def _look_up_reason(
        self, person_id: str, account: Account, arrived: Arrived
    ) -> LookUpReason | None:
        """Return why the register would be asked about the person; they may say no."""
        if self.enrolments.mode != "live" or account.number is None:
            return None
        if not looked_up(arrived.decision) or not usable_cpr(arrived):
            return None
        return self.enrolments.ports.look_ups.find_reason(person_id)

    def _listed(self, arrived: Arrived, known: KnownBorrower) -> str | None:
        """List for staff what no enrolment of this login will, and return the id of the case."""
        owner = find_cpr_person(self.hmacs, arrived)
        if owner is None or known.reason is None or not known.borrowers:
            return None
        cases = StaffCases.of(self.enrolments.ports)
        return cases.borrowers_differ(owner, known.reason, known.borrowers)

    def _carried_out_meanwhile(self, transaction: Transaction, wished: Wish) -> Enrolment | None:
        """Return the enrolment if it is carried out, or was, while this very login waits.

        What was made then is new to this login. Logins by two ways wait for one another's wishes:
        if each reload wished again, they would overtake each other for ever.
        """
        account = transaction.account
        if account is None or account.state is not AccountState.WANTED:
            return None
        stored = self.enrolments.stored(wished.cpr or "")
        if under_way(stored):
            return stored
        if stored is None or stored.state is not EnrolmentState.DONE:
            return None
        if stored.carried != self.enrolments.ports.carried(wished):
            return None
        if stored.settled is None or stored.settled < transaction.begun:
            return None
        return stored

    def _unchanged_account(
        self, transaction: Transaction, arrived: Arrived, now: datetime
    ) -> Account:
        """Return a borrower that is there as it is; nobody new, and nothing changed."""
        found = self._account_as_it_is(transaction, arrived, now)
        match found.state:
            case AccountState.NONE:
                return Account(None, AccountState.CLOSED)
            case AccountState.UNAVAILABLE:
                return Account(None, AccountState.CLOSED, reason="library_unavailable")
            case _:
                return found

    def _lacks_mail(self, wished: Wish) -> bool:
        """Return whether a borrower would have to be made without a mail address.

        None may be (docs/reference/requirements.md#r22). LibraryUnavailable where nobody can say.
        """
        if _has_mail(wished):
            return False
        known = self.enrolments.question.who(wished.cpr or "", wished.person)
        if known.who is Who.UNKNOWN:
            raise LibraryUnavailable("nobody can say whether there is a borrower")
        return known.who is Who.NONE

    def _wish(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
        remembered: RememberedBorrower | None,
        *,
        to_be: bool,
    ) -> Wish | None:
        """Return the wish as it is before the person is asked; nobody is told a word yet.

        Whether the person has refused another category is asked of the store only where the library
        system will be asked: a borrower that is as the whole wish has it is so without the category
        too.
        """
        wished = _wish(transaction, arrived, "da", now, upgrade=transaction.upgrade is not False)
        if wished is None or not wished.upgrade or not wished.upgrades:
            return wished
        question = self.enrolments.question
        if remembered and question.is_answered(remembered, wished, to_be=to_be):
            return wished
        return replace(wished, upgrade=not self._is_declined(transaction, now))

    def _is_declined(self, transaction: Transaction, now: datetime) -> bool:
        """Return whether the person has refused another category, and is not signing up."""
        key = self._declined_key(transaction)
        if key is None or transaction.errand is Errand.SIGN_UP:
            return False
        return self.store.count(key, 0, DECLINED.until(now), now) > 0

    def _declined_key(self, transaction: Transaction) -> Key | None:
        person = transaction.person
        if person is None:
            return None
        return declined_key(self.hmacs, person.id)


def declined_key(hmacs: LookupHmacs, person: str) -> Key:
    """Return the key of the counter that a person does not want another category."""
    return Key("counter", hmacs.of("declined upgrade", person))


def _absent_since(transaction: Transaction) -> datetime | None:
    """Return when the library system had no borrower of the person, at the earliest."""
    account = transaction.account
    if account is None or not account.absent:
        return None
    return transaction.authenticated


def _case_account(reason: str | None, enrolment: str | None = None) -> Account:
    """Return the account of a person whom the login, or staff, must help first."""
    return Account(None, AccountState.CASE, reason=reason, enrolment=enrolment)


def _has_mail(wished: Wish) -> bool:
    return any(field.name == "email" for field in wished.fields)


def _wish(
    transaction: Transaction, arrived: Arrived, language: str, now: datetime, *, upgrade: bool
) -> Wish | None:
    wished = wish(arrived.decision, arrived.reading.attributes, language=language, today=now.date())
    if wished is None or not wished.person.has_name:
        # Without a name a borrower of a mistyped CPR number looks like the person's.
        return None
    return replace(wished, upgrade=upgrade, temporary=transaction.temporary)


def _account(enrolment: Enrolment, outcome: EnrolmentOutcome | None) -> Account:
    created_with_pin = outcome is EnrolmentOutcome.CREATED and enrolment.pin_mailed is not None
    return Account(
        number=enrolment.number,
        state=_state(enrolment.state),
        outcome=outcome,
        reason=enrolment.reason,
        category=enrolment.category,
        pin_mailed=enrolment.promises_pin or created_with_pin,
        enrolment=enrolment.id,
    )


def _state(state: EnrolmentState) -> AccountState:
    match state:
        case EnrolmentState.WANTED:
            return AccountState.WANTED
        case EnrolmentState.DONE:
            return AccountState.DONE
        case EnrolmentState.CASE:
            return AccountState.CASE
        case EnrolmentState.GIVEN_UP:
            return AccountState.GIVEN_UP
        case EnrolmentState.OBSERVED:
            return AccountState.OBSERVED
        case _:
            assert_never(state)
