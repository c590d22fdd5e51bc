"""What the ports know of the person who has just logged in: links, proofs and receipts on file, and the borrower."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.audit_events import NO_TRAIL, AuditEventKind, of_login
from broker.core.errors import AttributesRefused
from broker.core.identity.attributes import AttributeReading
from broker.core.identity.mailbox_proofs import MAIL_PROOF, Proved
from broker.core.identity.subject_ids import minted
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import (
    Account,
    AccountState,
    Authentication,
    Errand,
    Transaction,
)
from broker.core.policy.model import Decision, Effect
from broker.core.ports import Store, Trail
from broker.core.pseudonyms import Pseudonyms
from broker.flows.borrowers.borrower_at_login import BorrowerAtLogin
from broker.flows.consents.receipts import Receipts
from broker.flows.identity.persons import Persons
from broker.flows.proofs.mailbox_proof import MailboxProof

# What self-service enrolment needs; who has a borrower already gets on without it.
_UNMET: Final = frozenset(
    {
        "cpr_required",
        "replacement_number",
        "constructed_number",
        "too_young",
        "assurance_too_low",
        "national_eid_required",
    }
)
_MAIL_REMEMBERED: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class PersonLookup:
    """Asks the ports; ``naming`` holds the key of persistent NameIDs, which is never rotated."""

    store: Store
    pseudonyms: Pseudonyms
    naming: Pseudonyms
    rules: ConfiguredEntities
    persons: Persons
    accounts: BorrowerAtLogin
    proving: MailboxProof
    trail: Trail = NO_TRAIL

    def learn(self, transaction: Transaction, now: datetime) -> Transaction:
        """Add proofs, person, receipts on file and account to a transaction that an authentication has just joined.

        A login that the policies deny asks nothing and leaves nothing behind.
        ``LibraryUnavailable`` only where a link and a CPR disagree and the library cannot say who
        is right.
        """
        authentication = transaction.authentication
        if authentication is None:
            return transaction
        try:
            reading = self.rules.reading(authentication, now)
        except AttributesRefused:
            return transaction
        decision = self.rules.decide_on(transaction, reading, now)
        if transaction.errand is Errand.CHOICES:
            return replace(
                transaction, person=self.persons.known(authentication, reading, decision)
            )
        known = replace(
            transaction, proofs=self._proofs(transaction, authentication, reading, decision, now)
        )
        if known.proofs:
            reading = self.rules.reading(authentication, now, known.proofs)
            decision = self.rules.decide_on(known, reading, now)
        if decision.effect is not Effect.PERMIT and decision.reasons[0].code not in _UNMET:
            return known
        known = replace(known, person=self.persons.person(authentication, reading, decision))
        if decision.effect is not Effect.PERMIT:
            # What self-service lacks is no matter to whom has a borrower already.
            decision = self.rules.decide_on(known, reading, now)
        if decision.effect is not Effect.PERMIT:
            return known
        self.trail.add(of_login(AuditEventKind.DECIDED, now, known, decision))
        latest = Receipts(self.store).latest(self.receipts_of(known), now)
        return replace(
            known,
            receipts=(latest,) if latest else (),
            account=self.accounts.standing(known, reading, decision, now),
        )

    def _owners(self, transaction: Transaction, now: datetime) -> tuple[str, ...]:
        authentication = transaction.authentication
        if authentication is None:
            return ()
        reading = self.rules.reading(authentication, now)
        return self.persons.owners(
            authentication, reading, self.rules.decide_on(transaction, reading, now)
        )

    def _proofs(
        self,
        transaction: Transaction,
        authentication: Authentication,
        reading: AttributeReading,
        decision: Decision,
        now: datetime,
    ) -> tuple[Proved, ...]:
        """Give what was proved in this login, and before it where any of that could matter now."""
        matters = self.rules.provable(authentication.upstream) or not reading.attributes.one(
            MAIL_PROOF
        )
        if not matters or authentication.upstream in self.rules.local:
            return transaction.proofs
        owner = self.persons.owner(authentication, reading, decision)
        since = self.persons.owned_since(authentication, reading, decision)
        before = self.proving.remembered(owner, now) if owner and since else ()
        fresh = {each.name for each in transaction.proofs}
        own = (each for each in before if since and each.at >= since and each.name not in fresh)
        return (*transaction.proofs, *own)

    def receipts_of(self, transaction: Transaction) -> str:
        """Give the pseudonym of person and service that receipts are kept under."""
        person = transaction.person.id if transaction.person else ""
        return self.pseudonyms.of("receipts", person, transaction.request.service)

    def enrol(
        self,
        transaction: Transaction,
        decision: Decision,
        now: datetime,
        *,
        language: str,
        patience: float,
    ) -> Account:
        """Write the wish, wait ``patience`` seconds for it, and say how it stands; a silent library is no error."""
        if transaction.authentication is None:
            return Account(None, AccountState.NONE)
        reading = self.rules.reading(transaction.authentication, now, transaction.proofs)
        return self.accounts.enrol(
            transaction, reading, decision, now, language=language, patience=patience
        )

    def lacking(self, transaction: Transaction, now: datetime) -> ProveMailbox | None:
        """Give the step in which the person proves what their intent needs, where something names the person.

        A proof of nobody would keep the address from its holder for as long as it is remembered.
        """
        step = self.rules.lacking(transaction, now)
        return step if step and self._owners(transaction, now) else None

    def owners(self, transaction: Transaction, now: datetime) -> tuple[str, ...]:
        """Give the pseudonym that the person's proofs are kept under, and others of theirs where some may be kept.

        One of this login where nothing names the person.
        """
        return self._owners(transaction, now) or (self.pseudonyms.of("nobody", transaction.id),)

    def asker(self, transaction: Transaction, now: datetime) -> str:
        """Give what the person is called; "" where nobody said."""
        authentication = transaction.authentication
        return self.persons.asker(authentication, now) if authentication else ""

    def remembered_for(self, name: str, now: datetime) -> timedelta:
        """Give how long a proof of this name is good."""
        del now  # the policies of the moment say it
        proofs = [
            each
            for policy in self.rules.policies().policies
            for each in policy.proofs
            if each.name == name
        ]
        return proofs[0].remembered_for if proofs else _MAIL_REMEMBERED

    def keep_category(self, transaction: Transaction, now: datetime) -> None:
        """Remember that the person does not want another category."""
        self.accounts.keep_category(transaction, now)

    def ids(self, transaction: Transaction) -> dict[str, str]:
        """Give the identifiers that we make for this person at this service; none before the person is known."""
        if transaction.person is None:
            return {}
        return minted(
            self.naming, transaction.person.id, self.rules.service(transaction.request.service)
        )

    def name_id(self, transaction: Transaction, *, persistent: bool) -> str:
        """Give the NameID for the service: the same for this person and this service for ever, or random."""
        if not persistent or transaction.person is None:
            return f"_{secrets.token_hex(20)}"
        entity_id = self.rules.service(transaction.request.service).entity_id
        return self.naming.of("name-id", transaction.person.id, entity_id).partition(".")[2]
