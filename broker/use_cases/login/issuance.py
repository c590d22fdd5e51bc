"""The last steps before an assertion is sent: final checks, its ids, and the release record."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entities import PERSISTENT
from broker.core.errors import TransactionGone
from broker.core.events.audit_events import AuditEventKind, make_login_event
from broker.core.login.steps import Issue
from broker.core.login.transaction import Authentication, Issued, LoginPurpose, Transaction
from broker.core.logout.sessions import NameID, Session, session_index
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Write
from broker.core.retention import SESSION
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.logout.sessions import Sessions, session_group
from broker.use_cases.transactions.transactions import LoginContext, Transactions


@dataclass(frozen=True, slots=True)
class Issuance:
    """Makes the ids of assertions and records their release."""

    hmacs: LookupHmacs
    person_at_login: PersonAtLogin
    transactions: Transactions
    sessions: Sessions

    def authentication_for_service(
        self, context: LoginContext, now: datetime
    ) -> Authentication | None:
        """Return the authentication with the AuthnContext class that the service gets.

        None if it has no class that the service asked for.
        """
        login = self.person_at_login.evaluate(context, now).evaluated
        if login is None:
            return None
        return self.person_at_login.rules.authentication_for_service(
            context.transaction, login.reading
        )

    def make_ids(self, context: LoginContext, step: Issue, now: datetime) -> Issued | None:
        """Return the ids of the assertion of ``step``: the recorded ones, or new ones.

        None if an assertion with another content was sent under the recorded ids. Also None for a
        purpose other than a login at a service: no assertion may be sent then
        (docs/reference/design.md#invariant-3).
        """
        if context.transaction.purpose is not LoginPurpose.LOGIN:
            return None
        content = self._hash_content(step)
        before = context.transaction.issued
        if before is not None and before.content != content:
            return None
        if before is not None:
            return before
        persistent = step.disclosure.name_id_format == PERSISTENT
        own = self.person_at_login.make_name_id(context.transaction, persistent=persistent)
        return Issued(
            response=f"_{secrets.token_hex(20)}",
            assertion=f"_{secrets.token_hex(20)}",
            at=now,
            name_id=step.disclosure.address or own,
            content=content,
        )

    def record_release(
        self, context: LoginContext, step: Issue, issued: Issued, name_id: NameID, now: datetime
    ) -> bool:
        """Record that the assertion is sent, with its session.

        Return False if another request wrote first. Transaction, arrival and session are written
        together: ``context.others`` contains the write that marks the arrival as used. Raises
        TransactionGone if the person has logged out meanwhile.

        A login writes its session before it reads the marks of logouts. A logout writes its mark
        before it lists sessions. So one of the two always sees the other.
        """
        transaction = context.transaction
        session = self._session(transaction, issued, name_id)
        if session is None:
            raise TransactionGone("nobody is logged in")
        if transaction.issued:
            # An earlier process may have died after it wrote the transaction, before the session.
            self.sessions.add(session, now)
            has_logged_out = self.sessions.is_over(transaction, now)
        else:
            self._request_look_up(context, step, now)
            recorded = self._record(context, step, issued, session, now)
            if recorded is None:
                return False
            has_logged_out = recorded
        if has_logged_out:
            self.sessions.end([session], now)
            self._log_not_released(transaction, session, issued, now)
            raise TransactionGone("the person of this transaction has logged out")
        return True

    def _log_not_released(
        self, transaction: Transaction, session: Session, issued: Issued, now: datetime
    ) -> None:
        """Log that an assertion was not sent, unless another request may have sent it.

        A request that sends it again records that before it looks for a logout. So an assertion
        that was sent is never logged as not released.
        """
        if transaction.issued is None and not self.sessions.may_be_reissued(session, now):
            assertion_id = issued.assertion.removeprefix("_")
            event = make_login_event(
                AuditEventKind.NOT_RELEASED, now, transaction.names, about=assertion_id
            )
            self.person_at_login.tell(event)

    def _request_look_up(self, context: LoginContext, step: Issue, now: datetime) -> None:
        """Request the look-up in the register of persons, if the disclosure page mentioned it.

        The person has accepted the page: otherwise the step would not be Issue.
        """
        login = self.person_at_login.evaluate(context, now).evaluated
        if login and step.disclosure.looked_up:
            self.person_at_login.borrowers.request_look_up(
                context.transaction, login, context.person
            )

    def _record(
        self, context: LoginContext, step: Issue, issued: Issued, session: Session, now: datetime
    ) -> bool | None:
        """Record that the assertion is sent, and return whether the person has logged out since.

        None if the transaction has changed meanwhile. The audit log is written first; if that
        fails, AuditUnavailable is raised and nothing is recorded. If the process dies in between,
        the log has a release that did not happen. A release without a log entry is not possible.
        """
        transaction = context.transaction
        tell = self.person_at_login.tell
        event = make_login_event(
            AuditEventKind.RELEASED,
            now,
            transaction.names,
            step.decision,
            attributes=tuple(item.name for item in step.disclosure.items),
            about=issued.assertion.removeprefix("_"),
        )
        tell(event)
        issued_transaction = transaction.record_issued(issued)
        others = [*context.others, *self._draft_seen(context, now), *self.sessions.draft(session)]
        if self.transactions.put(issued_transaction, context.version, now, others):
            return self.sessions.is_over(transaction, now)
        if not self._is_recorded(transaction, issued, now):
            tell(replace(event, kind=AuditEventKind.NOT_RELEASED, attributes=()))
        return None

    def _draft_seen(self, context: LoginContext, now: datetime) -> Sequence[Write]:
        """Return the write that stores when the person was last seen; none within a day."""
        return (
            self.person_at_login.records.draft_seen(context.person, now) if context.person else ()
        )

    def _is_recorded(self, transaction: Transaction, issued: Issued, now: datetime) -> bool:
        """Return whether the release was recorded although the write seemed to fail.

        If the answer of the store is lost, the retry finds a newer version and seems to fail. The
        caller then reads the transaction again and sends the assertion. Its release is in the audit
        log already.
        """
        try:
            stored = self.transactions.read(transaction.id, now)
        except TransactionGone:
            return False
        return stored.transaction.issued == issued

    def check_not_logged_out(self, context: LoginContext, now: datetime) -> LoginContext:
        """Return ``context`` unchanged if the person has not logged out since.

        Otherwise delete the transaction and raise TransactionGone.
        """
        if self.sessions.is_over(context.transaction, now):
            self.transactions.end(context)
            raise TransactionGone("the person of this transaction has logged out")
        return context

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

    def _hash_content(self, step: Issue) -> str:
        shown = step.disclosure.page_digest(self.hmacs)
        # The page digest has only the name of the attribute with the borrower number.
        return self.hmacs.compute("content", shown, step.number or "")
