"""The enrolments: durable wishes for a borrower, each carried out once.

Source: docs/reference/design.md#4c.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.change_plan import plan, planned_outcome
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity.person_id import compute_person_id_of_cpr
from broker.core.ports import Key
from broker.use_cases.borrowers.borrower_lookup import temporary
from broker.use_cases.borrowers.enrolment_attempt import EnrolmentAttempt
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts, Mode
from broker.use_cases.borrowers.enrolment_records import EnrolmentDraft, StoredEnrolment
from broker.use_cases.borrowers.known_borrower import BorrowerQuestion, new_enrolment
from broker.use_cases.borrowers.later_wish import later_wish
from broker.use_cases.waiting_slots import WaitingSlots, WakeSignal

# Another process carries the enrolment out: it is looked for at pauses that grow, so that its end
# is seen within a tenth of a second and a slow library system costs thirteen reads a second.
_FIRST_PAUSE: Final = 0.0125
_LONGEST_PAUSE: Final = 0.075
# A reload asks a library system that rests for so long no sooner.
_SHORT_PAUSE: Final = timedelta(seconds=120)
_OBSERVED: Final = "observed"  # apart, so that a wish accepted while live is not lost to it


@dataclass(frozen=True, slots=True)
class Enrolments:
    """Stores wishes, carries them out, and returns them as they are stored.

    ``pause`` sleeps for some seconds (``time.sleep``); ``waiting_slots`` None sets no bound on how
    many requests wait.
    """

    ports: EnrolmentPorts
    mode: Mode
    wake: WakeSignal
    pause: Callable[[float], object]
    waiting_slots: WaitingSlots | None = None

    @property
    def question(self) -> BorrowerQuestion:
        """Return the question about a person's borrower."""
        return BorrowerQuestion(self.ports, self.mode, self.waiting_slots)

    def person_key(self, cpr: str) -> Key:
        """Return the key of the one enrolment of the person with this CPR, without the number."""
        return Key("enrolment", compute_person_id_of_cpr(self.ports.hmacs, cpr))

    def stored(self, cpr: str) -> Enrolment | None:
        """Return the person's enrolment as it is stored, or None; no call to the library."""
        key = self.person_key(cpr)
        if self.mode == "observe":
            key = key._replace(name=_OBSERVED)
        return self.ports.records.enrolment(key)

    def want(self, wish: Wish, absent: datetime | None = None) -> Enrolment:
        """Write the wish durably and return the enrolment.

        A later wish replaces the earlier, under the same mark. ``absent`` is when the library
        system said that there is no borrower. In observe mode what would be written is recorded
        under another key, without the CPR; frozen raises LibraryUnavailable. LibraryRefused for a
        wish without a CPR: it would enrol nobody.
        """
        if wish.cpr is None:
            raise LibraryRefused("a wish without a CPR number enrols nobody")
        key = self.person_key(wish.cpr)
        if self.mode == "frozen":
            raise LibraryUnavailable("library.mode is frozen")
        if self.mode == "observe":
            return self._observed(key, wish, wish.cpr)
        wanted = new = replace(new_enrolment(key, self.ports.now(), wish), settled=absent)

        def decide(entry: StoredEnrolment | None) -> EnrolmentDraft | None:
            nonlocal wanted
            wanted, due = self._wanted(entry, new, wish)
            if entry and wanted is entry.enrolment and due == entry.due:
                return None
            # On the trail first: AuditUnavailable where it cannot be, and nothing is wished for.
            self.ports.record_wanted(key, wanted)
            return wanted, due

        if self.ports.records.decide(key, decide).written:
            self.wake.set()
        return wanted

    def step(self) -> Enrolment | None:
        """Carry out the enrolment that has been due longest, and return it; None if none is due."""
        if self.mode != "live":
            return None
        claimed = self.ports.records.claim()
        if claimed is None:
            return None
        entry, lease = claimed
        return EnrolmentAttempt(entry, lease, self.ports).run()

    def wait(self, key: Key, seconds: float) -> Enrolment | None:
        """Return the enrolment once it is no longer under way, or as it is after ``seconds``.

        Without a free slot it is returned as it is at once.
        """
        if self.waiting_slots is not None and not self.waiting_slots.acquire(blocking=False):
            return self.ports.records.enrolment(key)
        try:
            enrolment = self.ports.records.enrolment(key)
            pause = _FIRST_PAUSE
            while under_way(enrolment) and seconds > 0:
                pause = min(pause, seconds)
                self.pause(pause)
                seconds -= pause
                pause = min(2 * pause, _LONGEST_PAUSE)
                enrolment = self.ports.records.enrolment(key)
            return enrolment
        finally:
            if self.waiting_slots is not None:
                self.waiting_slots.release()

    def _wanted(self, entry: StoredEnrolment | None, new: Enrolment, wish: Wish) -> EnrolmentDraft:
        """Return the enrolment as ``wish`` makes it and when it is due, or ``entry``'s own."""
        now = self.ports.now()
        if entry is None:
            return new, now
        before = entry.enrolment
        if before.state is EnrolmentState.DONE and self._is_fresh(before, wish):
            return before, entry.due
        wish = later_wish(before, wish)
        if before.state is EnrolmentState.WANTED and before.wish == wish:
            if entry.due and entry.due <= now + _SHORT_PAUSE:
                return before, entry.due
            return replace(before, reason=None, cause=None), now
        wanted = replace(
            before,
            state=EnrolmentState.WANTED,
            wanted_at=now,
            wish=wish,
            attempts=0,
            reason=None,
            cause=None,
            borrowers=(),
        )
        return wanted, now

    def _is_fresh(self, before: Enrolment, wish: Wish) -> bool:
        """Return whether another login has done just this, and the library's word still counts."""
        question = self.question
        return question.is_trusted(before) and question.is_as_wished(before, wish)

    def _observed(self, key: Key, wish: Wish, cpr: str) -> Enrolment:
        library = self.ports.library
        new = new_enrolment(key, self.ports.now(), wish)
        observed = replace(new, state=EnrolmentState.OBSERVED, wish=None)
        try:
            found = self.question.in_slot(lambda by: library.find(cpr, by))
            adopted = self.question.in_slot(lambda by: temporary(library, found, wish, by))
        except (LibraryUnavailable, LibraryRefused) as error:
            observed = replace(observed, reason=error.reason)
        else:
            planned = plan(found, wish, self.ports.now().date(), adopted)
            observed = planned_outcome(observed, planned)
        place = key._replace(name=_OBSERVED)
        unstored = StoredEnrolment(place, observed, None, None)
        entry = self.ports.records.read(place) or unstored
        self.ports.records.write(entry, observed, None)
        return observed


def under_way(enrolment: Enrolment | None) -> bool:
    """Return whether an enrolment is about to be carried out, and has not failed."""
    if enrolment is None or enrolment.reason:
        return False
    return enrolment.state is EnrolmentState.WANTED
