"""Stores the answers to consent questions: in the person record, then in the login."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.consent.consent import (
    REMEMBERED_FOR,
    REMEMBERED_WITHOUT_CPR_FOR,
    Question,
    Receipt,
    ReceiptEvent,
    compute_answer_time,
    make_receipt,
    make_refusal,
    make_refusal_of_decision,
    select_usable_answers,
    select_yes_in_force,
)
from broker.core.events.audit_events import AuditEventKind, make_login_event
from broker.core.identity.rights import has_usable_cpr
from broker.core.login.steps import Ask, Done, Enrol, Issue, OfferUpgrade, Step, TellChange
from broker.core.login.transaction import Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.transactions.transactions import LoginContext, Transactions

_KINDS: Final = {
    ReceiptEvent.GIVEN: AuditEventKind.CONSENT_GIVEN,
    ReceiptEvent.REFUSED: AuditEventKind.CONSENT_REFUSED,
    ReceiptEvent.INFORMED: AuditEventKind.NOTICE_SEEN,
}
_CONTINUING_STEPS: Final = Ask | Done | Enrol | Issue | OfferUpgrade | TellChange
# A login that is faster than this reads the stored answers once.
_FRESH: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ConsentAnswers:
    """Stores answers in the person record and in the transaction."""

    hmacs: LookupHmacs
    person_at_login: PersonAtLogin
    transactions: Transactions

    def reread(self, context: LoginContext, now: datetime) -> LoginContext:
        """Read the stored answers again if the login began more than five seconds ago.

        The person may have withdrawn a consent on another screen meanwhile, for example while this
        login waited for the library system. Then the earlier answers no longer count, nor does the
        answer given in this login. That one counts only if every later answer is a yes.
        """
        transaction = context.transaction
        authenticated = transaction.authenticated
        if transaction.issued or authenticated is None:
            return context
        # The age is negative if the clock of the other machine is ahead: read again then.
        if timedelta(0) <= now - authenticated < _FRESH:
            return context
        answers = self._list_answers(transaction, now)
        usable = select_usable_answers(answers)
        if usable == transaction.receipts or _is_in_force(transaction.receipt, answers):
            return context

        def replace_receipts(each: Transaction) -> Transaction:
            return replace(each, receipts=usable, receipt=None)

        if context.others:
            # Not written yet: the caller starts again and writes everything at once.
            return replace(context, transaction=replace_receipts(transaction))
        return self.transactions.change(context, replace_receipts, now)

    def record_answer(
        self,
        context: LoginContext,
        step: Step,
        shown: str,
        answer: str,
        now: datetime,
        *,
        remember: bool,
        chosen: tuple[str, ...],
        language: str,
    ) -> LoginContext:
        """Store the receipt of the person's answer to the page ``shown``.

        ``shown`` is the digest in the token of the page, and ``step`` the next step of ``context``.
        Ignore a yes if the question has changed since: the next step asks again. Store a no even if
        the question has changed, until an assertion was sent: the policies may have been narrowed
        while the page was open, or the person may have gone back to the page after a yes. A notice
        is always remembered: it is shown once a year, and when more is released.
        """
        asked = self._find_shown_question(step, shown)
        if asked is None and answer == "yes":
            return context
        history = self._list_answers(context.transaction, now)
        if asked is None:
            refusal = self._make_refusal(
                context.transaction, step, history, shown, now, language=language
            )
            return self._store_answer(context, refusal, now) if refusal else context
        receipt = make_receipt(
            secrets.token_hex(16),
            asked,
            answer == "yes",
            remembered_for=self._find_lifetime(context, now)
            if remember or asked.variant == "inform"
            else None,
            chosen=chosen,
            person=self.person_at_login.make_pseudonym(context.transaction),
            language=language,
            hmacs=self.hmacs,
            # An answer from a machine whose clock is ahead must stay the earlier one.
            now=compute_answer_time(history, now),
        )
        return self._store_answer(context, receipt, now)

    def _find_lifetime(self, context: LoginContext, now: datetime) -> timedelta | None:
        """Return how long a yes is remembered; None if it counts for this login only."""
        if context.transaction.shared:
            return None
        login = self.person_at_login.evaluate(context, now).evaluated
        has_cpr = login is not None and has_usable_cpr(login.decision.ground)
        return REMEMBERED_FOR if has_cpr else REMEMBERED_WITHOUT_CPR_FOR

    def undo_refusal(self, context: LoginContext, now: datetime) -> LoginContext:
        """Remove the refusal from the login, so that the person is asked again."""
        return self.transactions.change(
            context, lambda transaction: replace(transaction, receipt=None), now
        )

    def _list_answers(self, transaction: Transaction, now: datetime) -> tuple[Receipt, ...]:
        person_id = transaction.person_id
        record = self.person_at_login.records.read(person_id, now) if person_id else None
        return record.value.list_receipts(transaction.request.service) if record else ()

    def _find_shown_question(self, step: Step, shown: str) -> Question | None:
        """Return the question of ``step`` if it is the one that was shown, else None."""
        if isinstance(step, Ask) and step.question.disclosure.page_digest(self.hmacs) == shown:
            return step.question
        return None

    def _make_refusal(
        self,
        transaction: Transaction,
        step: Step,
        history: Sequence[Receipt],
        shown: str,
        now: datetime,
        *,
        language: str,
    ) -> Receipt | None:
        """Return the receipt of a no on a page that is no longer the current question.

        It refuses the yes of this login, else the last yes in force, else what this login would
        send now. None if an assertion was sent already, if everything was refused before, or if
        nothing would be sent.
        """
        if transaction.issued:
            return None
        record_id = secrets.token_hex(16)
        own = transaction.receipt
        refused = own if own and own.is_yes else next(iter(select_yes_in_force(history)), None)
        if refused:
            at = compute_answer_time([refused, *history], now)
            return make_refusal(refused, record_id, shown, language, at)
        if own or not isinstance(step, _CONTINUING_STEPS) or step.decision is None:
            return None
        return make_refusal_of_decision(
            step.decision,
            record_id,
            shown,
            person=self.person_at_login.make_pseudonym(transaction),
            language=language,
            now=compute_answer_time(history, now),
        )

    def _store_answer(self, context: LoginContext, receipt: Receipt, now: datetime) -> LoginContext:
        # Write the person record first: nothing may be sent on an answer that is not stored.
        service = context.transaction.request.service
        self._change(
            context, lambda each: each.mark_seen(now).add_receipt(service, receipt, now), now
        )

        def add_receipt_to(each: Transaction) -> Transaction:
            if each.issued:
                return each
            return replace(each, receipt=receipt)

        is_accepted = False
        try:
            done = self.transactions.change(context, add_receipt_to, now)
            is_accepted = done.transaction.receipt == receipt
        finally:
            if not is_accepted:
                # An assertion was sent before this answer, or another authentication has joined the
                # transaction. So this answer does not count.
                self._change(
                    context, lambda each: each.drop_receipt(service, receipt.record_id), now
                )
        if is_accepted:
            self._record(done.transaction, receipt, now)
        return done

    def _change(
        self, context: LoginContext, change: Callable[[PersonRecord], PersonRecord], now: datetime
    ) -> None:
        person_id = context.transaction.person_id
        if person_id:
            self.person_at_login.records.change(person_id, change, now)

    def _record(self, transaction: Transaction, receipt: Receipt, now: datetime) -> None:
        self.person_at_login.tell(
            make_login_event(
                _KINDS[receipt.event],
                now,
                transaction.names,
                attributes=receipt.agreed_names,
                digest=receipt.policy[:12],
                about=receipt.record_id,
            )
        )


def _is_in_force(own: Receipt | None, answers: Iterable[Receipt]) -> bool:
    """Return whether the answer of this login still counts, given all stored answers."""
    if own is None:
        return False
    return not any(
        each.event_time >= own.event_time and each.record_id != own.record_id
        for each in answers
        if not each.is_yes
    )
