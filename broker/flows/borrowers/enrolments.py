"""The enrolments: durable wishes that a borrower be so, each carried out once whatever dies meanwhile (design 4c)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar

from broker.core import audit_events
from broker.core.borrowers.borrower import (
    Borrower,
    Change,
    Enrolment,
    EnrolmentState,
    Nothing,
    Wish,
)
from broker.core.borrowers.change_plan import offered, plan, planned_outcome
from broker.core.errors import LibraryRefused, LibraryUnavailable, StoreUnavailable
from broker.core.ports import Key
from broker.flows.borrowers import borrower_lookup
from broker.flows.borrowers.enrolment_attempt import EnrolmentAttempt
from broker.flows.borrowers.enrolment_ports import EnrolmentPorts
from broker.flows.borrowers.enrolment_records import StoredEnrolment
from broker.flows.borrowers.finished_enrolment import (
    EnrolmentBeforeWish,
    as_found,
    as_wished,
    looked_up_within,
)
from broker.flows.borrowers.staff_cases import StaffCases
from broker.flows.concurrency import WaitingSlots, WakeSignal, waiting_slot

Mode = Literal["live", "observe", "frozen"]
T = TypeVar("T")

_LOOK: Final = timedelta(seconds=3)
_TRUSTED: Final = timedelta(
    days=1
)  # how long a finished enrolment is believed without a look at the library
_POLL: Final = 0.05
_TURNS: Final = 50
_OBSERVED: Final = "observed"  # apart, so that a wish accepted while live is not lost to it


@dataclass(frozen=True, slots=True)
class Enrolments:
    """Takes wishes, carries them out, and says how they stand.

    ``pause`` sleeps for some seconds (``time.sleep``); ``seats`` None sets no bound on who waits.
    """

    tools: EnrolmentPorts
    mode: Mode
    wake: WakeSignal
    pause: Callable[[float], object]
    seats: WaitingSlots | None = None

    def person_key(self, cpr: str) -> Key:
        """Give the key of the one enrolment of the person with this CPR; the number itself is not in it."""
        return Key("enrolment", self.tools.links.of_cpr(cpr))

    def place(self, wish: Wish, owner: str | None = None) -> Key:
        """Give the key that a wish is kept under: that of its CPR, or of ``owner``, a pseudonym of Links."""
        if wish.cpr is None and (wish.borrower is None or owner is None):
            raise LibraryRefused("a wish without a CPR number and without a borrower enrols nobody")
        return Key("enrolment", owner) if owner else self.person_key(wish.cpr or "")

    def look(self, cpr: str) -> tuple[Borrower, ...]:
        """Give the borrowers with this CPR now, within 3 s; LibraryUnavailable, LibraryRefused.

        Without a seat it answers LibraryUnavailable at once: a slow library must not hold every
        thread.
        """
        return self._seated(lambda by: self.tools.library.find(cpr, by))

    def read(self, number: str) -> Borrower | None:
        """Give the borrower with this number of the library system's, or None; as ``look``."""
        return self._seated(lambda by: self.tools.library.read(number, by))

    def standing(self, cpr: str) -> Enrolment | None:
        """Give the enrolment of the person as it stands, or None; no call to the library."""
        key = self.person_key(cpr)
        return self._at(key._replace(name=_OBSERVED) if self.mode == "observe" else key)

    def settled(self, cpr: str) -> str | None:
        """Give the number of the borrower that this CPR was found to have within the last day, or None."""
        return _settled(self.standing(cpr), self.tools.now())

    def settled_at(self, owner: str) -> str | None:
        """Give the number that ``settled`` gives, for the pseudonym of a CPR."""
        return _settled(self._at(Key("enrolment", owner)), self.tools.now())

    def known(
        self, wish: Wish, linked: str | None, owner: str | None = None
    ) -> EnrolmentBeforeWish:
        """Say how a person's borrower stands against ``wish``, before anything is written down for it.

        Its ``enrolment`` is the finished one of a borrower that is as wished already, or None: then
        ``want``. Within a day of the last look this asks the library nothing; later, or where the
        category would change, it looks once, and where the library does not answer, a borrower that
        was as wished is believed to be so still.
        """
        key, now = self.place(wish, owner), self.tools.now()
        entry = self.tools.ledger.read(key)
        before = entry.enrolment if entry else None
        if before and before.state is not EnrolmentState.DONE:
            return EnrolmentBeforeWish()
        believed = before if before and as_wished(before, wish, self.tools) else None
        if believed and looked_up_within(believed, now, _TRUSTED):
            return EnrolmentBeforeWish(believed)
        try:
            found, temporary = self._seated(lambda by: self._there(wish, by))
        except (LibraryUnavailable, LibraryRefused):
            return EnrolmentBeforeWish(believed)
        planned = plan(found, wish, linked, now.date(), temporary)
        if not isinstance(planned, Nothing):
            number = planned.number if isinstance(planned, Change) and found else None
            return EnrolmentBeforeWish(upgrade_from=offered(planned, found, wish), number=number)
        known = as_found(found[0], before or self._new(key, wish, linked), wish, self.tools)
        if self.mode == "live":
            self.tools.links.remember(key.group, known.number)
            place = entry or StoredEnrolment(key, known, None, None)
            return EnrolmentBeforeWish(
                known if self.tools.ledger.write(place, known, place.due) else None
            )
        return EnrolmentBeforeWish(known)

    def want(self, wish: Wish, linked: str | None, owner: str | None = None) -> Enrolment:
        """Write the wish durably and give the enrolment; a later wish replaces the earlier, under the same mark.

        ``linked`` is the borrower number that a link remembers. In observe mode what would be
        written is recorded under another key, without the CPR; frozen raises LibraryUnavailable.
        LibraryRefused for a wish with neither CPR nor borrower.
        """
        key = self.place(wish, owner)
        if self.mode == "frozen":
            raise LibraryUnavailable("library.mode is frozen")
        if self.mode == "observe":
            return self._observed(key, wish, linked)
        for _ in range(_TURNS):
            entry = self.tools.ledger.read(key)
            wanted, due = self._wanted(key, entry, wish, linked)
            if entry and wanted is entry.enrolment and due == entry.due:
                return wanted
            # On the trail first: AuditUnavailable where it cannot be, and nothing is wished for.
            self.tools.trail.add(
                audit_events.AuditEvent(
                    audit_events.AuditEventKind.ENROLMENT_WANTED,
                    self.tools.now(),
                    person=self.tools.links.holder(key.group),
                    about=wanted.id,
                )
            )
            if self.tools.ledger.write(
                entry or StoredEnrolment(key, wanted, None, None), wanted, due
            ):
                self.wake.set()
                return wanted
        raise StoreUnavailable("an enrolment is changed by others all the time")

    def step(self) -> Enrolment | None:
        """Carry out the enrolment that has been due longest and give it as it then stands; None where none is due."""
        if self.mode != "live":
            return None
        entry = self.tools.ledger.claim()
        if entry is None:
            return None
        done = EnrolmentAttempt(entry, self.tools).run()
        if done:
            person = self.tools.links.holder(entry.key.group)
            for event in audit_events.of_enrolment(entry.enrolment, done, person, self.tools.now()):
                self.tools.trail.add(event)
        return done

    def run(
        self, stop: Callable[[], bool], idle: float, report: Callable[[Exception], None]
    ) -> None:
        """Carry out what is due until ``stop``; sleep ``idle`` seconds, or until woken, when nothing is.

        ``report`` is told what went wrong outside the plan; what was under way is due again when
        its lease ends.
        """
        while not stop():
            self.wake.clear()
            try:
                busy = self.step() is not None
            except Exception as error:  # noqa: BLE001 - one broken enrolment must not end the loop for all others
                report(error)
                busy = False
            if not busy:
                self.wake.wait(idle)

    def wait(self, key: Key, seconds: float) -> Enrolment | None:
        """Give the enrolment once it is no longer under way, or as it stands after ``seconds`` or without a seat."""
        if self.seats is not None and not self.seats.acquire(blocking=False):
            return self._at(key)
        try:
            for _ in range(round(seconds / _POLL)):
                enrolment = self._at(key)
                if (
                    enrolment is None
                    or enrolment.state is not EnrolmentState.WANTED
                    or enrolment.reason
                ):
                    return enrolment
                self.pause(_POLL)
            return self._at(key)
        finally:
            if self.seats is not None:
                self.seats.release()

    def dispute(self, name: str, cpr: str, number: str | None = None) -> Enrolment:  # noqa: ARG002
        """List for staff that the link of ``name`` and ``cpr`` disagree, as ``Cases.dispute``."""
        return StaffCases(self.tools.ledger, self.tools.links, self.tools.trail).dispute(name, cpr)

    def _seated(self, ask: Callable[[datetime], T]) -> T:
        with waiting_slot(self.seats):
            return ask(self.tools.now() + _LOOK)

    def _at(self, key: Key) -> Enrolment | None:
        entry = self.tools.ledger.read(key)
        return entry.enrolment if entry else None

    def _wanted(
        self, key: Key, entry: StoredEnrolment | None, wish: Wish, linked: str | None
    ) -> tuple[Enrolment, datetime | None]:
        now = self.tools.now()
        if entry is None:
            return self._new(key, wish, linked), now
        before = entry.enrolment
        if before.state is EnrolmentState.CASE and wish.cpr is None:
            # What staff have to look at is no link's to undo.
            return before, entry.due
        if (
            before.state is EnrolmentState.DONE
            and as_wished(before, wish, self.tools)
            and looked_up_within(before, now, _LOOK)
        ):
            return before, entry.due
        if (
            before.state is EnrolmentState.WANTED
            and before.wish
            and before.wish.category == wish.category
        ):
            # Who agreed while the library was down has agreed: a later login had nothing to offer.
            wish = replace(wish, upgrade=wish.upgrade or before.wish.upgrade)
        if (
            before.state in {EnrolmentState.WANTED, EnrolmentState.CASE}
            and before.wish
            and before.wish.temporary
            and wish.cpr
        ):
            # Proved is proved: a login that does not say so again makes no second borrower, and
            # hides no case.
            adopts = tuple(dict.fromkeys((*wish.adopts, *before.wish.adopts)))
            wish = replace(wish, temporary=wish.temporary or before.wish.temporary, adopts=adopts)
        if before.pin_owed and before.wish and wish.cpr is None:
            # A link is told no address: what is owed goes to the one that came with the CPR.
            wish = replace(wish, pin_to=before.wish.pin_to, language=before.wish.language)
        if before.state is EnrolmentState.WANTED and (before.wish, before.link) == (wish, linked):
            soon = self.tools.ledger.soon(entry)
            return (before if soon == entry.due else replace(before, reason=None)), soon
        wanted = replace(
            before,
            state=EnrolmentState.WANTED,
            wanted_at=now,
            wish=wish,
            link=linked,
            attempts=0,
            reason=None,
        )
        return wanted, self.tools.ledger.soon(entry)

    def _new(self, key: Key, wish: Wish, linked: str | None) -> Enrolment:
        return Enrolment(
            secrets.token_hex(16),
            EnrolmentState.WANTED,
            self.tools.now(),
            wish,
            key.group,
            link=linked,
        )

    def _there(self, wish: Wish, by: datetime) -> tuple[tuple[Borrower, ...], Borrower | None]:
        library = self.tools.library
        there = borrower_lookup.borrowers_of_wish(library, wish, by)
        return there, borrower_lookup.temporary(library, there, wish, by)

    def _observed(self, key: Key, wish: Wish, linked: str | None) -> Enrolment:
        observed = replace(self._new(key, wish, linked), state=EnrolmentState.OBSERVED, wish=None)
        try:
            found, temporary = self._seated(lambda by: self._there(wish, by))
        except (LibraryUnavailable, LibraryRefused) as error:
            observed = replace(observed, reason=error.reason)
        else:
            observed = planned_outcome(
                observed, plan(found, wish, linked, self.tools.now().date(), temporary)
            )
        place = key._replace(name=_OBSERVED)
        entry = self.tools.ledger.read(place) or StoredEnrolment(place, observed, None, None)
        self.tools.ledger.write(entry, observed, None)
        return observed


def _settled(standing: Enrolment | None, now: datetime) -> str | None:
    fresh = (
        standing
        and standing.state is EnrolmentState.DONE
        and looked_up_within(standing, now, _TRUSTED)
    )
    return standing.number if standing and fresh else None
