"""Writes and reads consent receipts and mailbox proofs in person records."""

from datetime import datetime

from broker.core.consent.consent import Receipt
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.use_cases.storage.person_records import PersonRecords


def file_receipt(
    store: Store, person_id: str, service: str, made: Receipt, now: datetime, *, hmacs: LookupHmacs | None = None
) -> None:
    """Add a receipt to a person record."""
    records = PersonRecords(store, hmacs or LookupHmacs("k1", b"k" * 32))
    records.change(person_id, lambda record: record.add_receipt(service, made, now), now)


def list_receipts(store: Store, person_id: str, service: str, now: datetime) -> tuple[Receipt, ...]:
    """Return the receipts of a person for a service, newest first."""
    record = PersonRecords(store, LookupHmacs("k1", b"k" * 32)).read(person_id, now)
    return record.value.list_receipts(service) if record else ()


def keep_proof(persons: PersonRecords, person_id: str, proof: MailboxProof, now: datetime) -> bool:
    """Store the proof of a mailbox; return False if the mailbox belongs to another person."""
    if not persons.claim_mailbox(person_id, proof, now):
        return False
    persons.change(person_id, lambda record: record.add_proof(proof), now)
    return True
