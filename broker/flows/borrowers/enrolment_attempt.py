"""One attempt at an enrolment: look, plan, create or change, count, mail the PIN that is owed.

Every call has a deadline, and before it the lease is renewed beyond it. Any process may die between
any two lines: the worker that claims the enrolment next looks again before it does anything
(docs/reference/design.md#4c).
"""

import secrets
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from broker.core.audit_events import of_enrolment
from broker.core.borrowers.borrower import Borrower
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
from broker.core.borrowers.pins import new_pin, suggested_by
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import BrokerError, LibraryRefused, LibraryUnavailable, MailUnavailable
from broker.core.letters import PinLetter, PinPointerLetter
from broker.core.ports import Letter
from broker.flows.backoff import retry_delay
from broker.flows.borrowers import borrower_lookup
from broker.flows.borrowers.enrolment_ports import EnrolmentPorts
from broker.flows.borrowers.enrolment_records import (
    CALL,
    GIVE_UP_AFTER,
    EnrolmentDraft,
    StoredEnrolment,
)
from broker.flows.pin_lease import pin_lease
from broker.flows.records import Lease

PIN_CALLS: Final = timedelta(seconds=45)  # RCPT, PIN and DATA together
POINTER_AFTER: Final = timedelta(hours=24)
# The desk may register whoever has just been told that there is no account, and spell the number so
# that no unique field stops a second borrower.
ABSENT_FOR: Final = timedelta(minutes=5)


class _Overtaken(Exception):
    """The lease is another's, or a later wish was written: stop at once, they look again."""


