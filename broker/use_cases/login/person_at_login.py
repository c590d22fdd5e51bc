"""The look-up of a person who has just logged in: person id, proofs, receipts and the borrower."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.consent.consent import select_on_file
from broker.core.events.audit_events import NO_AUDIT_LOG, AuditEventKind, make_login_event
from broker.core.identity.mailbox_proofs import MAIL_PROOF, Proved
from broker.core.identity.person_id import compute_service_ids
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.login_decision import proof_step
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import (
    LIFETIME,
    OWN_ERRANDS,
    Account,
    AccountState,
    Person,
    Transaction,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.policy.decision import UNMET_REQUIREMENTS
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import PolicySet
from broker.core.ports import AuditLog
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.storage.records import Record
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin, evaluate_login, read_login
from broker.use_cases.transactions.person_resolution import PersonResolution, display_name
from broker.use_cases.transactions.transactions import Held, Transactions

_MAIL_REMEMBERED: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class PersonAtLogin:
    """Asks the ports; ``naming`` holds the key of persistent NameIDs, which is never rotated."""

    records: PersonRecords
    hmacs: LookupHmacs
    naming: LookupHmacs
    rules: ConfiguredEntities
    persons: PersonResolution
    borrowers: BorrowerAtLogin
    audit_log: AuditLog = NO_AUDIT_LOG

    def evaluate(self, held: Held, now: datetime) -> Held:
        """Return the transaction with attributes and decision, made once while its facts hold."""
        made = evaluate_login(self.rules, held.transaction, now, held.evaluated)
        if made is held.evaluated:
            return held
        return replace(held, evaluated=made)

    def policies(self, held: Held) -> PolicySet:
        """Return the policy set that this request goes by."""
        return held.evaluated.policies if held.evaluated else self.rules.policies()

    def look_up(self, held: Held, now: datetime) -> Held:
        """Return the transaction with what the ports know of the person, not yet written or told.

        Nothing is asked before the policies let the person in. A login that they denied before is
        looked up when they permit it.
        """
        transaction = held.transaction
        before = evaluate_login(self.rules, transaction, now, held.evaluated)
        if before is None or transaction.person is not None:
            return replace(held, evaluated=before)
        known, arrived, record = self._known(transaction, before, now)
        return replace(held, transaction=known, evaluated=arrived, person=record)

    def look_up_and_store(self, held: Held, now: datetime) -> Held:
        """Add what the ports know of the person to the transaction, as ``learned``."""
        transaction = held.transaction
        learned = self.look_up(held, now)
        known = learned.transaction
        if known == transaction:
            return learned
        self.log_permitted(learned, now)

        def added(each: Transaction) -> Transaction:
            if _told(each) != _told(transaction):
                # looked up before something was told beside it: of no use, and what was told is
                # not lost
                return each
            return replace(
                each,
                person=known.person,
                receipts=known.receipts,
                account=known.account,
                proofs=known.proofs,
            )

        undecided = replace(held, evaluated=learned.evaluated)
        changed = Transactions(self.records.store).change(undecided, added, now)
        return self.evaluate(changed, now)

    def log_permitted(self, held: Held, now: datetime) -> None:
        """Tell the audit log that the policies permit a login whose person has just been looked up.

        One that goes straight through is told by its release alone, which says the same and more.
        """
        transaction = held.transaction
        arrived = held.evaluated
        if arrived is None or not arrived.is_permitted or transaction.person is None:
            return
        if transaction.errand not in OWN_ERRANDS:
            self.audit_log.add(
                make_login_event(AuditEventKind.DECIDED, now, transaction.names, arrived.decision)
            )

    def _known(
        self, transaction: Transaction, arrived: EvaluatedLogin, now: datetime
    ) -> tuple[Transaction, EvaluatedLogin, Record[PersonRecord] | None]:
        """Return the transaction with proofs, person, receipts on file and account.

        With it comes what has arrived with those facts, and the person record, which is read once.
        A login that the policies deny leaves nothing behind.
        """
        if not arrived.trusted:
            return transaction, arrived, None
        found = self._find_if_named(arrived)
        if transaction.errand in OWN_ERRANDS:
            return replace(transaction, person=found), arrived, None
        record = self.records.read(found.id, now) if found else None
        proofs = self._proofs(transaction, arrived, record, now)
        known = transaction
        if proofs != transaction.proofs:
            known = replace(transaction, proofs=proofs)
            arrived = self._again(known, arrived, now)
        if not arrived.is_permitted and arrived.decision.reasons[0].code not in UNMET_REQUIREMENTS:
            return known, arrived, record
        person = found or self.persons.find(arrived)
        known = replace(known, person=person)
        if not arrived.is_permitted:
            # What self-service lacks is no matter to a person who has a borrower already.
            number = self.borrowers.find_number(known, arrived, record)
            known = replace(known, person=replace(person, number=number))
            arrived = self._again(known, arrived, now)
            # The search may have written it.
            record = self.records.read(person.id, now)
        if not arrived.is_permitted:
            return known, arrived, record
        receipts = record.value.list_receipts(known.request.service) if record else ()
        account = self.borrowers.find_account(known, arrived, record)
        known = replace(known, receipts=select_on_file(receipts), account=account)
        return known, arrived, record

    def make_pseudonym(self, transaction: Transaction) -> str:
        """Return the pseudonym of person and service that receipts carry."""
        person = transaction.person.id if transaction.person else ""
        return self.hmacs.compute("receipts", person, transaction.request.service)

    def enrol(self, held: Held, *, language: str, patience: float) -> Account:
        """Store the request, wait ``patience`` seconds, and return the account as it then is.

        A silent library is no error.
        """
        if held.evaluated is None:
            return Account(None, AccountState.NONE)
        return self.borrowers.enrol(
            held.transaction, held.evaluated, language=language, patience=patience
        )

    def find_missing_proof(
        self, transaction: Transaction, arrived: EvaluatedLogin, now: datetime
    ) -> ProveMailbox | None:
        """Return the step in which the person proves what their intent needs.

        None where nothing names the person. A proof of nobody would keep the address from its
        holder for as long as it is remembered.
        """
        if not arrived.trusted or transaction.intent is None:
            return None
        step = proof_step(arrived.facts, arrived.policies, now)
        if step is None or not self.persons.is_named(arrived):
            return None
        return step

    def proof_owner(self, held: Held, now: datetime) -> str:
        """Return the person id that the person's proofs are kept under.

        One of this login alone where nothing names the person.
        """
        arrived = self.evaluate(held, now).evaluated
        if arrived and self.persons.is_named(arrived):
            person = held.transaction.person or self.persons.find(arrived)
            return person.id
        return self.hmacs.compute("nobody", held.transaction.id)

    def person_name(self, held: Held, now: datetime) -> str:
        """Return the person's name; "" where the upstream asserted none."""
        if held.evaluated:
            return display_name(held.evaluated.reading)
        authentication = held.transaction.authentication
        if authentication is None:
            return ""
        return display_name(read_login(self.rules, authentication, self.policies(held), now))

    def proof_lifetime(self, held: Held, name: str, now: datetime) -> timedelta:
        """Return how long a proof of this name is good, by the policies of the request.

        Nobody meets a person again whom nothing names: their proof is good for this login.
        """
        arrived = self.evaluate(held, now).evaluated
        if arrived is None or not self.persons.is_named(arrived):
            return LIFETIME
        proof = remembering_proof(self.policies(held), name)
        return proof.remembered_for if proof else _MAIL_REMEMBERED

    def compute_service_ids(self, transaction: Transaction) -> dict[str, str]:
        """Return the identifiers that we make for this person at this service.

        None before the person is known.
        """
        if transaction.person is None:
            return {}
        service = self.rules.service(transaction.request.service)
        return compute_service_ids(self.naming, transaction.person.id, service)

    def make_name_id(self, transaction: Transaction, *, persistent: bool) -> str:
        """Return the NameID for the service: the same for this person there for ever, or random."""
        if not persistent or transaction.person is None:
            return f"_{secrets.token_hex(20)}"
        entity_id = self.rules.service(transaction.request.service).entity_id
        name_id = self.naming.compute("name-id", transaction.person.id, entity_id)
        return name_id.partition(".")[2]

    def _find_if_named(self, arrived: EvaluatedLogin) -> Person | None:
        return self.persons.find(arrived) if self.persons.is_named(arrived) else None

    def _again(
        self, transaction: Transaction, arrived: EvaluatedLogin, now: datetime
    ) -> EvaluatedLogin:
        return evaluate_login(self.rules, transaction, now, arrived) or arrived

    def _proofs(
        self,
        transaction: Transaction,
        arrived: EvaluatedLogin,
        record: Record[PersonRecord] | None,
        now: datetime,
    ) -> tuple[Proved, ...]:
        """Return what was proved in this login, and before it where that could matter now."""
        upstream = arrived.authentication.upstream
        if upstream in self.rules.local:
            return transaction.proofs
        if upstream not in arrived.policies.provable and self._asserts_mail(
            transaction, arrived, now
        ):
            return transaction.proofs
        if record is None:
            return transaction.proofs
        fresh = {proof.name for proof in transaction.proofs}
        remembered = self.records.list_proofs(record, now)
        own = [proof for proof in remembered if proof.name not in fresh]
        return (*transaction.proofs, *own)

    def _asserts_mail(
        self, transaction: Transaction, arrived: EvaluatedLogin, now: datetime
    ) -> bool:
        """Return whether the upstream itself named an address to write to."""
        reading = arrived.reading
        if transaction.proofs:
            reading = read_login(self.rules, arrived.authentication, arrived.policies, now)
        return reading.attributes.one(MAIL_PROOF) is not None


def _told(transaction: Transaction) -> tuple[object, ...]:
    """Return what a person has told beside their login, by which what is looked up of them goes."""
    return transaction.proofs, transaction.upgrade, transaction.address_answer
