"""The loop that carries out look-ups in the register of persons, and rests while it is silent."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.owed_look_up import LookUpOutcome, OwedLookUp
from broker.core.borrowers.registered_person import RegisterError, RegisterRefused
from broker.core.errors import AuditUnavailable, LibraryRefused, LibraryUnavailable
from broker.core.ports import Kept, PersonRegister, lease_of
from broker.core.retention.table import LEASE
from broker.use_cases.backoff import retry_delay
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import CALL, GIVE_UP_AFTER
from broker.use_cases.borrowers.known_borrower import person_key
from broker.use_cases.borrowers.leased_enrolment import Overtaken
from broker.use_cases.borrowers.look_up import LookUp
from broker.use_cases.borrowers.register_look_ups import RegisterLookUps
from broker.use_cases.records import Claimed, Lease

_LONGEST_REST: Final = timedelta(minutes=10)
# Of one person by no setting's fault: the register has a record of them that cannot be read.
_MOST_REFUSALS: Final = 5


@dataclass(slots=True)
class RegisterLoop:
    """Carries out the look-ups that are due; it rests, longer each time, while none is answered."""

    ports: EnrolmentPorts
    register: PersonRegister
    protected_to_library: bool = False
    _failures: int = field(default=0, init=False)
    _rests_until: datetime | None = field(default=None, init=False)

    def step(self) -> bool:
        """Carry out the look-up that has been due longest; False where none is due, or it rests.

        An error that is none of the register's or the library system's is raised, once the look-up
        has been put off.
        """
        now = self.ports.now()
        if self._rests_until and now < self._rests_until:
            return False
        look_ups = RegisterLookUps(self.ports)
        claimed = look_ups.claim()
        if claimed is None:
            return False
        try:
            with suppress(Overtaken):
                self._carry_out(claimed, look_ups)
        except Exception:
            # Still due, it would be claimed before all others again, and nobody else looked up.
            self._rest()
            look_ups.later(claimed.record)
            raise
        finally:
            claimed.lease.end(self.ports.now())
        return True

    def _carry_out(self, claimed: Claimed[OwedLookUp], look_ups: RegisterLookUps) -> None:
        record = claimed.record
        with self._leased(record.key.group) as lease:
            entry = self.ports.records.read(person_key(record.key.group))
            if lease is None:
                look_ups.later(record)
                return
            if entry is None:
                look_ups.done(record)
                return
            look_up = LookUp(
                entry, lease, self.ports, claimed, self.register, self.protected_to_library
            )
            outcome = self._outcome(look_up)
            if outcome is None:
                look_ups.later(record)
                return
            look_up.say_why_not(outcome)
            if look_up.number_now:
                look_ups.keep_number(record, look_up.number_now)
            # Staff may have decided the case since: then nobody would drop the number.
            if look_up.number_now is None or not look_up.is_waited_for(look_up.number_now):
                look_ups.done(record)
            look_up.tell(outcome)

    def _outcome(self, look_up: LookUp) -> LookUpOutcome | None:
        """Return what came of a look-up; None where it is to be tried again."""
        owed = look_up.claimed.record.value
        if self.ports.now() - owed.since >= GIVE_UP_AFTER:
            return LookUpOutcome.GIVEN_UP
        try:
            outcome = look_up.run()
        except RegisterError as error:
            look_up.tell_held_up(error)
            is_theirs = isinstance(error, RegisterRefused) and error.setting is None
            if is_theirs and owed.attempts + 1 >= _MOST_REFUSALS:
                return look_up.unreadable(error)
            self._rest()
            return None
        except (LibraryUnavailable, LibraryRefused, AuditUnavailable) as error:
            look_up.tell_held_up(error)
            return None
        self._failures = 0
        return outcome

    def _rest(self) -> None:
        """Leave a register alone that is down or has had enough: all would ask it again at once."""
        rest = min(retry_delay(self._failures), _LONGEST_REST)
        self._failures += 1
        self._rests_until = self.ports.now() + rest

    @contextmanager
    def _leased(self, owner: str) -> Iterator[Lease | None]:
        """Hold the lease on a person's enrolment; None where a worker is at it."""
        store = self.ports.records.store
        place = lease_of(person_key(owner))
        token = secrets.token_hex(8)
        now = self.ports.now()
        kept = Kept(b"", token, LEASE.until(now + CALL))
        if not store.put(place, kept, None, now):
            yield None
            return
        lease = Lease(store, place, token)
        try:
            yield lease
        finally:
            lease.end(self.ports.now())
