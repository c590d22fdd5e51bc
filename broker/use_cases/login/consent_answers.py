"""The person's answer to a question: on file first, then a fact of the transaction."""

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
    make_unasked_refusal,
    select_on_file,
    select_standing,
)
from broker.core.events.audit_events import AuditEventKind, make_login_event
from broker.core.identity.rights import has_usable_cpr
from broker.core.login.steps import Ask, Done, Enrol, Issue, OfferUpgrade, Step, TellChange
from broker.core.login.transaction import Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.transactions.transactions import Held, Transactions

_KINDS: Final = {
    ReceiptEvent.GIVEN: AuditEventKind.CONSENT_GIVEN,
    ReceiptEvent.REFUSED: AuditEventKind.CONSENT_REFUSED,
    ReceiptEvent.INFORMED: AuditEventKind.NOTICE_SEEN,
}
_GOES_ON: Final = Ask | Done | Enrol | Issue | OfferUpgrade | TellChange
# A login that goes straight through reads what is on file once.
_FRESH: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ConsentAnswers:
    """Records answers in the person record."""

    hmacs: LookupHmacs
    lookup: PersonAtLogin
    transactions: Transactions

    def reread(self, held: Held, now: datetime) -> Held:
        """Read again what is on file where a while has passed since this login began.

        What was taken back meanwhile, at another screen, must not let anything leave: neither an
        answer of before nor the one that was given in this very login, which may have waited for
        the library system since. A no in another login may be the word after that: of later answers
        elsewhere, only those that are a yes leave this one's own in force.
        """
        transaction = held.transaction
        authenticated = transaction.authenticated
        if transaction.issued or authenticated is None:
            return held
        # A negative age is of a machine whose clock is ahead: nobody knows how long it is.
        if timedelta(0) <= now - authenticated < _FRESH:
            return held
        answers = self._list_answers(transaction, now)
        on_file = select_on_file(answers)
        if on_file == transaction.receipts or _in_force(transaction.receipt, answers):
            return held

        def reread(each: Transaction) -> Transaction:
            return replace(each, receipts=on_file, receipt=None)

        if held.others:
            # Not written yet: the caller begins again, and all of it stands by one write.
            return replace(held, transaction=reread(transaction))
        return self.transactions.change(held, reread, now)

    def record_answer(
        self,
        held: Held,
        step: Step,
        shown: str,
        answer: str,
        now: datetime,
        *,
        remember: bool,
        chosen: tuple[str, ...],
        language: str,
    ) -> Held:
        """Add the receipt of the person's answer to what was ``shown``.

        That is a digest which the page's token binds; ``step`` is what comes next for ``held``. A
        yes to what would no longer be shown adds nothing: the next step asks again. A no counts
        whatever comes next by now, until something has left: the policies may have been narrowed
        while the page was open, or the person has gone back to it after a yes. A notice is always
        remembered, so that it is shown once a year and when more is released.
        """
        asked = self._still_asked(step, shown)
        if asked is None and answer == "yes":
            return held
        history = self._list_answers(held.transaction, now)
        if asked is None:
            refusal = self._refusal(held.transaction, step, history, shown, now, language=language)
            return self._answered(held, refusal, now) if refusal else held
        made = make_receipt(
            secrets.token_hex(16),
            asked,
            answer == "yes",
            remembered_for=self._remembered_for(held, now)
            if remember or asked.variant == "inform"
            else None,
            chosen=chosen,
            person=self.lookup.make_pseudonym(held.transaction),
            language=language,
            hmacs=self.hmacs,
            # What was answered meanwhile on a machine whose clock is ahead comes before.
            now=compute_answer_time(history, now),
        )
        return self._answered(held, made, now)

    def _remembered_for(self, held: Held, now: datetime) -> timedelta | None:
        if held.transaction.shared:
            return None
        arrived = self.lookup.evaluate(held, now).evaluated
        has_cpr = arrived is not None and has_usable_cpr(arrived.decision.ground)
        return REMEMBERED_FOR if has_cpr else REMEMBERED_WITHOUT_CPR_FOR

    def undo_refusal(self, held: Held, now: datetime) -> Held:
        """Take a refusal back, so that the person is asked again."""
        return self.transactions.change(
            held, lambda transaction: replace(transaction, receipt=None), now
        )

    def _list_answers(self, transaction: Transaction, now: datetime) -> tuple[Receipt, ...]:
        person_id = transaction.person.id if transaction.person else ""
        record = self.lookup.records.read(person_id, now) if person_id else None
        return record.value.list_receipts(transaction.request.service) if record else ()

    def _still_asked(self, step: Step, shown: str) -> Question | None:
        """Return the question of ``step`` where it is the one that was ``shown``."""
        if isinstance(step, Ask) and step.question.disclosure.shown_digest(self.hmacs) == shown:
            return step.question
        return None

    def _refusal(
        self,
        transaction: Transaction,
        step: Step,
        history: Sequence[Receipt],
        shown: str,
        now: datetime,
        *,
        language: str,
    ) -> Receipt | None:
        """Return the receipt of a no on a page whose question is not the one of now.

        It is over this login's own yes or the last one that counts; where there is none, over what
        would leave. None where something has left, where a no has been said to all of it already,
        and where nothing would leave.
        """
        if transaction.issued:
            return None
        record_id = secrets.token_hex(16)
        own = transaction.receipt
        over = own if own and own.is_yes else next(iter(select_standing(history)), None)
        if over:
            at = compute_answer_time([over, *history], now)
            return make_refusal(over, record_id, shown, language, at)
        if own or not isinstance(step, _GOES_ON) or step.decision is None:
            return None
        return make_unasked_refusal(
            step.decision,
            record_id,
            shown,
            person=self.lookup.make_pseudonym(transaction),
            language=language,
            now=compute_answer_time(history, now),
        )

    def _answered(self, held: Held, made: Receipt, now: datetime) -> Held:
        # On file first: nothing may leave on an answer that no record holds.
        service = held.transaction.request.service
        self._change(held, lambda each: each.mark_seen(now).add_receipt(service, made, now), now)

        def added(each: Transaction) -> Transaction:
            if each.issued:
                return each
            return replace(each, receipt=made)

        taken = False
        try:
            done = self.transactions.change(held, added, now)
            taken = done.transaction.receipt == made
        finally:
            if not taken:
                # The answer came too late, or belongs to nobody: what was sent before it stays on
                # its own receipt.
                self._change(held, lambda each: each.drop_receipt(service, made.record_id), now)
        if taken:
            self._record(done.transaction, made, now)
        return done

    def _change(
        self, held: Held, change: Callable[[PersonRecord], PersonRecord], now: datetime
    ) -> None:
        person = held.transaction.person
        if person:
            self.lookup.records.change(person.id, change, now)

    def _record(self, transaction: Transaction, made: Receipt, now: datetime) -> None:
        self.lookup.audit_log.add(
            make_login_event(
                _KINDS[made.event],
                now,
                transaction.names,
                attributes=made.agreed_names,
                digest=made.policy[:12],
                about=made.record_id,
            )
        )


def _in_force(own: Receipt | None, answers: Iterable[Receipt]) -> bool:
    """Return whether this login's own answer still counts beside all that are on file."""
    if own is None:
        return False
    return not any(
        made.event_time >= own.event_time and made.record_id != own.record_id
        for made in answers
        if not made.is_yes
    )
