"""The borrower of a person who has logged in: the account as it is found, and the wish for it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish, wish
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.login.transaction import Account, AccountState, Errand, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.flows.arrived_login import Arrived
from broker.flows.borrowers.enrolments import Enrolments, under_way
from broker.flows.borrowers.existing_accounts import ExistingAccounts, case_account
from broker.flows.identity.person_resolution import PersonResolution, enrollable_cpr

# Somebody who refused another category is not asked at every login; a sign-up asks again.
_DECLINED_FOR: Final = timedelta(days=180)
_MOMENT: Final = timedelta(seconds=1)  # a counter that is only read is no counter to keep


@dataclass(frozen=True, slots=True)
class _Login:
    """A login as far as its borrower goes by it; ``wish`` None where the policy makes none."""

    transaction: Transaction
    person: Person
    arrived: Arrived
    wish: Wish | None


@dataclass(frozen=True, slots=True)
class BorrowerAtLogin:
    """Asks the enrolments and the library system about one person's borrower."""

    store: Store
    hmacs: LookupHmacs
    persons: PersonResolution
    enrolments: Enrolments

    def account(
        self,
        transaction: Transaction,
        arrived: Arrived,
        now: datetime,
    ) -> Account | None:
        """Return the account as it is found, before anything is asked of the person or written.

        None where the service asks for no borrower, or staff have the person's case.
        """
        release = arrived.decision.release
        person = transaction.person
        if release is None or person is None:
            return None
        if release.borrower == "none" or person.case:
            return None
        declined = transaction.upgrade is False or self._is_declined(transaction, now)
        wished = _wish(transaction, arrived, "da", now, upgrade=not declined)
        login = _Login(transaction, person, arrived, wished)
        try:
            if release.borrower == "need" or transaction.errand is Errand.PIN:
                return self._needed_account(login)
            if wished is None or wished.cpr is None:
                return self._account_by_link(login)
            return self._account_by_wish(login, wished, None)
        except (LibraryUnavailable, LibraryRefused):
            return Account(None, AccountState.UNAVAILABLE)

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
        person = transaction.person
        if person is None:
            return Account(None, AccountState.NONE)
        # Only a person who was offered another category, and agreed, gets it.
        agreed = transaction.upgrade is True
        wished = _wish(transaction, arrived, language, now, upgrade=agreed)
        login = _Login(transaction, person, arrived, wished)
        owner = self._owner(login)
        try:
            if wished is None or not self._may_be_wished(wished, owner):
                return self._finished_by_link(login)
            accepted = self._accepted(login, wished, owner)
        except (LibraryUnavailable, LibraryRefused):
            # Nothing was stored, so nothing is promised (frozen, or no address and nobody to ask
            # whether it is needed).
            return Account(None, AccountState.CLOSED, reason="library_unavailable")
        if isinstance(accepted, Account):
            return accepted
        return self._awaited(accepted, wished, owner, patience)

    def keep_category(self, transaction: Transaction, now: datetime) -> None:
        """Remember that the person does not want another category."""
        key = self._declined_key(transaction)
        if key:
            self.store.drop(key)  # counted anew, it lasts from today
            self.store.count(key, 1, now + _DECLINED_FOR, now)

    @property
    def _existing(self) -> ExistingAccounts:
        return ExistingAccounts(self.persons, self.enrolments)

    def _needed_account(self, login: _Login) -> Account:
        """Return the account of a borrower that must be there, by the CPR if that may find it."""
        cpr = enrollable_cpr(login.arrived)
        if cpr:
            return self._existing.by_cpr(login.person, cpr)
        if login.transaction.errand is Errand.PIN and login.arrived.decision.may_find_by_cpr:
            # A PIN outlives the link that led here: the name may be the next holder's by now.
            return case_account("cpr_required")
        return self._existing.by_link(login.person, login.arrived)

    def _account_by_link(self, login: _Login) -> Account:
        """Return the account of a login without a CPR that may find a borrower."""
        owner = self._owner(login)
        linked = self._existing.by_link(login.person, login.arrived)
        if login.wish and owner and linked.state is not AccountState.CASE:
            return self._account_by_wish(login, login.wish, owner)
        if owner is None and linked.number is None and login.person.number:
            # Nobody is asked to agree to what cannot be.
            return case_account(linked.reason or "cpr_required")
        return _done_if_found(linked)

    def _account_by_wish(
        self,
        login: _Login,
        wished: Wish,
        owner: str | None,
    ) -> Account:
        """Return the account as it is, or would be, by what the person's login wishes for."""
        known = self.enrolments.known(wished, login.person.number, owner)
        if known.enrolment:
            self._remember(known.enrolment, wished)
            # Whatever was done to become so was done before: this login finds it so.
            return _account(known.enrolment, EnrolmentOutcome.UNCHANGED)
        state = AccountState.NONE
        if self._lacks_mail(wished):
            state = AccountState.MAIL_REQUIRED
        number = known.number if wished.cpr else login.person.number
        return Account(number, state, upgrade_from=known.upgrade_from)

    def _may_be_wished(self, wished: Wish, owner: str | None) -> bool:
        """Return whether a wish may be accepted: by its CPR, or by its link unless frozen."""
        if wished.cpr is not None:
            return True
        return owner is not None and self.enrolments.mode != "frozen"

    def _finished_by_link(self, login: _Login) -> Account:
        linked = self._existing.by_link(login.person, login.arrived)
        if linked.number is None:
            return case_account(linked.reason or "cpr_required")
        return _done_if_found(linked)

    def _accepted(
        self,
        login: _Login,
        wished: Wish,
        owner: str | None,
    ) -> Account | Enrolment:
        """Write the wish and return its enrolment, or return the account where none is written."""
        if self.enrolments.mode == "frozen" and wished.cpr:
            return self._frozen_account(wished.cpr)
        if self._lacks_mail(wished):
            return Account(None, AccountState.MAIL_REQUIRED)
        carried_out = self._carried_out_meanwhile(login.transaction, wished)
        return carried_out or self.enrolments.want(wished, login.person.number, owner)

    def _awaited(
        self,
        enrolment: Enrolment,
        wished: Wish,
        owner: str | None,
        patience: float,
    ) -> Account:
        if enrolment.state is EnrolmentState.WANTED:
            key = self.enrolments.wish_key(wished, owner)
            enrolment = self.enrolments.wait(key, patience) or enrolment
        if enrolment.state is EnrolmentState.DONE:
            self._remember(enrolment, wished)
        return _account(enrolment, enrolment.outcome)

    def _remember(self, enrolment: Enrolment, wished: Wish) -> None:
        if wished.cpr:
            links = self.persons.links
            links.remember(links.of_cpr(wished.cpr), enrolment.number)

    def _carried_out_meanwhile(self, transaction: Transaction, wished: Wish) -> Enrolment | None:
        """Return the enrolment if it is carried out, or was, while this very login waits.

        What was made then is new to this login. Logins by two ways wait for one another's wishes:
        if each reload wished again, they would overtake each other for ever.
        """
        account = transaction.account
        if account is None or account.state is not AccountState.WANTED:
            return None
        if wished.cpr is None:
            return None
        stored = self.enrolments.stored(wished.cpr)
        if under_way(stored):
            return stored
        if stored is None or stored.state is not EnrolmentState.DONE:
            return None
        if stored.carried != self.enrolments.ports.carried(wished):
            return None
        if stored.settled is None or stored.settled < transaction.begun:
            return None
        return stored

    def _frozen_account(self, cpr: str) -> Account:
        """Return a borrower that is there as it is; nobody new, and nothing changed."""
        found = self._existing.by_cpr(Person(""), cpr)
        if found.number is None:
            return Account(None, AccountState.CLOSED)
        return _done_if_found(found)

    def _lacks_mail(self, wished: Wish) -> bool:
        """Return whether a borrower would have to be made without a mail address.

        None may be (docs/reference/requirements.md#r22).
        """
        names = {field.name for field in wished.fields}
        if wished.cpr is None or "email" in names:
            return False
        return not self.enrolments.look(wished.cpr)

    def _owner(self, login: _Login) -> str | None:
        """Return the pseudonym that a wish about a linked borrower is kept under.

        None where there is no such wish. No CPR may find the borrower of a person who comes without
        an affiliation that counts; the link alone leads to it, and only to lower its category
        (docs/reference/requirements.md#r47).
        """
        wished = login.wish
        if wished is None or wished.cpr:
            return None
        if not wished.lowers or not wished.borrower:
            return None
        name = self.persons.name(login.arrived)
        return self.persons.links.cpr(name)

    def _is_declined(self, transaction: Transaction, now: datetime) -> bool:
        """Return whether the person has refused another category, and is not signing up."""
        key = self._declined_key(transaction)
        if key is None or transaction.errand is Errand.SIGN_UP:
            return False
        return self.store.count(key, 0, now + _MOMENT, now) > 0

    def _declined_key(self, transaction: Transaction) -> Key | None:
        person = transaction.person
        if person is None:
            return None
        return Key("counter", self.hmacs.of("declined upgrade", person.id))


def _done_if_found(account: Account) -> Account:
    if account.number is None:
        return account
    return replace(account, state=AccountState.DONE)


def _wish(
    transaction: Transaction,
    arrived: Arrived,
    language: str,
    now: datetime,
    *,
    upgrade: bool,
) -> Wish | None:
    decision = arrived.decision
    reading = arrived.reading
    person = transaction.person
    # Whatever a policy file forgets to require: only a real number enrols by itself
    # (docs/reference/design.md#invariant-5).
    find_by_cpr = decision.may_find_by_cpr and reading.cpr == "real"
    wished = wish(
        decision,
        reading.attributes,
        find_by_cpr=find_by_cpr,
        language=language,
        today=now.date(),
        borrower=person.number if person else None,
    )
    if wished is None:
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
