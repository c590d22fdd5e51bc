"""One look-up of a person under the lease on their enrolment: asked, applied, and told."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.borrowers.borrower import Borrower, numbers, wrong_with_borrowers
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.owed_look_up import (
    NUMBER_HOLDS,
    LookUpOutcome,
    LookUpPlan,
    OwedLookUp,
    plan_look_up,
)
from broker.core.borrowers.registered_person import RegisteredPerson, RegisterError
from broker.core.entities import Names
from broker.core.errors import BrokerError, LibraryRefused
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.ports import PersonRegister
from broker.use_cases.borrowers.enrolment_records import CALL, EnrolmentDraft, StoredEnrolment
from broker.use_cases.borrowers.leased_enrolment import LeasedEnrolment, Overtaken
from broker.use_cases.borrowers.staff_cases import StaffCases
from broker.use_cases.records import Claimed

_HAS_ANOTHER: Final = "the new number has a borrower of its own by now"
_BORN_OTHERWISE: Final = (
    "the new number has another date of birth than the borrower: "
    "correct it in the library system, then confirm again"
)
_NOT_GIVEN: Final = {
    LookUpOutcome.NO_BORROWER: "the borrower is gone, or not this person's by now",
    LookUpOutcome.GIVEN_UP: (
        "the library system did not take the new number for thirty days: write it there"
    ),
}


@dataclass(slots=True)
class LookUp(LeasedEnrolment):
    """The look-up ``claimed``, whose person's enrolment is that of ``entry``.

    Both leases are held to the end: whoever forgets the person waits for it.
    """

    claimed: Claimed[OwedLookUp]
    register: PersonRegister
    protected_to_library: bool
    number_now: str | None = None

    def run(self) -> LookUpOutcome | None:
        """Ask, do what follows, and return the outcome; None while the enrolment is under way.

        The borrower is read first: of one that is gone, or while the library system is silent,
        nobody is asked about. RegisterError, LibraryUnavailable, LibraryRefused and
        AuditUnavailable: nothing was recorded, and it is tried again.
        """
        enrolment = self.entry.enrolment
        if enrolment.state is EnrolmentState.WANTED:
            return None
        number = enrolment.number
        if enrolment.state is not EnrolmentState.DONE or number is None:
            return LookUpOutcome.NO_BORROWER
        owed = self.claimed.record.value
        if owed.number_now:
            return self._give(number, owed.cpr, owed.number_now)
        if self._borrower(number, owed.cpr) is None:
            return LookUpOutcome.NO_BORROWER
        # On the trail first: a number leaves for the register by no other way.
        self._record(AuditEventKind.REGISTER_ASKED, owed.reason)
        person = self.register.look_up(owed.cpr, self._held_by())
        # As staff have left it meanwhile.
        borrower = self._borrower(number, owed.cpr)
        if borrower is None:
            return LookUpOutcome.NO_BORROWER
        planned = self._planned(person, borrower)
        if planned.fields:
            # Whose it is may have taken a search, in which staff may have written: theirs stays.
            last = self.ports.library.read(number, self._held_by())
            if last is None or last.cpr != borrower.cpr:
                return LookUpOutcome.NO_BORROWER
            planned = self._planned(person, last)
        return self._apply(planned, borrower, person)

    def _planned(self, person: RegisteredPerson | None, borrower: Borrower) -> LookUpPlan:
        return plan_look_up(
            person,
            borrower.fields,
            self.claimed.record.value.rule,
            protected_to_library=self.protected_to_library,
        )

    def _borrower(self, number: str, cpr: str) -> Borrower | None:
        """Return the borrower as the library system has it; None where it is gone or another's."""
        borrower = self.ports.library.read(number, self._held_by())
        if borrower is None or not self._is_theirs(borrower, cpr):
            return None
        return borrower

    def unreadable(self, error: RegisterError) -> LookUpOutcome:
        """List a case of a person of whom the register's answer cannot be read."""
        planned = LookUpPlan(LookUpOutcome.UNCLEAR, cause=str(error))
        number = self.entry.enrolment.number
        concerned = (number,) if number else ()
        self._hold(self.ports.now() + CALL)
        StaffCases.of(self.ports).register_differs(self.entry.key.group, planned, concerned)
        self._amend(lambda entry: self._heard(entry, planned.outcome))
        return planned.outcome

    def _is_theirs(self, borrower: Borrower, cpr: str) -> bool:
        """Return whether the borrower that the enrolment remembers is still its person's.

        The number may have stood on a stranger's record, and staff have taken it off there.
        """
        if wrong_with_borrowers((borrower,), cpr):
            return False
        return self._is_found(borrower, cpr)

    def _is_found(self, borrower: Borrower, *cprs: str) -> bool:
        """Return whether a borrower has a number, or is found by one of ``cprs``, or is ours."""
        enrolment = self.entry.enrolment
        is_ours = enrolment.creates > 0 and borrower.mark == enrolment.id
        if borrower.cpr is not None or is_ours:
            return True
        found = (self.ports.library.find(cpr, self._held_by()) for cpr in cprs)
        return any(numbers(each) == (borrower.number,) for each in found)

    def _apply(
        self, planned: LookUpPlan, borrower: Borrower, person: RegisteredPerson | None
    ) -> LookUpOutcome:
        if planned.fields:
            change = Change(borrower.number, planned.fields)
            try:
                self.ports.library.change(change, self._held_by())
            except LibraryRefused as error:
                # Asked again the register would say the same, and the library system too.
                planned = planned.refused(str(error))
        if planned.case:
            self._hold(self.ports.now() + CALL)
            self._list(planned, borrower, person)
        self._hold(self.ports.now() + CALL)
        self._amend(lambda entry: self._heard(entry, planned.outcome))
        return planned.outcome

    def _list(
        self, planned: LookUpPlan, borrower: Borrower, person: RegisteredPerson | None
    ) -> None:
        """List the case, and bar whom nobody may be let in as."""
        concerned = numbers((borrower,))
        now_theirs = None
        if planned.outcome is not LookUpOutcome.DEAD and person and person.current_number:
            found = self.ports.library.find(person.current_number, self._held_by())
            concerned = numbers((borrower, *found))
            now_theirs = self.ports.links.of_cpr(person.current_number)
            if len(concerned) == 1:
                self.number_now = person.current_number
        self._list_and_bar(planned, concerned, now_theirs)
        if planned.outcome is LookUpOutcome.NUMBER_CHANGED and now_theirs is None:
            # The register has not said which it is: a name of theirs may have come with it since.
            StaffCases.of(self.ports).come_since(self.entry.key.group, borrower.number)

    def _list_and_bar(self, planned: LookUpPlan, concerned: Names, now_theirs: str | None) -> None:
        """List a case and bar by it, until both stand.

        Staff may decide the case of before between the two: they have not seen this one.
        """
        cases = StaffCases.of(self.ports)
        is_standing = False
        while not is_standing:
            cases.register_differs(self.entry.key.group, planned, concerned, now_theirs)
            self._bar(planned, concerned, now_theirs)
            is_standing = cases.stands(self.entry.key.group, planned, now_theirs)

    def is_waited_for(self, number_now: str) -> bool:
        """Return whether a case still waits for staff to confirm the number that is kept for it."""
        planned = LookUpPlan(LookUpOutcome.NUMBER_CHANGED)
        now_theirs = self.ports.links.of_cpr(number_now)
        return StaffCases.of(self.ports).stands(self.entry.key.group, planned, now_theirs)

    def _bar(self, planned: LookUpPlan, concerned: Names, now_theirs: str | None) -> None:
        owner = self.entry.key.group
        if planned.outcome is LookUpOutcome.DEAD:
            StaffCases.of(self.ports).decisions.bar_dead(owner, concerned)
        elif now_theirs and len(concerned) == 1:
            # By the new number they have no borrower: nobody makes a second one.
            self.ports.links.succeed(now_theirs, owner, LookUpOutcome.NUMBER_CHANGED.value)

    def _give(self, number: str, cpr: str, number_now: str) -> LookUpOutcome:
        """Give the borrower the number that staff have confirmed; done twice, it is done once."""
        library = self.ports.library
        borrower = library.read(number, self._held_by())
        # A try whose answer was lost has given it already.
        if borrower is None or borrower.cpr not in {None, cpr, number_now}:
            return LookUpOutcome.NO_BORROWER
        if not self._is_found(borrower, cpr, number_now):
            return LookUpOutcome.NO_BORROWER
        now_theirs = self.ports.links.of_cpr(number_now)
        concerned = numbers((borrower, *library.find(number_now, self._held_by())))
        if len(concerned) > 1:
            return self._not_given(concerned, now_theirs, _HAS_ANOTHER)
        if borrower.is_anothers(number_now):
            # The number is kept: staff correct the date of birth, and confirm again.
            self.number_now = number_now
            return self._not_given(concerned, now_theirs, _BORN_OTHERWISE)
        try:
            change = Change(number, (), cpr=number_now, former_cpr=cpr)
            library.change(change, self._held_by())
        except LibraryRefused as error:
            # Staff do it themselves, and are told why it was not done for them.
            return self._not_given(concerned, now_theirs, str(error))
        self._hold(self.ports.now() + CALL)
        # By the old number they have no borrower any more: whoever comes with it is looked for.
        self._amend(lambda entry: (self._led_on(entry.enrolment, now_theirs), entry.due))
        StaffCases.of(self.ports).decisions.agreed(self.entry.key.group, now_theirs)
        return LookUpOutcome.NUMBER_GIVEN

    def _not_given(self, borrowers: Names, now_theirs: str, cause: str) -> LookUpOutcome:
        changed = LookUpPlan(LookUpOutcome.NUMBER_CHANGED, cause=cause)
        self._list_and_bar(changed, borrowers, now_theirs)
        return changed.outcome

    def say_why_not(self, outcome: LookUpOutcome) -> None:
        """Say in the case why the borrower has not got the number that staff have confirmed."""
        cause = _NOT_GIVEN.get(outcome)
        if cause and self.claimed.record.value.number_now:
            StaffCases.of(self.ports).number_not_given(self.entry.key.group, cause)

    @staticmethod
    def _led_on(enrolment: Enrolment, number_now: str) -> Enrolment:
        return replace(enrolment, settled=None, carried=None, number_now=number_now)

    def _heard(self, entry: StoredEnrolment, outcome: LookUpOutcome) -> EnrolmentDraft:
        enrolment = replace(entry.enrolment, registered=self.ports.now())
        if outcome in NUMBER_HOLDS:
            enrolment = replace(enrolment, number_now=None)
        if outcome is LookUpOutcome.DEAD and enrolment.state is EnrolmentState.DONE:
            # Nobody opens a letter to the dead but somebody else.
            return replace(enrolment, wish=None), None
        return enrolment, entry.due

    def _hold(self, deadline: datetime) -> None:
        if not self.claimed.lease.renew(deadline, self.ports.now()):
            raise Overtaken
        super(LookUp, self)._hold(deadline)

    def tell(self, outcome: LookUpOutcome) -> None:
        """Tell what came of the look-up."""
        self._record(AuditEventKind.REGISTER_ANSWERED, outcome)
        owed = self.claimed.record.value
        facts = {"enrolment": self.entry.enrolment.id, "for": owed.reason, "outcome": outcome}
        self.ports.tell(BrokerEvent(EventKind.REGISTER_LOOKED_UP, facts))

    def tell_held_up(self, error: BrokerError) -> None:
        """Tell why the look-up has to wait, without a value of the person's."""
        facts = {
            "enrolment": self.entry.enrolment.id,
            "reason": error.reason,
            "cause": str(error),
            "setting": getattr(error, "setting", None),
            "attempts": self.claimed.record.value.attempts + 1,
        }
        self.ports.tell(BrokerEvent(EventKind.REGISTER_HELD_UP, facts))

    def _record(self, kind: AuditEventKind, reason: str) -> None:
        person = self.ports.links.holder(self.entry.key.group)
        about = self.entry.enrolment.id
        now = self.ports.now()
        self.ports.trail.add(AuditEvent(kind, now, person=person, reason=reason, about=about))
