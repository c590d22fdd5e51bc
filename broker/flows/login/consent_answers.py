"""The person's answer to a question: on file first, then a fact of the transaction."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.audit_events import AuditEventKind, of_login
from broker.core.consent.consent import Receipt, ReceiptEvent, receipt
from broker.core.login.steps import Ask, Enrol, Issue, Step
from broker.core.login.transaction import Transaction
from broker.core.ports import Store
from broker.core.pseudonyms import Pseudonyms
from broker.flows.consents.receipts import Receipts
from broker.flows.login.person_lookup import PersonLookup
from broker.flows.transactions import Held, Transactions

_KINDS: Final = {
    ReceiptEvent.GIVEN: AuditEventKind.CONSENT_GIVEN,
    ReceiptEvent.REFUSED: AuditEventKind.CONSENT_REFUSED,
    ReceiptEvent.INFORMED: AuditEventKind.NOTICE_SEEN,
}
_YES: Final = frozenset({ReceiptEvent.GIVEN, ReceiptEvent.INFORMED})
_FRESH: Final = timedelta(
    seconds=5
)  # a login that goes straight through reads what is on file once


@dataclass(frozen=True, slots=True)
class ConsentAnswers:
    """Takes answers over the store."""

    store: Store
    pseudonyms: Pseudonyms
    learning: PersonLookup
    transactions: Transactions

    def reread(self, held: Held, now: datetime) -> Held:
        """Read again what is on file where a while has passed since this login began.

        What was taken back meanwhile, at another screen, must not let anything leave: neither an
        answer of before nor the one that was given in this very login, which may have waited for
        the library system since. A no in another login may be the word after that: of what others
        say since, only a yes leaves this one's own standing.
        """
        transaction = held.transaction
        arrived, own = transaction.authenticated, transaction.receipt
        if transaction.issued or arrived is None or now - arrived < _FRESH:
            return held
        latest = Receipts(self.store).latest(self.learning.receipts_of(transaction), now)
        on_file = (latest,) if latest else ()
        stands = own is not None and (
            latest is None or latest.record_id == own.record_id or latest.event in _YES
        )
        if stands or on_file == transaction.receipts:
            return held
        return self.transactions.change(
            held, lambda each: replace(each, receipts=on_file, receipt=None), now
        )

    def answer(
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
        """Add the receipt of the person's answer to what was ``shown`` (a digest the page's token binds).

        ``step`` is what comes next for ``held``.

        If what would be shown has changed meanwhile, nothing is added: the next step asks again. A
        no after a yes, from another tab or by Back, is the person's last word.
        """
        own = held.transaction.receipt
        if (
            answer == "no"
            and own is not None
            and not held.transaction.issued
            and isinstance(step, Issue | Enrol)
        ):
            refused = replace(
                own,
                record_id=secrets.token_hex(16),
                event=ReceiptEvent.REFUSED,
                event_time=now,
                valid_until=None,
            )
            return self._answered(held, refused, now)
        if not isinstance(step, Ask) or step.question.disclosure.shown(self.pseudonyms) != shown:
            return held
        made = receipt(
            secrets.token_hex(16),
            step.question,
            answer == "yes",
            remember=remember and not held.transaction.shared,
            chosen=chosen,
            person=self.learning.receipts_of(held.transaction),
            language=language,
            pseudonyms=self.pseudonyms,
            now=now,
        )
        return self._answered(held, made, now)

    def reconsider(self, held: Held, now: datetime) -> Held:
        """Take a refusal back, so that the person is asked again."""
        return self.transactions.change(
            held, lambda transaction: replace(transaction, receipt=None), now
        )

    def _answered(self, held: Held, made: Receipt, now: datetime) -> Held:
        receipts, group = Receipts(self.store), self.learning.receipts_of(held.transaction)
        # On file first: nothing may leave on an answer that no record holds.
        receipts.file(group, made, now)

        def told(each: Transaction) -> Transaction:
            return each if each.issued else replace(each, receipt=made)

        taken = False
        try:
            done = self.transactions.change(held, told, now)
            taken = done.transaction.receipt == made
        finally:
            if not taken:
                # The answer came too late, or belongs to nobody: what was sent before it stands on
                # its own receipt.
                receipts.take_back(group, made)
        if not taken:
            return done
        self.learning.trail.add(
            of_login(
                _KINDS[made.event],
                now,
                done.transaction,
                attributes=made.told,
                digest=made.policy[:12],
                about=made.record_id,
            )
        )
        return done
