"""Whether a borrower's PIN was ever used here: noted once, in the enrolment of its person."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.use_cases.borrowers.enrolment_records import (
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
)
from broker.use_cases.borrowers.known_borrower import person_key
from broker.use_cases.identity.person_links import PersonLinks


@dataclass(frozen=True, slots=True)
class PinUse:
    """Notes of PINs that were typed or chosen here; of machines in the library nothing is heard."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def note(self, borrower: Borrower) -> None:
        """Note that the borrower's person has used its PIN.

        Where the store does not answer nothing is noted: a right PIN is right all the same.
        """
        if borrower.cpr is None:
            return
        key = person_key(PersonLinks(self.store, self.hmacs, self.now).of_cpr(borrower.cpr))

        def used(entry: StoredEnrolment) -> EnrolmentDraft | None:
            enrolment = entry.enrolment
            if enrolment.pin_used or enrolment.number != borrower.number:
                return None
            return replace(enrolment, pin_used=True), entry.due

        with suppress(StoreUnavailable):
            EnrolmentRecords(self.store, self.now).amend(key, used)
