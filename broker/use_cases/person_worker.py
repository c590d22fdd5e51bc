"""Carries out what is due for persons: enrolments first, then look-ups in the register."""

from dataclasses import dataclass

from broker.use_cases.enrolment.ports import CALL
from broker.use_cases.enrolment.worker import EnrolmentWorker
from broker.use_cases.person_records import PersonRecords
from broker.use_cases.register_look_ups import RegisterLookUps


@dataclass(frozen=True, slots=True)
class PersonWorker:
    """The work on person records; ``look_ups`` is None where no register is configured."""

    persons: PersonRecords
    enrolments: EnrolmentWorker
    look_ups: RegisterLookUps | None = None

    def step(self) -> bool:
        """Do what has been due longest for one person; False if nothing is due."""
        now = self.enrolments.ports.now()
        claimed = self.persons.claim_due(now + CALL, now)
        if claimed is None:
            return False
        due = claimed.record.value.enrolment_due
        if due is not None and due <= now:
            self.enrolments.carry_out(claimed)
        elif self.look_ups is not None:
            self.look_ups.carry_out(claimed)
        else:
            # The register was taken out of the configuration: its look-ups go.
            self.persons.change(
                claimed.record.key.group, lambda each: each.end_look_up(None, now), now
            )
            claimed.lease.end(now)
        return True
