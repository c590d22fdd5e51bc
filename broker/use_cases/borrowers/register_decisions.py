"""What follows once staff decide a case of what the register of persons says of somebody."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from broker.core.borrowers.enrolment import UNTOLD_NUMBER, Enrolment, EnrolmentState
from broker.core.borrowers.owed_look_up import PERSON_DEAD, LookUpOutcome, OwedLookUp
from broker.core.entities import Names
from broker.core.ports import Key
from broker.use_cases.borrowers.enrolment_records import (
    GIVE_UP_AFTER,
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
    register_case,
)
from broker.use_cases.borrowers.held_back_numbers import HeldBackNumbers
from broker.use_cases.borrowers.known_borrower import new_enrolment, person_key
from broker.use_cases.identity.person_links import PersonLinks
from broker.use_cases.records import Records


@dataclass(frozen=True, slots=True)
class RegisterDecisions:
    """The decisions over enrolments and links; each case is given as it is stored.

    Of a case that says something else by then nothing is decided: staff have not seen it.
    """

    records: EnrolmentRecords
    links: PersonLinks

    def retry(self, entry: StoredEnrolment) -> bool:
        """End the case: let the person in, and have the register asked anew at their next login.

        False where it says something else by now. Staff have written to the borrower the number
        that is theirs today. By the others nobody is made: each may be the person's of the time
        between, and whose it is instead gets a case of their own.
        """

        def let_in(case: StoredEnrolment) -> Names:
            self._make_nobody(case.enrolment.held_back, UNTOLD_NUMBER)
            return self._let_in(case)

        if not self._stands(entry):
            return False
        # First: whoever comes by the old number meanwhile, or after a death, finds it so.
        self._ask_anew(entry)
        return self._close(entry, let_in)

    def end(self, entry: StoredEnrolment) -> bool:
        """End the case: of a changed number staff say by it that the old one is still theirs.

        The other is a stranger's then, and leads to an id of its own. Of a case with another reason
        by now, which held numbers back before, staff say nothing of these: nobody is made by them.
        False where it says something else by now.
        """
        if not self._stands(entry):
            return False
        if entry.enrolment.reason != LookUpOutcome.NUMBER_CHANGED:
            return self._close(entry, self._let_nobody_new_in)
        if not self._close(entry, self._let_strangers_in):
            return False
        # No other number: another case than this may have left it to make nobody.
        self.records.amend(person_key(entry.key.group), _makes_again)
        return True

    def _stands(self, entry: StoredEnrolment) -> bool:
        """Return whether the case still says what staff have seen: of two decisions one counts."""
        case = self.records.enrolment(entry.key)
        return case is not None and case.id == entry.enrolment.id

    def agreed(self, owner: str, number_now: str) -> None:
        """End the case of ``owner``: their borrower has the number ``number_now``, a pseudonym."""
        key = register_case(owner)

        def let_go(case: StoredEnrolment) -> Names:
            others = (*case.enrolment.told_before, *case.enrolment.guessed)
            self._make_nobody(others, number_now)
            # The number is kept until the case has ended: a look-up that dies gives it again.
            return self._lifted(case)

        self._close_all(key, let_go)
        HeldBackNumbers(self.records, self.links).lift(number_now, key)

    def forget(self, key: Key) -> None:
        """End a case whatever it says by then: its person is forgotten."""
        self._close_all(key, self._let_numbers_go)

    def _close_all(self, key: Key, let_go: Callable[[StoredEnrolment], Names]) -> None:
        """End the case of ``key``, and any that is listed in its place meanwhile."""
        case = self.records.read(key)
        while case and not self._close(case, let_go):
            case = self.records.read(key)

    def _close(self, entry: StoredEnrolment, let_go: Callable[[StoredEnrolment], Names]) -> bool:
        """End the case with all that it holds back: a login may add a number at any moment.

        A bar that no case names could be lifted by nobody, and a look-up may list the case anew
        between any two of these: what it names then is barred again.
        """
        case = entry
        while True:
            freed = let_go(case)
            is_ended = self.records.end(case)
            if is_ended:
                freed = (*freed, *let_go(case))
            after = self.records.read(entry.key)
            if after is None:
                return is_ended
            if is_ended or after.enrolment.id != entry.enrolment.id:
                self._hold_again(after, freed)
                return is_ended
            case = after

    def _let_in(self, entry: StoredEnrolment) -> Names:
        """Let in whomever the case bars; what other cases bar stays so.

        Returns the numbers that were barred.
        """
        freed = self._let_numbers_go(entry)
        if entry.enrolment.reason != PERSON_DEAD:
            return freed
        owner = entry.key.group
        for number in entry.enrolment.borrowers:
            self.links.lift_account(self.links.of_borrower(number), owner, PERSON_DEAD)
        if self.links.lift(owner, PERSON_DEAD):
            freed = (*freed, owner)
        return freed

    def _let_numbers_go(self, entry: StoredEnrolment) -> Names:
        """Let whoever comes by a number that the case holds back in, and keep it no more.

        Returns the numbers that were barred.
        """
        self._drop_kept_number(entry.key.group)
        return self._lifted(entry)

    def _let_strangers_in(self, entry: StoredEnrolment) -> Names:
        """Let whoever comes by a number of the case in, as somebody else than its owner.

        The register's answer has given it the owner's id. Returns the numbers that were barred.
        """
        owner = entry.key.group
        for number in entry.enrolment.held_back:
            if number != owner:
                self.links.part(number, owner)
        return self._let_numbers_go(entry)

    def _let_nobody_new_in(self, entry: StoredEnrolment) -> Names:
        """Let whoever comes by a number of the case in; none of them makes an account.

        Returns the numbers that were barred.
        """
        held = entry.enrolment.held_back
        if held:
            self._make_nobody(held, UNTOLD_NUMBER)
            self.records.amend(person_key(entry.key.group), _makes_nobody)
        return self._let_numbers_go(entry)

    def _lifted(self, entry: StoredEnrolment) -> Names:
        """Let in whom the case holds back, and return the numbers that were barred."""
        held = HeldBackNumbers(self.records, self.links)
        numbers = entry.enrolment.held_back
        return tuple(number for number in numbers if held.lift(number, entry.key))

    def _drop_kept_number(self, owner: str) -> None:
        """Drop the number that waits for a ``confirm``.

        A look-up that is owed stays: it may be under way, and what it bars it has to list.
        """
        owed = Records(self.records.store, OwedLookUp, durable=True)
        record = owed.get(Key("register", owner), self.records.now())
        if record and record.value.number_now:
            owed.drop(record.key)

    def _hold_again(self, entry: StoredEnrolment, freed: Names) -> None:
        """Bar anew what a case that was listed meanwhile names, of what was let in for the last."""
        held = HeldBackNumbers(self.records, self.links)
        for number in freed:
            if number in entry.enrolment.held_back:
                held.hold(number, entry.key)
        if entry.enrolment.reason == PERSON_DEAD:
            self.bar_dead(entry.key.group, entry.enrolment.borrowers)

    def bar_dead(self, owner: str, borrowers: Names) -> None:
        """Let nobody in by the number of the dead, nor by the accounts of their ``borrowers``."""
        self.links.bar(owner, PERSON_DEAD)
        for number in borrowers:
            self.links.bar_account(self.links.of_borrower(number), owner, PERSON_DEAD)

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
        if self.links.of_cpr(record.value.number_now) != entry.enrolment.number_now:
            # The register has told another since: staff have not seen that case.
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
        owner = entry.key.group
        case = entry.enrolment
        if case.is_of_changed_number:
            number_now = case.number_now or UNTOLD_NUMBER
            self._make_nobody((owner,), number_now)
        else:
            self.records.amend(person_key(owner), _asked_anew)

    def _make_nobody(self, numbers: Names, number_now: str) -> None:
        """Remember of ``numbers`` that another is in their place: nobody is made by them."""
        for number in numbers:
            self._let_make_nobody(person_key(number), number_now)

    def _let_make_nobody(self, key: Key, number_now: str) -> None:
        def out_of_force(stored: StoredEnrolment | None) -> EnrolmentDraft:
            enrolment = stored.enrolment if stored else self._ended(key)
            # The library system's word of before is believed no more, either.
            marked = replace(
                enrolment, registered=None, number_now=number_now, settled=None, carried=None
            )
            return marked, stored.due if stored else None

        self.records.decide(key, out_of_force)

    def _ended(self, key: Key) -> Enrolment:
        """Return an enrolment that has ended: its record may be gone before its case is decided."""
        return replace(new_enrolment(key, self.records.now()), state=EnrolmentState.GIVEN_UP)


def _asked_anew(entry: StoredEnrolment) -> EnrolmentDraft:
    return replace(entry.enrolment, registered=None), entry.due


def _makes_nobody(entry: StoredEnrolment) -> EnrolmentDraft:
    number_now = entry.enrolment.number_now or UNTOLD_NUMBER
    return replace(entry.enrolment, number_now=number_now), entry.due


def _makes_again(entry: StoredEnrolment) -> EnrolmentDraft:
    return replace(entry.enrolment, number_now=None), entry.due
