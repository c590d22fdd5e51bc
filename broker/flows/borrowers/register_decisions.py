"""What follows once staff decide a case of what the register of persons says of somebody."""

from dataclasses import dataclass, replace

from broker.core.borrowers.enrolment import UNTOLD_NUMBER, Enrolment, EnrolmentState
from broker.core.borrowers.owed_look_up import LookUpOutcome, OwedLookUp
from broker.core.ports import Key
from broker.flows.borrowers.enrolment_records import (
    GIVE_UP_AFTER,
    REGISTER_CASE,
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
)
from broker.flows.borrowers.known_borrower import new_enrolment, person_key
from broker.flows.identity.person_links import PersonLinks
from broker.flows.records import Records


@dataclass(frozen=True, slots=True)
class RegisterDecisions:
    """The decisions over enrolments and links; each case is given as it is stored."""

    records: EnrolmentRecords
    links: PersonLinks

    def retry(self, entry: StoredEnrolment) -> bool:
        """End the case: let the person in, and have the register asked anew at their next login."""
        owner = entry.key.group
        # First: whoever comes by the old number meanwhile, or after a death, finds it so.
        self._ask_anew(entry)
        self.links.bar(owner, None)
        for number in entry.enrolment.borrowers:
            self.links.bar(self.links.of_borrower(number), None)
        self._close(entry)
        return True

    def end(self, entry: StoredEnrolment) -> None:
        """End the case: of a changed number staff say by it that the old one is still theirs."""
        if entry.enrolment.is_of_changed_number:
            self.records.amend(person_key(entry.key.group), _makes_again)
        self._close(entry)

    def _close(self, entry: StoredEnrolment) -> None:
        """End the case with all that it holds back: a login may add a number at any moment.

        A bar that no case names could be lifted by nobody.
        """
        case: StoredEnrolment | None = entry
        while case:
            self._let_number_go(case)
            if self.records.end(case):
                return
            case = self.records.read(entry.key)

    def _let_number_go(self, entry: StoredEnrolment) -> None:
        """Let whoever comes by a number that the case holds back in, and keep it no more."""
        if not entry.enrolment.held_back:
            return
        for number in entry.enrolment.held_back:
            self.lift(number, entry.key)
        self.records.store.drop(Key("register", entry.key.group))

    def lift(self, number: str, key: Key) -> None:
        """Let the holder of a new number in, unless another case than that of ``key`` names it."""
        cases = (entry for entry in self.records.all() if entry.key.name == REGISTER_CASE)
        others = (entry.enrolment for entry in cases if entry.key != key)
        if all(number not in other.held_back for other in others):
            self.links.lift(number, LookUpOutcome.NUMBER_CHANGED.value)

    def confirm(self, entry: StoredEnrolment, number: str) -> bool:
        """Let the borrower ``number`` get the new number; False where the case waits for none."""
        if entry.enrolment.borrowers != (number,):
            return False
        now = self.records.now()
        key = Key("register", entry.key.group)
        owed = Records(self.records.store, OwedLookUp, durable=True)
        record = owed.get(key, now)
        if record is None or record.value.number_now is None:
            return False
        if now - record.value.since >= GIVE_UP_AFTER:
            return False
        confirmed = replace(record.value, confirmed=True, attempts=0)
        return owed.replace(record, confirmed, now, due=now) is not None

    def _ask_anew(self, entry: StoredEnrolment) -> None:
        """Have the register asked anew; of a changed number remember that it makes nobody.

        Staff may have written the new one to the borrower, or have merged it into another: by the
        old one, which a university may send for months, the person would get a second.
        """
        key = person_key(entry.key.group)
        is_changed = entry.enrolment.is_of_changed_number
        number_now = entry.enrolment.number_now or UNTOLD_NUMBER

        def asked_anew(stored: StoredEnrolment | None) -> EnrolmentDraft | None:
            if stored is None and not is_changed:
                return None
            enrolment = replace(stored.enrolment if stored else self._ended(key), registered=None)
            if is_changed:
                # The library system's word of before is believed no more, either.
                enrolment = replace(enrolment, number_now=number_now, settled=None, carried=None)
            return enrolment, stored.due if stored else None

        self.records.decide(key, asked_anew)

    def _ended(self, key: Key) -> Enrolment:
        """Return an enrolment that has ended: its record may be gone before its case is decided."""
        return replace(new_enrolment(key, self.records.now()), state=EnrolmentState.GIVEN_UP)


def _makes_again(entry: StoredEnrolment) -> EnrolmentDraft:
    return replace(entry.enrolment, number_now=None), entry.due
