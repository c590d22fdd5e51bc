"""What staff see of the enrolments and may do to them: list, show, try again, and the cases where links disagree."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from broker.core.audit_events import NO_TRAIL, AuditEvent, AuditEventKind
from broker.core.borrowers.borrower import Enrolment, EnrolmentState
from broker.core.identity.mailbox_proofs import ProofOwner
from broker.core.ports import Key, Trail
from broker.core.serialization import load
from broker.flows.borrowers.enrolment_records import EnrolmentRecords, StoredEnrolment
from broker.flows.identity.person_links import PersonLinks

EnrolmentRow = Mapping[str, str | int | bool | None]

_LINK = "link"
_PROOF = "proof"


@dataclass(frozen=True, slots=True)
class StaffCases:
    """The service desk's view: nothing personal in it but the borrower's number."""

    ledger: EnrolmentRecords
    links: PersonLinks
    trail: Trail = NO_TRAIL

    def rows(self) -> Iterator[EnrolmentRow]:
        """Give every enrolment as a row for ``broker enrolments list``."""
        for entry in self.ledger.all():
            yield _row(entry)

    def show(self, enrolment_id: str) -> EnrolmentRow | None:
        """Give the row of one enrolment, or None."""
        entry = self._of(enrolment_id)
        return _row(entry) if entry else None

    def retry(self, enrolment_id: str) -> bool:
        """Let an enrolment be tried again now, after staff have put right what it stood at; False where it cannot be.

        For a case of "cpr_changed" this says that the library system is right and the remembered
        link is not, for "address_taken" that the mailbox is no longer the one's who proved it
        first.
        """
        entry = self._of(enrolment_id)
        if entry is None:
            return False
        person = self.links.holder(entry.key.group)  # before the link is forgotten
        done = self._retried(entry)
        if done:
            self._tell(AuditEventKind.ENROLMENT_RETRIED, person, entry.enrolment)
        return done

    def _retried(self, entry: StoredEnrolment) -> bool:
        if entry.key.name == _LINK:
            self.links.forget(entry.key.group)
            if entry.key.group == entry.enrolment.person:
                # The link of the CPR itself: the library is right, and the next login asks it.
                self.links.remember(entry.enrolment.person, None)
                self.ledger.amend(entry.key._replace(name=""), _unbelieved)
            self.ledger.store.drop(entry.key)
            return True
        if entry.key.name == _PROOF:
            # The mailbox is the other's now: whoever proves it next holds it, and who held it
            # proves nothing by it.
            place, store = Key("proof", entry.enrolment.person), self.ledger.store
            kept = store.get(place, self.ledger.now())
            if kept:
                claim = load(ProofOwner, kept.value)
                store.drop(Key("proof", claim.owner, claim.name))
            store.drop(place)
            self.ledger.store.drop(entry.key)
            return True
        enrolment = entry.enrolment
        if enrolment.wish is None:  # finished, given up, or observed only
            return False
        if enrolment.reason == "cpr_changed":
            self.links.remember(enrolment.person, None)
            enrolment = replace(enrolment, link=None)
        if enrolment.state is EnrolmentState.CASE:
            enrolment = replace(enrolment, state=EnrolmentState.WANTED, reason=None)
        again = replace(enrolment, attempts=0)
        return self.ledger.write(entry, again, self.ledger.soon(entry)) is not None

    def reason(self, cpr: str) -> str | None:
        """Say why staff must look before the person of this CPR (a pseudonym of Links) is served, or None."""
        entries = (self.ledger.read(Key("enrolment", cpr, name)) for name in ("", _LINK))
        cases = (
            entry.enrolment
            for entry in entries
            if entry and entry.enrolment.state is EnrolmentState.CASE
        )
        return next((case.reason for case in cases), None)

    def dispute(self, name: str, cpr: str, reason: str = "cpr_changed") -> Enrolment:
        """List a case: the link of ``name`` leads to one borrower, ``cpr`` to another (both pseudonyms of Links).

        Where the library speaks against the link of a CPR, ``name`` is that CPR's pseudonym too. It
        is kept apart from the person's own enrolment, which it must not undo.
        """
        return self._list(Key("enrolment", name, _LINK), cpr, reason, self.links.number(name))

    def taken(self, owner: str, address: str) -> None:
        """List a case: ``owner`` proved a mail address that is another's proof already (pseudonyms of Links).

        One mailbox speaks for one person; who has read another's mail, or inherited the address,
        only people can tell.
        """
        self._list(Key("enrolment", owner, _PROOF), address, "address_taken")

    def _list(self, key: Key, person: str, reason: str, number: str | None = None) -> Enrolment:
        case = Enrolment(
            secrets.token_hex(16),
            EnrolmentState.CASE,
            self.ledger.now(),
            None,
            person,
            reason=reason,
            link=number,
        )
        entry = self.ledger.read(key)
        if entry:
            case = replace(case, id=entry.enrolment.id)
        self.ledger.write(entry or StoredEnrolment(key, case, None, None), case, None)
        if entry is None or entry.enrolment.reason != reason:
            self._tell(AuditEventKind.ENROLMENT_CASE, self.links.holder(key.group), case)
        return case

    def _tell(self, kind: AuditEventKind, person: str, enrolment: Enrolment) -> None:
        self.trail.add(
            AuditEvent(
                kind, self.ledger.now(), person=person, reason=enrolment.reason, about=enrolment.id
            )
        )

    def _of(self, enrolment_id: str) -> StoredEnrolment | None:
        return next(
            (entry for entry in self.ledger.all() if entry.enrolment.id == enrolment_id), None
        )


def _unbelieved(entry: StoredEnrolment) -> tuple[Enrolment, datetime | None]:
    """Give the enrolment as one whose number is not to be believed: not even while the library does not answer."""
    return replace(entry.enrolment, carried=None, settled=None), entry.due


def _row(entry: StoredEnrolment) -> EnrolmentRow:
    enrolment = entry.enrolment
    return {
        "id": enrolment.id,
        "state": enrolment.state.value,
        "reason": enrolment.reason,
        "outcome": enrolment.outcome.value if enrolment.outcome else None,
        "number": enrolment.number,
        "linked": enrolment.link,
        "category": enrolment.category or (enrolment.wish.category if enrolment.wish else None),
        "expires": _iso(enrolment.expires),
        "wanted_at": _iso(enrolment.wanted_at),
        "due": _iso(entry.due),
        "attempts": enrolment.attempts,
        "pin_owed": enrolment.pin_owed,
        "pin_mailed": _iso(enrolment.pin_mailed),
        "would": ", ".join(enrolment.would) or None,
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
