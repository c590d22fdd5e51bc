"""One attempt at an enrolment: look, plan, create or change, count, and mail the PIN that is owed (design 4c).

Every call has a deadline, and before each change the lease is renewed beyond it. Any process may
die between any two lines: whoever claims the enrolment next looks again before it does anything.
"""

import secrets
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import (
    Borrower,
    Case,
    Change,
    Create,
    Enrolment,
    EnrolmentOutcome,
    EnrolmentState,
    Gone,
    Wish,
)
from broker.core.borrowers.change_plan import outcome, plan
from broker.core.borrowers.pins import new_pin, suggested_by
from broker.core.errors import BrokerError, LibraryRefused, LibraryUnavailable, MailUnavailable
from broker.core.letters import PinLetter, PinPointerLetter
from broker.flows.backoff import retry_delay
from broker.flows.borrowers import borrower_lookup
from broker.flows.borrowers.enrolment_ports import EnrolmentPorts
from broker.flows.borrowers.enrolment_records import GIVE_UP_AFTER, LEASE, StoredEnrolment
from broker.flows.leases import pin_lease

CALL: Final = timedelta(seconds=15)
PIN_CALLS: Final = timedelta(seconds=45)  # RCPT, PIN and DATA together: well within the lease
POINTER_AFTER: Final = timedelta(hours=24)


class _Lost(Exception):
    """Another worker or a later wish has written: stop at once, they look again."""


