"""The ports that enrolments are carried out through, and the pseudonyms of what is kept there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from broker.core.audit_events import NO_TRAIL, AuditEvent, AuditEventKind
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.event_routes import TellPort, told_nobody
from broker.core.identity.mailbox_proofs import ProofOwner
from broker.core.identity.person_id import compute_person_id_of_cpr
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, LetterWording, LibrarySystem, Mail, Trail
from broker.core.retention.table import TEMPORARY_OWNER
from broker.use_cases.borrowers.create_pause import CreatePause
from broker.use_cases.borrowers.enrolment_records import EnrolmentRecords
from broker.use_cases.proof_ownership import claim_ownership
from broker.use_cases.register_look_ups import LookUpRequests

Mode = Literal["live", "observe", "frozen"]


def _never() -> bool:
    """Put no mail off."""
    return False


@dataclass(frozen=True, slots=True)
class EnrolmentPorts:
    """Library system, mail, records and trail; ``mail`` None: no PIN is mailed.

    While ``puts_off_mails`` says so no mail is begun: its person waits, and nobody for them.
    ``trust_for`` is how long the library system's word on a borrower is believed.
    """

    library: LibrarySystem
    mail: Mail | None
    hmacs: LookupHmacs
    letters: LetterWording
    records: EnrolmentRecords
    now: Callable[[], datetime]
    look_ups: LookUpRequests
    trust_for: timedelta = timedelta(hours=1)
    trail: Trail = NO_TRAIL
    tell: TellPort = told_nobody
    puts_off_mails: Callable[[], bool] = _never

    @property
    def pause(self) -> CreatePause:
        """Return the pauses of creates that a fault in the set-up refuses."""
        return CreatePause(self.records.store, self.now)

    def adopts(self, number: str, cpr: str) -> bool:
        """Return whether a temporary borrower is this person's from now on.

        Two who know its PIN are not both its person.
        """
        now = self.now()
        place = Key("proof", self.hmacs.of("temporary", number))
        claim = ProofOwner(compute_person_id_of_cpr(self.hmacs, cpr), "temporary")
        return claim_ownership(self.records.store, place, claim, TEMPORARY_OWNER.until(now), now)

    def record_wanted(self, key: Key, wanted: Enrolment) -> None:
        """Write on the trail that an enrolment is wanted; AuditUnavailable: then it is not."""
        kind = AuditEventKind.ENROLMENT_WANTED
        self.trail.add(AuditEvent(kind, self.now(), person=key.group, about=wanted.id))

    def hash_facts(self, person: PersonFacts) -> str:
        """Return the keyed hash of the facts that a borrower was compared with."""
        return self.hmacs.of("person-facts", *person.folded())

    def carried(self, wish: Wish) -> str:
        """Return the pseudonym of a wish, its expiry apart: that moves on every day."""
        parts = [wish.affiliation, wish.category, ",".join(wish.upgrades), *wish.person.folded()]
        for field in wish.fields:
            parts += [field.name, field.value, field.set]
        return self.hmacs.of("wish", *parts)
