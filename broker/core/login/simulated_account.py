"""The borrower account of a simulated login: the library system answers and nothing fails."""

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
from broker.core.login.played_login import PlannedBorrower
from broker.core.login.transaction import Account, AccountState, LoginPurpose
from broker.core.policy.model import Decision

_LANGUAGE: Final = "en"
_SEVERAL: Final = "several_borrowers"
_EID_REQUIRED: Final = "national_eid_required"


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """Finds and enrols the borrower of a simulated login, by the rules of a real one.

    ``number_is_known``: the borrower number of the person is known already. ``upgrade`` is the
    person's answer to the offer of another category, None before the offer.
    """

    decision: Decision
    reading: ReadingWithoutCpr
    borrower: DescribedBorrower | None
    purpose: LoginPurpose
    today: date
    number_is_known: bool
    upgrade: bool | None = None

    def find_number(self) -> str | None:
        """Return the borrower number of a person whom the policies refuse without a borrower."""
        release = self.decision.release
        if release is None or release.borrower == "none" or not self._is_found:
            return None
        return None if self._has_several else BORROWER_STAND_IN

    def find(self) -> Account | None:
        """Return the account before the enrolment; None if the service needs none."""
        release = self.decision.release
        if release is None or release.borrower == "none":
            return None
        if release.borrower == "make" and self.purpose is not LoginPurpose.PIN:
            wanted = self._derive_wanted(upgrade=self.upgrade is not False)
            if wanted:
                return self._find_for_enrolment(wanted)
        return self._find_unchanged()

    def enrol(self) -> tuple[Account, PlannedBorrower | None]:
        """Return the account after the enrolment of the login, and the borrower it makes."""
        wanted = self._derive_wanted(upgrade=self.upgrade is True)
        if wanted is None:
            found = self._find_unchanged()
            closed = Account(None, AccountState.CLOSED)
            return (closed if found.state is AccountState.NONE else found), None
        if not self._find_borrowers(wanted) and wanted.email is None:
            return describe_missing_address(self.decision, self.reading.attributes), None
        return self._carry_out(wanted)

    def _derive_wanted(self, *, upgrade: bool) -> WantedBorrower | None:
        wanted = derive_wanted_borrower(
            self.decision, self.reading.attributes, language=_LANGUAGE, today=self.today
        )
        return replace(wanted, upgrade=upgrade) if wanted else None

    @property
    def _has_usable_cpr(self) -> bool:
        return has_usable_cpr(self.decision.ground)

    @property
    def _is_found(self) -> bool:
        """Return whether the login leads to the borrower that the person has."""
        return self.borrower is not None and (self.borrower.linked or self._has_usable_cpr)

    @property
    def _has_several(self) -> bool:
        return len(self._find_borrowers(None)) > 1

    def _find_borrowers(self, wanted: WantedBorrower | None) -> tuple[Borrower, ...]:
        """Return the borrowers with the person's CPR number."""
        return self.borrower.find_all(wanted) if self.borrower else ()

    def _find_for_enrolment(self, wanted: WantedBorrower) -> Account:
        """Return the account that the enrolment would change."""
        if self._has_several:
            return _make_case(_SEVERAL)
        for borrower in self._find_borrowers(wanted):
            category = borrower.category
            if plan_change(borrower, wanted, self.today) is None:
                return self._carry_out(wanted)[0]
            upgrade_from = category if wanted.upgrades_from(category) else None
            return Account(borrower.number, AccountState.NONE, upgrade_from=upgrade_from)
        if not wanted.creates:
            return _make_case(_EID_REQUIRED)
        if wanted.email is None:
            return describe_missing_address(self.decision, self.reading.attributes)
        return Account(None, AccountState.NONE)

    def _find_unchanged(self) -> Account:
        """Return the account where the login changes nothing."""
        if self.number_is_known and not self._has_usable_cpr:
            return Account(BORROWER_STAND_IN, AccountState.KNOWN)
        if self.purpose is LoginPurpose.PIN and not self._has_usable_cpr:
            return _make_case(missing_cpr_reason(self.reading.cpr))
        if self._is_found and self._has_several:
            return _make_case(_SEVERAL)
        if self._is_found:
            return Account(BORROWER_STAND_IN, AccountState.KNOWN)
        if self._has_usable_cpr:
            return Account(None, AccountState.NONE)
        return _make_case(missing_cpr_reason(self.reading.cpr))

    def _carry_out(self, wanted: WantedBorrower) -> tuple[Account, PlannedBorrower | None]:
        """Return the account after the worker has carried out the enrolment."""
        if self._has_several:
            return _make_case(_SEVERAL), None
        for borrower in self._find_borrowers(wanted):
            change = plan_change(borrower, wanted, self.today)
            outcome = describe_outcome(borrower, change, wanted)
            category = (change and change.category) or borrower.category
            is_extended = change is not None and change.expires is not None
            return self._finish(outcome, category, borrower.category, is_extended=is_extended)
        if wanted.cpr is None or not wanted.creates:
            return _make_case(_EID_REQUIRED), None
        return self._finish(EnrolmentOutcome.CREATED, wanted.category, None, is_extended=True)

    def _finish(
        self, outcome: EnrolmentOutcome, category: str, before: str | None, *, is_extended: bool
    ) -> tuple[Account, PlannedBorrower | None]:
        account = Account(BORROWER_STAND_IN, AccountState.DONE, outcome, category=category)
        policy = self.decision.policy
        rule = policy.borrower if policy else None
        if rule is None:
            return account, None
        expiry = rule.expires if is_extended else None
        return account, PlannedBorrower(outcome, category, before, expiry, rule.place)


def _make_case(reason: str) -> Account:
    return Account(None, AccountState.CASE, reason=reason)
