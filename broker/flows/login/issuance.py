"""The last look before an assertion leaves: under which ids, and that it has left."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.audit_events import AuditEventKind, of_login
from broker.core.entities import PERSISTENT
from broker.core.errors import TransactionGone
from broker.core.login.steps import Issue
from broker.core.login.transaction import Errand, Issued
from broker.core.logout.sessions import NameID, Session, session_index
from broker.core.pseudonyms import Pseudonyms
from broker.flows.login.person_lookup import PersonLookup
from broker.flows.logout.sessions import KEPT_FOR, Sessions, group_of
from broker.flows.transactions import Held, Transactions


@dataclass(frozen=True, slots=True)
class Issuance:
    """Decides about ids and records that they are used."""

    pseudonyms: Pseudonyms
    learning: PersonLookup
    transactions: Transactions
    sessions: Sessions

    def ids(self, held: Held, step: Issue, now: datetime) -> Issued | None:
        """Give the ids under which the assertion of ``step`` leaves: those recorded, or new ones that are not yet.

        None where another assertion has left under the recorded ids: they stand for that one only.
        None too for an errand that no service asked for: no assertion is anybody's then (invariant
        3).
        """
        if held.transaction.errand is not Errand.LOGIN:
            return None
        content = self._content(step)
        before = held.transaction.issued
        if before is not None:
            return before if before.content == content else None
        return Issued(
            response=f"_{secrets.token_hex(20)}",
            assertion=f"_{secrets.token_hex(20)}",
            at=now,
            name_id=self.learning.name_id(
                held.transaction, persistent=step.disclosure.name_id_format == PERSISTENT
            ),
            number=step.number,
            content=content,
        )

    def record(self, held: Held, step: Issue, issued: Issued, now: datetime) -> bool:
        """Record that the assertion leaves; False where the transaction has changed since it was decided.

        On the audit trail first: AuditUnavailable, with nothing recorded, where it cannot be
        written down there. What dies in between is said to have left and has not, never the other
        way.
        """
        transaction, trail = held.transaction, self.learning.trail
        names = tuple(item.name for item in step.disclosure.items)
        event = of_login(
            AuditEventKind.RELEASED,
            now,
            transaction,
            step.decision,
            attributes=names,
            about=issued.assertion.removeprefix("_"),
        )
        trail.add(event)
        if (
            self.transactions.put(replace(transaction, issued=issued), held.version, now)
            is not None
        ):
            return True
        trail.add(replace(event, kind=AuditEventKind.NOT_RELEASED, attributes=()))
        return False

    def keep(self, held: Held, issued: Issued, name_id: NameID, now: datetime) -> bool:
        """Remember the session of an assertion before it leaves; False where its person was logged out meanwhile."""
        transaction = held.transaction
        authentication = transaction.authentication
        if authentication is None or transaction.browser is None:
            return False
        session = Session(
            id=self.pseudonyms.of("session-id", issued.assertion).partition(".")[2],
            service=transaction.request.service,
            entity_id=transaction.request.entity_id,
            name_id=name_id,
            index=session_index(issued.assertion),
            browser=transaction.browser,
            person=group_of(transaction),
            transaction=transaction.id,
            upstream=authentication.upstream,
            at=issued.at,
            until=issued.at + KEPT_FOR,
            upstream_name_id=authentication.subject,
            upstream_index=authentication.session_index,
            issuer=authentication.issuer,
        )
        self.sessions.add(session, now)
        if self.sessions.over(transaction, now):
            self.sessions.end([session], now)
            if transaction.issued is None:
                about = issued.assertion.removeprefix("_")
                self.learning.trail.add(
                    of_login(AuditEventKind.NOT_RELEASED, now, transaction, about=about)
                )
            return False
        return True

    def standing(self, held: Held, now: datetime) -> Held:
        """Give the transaction if its person has not logged out since; else it is dropped, and TransactionGone."""
        if self.sessions.over(held.transaction, now):
            self.transactions.end(held)
            raise TransactionGone("its person has logged out")
        return held

    def _content(self, step: Issue) -> str:
        return self.pseudonyms.of(
            "content", step.disclosure.shown(self.pseudonyms), step.number or ""
        )
