"""One attempt at an enrolment: look, plan, create or change, count, mail the PIN that is owed.

Every call has a deadline, and before it the lease is renewed beyond it. Any process may die between
any two lines: the worker that claims the enrolment next looks again before it does anything
(docs/reference/design.md#4c).
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from broker.core.borrowers.borrower import Borrower, numbers
from broker.core.borrowers.change_plan import (
    Case,
    Change,
    Create,
    Gone,
    Nothing,
    Plan,
    outcome,
    plan,
)
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Names
from broker.core.errors import (
    PIN_UNUSABLE,
    BrokerError,
    LibraryRefused,
    LibraryUnavailable,
    MailUnavailable,
)
from broker.use_cases.backoff import delay_after
from broker.use_cases.borrowers import borrower_lookup
from broker.use_cases.borrowers.enrolment_records import (
    CALL,
    GIVE_UP_AFTER,
    EnrolmentDraft,
    StoredEnrolment,
)
from broker.use_cases.borrowers.first_pin import FirstPin, suggested_pins
from broker.use_cases.borrowers.leased_enrolment import LeasedEnrolment, Overtaken
from broker.use_cases.records import Reads, read_together

# The desk may register whoever has just been told that there is no account, and spell the number so
# that no unique field stops a second borrower.
ABSENT_FOR: Final = timedelta(minutes=5)
# So many creates of one enrolment may have no effect before staff look.
_MOST_CREATES: Final = 3
# People who wait for a mend of the set-up do not wait for hours after it.
_SET_UP_PAUSE: Final = timedelta(minutes=10)


@dataclass(slots=True)
class EnrolmentAttempt(LeasedEnrolment):
    """Carries out the enrolment of ``entry`` under ``lease``, which ends with the attempt.

    A later wish may be written at any time: it is due, and is claimed when the lease ends.
    """

    def run(self) -> Enrolment | None:
        """Do all that can be done now, and return the enrolment as it is then stored.

        What failed is due again later; after an error that nobody planned for, when the lease ends.
        """
        with suppress(Overtaken):
            self._do_what_is_due()
        self.lease.end(self.ports.now())
        return self.ports.records.enrolment(self.entry.key)

    def _do_what_is_due(self) -> None:
        try:
            if self.entry.enrolment.state is EnrolmentState.CASE:
                self._drop_wish()
                return
            if self.entry.enrolment.state is EnrolmentState.WANTED:
                self._enrol()
            enrolment = self.entry.enrolment
            if enrolment.state is EnrolmentState.DONE and enrolment.pin_owed:
                self._mail_pin()
            elif self.entry.due:
                # A look at the library system has found the borrower as wished meanwhile.
                self._write(enrolment, None)
        except (LibraryUnavailable, MailUnavailable) as error:
            self._tell_held_up(error)
            self._later(error)
        except LibraryRefused as error:
            self._refused(error)

    def _enrol(self) -> None:
        enrolment = self.entry.enrolment
        now = self.ports.now()
        wish = enrolment.wish
        if wish is None:
            self._give_up(None)
            return
        if wish.cpr is None:
            self._leave_as_it_is(wish)
            return
        if now - enrolment.wanted_at >= GIVE_UP_AFTER:
            self._give_up(None)
            return
        # A login that has just found no borrower stands for the look before the create; the one
        # after it counts.
        found: tuple[Borrower, ...] = ()
        if wish.temporary or not enrolment.has_just_found_none(now, ABSENT_FOR):
            found = self._look(wish.cpr)
        library = self.ports.library
        temporary = borrower_lookup.temporary(library, found, wish, self._by())
        planned = plan(found, wish, now.date(), temporary)
        if isinstance(planned, Create):
            paused = self.ports.pause.key(wish.category)
            reads = read_together(self.ports.records.store, [paused], now)
            self._create(wish, reads)
            # Count the matches: a create without effect, or a race that no unique field stopped,
            # shows here.
            found = self._look(wish.cpr)
            if not found and self.entry.enrolment.creates >= _MOST_CREATES:
                self._case("library_refused", "creates were answered and had no effect")
                return
            planned = plan(found, wish, now.date())
        borrower = found[0] if found else temporary
        self._carry_out(planned, borrower, wish)

    def _drop_wish(self) -> None:
        # Staff have the case until they end it; the CPR number is not kept for so long.
        self._write(replace(self.entry.enrolment, wish=None), None)

    def _leave_as_it_is(self, wish: Wish) -> None:
        # Release 1 wrote wishes by a name alone. Nothing is lowered by it any more; a PIN that is
        # owed stays owed.
        before = self.entry.enrolment
        owed = wish if before.pin_owed else None
        done = replace(before, state=EnrolmentState.DONE, wish=owed, reason=None)
        self._write(done, self.ports.now() if owed else None)

    def _carry_out(self, planned: Plan, borrower: Borrower | None, wish: Wish) -> None:
        """Carry out what is left to do once a borrower that had to be made is made."""
        match planned:
            case Create():
                raise LibraryUnavailable("a create was answered and its borrower cannot be found")
            case Case(reason, concerned):
                self._case(reason, borrowers=concerned)
            case Gone():
                self._give_up("borrower_gone")
            case Nothing() | Change() if borrower is None:
                raise LibraryUnavailable("there is nothing to change")
            case Nothing() if self._is_ours(borrower) and borrower.card is None:
                # Made here without a card number: a change gives one, or names what withholds it.
                self._change(borrower, wish, Change(borrower.number, ()))
            case Nothing():
                self._done(borrower, wish, outcome(borrower, None, wish))
            case Change():
                self._change(borrower, wish, planned)
            case _:
                assert_never(planned)

    def _is_ours(self, borrower: Borrower) -> bool:
        """Return whether this enrolment made the borrower."""
        return borrower.mark == self.entry.enrolment.id

    def _change(self, borrower: Borrower, wish: Wish, change: Change) -> None:
        if change.cpr and not self.ports.adopts(change.number, change.cpr):
            self._case("temporary_unfit", borrowers=(change.number,))
            return
        made = outcome(borrower, change, wish)
        after = self.ports.library.change(change, self._held_by())
        found = self._adopted(change.cpr) if change.cpr else ()
        if any(each.number != after.number for each in found):
            self._case("temporary_and_cpr", borrowers=numbers((after, *found)))
            return
        self._done(after, wish, made)

    def _adopted(self, cpr: str) -> tuple[Borrower, ...]:
        """Return what a CPR finds once a borrower has it: another may have been made meanwhile."""
        found = self.ports.library.find(cpr, self._by())
        if not found:
            raise LibraryUnavailable("a borrower got its CPR and cannot be found by it")
        return found

    def _look(self, cpr: str) -> tuple[Borrower, ...]:
        library = self.ports.library
        enrolment = self.entry.enrolment
        found = library.find(cpr, self._by())
        if not found:
            found = borrower_lookup.made_by_enrolment(library, enrolment, self._by())
        return found

    def _give_up(self, reason: str | None) -> None:
        enrolment = self.entry.enrolment
        given_up = replace(
            enrolment,
            state=EnrolmentState.GIVEN_UP,
            wish=None,
            pin_owed=False,
            reason=reason or enrolment.reason,
        )
        self._write(given_up, None)

    def _create(self, wish: Wish, reads: Reads) -> None:
        if self.entry.enrolment.number is not None:
            # The borrower we knew is gone and copies may carry the mark: a new borrower gets a new
            # one, and a PIN.
            fresh_mark = secrets.token_hex(16)
            anew = replace(self.entry.enrolment, id=fresh_mark, number=None)
            self.entry = self.entry._replace(enrolment=anew)
        before = self.entry.enrolment
        pause = self.ports.pause
        pause.admit(wish.category, reads)
        self._write(replace(before, creates=before.creates + 1), self.entry.due)
        self.ports.library.create(wish, before.id, self._held_by())
        pause.lifted(wish.category)

    def _done(self, borrower: Borrower, wish: Wish, unmade: EnrolmentOutcome) -> None:
        """Write that the borrower is as wished; ``unmade`` is the outcome unless we made it."""
        self._hold(self.ports.now() + CALL)
        before = self.entry.enrolment
        now = self.ports.now()
        made = borrower.mark == before.id and before.number is None
        outcome = EnrolmentOutcome.CREATED if made else unmade
        agreed_facts = self.ports.hash_facts(wish.person)
        done = before.finished(borrower, outcome, self.ports.carried(wish), agreed_facts, now)
        if wish.cpr:
            # Before the wish goes, and the number with it.
            person_id = self.entry.key.group
            self.ports.look_ups.request(person_id, wish.cpr, borrower.number, wish.register)
        if not self._owes_pin(borrower, wish):
            kept = wish.without_person() if done.pin_given_up else None
            self._write(replace(done, wish=kept), None)
            return
        avoided = before.pin_avoids
        if wish.cpr:
            avoided = suggested_pins(self.ports.hmacs, before.person, wish.cpr)
        owing = replace(
            done,
            wish=wish.without_person(),
            pin_owed=True,
            pin_tried=done.pin_tried or now,
            pin_avoids=avoided,
        )
        # Due since it was wanted: whoever dies now leaves it its place before all that waits.
        self._write(owing, before.wanted_at)

    def _owes_pin(self, borrower: Borrower, wish: Wish) -> bool:
        """Return whether the borrower is to be mailed a PIN.

        Only what we have just made gets one: a borrower that staff made, or have served since, has
        one that works.
        """
        before = self.entry.enrolment
        if self.ports.mail is None or wish.pin_to is None:
            return False
        if borrower.mark != before.id:
            return False
        if before.number is None:
            return True
        return before.number == borrower.number and before.pin_owed

    def _mail_pin(self) -> None:
        enrolment = self.entry.enrolment
        first_pin = FirstPin(enrolment, self.ports, self._hold)
        if first_pin.is_late() and enrolment.reason in PIN_UNUSABLE:
            # Nor would one that the person makes now: something has to be mended.
            self._pin_closed(None, enrolment.reason)
        elif first_pin.mail():
            self._pin_closed(self.ports.now())
        else:
            self._pin_closed(None)

    def _pin_closed(
        self, mailed: datetime | None, given_up: str | None = None, cause: str | None = None
    ) -> None:
        # The mail is out: that is recorded even where a later wish has been written meanwhile.
        number = self.entry.enrolment.number

        def closed(entry: StoredEnrolment) -> EnrolmentDraft:
            enrolment = replace(
                entry.enrolment,
                pin_owed=False,
                pin_mailed=mailed,
                pin_given_up=given_up,
                number=number,
            )
            if given_up:
                enrolment = replace(enrolment, cause=cause or enrolment.cause)
            else:
                enrolment = replace(enrolment, cause=None, pin_avoids=())
            if enrolment.state is not EnrolmentState.DONE:
                return enrolment, entry.due
            # What staff may let be tried again keeps the address.
            wish = enrolment.wish if given_up else None
            return replace(enrolment, wish=wish, reason=None), None

        self._amend(closed)

    def _case(self, reason: str, cause: str | None = None, borrowers: Names = ()) -> None:
        wish = self.entry.enrolment.wish

        def opened(entry: StoredEnrolment) -> EnrolmentDraft | None:
            # Two borrowers are two, even where another worker has called its one done; a later wish
            # looks itself.
            enrolment = entry.enrolment
            if enrolment.state is EnrolmentState.WANTED and enrolment.wish != wish:
                return None
            case = replace(
                enrolment,
                state=EnrolmentState.CASE,
                reason=reason,
                cause=cause,
                borrowers=borrowers,
                wish=wish,
                pin_owed=False,
            )
            return case, enrolment.wanted_at + GIVE_UP_AFTER

        self._amend(opened)

    def _refused(self, error: LibraryRefused) -> None:
        self._tell_held_up(error)
        enrolment = self.entry.enrolment
        wish = enrolment.wish
        if enrolment.state is EnrolmentState.DONE:
            self._pin_closed(None, error.reason, str(error))
        elif error.setting and wish:
            # The set-up is at fault and not this person: once it is mended the enrolment goes on.
            self.ports.pause.refused(wish.category, enrolment.person, error.setting)
            self._later(error)
        else:
            self._case(error.reason, str(error))

    def _later(self, error: BrokerError) -> None:
        enrolment = self.entry.enrolment
        now = self.ports.now()
        tried = enrolment.pin_tried
        if tried and enrolment.pin_owed and now - tried >= GIVE_UP_AFTER:
            self._pin_closed(None, error.reason)
            return
        attempts = enrolment.failures_before(error.reason)
        reason = error.reason
        delay = delay_after(error, attempts)
        if error.setting and enrolment.state is EnrolmentState.WANTED:
            reason = "library_setup"
            delay = min(delay, _SET_UP_PAUSE)
        later = replace(enrolment, attempts=attempts + 1, reason=reason, cause=str(error))
        self._write(later, now + delay)
