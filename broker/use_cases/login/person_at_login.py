"""Looks up a person who has just logged in: person id, proofs, receipts and borrower."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.consent.consent import select_usable_answers
from broker.core.errors import TransactionGone
from broker.core.events.audit_events import AuditEventKind, make_login_event
from broker.core.events.broker_events import EventPort, discard_event
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.identity.person_id import compute_service_ids
from broker.core.identity.rights import Ground
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.decision_input import proof_step
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.policy.decision import UNMET_REQUIREMENTS
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import PolicySet
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.storage.records import Record
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin, evaluate_login
from broker.use_cases.transactions.person_identification import PersonIdentification
from broker.use_cases.transactions.transactions import LoginContext, Transactions

_MAIL_REMEMBERED: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class PersonAtLogin:
    """Looks persons up in the store and the library system.

    ``name_id_hmacs`` has the key of persistent NameIDs, which is never rotated.
    """

    records: PersonRecords
    hmacs: LookupHmacs
    name_id_hmacs: LookupHmacs
    rules: ConfiguredEntities
    persons: PersonIdentification
    borrowers: BorrowerAtLogin
    tell: EventPort = discard_event

    def evaluate(self, context: LoginContext, now: datetime) -> LoginContext:
        """Return the context with attributes and decision.

        They are computed again only if the facts that they depend on have changed.
        """
        login = evaluate_login(self.rules, context.transaction, now, context.evaluated)
        return context if login is context.evaluated else replace(context, evaluated=login)

    def policies(self, context: LoginContext) -> PolicySet:
        """Return the policy set that this request uses."""
        return context.evaluated.policies if context.evaluated else self.rules.policies()

    def look_up(self, context: LoginContext, now: datetime) -> LoginContext:
        """Return the context with what is known about the person.

        Neither the transaction nor the audit log is written; a search for a borrower may write the
        person record. If the attributes can be trusted, the person record is read first, because
        proofs can change the decision. The library system is asked only if the policies permit the
        login, or deny it for a requirement that a person with a borrower need not meet. A login
        that is denied now is looked up later, when the policies permit it.
        """
        context = self.evaluate(context, now)
        if context.evaluated is None or context.transaction.person is not None:
            return context
        known, login, record = self._look_up_permitted(context.transaction, context.evaluated, now)
        return replace(context, transaction=known, evaluated=login, person=record)

    def look_up_and_store(self, context: LoginContext, now: datetime) -> LoginContext:
        """Look the person up, and add the result of ``look_up`` to the stored transaction."""
        transaction = context.transaction
        result = self.look_up(context, now)
        known = result.transaction
        if known == transaction:
            return result
        self.log_permitted(result, now)

        def add_to(each: Transaction) -> Transaction:
            if _list_answers(each) != _list_answers(transaction):
                # The person has answered since the look-up: keep the answer, drop the result.
                return each
            return replace(
                each,
                person=known.person,
                receipts=known.receipts,
                account=known.account,
                proofs=known.proofs,
            )

        evaluated = replace(context, evaluated=result.evaluated)
        changed = Transactions(self.records.store).change(evaluated, add_to, now)
        return self.evaluate(changed, now)

    def log_permitted(self, context: LoginContext, now: datetime) -> None:
        """Write to the audit log that the policies permit a login that was just looked up.

        A login that shows no page is logged by its release only, which says the same and more.
        """
        transaction = context.transaction
        login = context.evaluated
        if login is None or not login.is_permitted or transaction.person is None:
            return
        if transaction.purpose is not LoginPurpose.CHOICES:
            self.tell(
                make_login_event(AuditEventKind.DECIDED, now, transaction.names, login.decision)
            )

    def _look_up_permitted(
        self, transaction: Transaction, login: EvaluatedLogin, now: datetime
    ) -> tuple[Transaction, EvaluatedLogin, Record[PersonRecord] | None]:
        """Return the transaction with proofs, person, stored receipts and account.

        The evaluated login and the person record are returned with it. If the policies deny a login
        for another reason than an unmet requirement, the transaction names no person.
        """
        if not login.trusted:
            return transaction, login, None
        found = self.persons.identify(login)
        if transaction.purpose is LoginPurpose.CHOICES:
            return replace(transaction, person=found), login, None
        record = self.records.read(found.id, now)
        proofs = self._list_proofs(transaction, login, record, now)
        known = transaction
        if proofs != transaction.proofs:
            known = replace(transaction, proofs=proofs)
            login = self._evaluate_again(known, login, now)
        if not login.is_permitted and login.decision.reasons[0].code not in UNMET_REQUIREMENTS:
            return known, login, record
        known = replace(known, person=found)
        if not login.is_permitted:
            # A person who has a borrower need not meet the requirements for creating one.
            number = self.borrowers.find_number(known, login, record)
            known = replace(known, person=replace(found, number=number))
            login = self._evaluate_again(known, login, now)
            # The search may have written it.
            record = self.records.read(found.id, now)
        if not login.is_permitted:
            return known, login, record
        receipts = record.value.list_receipts(known.request.service) if record else ()
        account = self.borrowers.find_account(known, login, record)
        known = replace(known, receipts=select_usable_answers(receipts), account=account)
        return known, login, record

    def make_pseudonym(self, transaction: Transaction) -> str:
        """Return the pseudonym of person and service that receipts carry."""
        return self.hmacs.compute(
            "receipts", transaction.person_id or "", transaction.request.service
        )

    def find_missing_proof(self, login: EvaluatedLogin, now: datetime) -> ProveMailbox | None:
        """Return the step for the mailbox proof that the person's intent needs, or None.

        Return None if the login carries no identifier: its proof would reserve the address for a
        person id that no later login has.
        """
        if not login.trusted or login.transaction.intent is None:
            return None
        step = proof_step(login.facts, login.policies, now)
        return step if step and self.persons.has_lasting_id(login) else None

    def proof_owner(self, context: LoginContext, now: datetime) -> str:
        """Return the person id under which the person's proofs are stored."""
        login = self.evaluate(context, now).evaluated
        if login is None:
            raise TransactionGone("nobody has logged in")
        return self.persons.identify(login).id

    def proof_lifetime(self, context: LoginContext, name: str) -> timedelta:
        """Return how long a proof of this name is valid, by the policies of the request."""
        proof = remembering_proof(self.policies(context), name)
        return proof.remembered_for if proof else _MAIL_REMEMBERED

    def compute_service_ids(self, transaction: Transaction) -> dict[str, str]:
        """Return the person's identifiers at this service; none if the person is unknown."""
        if transaction.person is None:
            return {}
        service = self.rules.service(transaction.request.service)
        return compute_service_ids(self.name_id_hmacs, transaction.person.id, service)

    def make_name_id(self, transaction: Transaction, *, persistent: bool) -> str:
        """Return the NameID for the service: always the same one, or a random one."""
        if not persistent or transaction.person is None:
            return f"_{secrets.token_hex(20)}"
        entity_id = self.rules.service(transaction.request.service).entity_id
        return self.name_id_hmacs.compute("name-id", transaction.person.id, entity_id).partition(
            "."
        )[2]

    def _evaluate_again(
        self, transaction: Transaction, login: EvaluatedLogin, now: datetime
    ) -> EvaluatedLogin:
        return evaluate_login(self.rules, transaction, now, login) or login

    def _list_proofs(
        self,
        transaction: Transaction,
        login: EvaluatedLogin,
        record: Record[PersonRecord] | None,
        now: datetime,
    ) -> tuple[MailboxProof, ...]:
        """Return the proofs of this login, and remembered ones unless it is by PIN.

        The person of an alumni portal may have typed the number: their own address counts.
        """
        is_own = login.reading.ground is Ground.ALUMNI and "mail" in login.reading.attributes
        if record is None or is_own or login.authentication.upstream in self.rules.local:
            return transaction.proofs
        fresh = {proof.name for proof in transaction.proofs}
        remembered = self.records.list_proofs(record, now)
        own = [proof for proof in remembered if proof.name not in fresh]
        return (*transaction.proofs, *own)


def _list_answers(transaction: Transaction) -> tuple[object, ...]:
    """Return the person's answers that change what is looked up."""
    return transaction.proofs, transaction.upgrade, transaction.address_answer
