"""One borrower that we made, asked for in the library system and compared with what was granted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.reconciliation import (
    Comparison,
    Difference,
    LeftAlone,
    Surprise,
    compared,
    is_compared,
)
from broker.core.errors import LibraryRefused
from broker.core.policy.model import PolicySet
from broker.core.ports import Key, RecordUnreadable
from broker.core.retention.table import DECLINED
from broker.use_cases.borrowers.borrower_at_login import declined_key
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import CALL, StoredEnrolment


class Compared(NamedTuple):
    """An enrolment, and what was found of its borrower; None where that is not compared.

    ``entry`` is None for a record that does not read.
    """

    entry: StoredEnrolment | None
    found: Comparison | None
    borrower: Borrower | None = None


@dataclass(frozen=True, slots=True)
class BorrowerComparison:
    """Compares under ``policies``, and nobody of the ids ``skipped``.

    ``apart`` is waited for before a borrower that is not there is asked about once more.
    """

    ports: EnrolmentPorts
    policies: PolicySet
    skipped: frozenset[str]
    apart: Callable[[], object]

    def look(self, key: Key, pace: Callable[[], object] = lambda: None) -> Compared | None:
        """Return what is found of one, None where there is no enrolment.

        ``pace`` is waited for before the library system is asked. LibraryUnavailable,
        LibraryRefused by the set-up, StoreUnavailable.
        """
        try:
            entry = self.ports.records.read(key)
        except RecordUnreadable:
            return Compared(None, Comparison(surprise=Surprise.UNREAD))
        if entry is None:
            return None
        enrolment = entry.enrolment
        number = enrolment.number
        if number is None or not is_compared(enrolment) or enrolment.id in self.skipped:
            return Compared(entry, None)
        pace()
        try:
            borrower = self._borrower(enrolment.id, number)
        except LibraryRefused as error:
            if error.setting:
                raise
            return Compared(entry, Comparison(surprise=Surprise.REFUSED))
        return self._compared(entry, borrower)

    def _borrower(self, mark: str, number: str) -> Borrower | None:
        """Return the borrower of a number; None once that was answered twice, and by the mark too.

        One answer of "no such borrower" may be that of a proxy, or of a copy that lags behind.
        """
        library = self.ports.library
        there = library.read(number, self.ports.now() + CALL)
        if there is not None:
            return there
        for borrower in library.marked(mark, self.ports.now() + CALL):
            if borrower.number == number:
                return borrower
        self.apart()
        return library.read(number, self.ports.now() + CALL)

    def _compared(self, entry: StoredEnrolment, borrower: Borrower | None) -> Compared:
        key = entry.key
        owner = None
        if borrower and borrower.cpr:
            owner = self.ports.links.of_cpr(borrower.cpr)
        barred = self._barred(key, borrower) if borrower else None
        if barred:
            return Compared(entry, Comparison(left=barred), borrower)
        found = compared(
            entry.enrolment,
            borrower,
            carries=owner == key.group,
            tells=self.ports.mail is not None,
            policies=self.policies,
            today=self.ports.now().date(),
        )
        if Difference.CATEGORY in found.differences and self._was_kept(key):
            found = Comparison(left=LeftAlone.KEPT)
        return Compared(entry, found, borrower)

    def _barred(self, key: Key, borrower: Borrower) -> LeftAlone | None:
        """Return how a borrower is left alone because its person is let in no more, or None.

        Staff take the CPR number off the account of somebody who has died or got another number:
        the bar is then found by the account, or by the person that the enrolment is of.
        """
        links = self.ports.links
        if borrower.cpr:
            return LeftAlone.BARRED if links.is_barred(borrower.cpr) else None
        holder = links.holder_of(key.group)
        is_barred = holder is not None and holder.barred is not None
        if is_barred or links.is_barred(None, borrower.number):
            return LeftAlone.BARRED_WITHOUT
        return None

    def _was_kept(self, key: Key) -> bool:
        """Return whether the person has said to keep the category of their borrower (R40)."""
        now = self.ports.now()
        kept = declined_key(self.ports.hmacs, self.ports.links.holder(key.group))
        return self.ports.records.store.count(kept, 0, DECLINED.until(now), now) > 0
