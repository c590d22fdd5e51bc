"""The enrolments as staff see them: listed, shown and tried again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from broker.core.audit_events import NO_TRAIL, AuditEventKind
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.entities import Names
from broker.core.identity.mailbox_proofs import ProofOwner
from broker.core.ports import Key, Trail
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import EnrolmentRecords, StoredEnrolment
from broker.use_cases.borrowers.enrolment_rows import EnrolmentRow, rank, row
from broker.use_cases.borrowers.listed_cases import ListedCase, ListedCases
from broker.use_cases.records import Records

_LINK = "link"
_PROOF = "proof"


@dataclass(frozen=True, slots=True)
class StaffCases:
    """The view of staff: nothing personal in it but the borrower's number."""

    records: EnrolmentRecords
    trail: Trail = NO_TRAIL

    @classmethod
    def of(cls, ports: EnrolmentPorts) -> "StaffCases":
        """Return the cases among the enrolments of ``ports``."""
        return cls(ports.records, ports.trail)

    def rows(self) -> Iterator[EnrolmentRow]:
        """Return every enrolment as a row: what staff must look at first, the oldest before."""
        return map(row, sorted(self.records.all(), key=rank))

    def show(self, enrolment_id: str) -> EnrolmentRow | None:
        """Return the row of one enrolment, or None."""
        entry = self.find(enrolment_id)
        return row(entry) if entry else None

    def find(self, enrolment_id: str) -> StoredEnrolment | None:
        """Return the enrolment of an id as it is stored, or None."""
        for entry in self.records.all():
            if entry.enrolment.id == enrolment_id:
                return entry
        return None

    def retry(self, enrolment_id: str) -> bool:
        """Let an enrolment be tried again now, after staff have put right what it waited for.

        False where it cannot be. For a case of "address_taken" this means that the mailbox is no
        longer that of the person who proved it first.
        """
        entry = self.find(enrolment_id)
        if entry is None:
            return False
        retries = {_LINK: self.records.end, _PROOF: self._retry_proof}
        retry = retries.get(entry.key.name, self._retry_enrolment)
        if not retry(entry):
            return False
        self._listed.record(AuditEventKind.ENROLMENT_RETRIED, entry.key.group, entry.enrolment)
        return True

    def end(self, enrolment_id: str) -> bool:
        """End a case: it is listed no more, and its person begins anew at the next login.

        False where there is none. Of an enrolment the mark stays, so that a borrower that it made
        is known by it.
        """
        entry = self.find(enrolment_id)
        if entry is None or entry.enrolment.state is not EnrolmentState.CASE:
            return False
        if entry.key.name:
            if not self.records.end(entry):
                return False
        elif not self._give_up(entry):
            return False
        self._listed.record(AuditEventKind.ENROLMENT_ENDED, entry.key.group, entry.enrolment)
        return True

    def borrowers_differ(self, owner: str, reason: str, borrowers: Names) -> str:
        """List a case of the borrowers that the CPR number of ``owner``, a pseudonym, finds.

        For a login that wishes nothing, so that no enrolment says it. Returns the case's id.
        """
        case = ListedCase(reason, owner, borrowers)
        return self._listed.write(Key("enrolment", owner, _LINK), case).id

    def taken(self, owner: str, address: str) -> str:
        """List a case: ``owner`` proved a mail address that is another's proof already.

        Both are pseudonyms. One mailbox speaks for one person; whether somebody has read another's
        mail or inherited the address, only people can tell. Returns the case's id.
        """
        case = ListedCase("address_taken", address)
        return self._listed.write(Key("enrolment", owner, _PROOF), case).id

    def _give_up(self, entry: StoredEnrolment) -> bool:
        ended = replace(
            entry.enrolment,
            state=EnrolmentState.GIVEN_UP,
            wish=None,
            reason=None,
            cause=None,
            borrowers=(),
        )
        return self.records.write(entry, ended, None) is not None

    def _retry_proof(self, entry: StoredEnrolment) -> bool:
        if not self.records.end(entry):
            return False
        # The mailbox is the other's now: the person who proves it next holds it, and the one who
        # held it proves nothing by it.
        claims = Records(self.records.store, ProofOwner)
        place = Key("proof", entry.enrolment.person)
        claim = claims.get(place, self.records.now())
        if claim:
            claims.drop(Key("proof", claim.value.owner, claim.value.name))
        claims.drop(place)
        return True

    def _retry_enrolment(self, entry: StoredEnrolment) -> bool:
        enrolment = entry.enrolment
        if enrolment.wish is None:  # finished, given up, or observed only
            return False
        if enrolment.state is EnrolmentState.CASE:
            enrolment = replace(
                enrolment, state=EnrolmentState.WANTED, reason=None, cause=None, borrowers=()
            )
        now = self.records.now()
        return self.records.write(entry, enrolment.retried(now), now) is not None

    def confirm(self, enrolment_id: str, number: str) -> bool:
        """Let a temporary borrower become its person's, although the desk wrote another name.

        ``number`` is the library system's own of the borrower that staff have looked at: the person
        may have shown another one meanwhile. False where no case is waiting for just that.
        """
        entry = self.find(enrolment_id)
        if entry is None or entry.enrolment.reason != "adoption_other_name":
            return False
        enrolment = entry.enrolment
        if enrolment.state is not EnrolmentState.CASE or enrolment.wish is None:
            return False
        if enrolment.wish.temporary != number:
            return False
        confirmed = replace(enrolment, wish=replace(enrolment.wish, confirmed=True))
        if not self._retry_enrolment(entry._replace(enrolment=confirmed)):
            return False
        self._listed.record(AuditEventKind.ENROLMENT_RETRIED, enrolment.person, enrolment)
        return True

    @property
    def _listed(self) -> ListedCases:
        return ListedCases(self.records, self.trail)