@dataclass(slots=True)
class EnrolmentAttempt:
    """Carries out the enrolment of ``entry``, which is leased to us; ``entry`` follows each of our writes."""

    entry: StoredEnrolment
    tools: EnrolmentPorts

    def run(self) -> Enrolment | None:
        """Do all that can be done now and give the enrolment as it then stands; what failed is due again later."""
        try:
            if self.entry.enrolment.state is EnrolmentState.WANTED:
                self._enrol()
            if self.entry.enrolment.state is EnrolmentState.DONE and self.entry.enrolment.pin_owed:
                self._mail_pin()
        except (LibraryUnavailable, MailUnavailable) as error:
            self._later(error)
        except LibraryRefused as error:
            self._refused(error)
        except _Lost:
            self._yielded()
        standing = self.tools.ledger.read(self.entry.key)
        return standing.enrolment if standing else None

    def _enrol(self) -> None:
        enrolment, wish, now = self.entry.enrolment, self.entry.enrolment.wish, self.tools.now()
        library, number = self.tools.library, (wish.cpr or wish.borrower) if wish else None
        if wish is None or number is None or now - enrolment.wanted_at >= GIVE_UP_AFTER:
            self._give_up(None)
            return
        found = self._look(wish)
        if wish.cpr is None and any(self.tools.anothers(each, enrolment.person) for each in found):
            # A link alone led here, and the library says whose the borrower is: not this person's.
            if enrolment.link:
                self._case("cpr_changed")
            else:
                self._give_up("borrower_gone")
            return
        temporary = borrower_lookup.temporary(library, found, wish, self._by())
        linked = borrower_lookup.link_still_valid(library, found, enrolment.link, self._by())
        planned = plan(found, wish, linked, now.date(), temporary)
        if isinstance(planned, Create):
            # After each create the matches are counted: a race that no unique field stopped shows
            # here.
            found = self._look(wish, self._create(wish))
            planned = plan(found, wish, None, now.date())
        if isinstance(planned, Create):
            raise LibraryUnavailable("a borrower is said to be there and cannot be found")
        if isinstance(planned, Case):
            self._case(planned.reason)
        elif isinstance(planned, Gone):
            self._give_up("borrower_gone")
        else:
            self._change(
                found[0] if found else temporary,
                wish,
                planned if isinstance(planned, Change) else None,
            )

    def _change(self, borrower: Borrower | None, wish: Wish, change: Change | None) -> None:
        if borrower is None:
            raise LibraryUnavailable("there is nothing to change")
        after = borrower
        if change and change.cpr and not self.tools.adopts(change.number, change.cpr):
            self._case("temporary_unfit")
            return
        if change:
            self._hold()
            after = self.tools.library.change(change, self._by())
        if change and change.cpr:
            # It counts as adopted once the CPR finds it and nobody else: another may have been made
            # meanwhile.
            found = self.tools.library.find(change.cpr, self._by())
            if not found:
                raise LibraryUnavailable("a borrower got its CPR and cannot be found by it")
            if [each.number for each in found] != [after.number]:
                self._case("temporary_and_cpr")
                return
        self._done(after, wish, outcome(borrower, change, wish))

    def _look(self, wish: Wish, made: Borrower | None = None) -> tuple[Borrower, ...]:
        library, enrolment = self.tools.library, self.entry.enrolment
        there = borrower_lookup.borrowers_of_wish(
            library, wish, self._by()
        ) + borrower_lookup.borrower_of_enrolment(library, enrolment, wish, self._by())
        return tuple({each.number: each for each in (*there, *([made] if made else []))}.values())

    def _give_up(self, reason: str | None) -> None:
        enrolment = self.entry.enrolment
        if reason:
            self.tools.links.remember(enrolment.person, None)
        self._write(
            replace(
                enrolment,
                state=EnrolmentState.GIVEN_UP,
                wish=None,
                pin_owed=False,
                reason=reason or enrolment.reason,
            ),
            None,
        )

    def _create(self, wish: Wish) -> Borrower | None:
        if self.entry.enrolment.number is not None:
            # Whoever we knew is gone and copies may carry the mark: a new borrower gets a new one,
            # and a PIN.
            anew = replace(self.entry.enrolment, id=secrets.token_hex(16), number=None)
            self.entry = self.entry._replace(enrolment=anew)
        self._hold(creates=1)
        return self.tools.library.create(wish, self.entry.enrolment.id, self._by())

    def _done(self, borrower: Borrower, wish: Wish, unmade: EnrolmentOutcome) -> None:
        before, now = self.entry.enrolment, self.tools.now()
        ours = borrower.mark == before.id
        same = before.number == borrower.number
        made = ours and before.number is None
        # Only what we have just made gets a PIN: one of the desk's, or one it has served since, has
        # one that works.
        due = made or (ours and same and before.pin_owed)
        owed = due and self.tools.mail is not None and wish.pin_to is not None
        done = replace(
            before,
            state=EnrolmentState.DONE,
            wish=wish.without_person() if owed else None,
            number=borrower.number,
            category=borrower.category,
            expires=borrower.expires,
            outcome=EnrolmentOutcome.CREATED if made else unmade,
            reason=None,
            attempts=0,
            carried=self.tools.carried(wish),
            settled=now,
            pin_owed=owed,
            pin_mailed=before.pin_mailed if same else None,
            pin_tried=(before.pin_tried if same else None) or (now if owed else None),
            pin_avoids=self._pins_of(wish.cpr) if owed else (),
        )
        self.tools.links.remember(before.person, borrower.number)
        self._write(done, now + LEASE if owed else None)

    def _mail_pin(self) -> None:
        enrolment, wish, mail, now = (
            self.entry.enrolment,
            self.entry.enrolment.wish,
            self.tools.mail,
            self.tools.now(),
        )
        number, deadline = enrolment.number, now + PIN_CALLS
        borrower = self.tools.library.read(number, self._by()) if number else None
        if (
            borrower is None
            or borrower.mark != enrolment.id
            or mail is None
            or wish is None
            or wish.pin_to is None
        ):
            self._pin_closed(None)
            return
        late = enrolment.pin_tried is not None and now - enrolment.pin_tried >= POINTER_AFTER
        self._hold()
        with (
            pin_lease(
                self.tools.ledger.store, self.tools.pseudonyms, borrower.number, deadline, now
            ),
            closing(mail.address(wish.pin_to, deadline)) as letter,
        ):
            if late:
                letter.send(*self.tools.letters.worded(PinPointerLetter(), wish.language))
            else:
                # The server has accepted the recipient; only now is the PIN set, and its mail
                # follows at once.
                pin = new_pin(lambda drawn: self._pin_name(drawn) in enrolment.pin_avoids)
                self.tools.library.set_pin(borrower.number, pin, deadline)
                letter.send(*self.tools.letters.worded(PinLetter(pin), wish.language))
        self._pin_closed(self.tools.now())

    def _pin_name(self, pin: str) -> str:
        return self.tools.pseudonyms.of("pin", self.entry.enrolment.person, pin)

    def _pins_of(self, cpr: str | None) -> tuple[str, ...]:
        return (
            tuple(map(self._pin_name, sorted(suggested_by(cpr))))
            if cpr
            else self.entry.enrolment.pin_avoids
        )

    def _pin_closed(self, mailed: datetime | None, reason: str | None = None) -> None:
        # The mail is out: that is recorded even where a later wish has been written meanwhile.
        number = self.entry.enrolment.number

        def closed(entry: StoredEnrolment) -> tuple[Enrolment, datetime | None]:
            done = entry.enrolment.state is EnrolmentState.DONE
            changed = replace(
                entry.enrolment, pin_owed=False, pin_mailed=mailed, number=number, pin_avoids=()
            )
            changed = replace(changed, wish=None, reason=reason) if done else changed
            return changed, None if done else entry.due

        self.tools.ledger.amend(self.entry.key, closed)

    def _by(self) -> datetime:
        return self.tools.now() + CALL

    def _hold(self, *, creates: int = 0) -> None:
        held = self.tools.ledger.hold(self.entry, creates=creates)
        if held is None:
            raise _Lost
        self.entry = held

    def _write(self, enrolment: Enrolment, due: datetime | None) -> None:
        written = self.tools.ledger.write(self.entry, enrolment, due)
        if written is None:
            raise _Lost
        self.entry = written

    def _case(self, reason: str) -> None:
        mine = self.entry.enrolment

        def opened(entry: StoredEnrolment) -> tuple[Enrolment, datetime | None] | None:
            # Two borrowers are two, even where another worker has called its one done; a later wish
            # looks itself.
            if entry.enrolment.state is EnrolmentState.WANTED and entry.enrolment.wish != mine.wish:
                return None
            case = replace(
                entry.enrolment,
                state=EnrolmentState.CASE,
                reason=reason,
                wish=mine.wish,
                pin_owed=False,
            )
            return case, None

        self.tools.ledger.amend(self.entry.key, opened)

    def _refused(self, error: BrokerError) -> None:
        if self.entry.enrolment.state is EnrolmentState.DONE:
            self._pin_closed(None, "pin_refused")
        else:
            self._case(error.reason)

    def _later(self, error: BrokerError) -> None:
        enrolment, now = self.entry.enrolment, self.tools.now()
        if (
            enrolment.pin_tried
            and enrolment.pin_owed
            and now - enrolment.pin_tried >= GIVE_UP_AFTER
        ):
            self._pin_closed(None, error.reason)
            return
        later = replace(enrolment, attempts=enrolment.attempts + 1, reason=error.reason)
        if (
            self.tools.ledger.write(self.entry, later, now + retry_delay(enrolment.attempts))
            is None
        ):
            self._yielded()

    def _yielded(self) -> None:
        # A later wish leaves the lease with us, so that no one works beside us: it ends here, and
        # the wish is due.
        ours = self.entry.due

        def ended(entry: StoredEnrolment) -> tuple[Enrolment, datetime | None] | None:
            if entry.due != ours or entry.enrolment.state is not EnrolmentState.WANTED:
                return None
            return entry.enrolment, self.tools.now()

        self.tools.ledger.amend(self.entry.key, ended)
