"""What carrying out enrolments needs of the world, and how it names what it keeps there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.audit_events import NO_TRAIL
from broker.core.borrowers.borrower import Borrower, Wish
from broker.core.identity.mailbox_proofs import ProofOwner
from broker.core.ports import Key, LetterWording, LibrarySystem, Mail, Trail
from broker.core.pseudonyms import Pseudonyms
from broker.flows.borrowers.enrolment_records import EnrolmentRecords
from broker.flows.identity.person_links import PersonLinks
from broker.flows.leases import claim_ownership

_CLAIMED_FOR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class EnrolmentPorts:
    """What carrying out needs of the world."""

    library: LibrarySystem
    mail: Mail | None
    pseudonyms: Pseudonyms
    letters: LetterWording
    links: PersonLinks
    ledger: EnrolmentRecords
    now: Callable[[], datetime]
    trail: Trail = NO_TRAIL

    def adopts(self, number: str, cpr: str) -> bool:
        """Say whether a temporary borrower is this person's from now on: two who know its PIN are not both it."""
        place, now = Key("proof", self.pseudonyms.of("temporary", number)), self.now()
        return claim_ownership(
            self.ledger.store,
            place,
            ProofOwner(self.links.of_cpr(cpr), "temporary"),
            now + _CLAIMED_FOR,
            now,
        )

    def anothers(self, borrower: Borrower, owner: str) -> bool:
        """Say whether the library system says that this is a borrower of another CPR than ``owner``, a pseudonym."""
        number = borrower.cpr if borrower.cpr and not borrower.is_anothers(borrower.cpr) else None
        return number is not None and self.links.of_cpr(number) != owner

    def carried(self, wish: Wish) -> str:
        """Give the pseudonym of what ``wish`` asks for, its expiry apart: that moves on every day."""
        fields = [part for each in wish.fields for part in (each.name, each.value, each.set)]
        return self.pseudonyms.of(
            "wish", wish.affiliation, wish.category, ",".join(wish.upgrades), *fields
        )
