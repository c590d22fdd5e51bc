"""The enrolments: durable wishes for a borrower, each carried out once.

Source: docs/reference/design.md#4c.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar

from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change, Nothing, Plan, offered, plan, planned_outcome
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.ports import Key
from broker.flows.borrowers import borrower_lookup
from broker.flows.borrowers.enrolment_against_wish import (
    EnrolmentBeforeWish,
    as_found,
    as_wished,
    looked_up_within,
)
from broker.flows.borrowers.enrolment_attempt import EnrolmentAttempt
from broker.flows.borrowers.enrolment_ports import EnrolmentPorts
from broker.flows.borrowers.enrolment_records import EnrolmentDraft, StoredEnrolment
from broker.flows.borrowers.later_wish import later_wish
from broker.flows.borrowers.staff_cases import StaffCases
from broker.flows.waiting_slots import WaitingSlots, WakeSignal, waiting_slot

Mode = Literal["live", "observe", "frozen"]
T = TypeVar("T")

_LOOK: Final = timedelta(seconds=3)
# How long a finished enrolment is believed without a look at the library system.
_TRUSTED: Final = timedelta(days=1)
_POLL: Final = 0.05
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

    def person_key(self, cpr: str) -> Key:
        """Return the key of the one enrolment of the person with this CPR, without the number."""
        return Key("enrolment", self.ports.links.of_cpr(cpr))

    def wish_key(self, wish: Wish, owner: str | None = None) -> Key:
        """Return the key that a wish is kept under.

        That of ``owner``, a pseudonym of links, or its CPR's. LibraryRefused for a wish with
        neither CPR nor borrower.
        """
        if wish.cpr is None and (wish.borrower is None or owner is None):
            raise LibraryRefused("a wish without a CPR number and without a borrower enrols nobody")
        if owner:
            return Key("enrolment", owner)
        return self.person_key(wish.cpr or "")

    def look(self, cpr: str) -> tuple[Borrower, ...]:
        """Return the borrowers with this CPR now, within 3 s; LibraryUnavailable, LibraryRefused.

        Without a free slot it raises LibraryUnavailable at once: a slow library must not hold every
        thread.
        """
        return self._in_slot(lambda by: self.ports.library.find(cpr, by))

    def read(self, number: str) -> Borrower | None:
        """Return the borrower with this number of the library system's, or None; as ``look``."""
        return self._in_slot(lambda by: self.ports.library.read(number, by))

    def stored(self, cpr: str) -> Enrolment | None:
        """Return the person's enrolment as it is stored, or None; no call to the library."""
        key = self.person_key(cpr)
        if self.mode == "observe":
            key = key._replace(name=_OBSERVED)
        return self.ports.records.enrolment(key)

    def settled(self, cpr: str) -> str | None:
        """Return the number of the borrower that this CPR was found to have, if within a day."""
        return _settled(self.stored(cpr), self.ports.now())

    def settled_at(self, owner: str) -> str | None:
        """Return the number that ``settled`` returns, for the pseudonym of a CPR."""
        enrolment = self.ports.records.enrolment(Key("enrolment", owner))
        return _settled(enrolment, self.ports.now())

    def known(
        self,
        wish: Wish,
        linked: str | None,
        owner: str | None = None,
    ) -> EnrolmentBeforeWish:
        """Return what is known of a person's borrower before ``wish`` is written down.

        Its ``enrolment`` is the finished one of a borrower that is as wished already, or None: then
        ``want``. Within a day of the last look this asks the library nothing; later, or where the
        category would change, it looks once, and where the library does not answer, a borrower that
        was as wished is believed to be so still.
        """
        key = self.wish_key(wish, owner)
        now = self.ports.now()
        entry = self.ports.records.read(key)
        before = entry.enrolment if entry else None
        if before and before.state is not EnrolmentState.DONE:
            return EnrolmentBeforeWish()
        believed = None
        if before and as_wished(before, wish, self.ports):
            believed = before
        if believed and looked_up_within(believed, now, _TRUSTED):
            return EnrolmentBeforeWish(believed)
        try:
            found, temporary = self._in_slot(lambda by: self._look_up(wish, by))
        except (LibraryUnavailable, LibraryRefused):
            return EnrolmentBeforeWish(believed)
        planned = plan(found, wish, linked, now.date(), temporary)
        if not isinstance(planned, Nothing):
            return _before_change(planned, found, wish)
        new = StoredEnrolment(key, self._new(key, wish, linked), None, None)
        return self._found_as_wished(entry or new, found[0], wish)

    def want(
        self,
        wish: Wish,
        linked: str | None,
        owner: str | None = None,
    ) -> Enrolment:
        """Write the wish durably and return the enrolment.

        A later wish replaces the earlier, under the same mark. ``linked`` is the borrower number
        that a link remembers. In observe mode what would be written is recorded under another key,
        without the CPR; frozen raises LibraryUnavailable. LibraryRefused for a wish with neither
        CPR nor borrower.
        """
        key = self.wish_key(wish, owner)
        if self.mode == "frozen":
            raise LibraryUnavailable("library.mode is frozen")
        if self.mode == "observe":
            return self._observed(key, wish, linked)
        wanted = new = self._new(key, wish, linked)

        def decide(entry: StoredEnrolment | None) -> EnrolmentDraft | None:
            nonlocal wanted
            wanted, due = self._wanted(entry, new, wish)
            if entry and wanted is entry.enrolment and due == entry.due:
                return None
            # On the trail first: AuditUnavailable where it cannot be, and nothing is wished for.
            self._record_wanted(key, wanted)
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
            for _ in range(round(seconds / _POLL)):
                enrolment = self.ports.records.enrolment(key)
                if not under_way(enrolment):
                    return enrolment
                self.pause(_POLL)
            return self.ports.records.enrolment(key)
        finally:
            if self.waiting_slots is not None:
                self.waiting_slots.release()

    def dispute(self, name: str, cpr: str) -> Enrolment:
        """List for staff that the links of a name and a CPR disagree, as ``StaffCases.dispute``."""
        return StaffCases.of(self.ports).dispute(name, cpr)

    def _in_slot(self, ask: Callable[[datetime], T]) -> T:
        with waiting_slot(self.waiting_slots):
            return ask(self.ports.now() + _LOOK)

    def _found_as_wished(
        self,
        entry: StoredEnrolment,
        borrower: Borrower,
        wish: Wish,
    ) -> EnrolmentBeforeWish:
        """Write down, in live mode, that a look has found the borrower as it is wished."""
        known = as_found(borrower, entry.enrolment, wish, self.ports)
        if self.mode != "live":
            return EnrolmentBeforeWish(known)
        self.ports.links.remember(entry.key.group, known.number)
        if self.ports.records.write(entry, known, entry.due) is None:
            return EnrolmentBeforeWish()
        return EnrolmentBeforeWish(known)

    def _wanted(
        self,
        entry: StoredEnrolment | None,
        new: Enrolment,
        wish: Wish,
    ) -> EnrolmentDraft:
        """Return the enrolment as ``wish`` makes it and when it is due, or ``entry``'s own."""
        now = self.ports.now()
        if entry is None:
            return new, now
        before = entry.enrolment
        if before.state is EnrolmentState.CASE and wish.cpr is None:
            # What staff have to look at is no link's to undo.
            return before, entry.due
        if before.state is EnrolmentState.DONE and self._is_as_wished(before, wish, now):
            return before, entry.due
        wish = later_wish(before, wish)
        same = before.wish == wish and before.link == new.link
        if before.state is EnrolmentState.WANTED and same:
            if entry.due and entry.due <= now + _SHORT_PAUSE:
                return before, entry.due
            return replace(before, reason=None), now
        wanted = replace(
            before,
            state=EnrolmentState.WANTED,
            wanted_at=now,
            wish=wish,
            link=new.link,
            attempts=0,
            reason=None,
        )
        return wanted, now

    def _is_as_wished(self, before: Enrolment, wish: Wish, now: datetime) -> bool:
        if not looked_up_within(before, now, _LOOK):
            return False
        return as_wished(before, wish, self.ports)

    def _record_wanted(self, key: Key, wanted: Enrolment) -> None:
        person = self.ports.links.holder(key.group)
        self.ports.trail.add(
            AuditEvent(
                AuditEventKind.ENROLMENT_WANTED, self.ports.now(), person=person, about=wanted.id
            )
        )

    def _new(self, key: Key, wish: Wish, linked: str | None) -> Enrolment:
        return Enrolment(
            id=secrets.token_hex(16),
            state=EnrolmentState.WANTED,
            wanted_at=self.ports.now(),
            wish=wish,
            person=key.group,
            link=linked,
        )

    def _look_up(self, wish: Wish, by: datetime) -> tuple[tuple[Borrower, ...], Borrower | None]:
        library = self.ports.library
        if wish.cpr is not None:
            found = library.find(wish.cpr, by)
        else:
            found = borrower_lookup.borrower_without_cpr(library, wish, by)
        return found, borrower_lookup.temporary(library, found, wish, by)

    def _observed(self, key: Key, wish: Wish, linked: str | None) -> Enrolment:
        new = self._new(key, wish, linked)
        observed = replace(new, state=EnrolmentState.OBSERVED, wish=None)
        try:
            found, temporary = self._in_slot(lambda by: self._look_up(wish, by))
        except (LibraryUnavailable, LibraryRefused) as error:
            observed = replace(observed, reason=error.reason)
        else:
            today = self.ports.now().date()
            planned = plan(found, wish, linked, today, temporary)
            observed = planned_outcome(observed, planned)
        place = key._replace(name=_OBSERVED)
        unstored = StoredEnrolment(place, observed, None, None)
        entry = self.ports.records.read(place) or unstored
        self.ports.records.write(entry, observed, None)
        return observed


def _before_change(
    planned: Plan,
    found: tuple[Borrower, ...],
    wish: Wish,
) -> EnrolmentBeforeWish:
    """Return the borrower that ``planned`` would change, and the category that is asked about."""
    if not isinstance(planned, Change) or not found:
        return EnrolmentBeforeWish()
    upgrade_from = offered(planned, found, wish)
    return EnrolmentBeforeWish(upgrade_from=upgrade_from, number=planned.number)


def under_way(enrolment: Enrolment | None) -> bool:
    """Return whether an enrolment is about to be carried out, and has not failed."""
    if enrolment is None or enrolment.reason:
        return False
    return enrolment.state is EnrolmentState.WANTED


def _settled(enrolment: Enrolment | None, now: datetime) -> str | None:
    if enrolment is None or enrolment.state is not EnrolmentState.DONE:
        return None
    if not looked_up_within(enrolment, now, _TRUSTED):
        return None
    return enrolment.number
