"""How the person's borrower stands when they have logged in, and the wish that it be so."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import (
    Borrower,
    Enrolment,
    EnrolmentOutcome,
    EnrolmentState,
    Wish,
    wrong_with_borrower,
)
from broker.core.borrowers.wanted_borrower import wish
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity.attributes import AttributeReading
from broker.core.login.transaction import Account, AccountState, Errand, Person, Transaction
from broker.core.policy.model import Decision
from broker.core.ports import Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.flows.borrowers.enrolments import Enrolments
from broker.flows.borrowers.staff_cases import StaffCases
from broker.flows.identity.persons import Persons, enrollable_cpr

# Who said no to another category is not asked at every login; a sign-up asks again.
_DECLINED_FOR: Final = timedelta(days=180)
_MOMENT: Final = timedelta(seconds=1)  # a counter that is only read is no counter to keep


@dataclass(frozen=True, slots=True)
class BorrowerAtLogin:
    """Asks the enrolments and the library system about one person's borrower."""

    store: Store
    pseudonyms: Pseudonyms
    persons: Persons
    enrolments: Enrolments

    def enrol(
        self,
        transaction: Transaction,
        reading: AttributeReading,
        decision: Decision,
        now: datetime,
        *,
        language: str,
        patience: float,
    ) -> Account:
        """Write the wish, wait ``patience`` seconds for it, and say how it stands; a silent library is no error."""
        person = transaction.person
        if person is None:
            return Account(None, AccountState.NONE)
        # Only who was offered another category, and said yes, gets it.
        wanted = _wish(
            decision, reading, transaction, language, now, upgrade=transaction.upgrade is True
        )
        owner, frozen = (
            self._owner(transaction, reading, decision, wanted),
            self.enrolments.mode == "frozen",
        )
        try:
            if wanted is None or (wanted.cpr is None and (owner is None or frozen)):
                found = self._linked(transaction, reading, decision)
                return (
                    replace(found, state=AccountState.DONE)
                    if found.number
                    else _case(found.reason or "cpr_required")
                )
            if frozen and wanted.cpr:
                return self._frozen(wanted.cpr)
            if self._mailless(wanted):
                return Account(None, AccountState.MAIL_REQUIRED)
            enrolment = self._carried_out(transaction, wanted) or self.enrolments.want(
                wanted, person.number, owner
            )
        except (LibraryUnavailable, LibraryRefused):
            # Nothing was stored, so nothing is promised (frozen, or no address and nobody to ask
            # whether it is needed).
            return Account(None, AccountState.CLOSED, reason="library_unavailable")
        if enrolment.state is EnrolmentState.WANTED:
            enrolment = (
                self.enrolments.wait(self.enrolments.place(wanted, owner), patience) or enrolment
            )
        if enrolment.state is EnrolmentState.DONE and wanted.cpr:
            self.persons.links.remember(self.persons.links.of_cpr(wanted.cpr), enrolment.number)
        return _account(enrolment, enrolment.outcome)

    def standing(
        self, transaction: Transaction, reading: AttributeReading, decision: Decision, now: datetime
    ) -> Account | None:
        """Say how the borrower stands; None where the service asks for none, or staff have the person's case."""
        release, person = decision.release, transaction.person
        if release is None or person is None or release.borrower == "none" or person.case:
            return None
        upgrade = transaction.upgrade is not False and not self._kept(transaction, now)
        wanted = _wish(decision, reading, transaction, "da", now, upgrade=upgrade)
        try:
            cpr = enrollable_cpr(reading, decision)
            if transaction.errand is Errand.PIN and decision.may_find_by_cpr and cpr is None:
                # A PIN outlives the link that led here: the name may be the next holder's by now.
                return _case("cpr_required")
            if release.borrower == "need" or transaction.errand is Errand.PIN:
                return (
                    self._needed(person, cpr)
                    if cpr
                    else self._linked(transaction, reading, decision)
                )
            owner = self._owner(transaction, reading, decision, wanted)
            if wanted is None or wanted.cpr is None:
                linked = self._linked(transaction, reading, decision)
                if linked.number is None and person.number and owner is None:
                    return _case(
                        linked.reason or "cpr_required"
                    )  # nobody is asked to agree to what cannot be
                if wanted is None or owner is None or linked.state is AccountState.CASE:
                    return replace(linked, state=AccountState.DONE) if linked.number else linked
            found = self.enrolments.known(wanted, person.number, owner)
            if found.enrolment and wanted.cpr:
                self.persons.links.remember(
                    self.persons.links.of_cpr(wanted.cpr), found.enrolment.number
                )
            if found.enrolment:
                # Whatever was done to become so was done before: this login finds it so.
                return _account(found.enrolment, EnrolmentOutcome.UNCHANGED)
            state = AccountState.MAIL_REQUIRED if self._mailless(wanted) else AccountState.NONE
            number = found.number if wanted.cpr else person.number
            return Account(number, state, upgrade_from=found.upgrade_from)
        except (LibraryUnavailable, LibraryRefused):
            return Account(None, AccountState.UNAVAILABLE)

    def _carried_out(self, transaction: Transaction, wanted: Wish) -> Enrolment | None:
        """Give the enrolment if it was carried out while this very login waited: what was made then is new to it."""
        waited = (
            transaction.account is not None and transaction.account.state is AccountState.WANTED
        )
        done = self.enrolments.standing(wanted.cpr) if waited and wanted.cpr else None
        if (
            done is None
            or done.state is not EnrolmentState.DONE
            or done.carried != self.enrolments.tools.carried(wanted)
        ):
            return None
        return done if done.settled and done.settled >= transaction.begun else None

    def _linked(
        self, transaction: Transaction, reading: AttributeReading, decision: Decision
    ) -> Account:
        """Give the borrower that a name alone leads to, unless staff have a case of it, or it is another's by now.

        The desk may have corrected the CPR that once found it; within a day of the last look the
        library is not asked.
        """
        authentication, tools, links = (
            transaction.authentication,
            self.enrolments.tools,
            self.persons.links,
        )
        number = transaction.person.number if transaction.person else None
        name = self.persons.name(authentication, reading, decision) if authentication else None
        owner = links.cpr(name) if name else None
        cases = StaffCases(tools.ledger, links, tools.trail)
        reason = cases.reason(owner) if owner else None
        if reason or owner is None or number is None or number == self.enrolments.settled_at(owner):
            return _case(reason) if reason else _known(number)
        try:
            borrower = self.enrolments.read(number)
        except LibraryUnavailable:
            return _known(number)
        if borrower and tools.anothers(borrower, owner):
            cases.dispute(owner, owner)
            return _case("cpr_changed")
        return _known(number if borrower else None)

    def _needed(self, person: Person, cpr: str) -> Account:
        """Find the borrower that must be there by the CPR, for the desk may have corrected it."""
        standing = self.enrolments.standing(cpr)
        if standing and standing.state is EnrolmentState.CASE:
            return _case(standing.reason)
        if person.number and person.number == self.enrolments.settled(cpr):
            return _known(person.number)
        try:
            found = self.enrolments.look(cpr)
        except LibraryUnavailable:
            if person.number is None:
                raise
            return _known(person.number)
        return self._agreed(found, cpr, person.number, standing)

    def _agreed(
        self, found: tuple[Borrower, ...], cpr: str, linked: str | None, standing: Enrolment | None
    ) -> Account:
        reason = wrong_with_borrower(found, cpr, linked)
        kept = self.enrolments.read(linked) if linked and reason else None
        if kept is None or reason is None:
            # No link, one that agrees, or one to a borrower that is gone and names nobody.
            return _known(
                found[0].number if found and not wrong_with_borrower(found, cpr, None) else None
            )
        if not found and standing and kept.mark == standing.id and not kept.is_anothers(cpr):
            # We made it for this very CPR, and the desk has given it another number since.
            return _known(linked)
        owner = self.persons.links.of_cpr(cpr)
        tools = self.enrolments.tools
        StaffCases(tools.ledger, self.persons.links, tools.trail).dispute(owner, owner, reason)
        return _case(reason)

    def _frozen(self, cpr: str) -> Account:
        """Serve a borrower that is there as it is; nobody new, and nothing changed."""
        found = self._needed(Person(""), cpr)
        return (
            replace(found, state=AccountState.DONE)
            if found.number
            else Account(None, AccountState.CLOSED)
        )

    def _mailless(self, wanted: Wish) -> bool:
        """Say whether a borrower would have to be made without a mail address, which none may be (wizard.md R22)."""
        mailed = any(each.name == "email" for each in wanted.fields)
        return not mailed and wanted.cpr is not None and not self.enrolments.look(wanted.cpr)

    def _owner(
        self,
        transaction: Transaction,
        reading: AttributeReading,
        decision: Decision,
        wanted: Wish | None,
    ) -> str | None:
        """Give the pseudonym that a wish about a linked borrower is kept under; None where there is no such wish.

        No CPR may find the borrower of who comes without an affiliation that counts; the link alone
        leads to it, and only to lower its category (wizard.md R47).
        """
        authentication = transaction.authentication
        if (
            wanted is None
            or authentication is None
            or wanted.cpr
            or not (wanted.lowers and wanted.borrower)
        ):
            return None
        name = self.persons.name(authentication, reading, decision)
        return self.persons.links.cpr(name) if name else None

    def keep_category(self, transaction: Transaction, now: datetime) -> None:
        """Remember that the person does not want another category."""
        key = self._declined(transaction)
        if key:
            self.store.drop(key)  # counted anew, it lasts from today
            self.store.count(key, 1, now + _DECLINED_FOR, now)

    def _kept(self, transaction: Transaction, now: datetime) -> bool:
        key = None if transaction.errand is Errand.SIGN_UP else self._declined(transaction)
        return key is not None and self.store.count(key, 0, now + _MOMENT, now) > 0

    def _declined(self, transaction: Transaction) -> Key | None:
        person = transaction.person
        return Key("counter", self.pseudonyms.of("declined upgrade", person.id)) if person else None


def _case(reason: str | None) -> Account:
    return Account(None, AccountState.CASE, reason=reason)


def _known(number: str | None) -> Account:
    return Account(number, AccountState.KNOWN if number else AccountState.NONE)


def _wish(
    decision: Decision,
    reading: AttributeReading,
    transaction: Transaction,
    language: str,
    now: datetime,
    *,
    upgrade: bool,
) -> Wish | None:
    # Whatever a policy file forgets to require: only a real number enrols by itself (invariant 5).
    find = decision.may_find_by_cpr and reading.cpr == "real"
    borrower = transaction.person.number if transaction.person else None
    made = wish(
        decision,
        reading.attributes,
        find_by_cpr=find,
        language=language,
        today=now.date(),
        borrower=borrower,
    )
    return replace(made, upgrade=upgrade, temporary=transaction.temporary) if made else None


def _account(enrolment: Enrolment, outcome: EnrolmentOutcome | None) -> Account:
    mailed = enrolment.pin_owed or (
        outcome is EnrolmentOutcome.CREATED and enrolment.pin_mailed is not None
    )
    return Account(
        enrolment.number,
        AccountState(enrolment.state.value),
        outcome,
        enrolment.reason,
        category=enrolment.category,
        pin_mailed=mailed,
    )