@dataclass(slots=True)
class EnrolmentAttempt:
    """Carries out the enrolment of ``entry`` under ``lease``, which ends with the attempt.

    ``entry`` follows each of our writes. A later wish may be written at any time: it is due, and is
    claimed when the lease ends.
    """

    entry: StoredEnrolment
    lease: Lease
    ports: EnrolmentPorts

    def run(self) -> Enrolment | None:
        """Do all that can be done now, and return the enrolment as it is then stored.

        What failed is due again later; after an error that nobody planned for, when the lease ends.
        """
        with suppress(_Overtaken):
            self._do_what_is_due()
        self.lease.end(self.ports.now())
        return self.ports.records.enrolment(self.entry.key)

    def _do_what_is_due(self) -> None:
        try:
            if self.entry.enrolment.state is EnrolmentState.WANTED:
                self._enrol()
            enrolment = self.entry.enrolment
            if enrolment.state is EnrolmentState.DONE and enrolment.pin_owed:
                self._mail_pin()
            elif self.entry.due:
                # A look at the library system has found the borrower as wished meanwhile.
                self._write(enrolment, None)
        except (LibraryUnavailable, MailUnavailable) as error:
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
        found = () if self._is_absent(wish, now) else self._look(wish.cpr)
        library = self.ports.library
        temporary = borrower_lookup.temporary(library, found, wish, self._by())
        planned = plan(found, wish, now.date(), temporary)
        if isinstance(planned, Create):
            # After each create the matches are counted: a race that no unique field stopped shows
            # here.
            found = self._look(wish.cpr, self._create(wish))
            planned = plan(found, wish, now.date())
        borrower = found[0] if found else temporary
        self._carry_out(planned, borrower, wish)

    def _is_absent(self, wish: Wish, now: datetime) -> bool:
        """Return whether the login has just heard that there is no borrower, and nothing was sent.

        Then the look before the create would ask the same again; the one after it counts.
        """
        enrolment = self.entry.enrolment
        if enrolment.number or enrolment.creates or wish.temporary or enrolment.settled is None:
            return False
        return now - enrolment.settled < ABSENT_FOR

    def _leave_as_it_is(self, wish: Wish) -> None:
        # Release 1 wrote wishes by a name alone. Nothing is lowered by it any more; a PIN that is
        # owed stays owed.
        before = self.entry.enrolment
        owed = wish if before.pin_owed else None
        done = replace(before, state=EnrolmentState.DONE, wish=owed, reason=None)
        self._write(done, self.ports.now() if owed else None)

    def _carry_out(
        self,
        planned: Plan,
        borrower: Borrower | None,
        wish: Wish,
    ) -> None:
        """Carry out what is left to do once a borrower that had to be made is made."""
        match planned:
            case Create():
                raise LibraryUnavailable("a borrower is said to be there and cannot be found")
            case Case(reason):
                self._case(reason)
            case Gone():
                self._give_up("borrower_gone")
            case Nothing() | Change() if borrower is None:
                raise LibraryUnavailable("there is nothing to change")
            case Nothing():
                self._done(borrower, wish, outcome(borrower, None, wish))
            case Change():
                self._change(borrower, wish, planned)
            case _:
                assert_never(planned)

    def _change(self, borrower: Borrower, wish: Wish, change: Change) -> None:
        if change.cpr and not self.ports.adopts(change.number, change.cpr):
            self._case("temporary_unfit")
            return
        after = self.ports.library.change(change, self._held_by())
        if change.cpr and not self._is_adopted(after, change.cpr):
            self._case("temporary_and_cpr")
            return
        self._done(after, wish, outcome(borrower, change, wish))

    def _is_adopted(self, borrower: Borrower, cpr: str) -> bool:
        """Return whether a CPR finds this borrower alone: another may have been made meanwhile."""
        found = self.ports.library.find(cpr, self._by())
        if not found:
            raise LibraryUnavailable("a borrower got its CPR and cannot be found by it")
        return [each.number for each in found] == [borrower.number]

    def _look(self, cpr: str, made: Borrower | None = None) -> tuple[Borrower, ...]:
        library = self.ports.library
        enrolment = self.entry.enrolment
        found = library.find(cpr, self._by())
        if not found:
            found = borrower_lookup.made_by_enrolment(library, enrolment, self._by())
        if made:
            found += (made,)
        return tuple({borrower.number: borrower for borrower in found}.values())

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

    def _create(self, wish: Wish) -> Borrower | None:
        if self.entry.enrolment.number is not None:
            # The borrower we knew is gone and copies may carry the mark: a new borrower gets a new
            # one, and a PIN.
            fresh_mark = secrets.token_hex(16)
            anew = replace(self.entry.enrolment, id=fresh_mark, number=None)
            self.entry = self.entry._replace(enrolment=anew)
        before = self.entry.enrolment
        self._write(replace(before, creates=before.creates + 1), self.entry.due)
        return self.ports.library.create(wish, before.id, self._held_by())

    def _done(
        self,
        borrower: Borrower,
        wish: Wish,
        unmade: EnrolmentOutcome,
    ) -> None:
        """Write that the borrower is as wished; ``unmade`` is the outcome unless we made it."""
        self._hold(self.ports.now() + CALL)
        before = self.entry.enrolment
        now = self.ports.now()
        made = borrower.mark == before.id and before.number is None
        outcome = EnrolmentOutcome.CREATED if made else unmade
        done = before.finished(borrower, outcome, self.ports.carried(wish), now)
        if not self._owes_pin(borrower, wish):
            self._write(done, None)
            return
        owing = replace(
            done,
            wish=wish.without_person(),
            pin_owed=True,
            pin_tried=done.pin_tried or now,
            pin_avoids=self._pins_of(wish.cpr),
        )
        self._write(owing, now)

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
        now = self.ports.now()
        wish = enrolment.wish
        mail = self.ports.mail
        number = enrolment.number
        borrower = self.ports.library.read(number, self._by()) if number else None
        if borrower is None or borrower.mark != enrolment.id:
            self._pin_closed(None)
            return
        if mail is None or wish is None or wish.pin_to is None:
            self._pin_closed(None)
            return
        deadline = now + PIN_CALLS
        self._hold(deadline)
        records = self.ports.records
        hmacs = self.ports.hmacs
        with (
            pin_lease(records.store, hmacs, borrower.number, deadline, now),
            closing(mail.address(wish.pin_to, deadline)) as letter,
        ):
            tried = enrolment.pin_tried
            if tried is not None and now - tried >= POINTER_AFTER:
                content = PinPointerLetter()
                letter.send(*self.ports.letters.worded(content, wish.language))
            else:
                self._send_pin(letter, borrower, wish.language, deadline)
        self._pin_closed(self.ports.now())

    def _send_pin(
        self,
        letter: Letter,
        borrower: Borrower,
        language: str,
        deadline: datetime,
    ) -> None:
        # The server has accepted the recipient; only now is the PIN set, and its mail follows at
        # once.
        avoided = self.entry.enrolment.pin_avoids
        pin = new_pin(lambda drawn: self._pin_name(drawn) in avoided)
        self.ports.library.set_pin(borrower.number, pin, deadline)
        letter.send(*self.ports.letters.worded(PinLetter(pin), language))

    def _pin_name(self, pin: str) -> str:
        return self.ports.hmacs.of("pin", self.entry.enrolment.person, pin)

    def _pins_of(self, cpr: str | None) -> tuple[str, ...]:
        if cpr is None:
            return self.entry.enrolment.pin_avoids
        suggested = sorted(suggested_by(cpr))
        return tuple(self._pin_name(pin) for pin in suggested)

    def _pin_closed(self, mailed: datetime | None, reason: str | None = None) -> None:
        # The mail is out: that is recorded even where a later wish has been written meanwhile.
        number = self.entry.enrolment.number

        def closed(entry: StoredEnrolment) -> EnrolmentDraft:
            enrolment = replace(
                entry.enrolment,
                pin_owed=False,
                pin_mailed=mailed,
                number=number,
                pin_avoids=(),
            )
            if enrolment.state is not EnrolmentState.DONE:
                return enrolment, entry.due
            return replace(enrolment, wish=None, reason=reason), None

        self._amend(closed)

    def _by(self) -> datetime:
        """Return the deadline of a call that changes nothing, which no lost lease forbids.

        Whoever has just sent a create counts the borrowers, lease or not.
        """
        deadline = self.ports.now() + CALL
        self.lease.renew(deadline, self.ports.now())
        return deadline

    def _held_by(self) -> datetime:
        """Return the deadline of a call that changes something."""
        deadline = self.ports.now() + CALL
        self._hold(deadline)
        return deadline

    def _hold(self, deadline: datetime) -> None:
        if not self.lease.renew(deadline, self.ports.now()):
            raise _Overtaken

    def _write(self, enrolment: Enrolment, due: datetime | None) -> None:
        self._hold(self.ports.now() + CALL)
        before = self.entry.enrolment
        written = self.ports.records.write(self.entry, enrolment, due)
        if written is None:
            raise _Overtaken
        self.entry = written
        self._tell(before, enrolment)

    def _amend(self, change: Callable[[StoredEnrolment], EnrolmentDraft | None]) -> None:
        """Write what holds whoever has the lease by now, of the enrolment as it stands."""
        before = self.entry.enrolment

        def changed(entry: StoredEnrolment) -> EnrolmentDraft | None:
            nonlocal before
            before = entry.enrolment
            return change(entry)

        after = self.ports.records.amend(self.entry.key, changed)
        if after:
            self._tell(before, after)

    def _tell(self, before: Enrolment, after: Enrolment) -> None:
        person = self.ports.links.holder(self.entry.key.group)
        for event in of_enrolment(before, after, person, self.ports.now()):
            self.ports.trail.add(event)

    def _case(self, reason: str) -> None:
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
                wish=wish,
                pin_owed=False,
            )
            return case, None

        self._amend(opened)

    def _refused(self, error: BrokerError) -> None:
        if self.entry.enrolment.state is EnrolmentState.DONE:
            self._pin_closed(None, "pin_refused")
        else:
            self._case(error.reason)

    def _later(self, error: BrokerError) -> None:
        enrolment = self.entry.enrolment
        now = self.ports.now()
        tried = enrolment.pin_tried
        if tried and enrolment.pin_owed and now - tried >= GIVE_UP_AFTER:
            self._pin_closed(None, error.reason)
            return
        attempts = enrolment.attempts
        later = replace(enrolment, attempts=attempts + 1, reason=error.reason)
        self._write(later, now + retry_delay(attempts))
