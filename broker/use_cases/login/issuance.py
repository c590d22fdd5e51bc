"""The last look before an assertion leaves: its ids, its class, and the record that it has left."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entities import PERSISTENT
from broker.core.errors import TransactionGone
from broker.core.events.audit_events import AuditEventKind, make_login_event
from broker.core.login.steps import Issue
from broker.core.login.transaction import Authentication, Errand, Issued, Transaction
from broker.core.logout.sessions import NameID, Session, session_index
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Write
from broker.core.retention import SESSION
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.logout.sessions import Sessions, session_group
from broker.use_cases.transactions.transactions import Held, Transactions


@dataclass(frozen=True, slots=True)
class Issuance:
    """Decides about ids and records that they are used."""

    hmacs: LookupHmacs
    lookup: PersonAtLogin
    transactions: Transactions
    sessions: Sessions

    def authentication_for_service(self, held: Held, now: datetime) -> Authentication | None:
        """Return the authentication with the class that the service is told.

        None where the service did not ask for that class.
        """
        arrived = self.lookup.evaluate(held, now).evaluated
        if arrived is None:
            return None
        return self.lookup.rules.authentication_for_service(held.transaction, arrived.reading)

    def make_ids(self, held: Held, step: Issue, now: datetime) -> Issued | None:
        """Return the ids under which the assertion of ``step`` leaves: those recorded, or new ones.

        None where another assertion has left under the recorded ids: they are good for that one
        only. None too for an errand that no service asked for: no assertion is anybody's then
        (docs/reference/design.md#invariant-3).
        """
        if held.transaction.errand is not Errand.LOGIN:
            return None
        content = self._content(step)
        before = held.transaction.issued
        if before is not None and before.content != content:
            return None
        if before is not None:
            return before
        persistent = step.disclosure.name_id_format == PERSISTENT
        own = self.lookup.make_name_id(held.transaction, persistent=persistent)
        return Issued(
            response=f"_{secrets.token_hex(20)}",
            assertion=f"_{secrets.token_hex(20)}",
            at=now,
            name_id=step.disclosure.address or own,
            number=step.number,
            content=content,
        )

    def record_release(
        self, held: Held, step: Issue, issued: Issued, name_id: NameID, now: datetime
    ) -> bool:
        """Record that the assertion leaves, and its session; False where another wrote first.

        Transaction, arrival and session stand in one write. TransactionGone where the person has
        logged out meanwhile: a session is written before the marks of logouts are read, a logout
        writes its mark before it lists sessions, so that one of them sees the other.
        """
        transaction = held.transaction
        session = self._session(transaction, issued, name_id)
        if session is None:
            raise TransactionGone("nobody is logged in")
        if transaction.issued:
            # The process may have died between the transaction and its session.
            self.sessions.add(session, now)
            has_logged_out = self.sessions.is_over(transaction, now)
        else:
            self._request_look_up(held, step, now)
            recorded = self._recorded(held, step, issued, session, now)
            if recorded is None:
                return False
            has_logged_out = recorded
        if has_logged_out:
            self.sessions.end([session], now)
            self._take_back(transaction, session, issued, now)
            raise TransactionGone("its person has logged out")
        return True

    def _take_back(
        self, transaction: Transaction, session: Session, issued: Issued, now: datetime
    ) -> bool:
        """Tell that an assertion has not left; False, and untold, where another request gave it."""
        if transaction.issued is None and not self.sessions.is_given_again(session, now):
            # Another request that gave it before what came between had said so before it looked:
            # what left is never told as not released, and a logout finds its session.
            about = issued.assertion.removeprefix("_")
            event = make_login_event(
                AuditEventKind.NOT_RELEASED, now, transaction.names, about=about
            )
            self.lookup.audit_log.add(event)
            return True
        return False

    def _request_look_up(self, held: Held, step: Issue, now: datetime) -> None:
        """Request the look-up in the register: the person has read of it and has not said no."""
        arrived = self.lookup.evaluate(held, now).evaluated
        if arrived and step.disclosure.looked_up:
            self.lookup.borrowers.request_look_up(held.transaction, arrived)

    def _recorded(
        self, held: Held, step: Issue, issued: Issued, session: Session, now: datetime
    ) -> bool | None:
        """Write that the assertion leaves, and return whether its person has logged out since.

        None where the transaction has changed meanwhile.

        On the audit log first: AuditUnavailable, with nothing recorded, where it cannot be
        written down there. What dies in between is recorded as having left and has not, never the
        other way.
        """
        transaction = held.transaction
        audit_log = self.lookup.audit_log
        event = make_login_event(
            AuditEventKind.RELEASED,
            now,
            transaction.names,
            step.decision,
            attributes=tuple(item.name for item in step.disclosure.items),
            about=issued.assertion.removeprefix("_"),
        )
        audit_log.add(event)
        left = transaction.record_issued(issued)
        others = [*held.others, *self._draft_seen(held, now), *self.sessions.draft(session)]
        marks = self.sessions.list_marks(transaction)
        reads = self.transactions.put_then_read(left, held.version, now, others, marks)
        if reads is not None:
            return self.sessions.is_over_by(transaction, marks, reads)
        if not self._stands(transaction, issued, now):
            audit_log.add(replace(event, kind=AuditEventKind.NOT_RELEASED, attributes=()))
        return None

    def _draft_seen(self, held: Held, now: datetime) -> Sequence[Write]:
        """Return the write that the person was seen, once a day."""
        return self.lookup.records.draft_seen(held.person, now) if held.person else ()

    def _stands(self, transaction: Transaction, issued: Issued, now: datetime) -> bool:
        """Return whether a write that seemed to lose is the one that another wrote upon.

        A store that lost its first answer and was asked again finds another's version by then. The
        assertion leaves under these ids when all is read again, and its release has been told.
        """
        try:
            stored = self.transactions.read(transaction.id, now)
        except TransactionGone:
            return False
        return stored.transaction.issued == issued

    def check_not_logged_out(self, held: Held, now: datetime) -> Held:
        """Return the transaction that its person goes on with.

        TransactionGone, and the transaction is dropped, if they have logged out since.
        """
        if self.sessions.is_over(held.transaction, now):
            self.transactions.end(held)
            raise TransactionGone("its person has logged out")
        return held

    def _session(self, transaction: Transaction, issued: Issued, name_id: NameID) -> Session | None:
        authentication = transaction.authentication
        if authentication is None or transaction.browser is None:
            return None
        session_id = self.hmacs.compute("session-id", issued.assertion)
        return Session(
            id=session_id.partition(".")[2],
            service=transaction.request.service,
            entity_id=transaction.request.entity_id,
            name_id=name_id,
            index=session_index(issued.assertion),
            browser=transaction.browser,
            person=session_group(transaction),
            transaction=transaction.id,
            upstream=authentication.upstream,
            at=issued.at,
            until=SESSION.until(issued.at),
            upstream_name_id=authentication.subject,
            upstream_index=authentication.session_index,
            issuer=authentication.issuer,
        )

    def _content(self, step: Issue) -> str:
        shown = step.disclosure.shown_digest(self.hmacs)
        return self.hmacs.compute("content", shown, step.number or "")
