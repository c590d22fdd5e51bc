"""The borrower account of a described login, where the library system answers and nothing fails."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final, assert_never

from broker.core.borrowers.borrower import Borrower, numbers
from broker.core.borrowers.change_plan import (
    Case,
    Change,
    Create,
    Gone,
    Nothing,
    Plan,
    offered,
    outcome,
    plan_for_matching,
)
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import WantedBorrower, derive_wanted_borrower
from broker.core.identity.canonical_attributes import ReadingWithoutCpr
from broker.core.identity.rights import has_usable_cpr, missing_cpr_reason
from broker.core.login.described_login import BORROWER_STAND_IN, DescribedBorrower
from broker.core.login.missing_address import without_address
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
            return without_address(self.decision, self.reading.attributes)
        return self._carried_out(self.planned(wanted), wanted)

    def wanted(self, *, upgrade: bool) -> WantedBorrower | None:
        """Return the request of the login."""
        wanted = derive_wanted_borrower(
            self.decision, self.reading.attributes, language=_LANGUAGE, today=self.today
        )
        return replace(wanted, upgrade=upgrade) if wanted else None

    def planned(self, wanted: WantedBorrower) -> Plan:
        """Return the change by which the borrower becomes as wanted."""
        found = self._by_cpr(wanted)
        if self._has_several:
            return Case(_SEVERAL, numbers(found))
        return plan_for_matching(found, wanted, self.today)

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
        found = self._by_cpr(wanted)
        planned = self.planned(wanted)
        if found and isinstance(planned, Nothing):
            return self._carried_out(planned, wanted)
        if found:
            number = planned.number if isinstance(planned, Change) else None
            upgrade_from = offered(planned, found, wanted)
            return Account(number, AccountState.NONE, upgrade_from=upgrade_from)
        if not wanted.creates:
            return _case("national_eid_required")
        if not _has_mail(wanted):
            return without_address(self.decision, self.reading.attributes)
        number = planned.number if isinstance(planned, Change) else None
        return Account(number, AccountState.NONE)

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

    def _carried_out(self, planned: Plan, wanted: WantedBorrower) -> Account:
        number = BORROWER_STAND_IN
        done = AccountState.DONE
        match planned:
            case Case(reason):
                return _case(reason)
            case Gone():
                return _case("national_eid_required")
            case Create():
                created = EnrolmentOutcome.CREATED
                return Account(number, done, created, category=wanted.category)
            case Nothing():
                kept = self.borrower.category if self.borrower else None
                return Account(number, done, EnrolmentOutcome.UNCHANGED, category=kept)
            case Change():
                before = self.borrower or DescribedBorrower(wanted.category)
                made = outcome(before.held(wanted), planned, wanted)
                category = planned.category or before.category
                return Account(number, done, made, category=category)
            case _:
                assert_never(planned)


def _case(reason: str) -> Account:
    return Account(None, AccountState.CASE, reason=reason)


def _has_mail(wanted: WantedBorrower) -> bool:
    return any(each.name == _EMAIL for each in wanted.fields)
