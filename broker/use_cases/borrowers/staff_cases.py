"""The enrolments as staff see them: listed, shown, tried again, with the cases of links."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from broker.core.audit_events import NO_TRAIL, AuditEventKind
from broker.core.borrowers.enrolment import UNTOLD_NUMBER, Enrolment, EnrolmentState
from broker.core.borrowers.owed_look_up import LookUpOutcome, LookUpPlan
from broker.core.borrowers.staff_advice import advice
from broker.core.entities import Names
from broker.core.identity.mailbox_proofs import ProofOwner
from broker.core.ports import Key, Trail
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import (
    REGISTER_CASE,
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
    register_case,
)
from broker.use_cases.borrowers.enrolment_rows import EnrolmentRow, rank, row
from broker.use_cases.borrowers.held_back_numbers import HeldBackNumbers
from broker.use_cases.borrowers.listed_cases import ListedCase, ListedCases
from broker.use_cases.borrowers.register_decisions import RegisterDecisions
from broker.use_cases.identity.person_links import PersonLinks
from broker.use_cases.records import Records

_LINK = "link"
_PROOF = "proof"
_NOTICE = "notice"
_APART: Final = frozenset({_LINK, _PROOF, _NOTICE, REGISTER_CASE})
# A university that sends one name for everybody must not let a notice grow.
_MOST_CAME: Final = 20
_OF_STAFF: Final = frozenset({EnrolmentState.CASE, EnrolmentState.NOTICE})


@dataclass(frozen=True, slots=True)
class StaffCases:
    """The view of staff: nothing personal in it but the borrower's number."""

    records: EnrolmentRecords
    links: PersonLinks
    trail: Trail = NO_TRAIL

    @classmethod
    def of(cls, ports: EnrolmentPorts) -> "StaffCases":
        """Return the cases among the enrolments of ``ports``."""
        return cls(ports.records, ports.links, ports.trail)

    def rows(self) -> Iterator[EnrolmentRow]:
        """Return every enrolment as a row: what staff must look at first, the oldest before."""
        return map(row, sorted(self.records.all(), key=rank))

    def show(self, enrolment_id: str) -> EnrolmentRow | None:
        """Return the row of one enrolment, what to do and what a retry would do, or None."""
        entry = self.find(enrolment_id)
        if entry is None:
            return None
        advised = advice(entry.enrolment, listed_apart=entry.key.name in _APART)
        return {**row(entry), "todo": advised.todo, "retry_would": advised.retry}

    def find(self, enrolment_id: str) -> StoredEnrolment | None:
        """Return the enrolment of an id as it is stored, or None."""
        for entry in self.records.all():
            if entry.enrolment.id == enrolment_id:
                return entry
        return None

    def retry(self, enrolment_id: str) -> bool:
        """Let an enrolment be tried again now, after staff have put right what it waited for.

        False where it cannot be. For a case of "cpr_changed" this means that the cprUuid is the
        person's of the number it comes with now, for "address_taken" that the mailbox is no longer
        that of the person who proved it first. A notice is ended.
        """
        entry = self.find(enrolment_id)
        if entry is None:
            return False
        person = self.links.holder(entry.key.group)  # before the link is forgotten
        retries = {
            _LINK: self._retry_link,
            _PROOF: self._retry_proof,
            _NOTICE: self._end_notice,
            REGISTER_CASE: self.decisions.retry,
        }
        retry = retries.get(entry.key.name, self._retry_enrolment)
        if not retry(entry):
            return False
        self._listed.record(AuditEventKind.ENROLMENT_RETRIED, person, entry.enrolment)
        return True

    def end(self, enrolment_id: str) -> bool:
        """End a case or notice: it is listed no more, and its person begins anew at the next login.

        False where there is none. Of an enrolment the mark stays, so that a borrower that it made
        is known by it.
        """
        entry = self.find(enrolment_id)
        if entry is None or entry.enrolment.state not in _OF_STAFF:
            return False
        person = self.links.holder(entry.key.group)
        if entry.key.name == REGISTER_CASE:
            if not self.decisions.end(entry):
                return False
        elif entry.key.name == _NOTICE:
            if not self._end_notice(entry):
                return False
        elif entry.key.name:
            if not self.records.end(entry):
                return False
        elif not self._give_up(entry):
            return False
        self._listed.record(AuditEventKind.ENROLMENT_ENDED, person, entry.enrolment)
        return True

    def cpr_uuid_differs(self, uuid: str, cpr: str) -> str:
        """List a case: a cprUuid that came with another CPR number before came with ``cpr``.

        Both are pseudonyms. The register gives a person one cprUuid for good: where the number was
        changed, the person is the same, and else one of the two is wrong. Returns the case's id.
        """
        before = self._number(self.links.cpr(uuid))
        case = ListedCase("cpr_changed", cpr, self._numbers(cpr), before)
        return self._listed.write(Key("enrolment", uuid, _LINK), lambda _: case).id

    def borrowers_differ(self, owner: str, reason: str, borrowers: Names) -> str:
        """List a case of the borrowers that the CPR number of ``owner``, a pseudonym, finds.

        For a login that wishes nothing, so that no enrolment says it. Returns the case's id.
        """
        case = ListedCase(reason, owner, borrowers)
        return self._listed.write(Key("enrolment", owner, _LINK), lambda _: case).id

    def another_cpr(self, name: str, had: str, cpr: str) -> str | None:
        """List a notice: a name came with the CPR number ``had`` before, and with ``cpr`` now.

        All are pseudonyms. Either the name has another holder or the number was changed; each
        number has its own person and borrower, and nobody is kept waiting: unless the register says
        of ``had`` that it is in force no more. Returns why nobody is let in by ``cpr`` then.
        """
        number = self._number(had)
        notice = ListedCase("name_with_another_cpr", cpr, self._numbers(cpr), number)

        def listed(before: Enrolment | None) -> ListedCase:
            if before is None or number not in {None, before.link}:
                return notice
            # It came with the number of that borrower first, and with several since.
            came = dict.fromkeys((*before.guessed, before.person))
            return replace(notice, link=before.link, guessed=tuple(came)[-_MOST_CAME:])

        self._listed.write(Key("enrolment", name, _NOTICE), listed, EnrolmentState.NOTICE)
        return self._in_place_of(had, cpr)

    def come_since(self, owner: str, number: str) -> None:
        """Bar the CPR number that has come with a name of ``owner``'s since, as ``another_cpr``.

        ``number`` is their borrower, in a notice. The case is listed by then: a login lists its
        notice before it looks for the case, so that one of them sees the other.
        """
        notices = (entry for entry in self.records.all() if entry.key.name == _NOTICE)
        theirs = (entry.enrolment for entry in notices if entry.enrolment.link == number)
        came = {cpr for notice in theirs for cpr in (notice.person, *notice.guessed)}
        for cpr in sorted(came - {owner}):
            self._in_place_of(owner, cpr)

    def _in_place_of(self, had: str, cpr: str) -> str | None:
        """Bar ``cpr`` where it may be the number in the place of ``had``, which nobody has told.

        Staff decide the case of ``had`` by then: the person would get a second borrower. Who has
        one is somebody else, or it is too late. Returns the reason of the bar, None for none.
        """
        if self._number(cpr):
            return None

        def named(stored: StoredEnrolment) -> EnrolmentDraft | None:
            return _naming(stored, cpr)

        key = self._case_of(had)
        case = self.records.read(key)
        if case is None or named(case) is None:
            self._held.settle(cpr)
            return None
        # First: a login that dies in between must let nobody in whom staff see held back. A name
        # may be somebody else's by now: nobody gets the id of ``had`` by a guess.
        self.links.hold_back(cpr, LookUpOutcome.NUMBER_CHANGED.value)
        self.records.amend(key, named)
        if self._held.hold(cpr, key):
            return LookUpOutcome.NUMBER_CHANGED.value
        return None

    def _case_of(self, had: str) -> Key:
        """Return the key of the case of ``had``, or of the one that holds ``had`` back."""
        holder = self.links.holder_of(had)
        if holder and holder.barred == LookUpOutcome.NUMBER_CHANGED:
            for entry in self.records.all():
                if entry.key.name == REGISTER_CASE and had in entry.enrolment.held_back:
                    return entry.key
        return register_case(had)

    def taken(self, owner: str, address: str) -> str:
        """List a case: ``owner`` proved a mail address that is another's proof already.

        Both are pseudonyms. One mailbox speaks for one person; whether somebody has read another's
        mail or inherited the address, only people can tell. Returns the case's id.
        """
        case = ListedCase("address_taken", address)
        return self._listed.write(Key("enrolment", owner, _PROOF), lambda _: case).id

    def register_differs(
        self, owner: str, planned: LookUpPlan, borrowers: Names, number_now: str | None = None
    ) -> str:
        """List a case of what the register of persons says of ``owner``, a pseudonym.

        ``number_now`` is that of the CPR number that took the place of theirs; without it those
        that the case had before stay in it, for they are barred until staff decide the case. So do
        those that the register told before it: by each the person may come. Returns its id.
        """
        key = register_case(owner)
        known = self._told_before(owner)

        def said(before: Enrolment | None) -> ListedCase:
            case = ListedCase(
                planned.case or "",
                owner,
                borrowers,
                cause=planned.cause,
                number_now=number_now,
                told_before=known,
            )
            return case.holding_back(before)

        listed = self._listed.write(key, said)
        for number in known:
            self._held.hold(number, key)
        return listed.id

    def _told_before(self, owner: str) -> Names:
        """Return the number that staff have decided a case of before, if nobody has it by now."""
        enrolment = self.records.enrolment(Key("enrolment", owner))
        number = enrolment.number_now if enrolment else None
        if number in {None, UNTOLD_NUMBER} or self._number(number):
            return ()
        return (number,)

    def number_not_given(self, owner: str, cause: str) -> None:
        """Say in the case of ``owner`` why its borrower has not got the confirmed number."""

        def said(stored: StoredEnrolment) -> EnrolmentDraft:
            return replace(stored.enrolment, cause=cause), stored.due

        self.records.amend(register_case(owner), said)

    def stands(self, owner: str, planned: LookUpPlan, number_now: str | None) -> bool:
        """Return whether the case of ``owner`` says what a look-up has just listed."""
        case = self.records.enrolment(register_case(owner))
        if case is None or case.reason != planned.case:
            return False
        return number_now in {None, case.number_now}

    def _end_notice(self, entry: StoredEnrolment) -> bool:
        if not self.records.end(entry):
            return False
        # A login that died may have barred one of its numbers, and not have told the case.
        for number in (entry.enrolment.person, *entry.enrolment.guessed):
            self._held.settle(number)
        return True

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

    def _retry_link(self, entry: StoredEnrolment) -> bool:
        if not self.records.end(entry):
            return False
        if entry.key.group != entry.enrolment.person:
            # The cprUuid counts no more, and learns the number that it comes with next.
            self.links.forget(entry.key.group)
        return True

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
        return self.records.write(entry, enrolment.retried(), now) is not None

    def _numbers(self, owner: str) -> Names:
        number = self._number(owner)
        return (number,) if number else ()

    def _number(self, owner: str | None) -> str | None:
        """Return the borrower that the CPR number of ``owner`` was last found to have, or None."""
        if owner is None:
            return None
        enrolment = self.records.enrolment(Key("enrolment", owner))
        return enrolment.number if enrolment else None

    def confirm(self, enrolment_id: str, number: str) -> bool:
        """Let a temporary borrower become its person's, although the desk wrote another name.

        Or let a borrower get the CPR number that the register has given its person anew. ``number``
        is the library system's own of the borrower that staff have looked at: the person may have
        shown another one meanwhile. False where no case is waiting for just that.
        """
        entry = self.find(enrolment_id)
        if entry is not None and entry.key.name == REGISTER_CASE:
            return self._confirm_number(entry, number)
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

    def _confirm_number(self, entry: StoredEnrolment, number: str) -> bool:
        if not self.decisions.confirm(entry, number):
            return False
        person = self.links.holder(entry.key.group)
        self._listed.record(AuditEventKind.ENROLMENT_RETRIED, person, entry.enrolment)
        return True

    @property
    def _listed(self) -> ListedCases:
        return ListedCases(self.records, self.links, self.trail)

    @property
    def _held(self) -> HeldBackNumbers:
        return HeldBackNumbers(self.records, self.links)

    @property
    def decisions(self) -> RegisterDecisions:
        """Return what follows once a case of the register's is decided."""
        return RegisterDecisions(self.records, self.links)


def _naming(stored: StoredEnrolment, cpr: str) -> EnrolmentDraft | None:
    """Return the case with ``cpr`` among the numbers that may be the new one; None: it says it."""
    case = stored.enrolment
    if not case.is_of_changed_number or case.number_now not in {None, cpr}:
        return None
    if cpr == stored.key.group:
        # Their own, with a name that has come with another meanwhile: it takes no place of itself.
        return None
    # Of several that come so nobody knows which it is.
    guessed = case.guessed if cpr in case.held_back else (*case.guessed, cpr)
    return replace(case, guessed=guessed), stored.due
