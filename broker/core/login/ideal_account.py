"""The borrower account of a described login, where the library system answers and nothing fails."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import describe_outcome, plan_change
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import WantedBorrower, derive_wanted_borrower
from broker.core.identity.canonical_attributes import ReadingWithoutCpr
from broker.core.identity.rights import has_usable_cpr, missing_cpr_reason
from broker.core.login.described_login import BORROWER_STAND_IN, DescribedBorrower
from broker.core.login.missing_address import describe_missing_address
from broker.core.login.transaction import Account, AccountState, Errand
from broker.core.policy.model import Decision

_EMAIL: Final = "email"
_LANGUAGE: Final = "en"
_SEVERAL: Final = "several_borrowers"


@dataclass(frozen=True, slots=True)
class IdealAccount:
    """Answers as enrolments and library system would, by the rules that they go by.

    ``upgrade`` is the person's answer to the offer of another category; None before it.
    """

    decision: Decision
    reading: ReadingWithoutCpr
    borrower: DescribedBorrower | None
    errand: Errand
    today: date
    upgrade: bool | None = None

    def number(self) -> str | None:
        """Return the number of the borrower that the person has, for whom the policies deny."""
        release = self.decision.release
        if release is None or release.borrower == "none" or not self._leads:
            return None
        return None if self._has_several else BORROWER_STAND_IN

    def found(self, *, verified: bool) -> Account | None:
        """Return the account as it is found; ``verified``: its number is known already."""
        release = self.decision.release
        if release is None or release.borrower == "none":
            return None
        if release.borrower == "make" and self.errand is not Errand.PIN:
            wanted = self.wanted(upgrade=self.upgrade is not False)
            if wanted:
                return self._as_wanted(wanted)
        return self._as_it_is(verified=verified)

    def enrolled(self, *, verified: bool) -> Account:
        """Return the account after the request of the login was carried out."""
        wanted = self.wanted(upgrade=self.upgrade is True)
        if wanted is None:
            found = self._as_it_is(verified=verified)
            closed = Account(None, AccountState.CLOSED)
            return closed if found.state is AccountState.NONE else found
        if not self._by_cpr(wanted) and not _has_mail(wanted):
            return describe_missing_address(self.decision, self.reading.attributes)
        return self._carried_out(wanted)

    def wanted(self, *, upgrade: bool) -> WantedBorrower | None:
        """Return the request of the login."""
        wanted = derive_wanted_borrower(
            self.decision, self.reading.attributes, language=_LANGUAGE, today=self.today
        )
        return replace(wanted, upgrade=upgrade) if wanted else None

    def renews(self) -> bool:
        """Return whether the request of the login sets the end of the borrower anew."""
        wanted = self.wanted(upgrade=self.upgrade is True)
        if wanted is None or self._has_several:
            return False
        found = self._by_cpr(wanted)
        if not found:
            return _creates(wanted)
        change = plan_change(found[0], wanted, self.today)
        return change is not None and change.expires is not None

    @property
    def _has_several(self) -> bool:
        """Return whether the person has two borrowers; what they have is theirs otherwise."""
        return len(self._by_cpr(None)) > 1

    @property
    def _leads(self) -> bool:
        """Return whether something of the login leads to the borrower."""
        borrower = self.borrower
        if borrower is None:
            return False
        return borrower.linked or self._by_number

    @property
    def _by_number(self) -> bool:
        return has_usable_cpr(self.decision.ground)

    def _by_cpr(self, wanted: WantedBorrower | None) -> tuple[Borrower, ...]:
        return self.borrower.found(wanted) if self.borrower else ()

    def _as_wanted(self, wanted: WantedBorrower) -> Account:
        """Return the account as the request of the login would change it."""
        if self._has_several:
            return _case(_SEVERAL)
        for borrower in self._by_cpr(wanted):
            category = borrower.category
            if plan_change(borrower, wanted, self.today) is None:
                return self._carried_out(wanted)
            upgrade_from = category if wanted.upgrades_from(category) else None
            return Account(borrower.number, AccountState.NONE, upgrade_from=upgrade_from)
        if not wanted.creates:
            return _case("national_eid_required")
        if not _has_mail(wanted):
            return describe_missing_address(self.decision, self.reading.attributes)
        return Account(None, AccountState.NONE)

    def _as_it_is(self, *, verified: bool) -> Account:
        """Return the account of a borrower that this login changes nothing of."""
        by_number = self._by_number
        if verified and not by_number:
            return Account(BORROWER_STAND_IN, AccountState.KNOWN)
        if self.errand is Errand.PIN and not by_number:
            return _case(missing_cpr_reason(self.reading.cpr))
        if self._leads and self._has_several:
            return _case(_SEVERAL)
        if self._leads:
            return Account(BORROWER_STAND_IN, AccountState.KNOWN)
        if by_number:
            return Account(None, AccountState.NONE)
        return _case(missing_cpr_reason(self.reading.cpr))

    def _carried_out(self, wanted: WantedBorrower) -> Account:
        number = BORROWER_STAND_IN
        done = AccountState.DONE
        if self._has_several:
            return _case(_SEVERAL)
        for borrower in self._by_cpr(wanted):
            change = plan_change(borrower, wanted, self.today)
            made = describe_outcome(borrower, change, wanted)
            category = (change and change.category) or borrower.category
            return Account(number, done, made, category=category)
        if not _creates(wanted):
            return _case("national_eid_required")
        return Account(number, done, EnrolmentOutcome.CREATED, category=wanted.category)


def _creates(wanted: WantedBorrower) -> bool:
    return wanted.cpr is not None and wanted.creates


def _case(reason: str) -> Account:
    return Account(None, AccountState.CASE, reason=reason)


def _has_mail(wanted: WantedBorrower) -> bool:
    return any(each.name == _EMAIL for each in wanted.fields)
