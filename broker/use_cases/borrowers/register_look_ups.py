"""The look-ups in the register of persons that are owed: wanted once, and carried out later."""

from dataclasses import dataclass, replace

from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.owed_look_up import LookUpReason, OwedLookUp
from broker.core.policy.register_rule import RegisterRule
from broker.core.ports import Key
from broker.core.retention.table import REGISTER_LOOK_UP
from broker.use_cases.backoff import retry_delay
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import CALL
from broker.use_cases.records import Claimed, Content, Record, Records


@dataclass(frozen=True, slots=True)
class RegisterLookUps:
    """The look-ups over the ports of the enrolments; there are none without a register."""

    ports: EnrolmentPorts

    def owe(self, cpr: str, rule: RegisterRule | None, enrolment: Enrolment) -> bool:
        """Queue the look-up of a person whose ``enrolment`` is done, and return whether it is new.

        Nothing where no ``rule`` asks for it, or the register was heard of the person within
        ``refresh_after``. One that is queued already stays as it is.
        """
        reason = self.reason(enrolment)
        if rule is None or reason is None:
            return False
        return self.queue(cpr, rule, reason)

    def queue(self, cpr: str, rule: RegisterRule, reason: LookUpReason) -> bool:
        """Queue the look-up of a person for a ``reason``, and return whether it is new."""
        now = self.ports.now()
        owed = OwedLookUp(cpr, reason, rule, now)
        key = Key("register", self.ports.links.of_cpr(cpr))
        until = REGISTER_LOOK_UP.until(now)
        return self._owed.add(key, owed, until, now, due=now) is not None

    def reason(self, enrolment: Enrolment) -> LookUpReason | None:
        """Return why the register is to be asked about the person of an enrolment; None if not."""
        after = self.ports.refresh_after
        if after is None:
            return None
        if enrolment.registered is None:
            return LookUpReason.ENROLMENT
        is_old = self.ports.now() - enrolment.registered >= after
        return LookUpReason.REFRESH if is_old else None

    def claim(self) -> Claimed[OwedLookUp] | None:
        """Lease the look-up that has been due longest, for a first call; None if none is due."""
        now = self.ports.now()
        return self._owed.claim("register", now + CALL, now)

    def later(self, record: Record[OwedLookUp]) -> None:
        """Let a look-up be tried again after a pause that grows."""
        owed = record.value
        now = self.ports.now()
        later = replace(owed, attempts=owed.attempts + 1)
        content = Content(later, record.until, now + retry_delay(owed.attempts))
        self._owed.write(record.key, content, record.version, now)

    def keep_number(self, record: Record[OwedLookUp], number_now: str) -> None:
        """Keep the number that took the place of a person's; nothing is due until staff confirm."""
        kept = Content(replace(record.value, number_now=number_now), record.until)
        self._owed.write(record.key, kept, record.version, self.ports.now())

    def done(self, record: Record[OwedLookUp]) -> None:
        """Drop a look-up, and the CPR number with it."""
        self._owed.drop(record.key)

    @property
    def _owed(self) -> Records[OwedLookUp]:
        return Records(self.ports.records.store, OwedLookUp, durable=True)
