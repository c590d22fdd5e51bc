"""One login from request to assertion: each method adds one fact to the transaction and keeps it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.arrivals import Arrivals
from broker.core.consent import Event, Receipt, receipt
from broker.core.entities import PERSISTENT
from broker.core.errors import BrowserUnmatched, FormRefused, TransactionGone
from broker.core.ports import Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.steps import Ask, Enrol, Issue, Step, Terms, next_step
from broker.core.transaction import LIFETIME, UNBOUND_FOR, AuthnRequest, Issued, Outstanding, Transaction
from broker.learning import Learning
from broker.receipts import Receipts
from broker.rules import Rules
from broker.transactions import Held, Transactions, reference


@dataclass(frozen=True, slots=True)
class Broker:
    """The flow over its ports; ``now`` is passed to every method, aware UTC."""

    store: Store
    pseudonyms: Pseudonyms
    rules: Rules
    learning: Learning

    @property
    def arrivals(self) -> Arrivals:
        """Give the answers between ACS and browser."""
        return Arrivals(self.store, self.pseudonyms)

    @property
    def transactions(self) -> Transactions:
        """Give the transactions."""
        return Transactions(self.store)

    def begin(
        self, request: AuthnRequest, now: datetime, browser: str | None = None
    ) -> tuple[Held, Outstanding | None]:
        """Store a new transaction for a verified AuthnRequest; RequestRefused where its IDPList leaves no way.

        Where the browser is known already and there is but one way to log in, the AuthnRequest to it is recorded in
        the same put, and given (design 4a.1).
        """
        ways = self.rules.ways(request)
        begun = Transaction(
            id=secrets.token_hex(16),
            reference=reference(),
            begun=now,
            until=now + (LIFETIME if browser else UNBOUND_FOR),
            request=request,
            browser=browser,
            upstream=ways[0] if len(ways) == 1 else None,
        )
        if browser is None or begun.upstream is None:
            return self.transactions.add(begun, now), None
        sent = self._outstanding(begun, begun.upstream, now)
        return self.transactions.add(begun.asked(sent), now), sent

    def read(self, name: str, now: datetime) -> Held:
        """Give the transaction; TransactionGone if there is none that lives."""
        return self.transactions.read(name, now)

    def step(self, transaction: Transaction, now: datetime) -> Step:
        """Say what comes next."""
        return next_step(transaction, self._terms(transaction), now)

    def bind(self, held: Held, browser: str, now: datetime) -> Held:
        """Bind the transaction to the browser that ``browser``, a pseudonym of its cookie b, names."""
        if held.transaction.browser == browser:
            return held
        return self.transactions.change(held, lambda transaction: transaction.bound(browser), now)

    def ask_upstream(self, held: Held, upstream: str, now: datetime) -> tuple[Held, Outstanding]:
        """Record a new AuthnRequest to ``upstream`` before it is sent; nothing else changes before it is answered.

        BrowserUnmatched for a transaction that is not bound, FormRefused for a way that this request may not take.
        """
        if held.transaction.browser is None:
            raise BrowserUnmatched("an AuthnRequest needs a bound transaction")
        if upstream not in self.rules.ways(held.transaction.request):
            raise FormRefused("not a way to log in to this service")
        sent = self._outstanding(held.transaction, upstream, now)
        done = self.transactions.change(held, lambda transaction: transaction.asked(sent), now, of_person=False)
        return done, sent

    def awaited(self, in_response_to: str, upstream: str, now: datetime) -> tuple[Held, Outstanding]:
        """Find the request of ours that an answer names, still open and sent to this very upstream.

        TransactionGone where there is none: unsolicited, answered already, another upstream's (attacks 15, 16, 18).
        """
        held = self.read(in_response_to[1:33], now)
        outstanding = held.transaction.awaits(in_response_to)
        if outstanding is None or outstanding.upstream != upstream:
            raise TransactionGone("not an outstanding request of this upstream")
        return held, outstanding

    def spoil(self, held: Held, outstanding: Outstanding, now: datetime) -> None:
        """Consume a request that a refused message named, so that nothing can be tried against it again."""
        self.transactions.change(held, lambda each: each.consumed(outstanding.id), now, of_person=False)

    def match(self, held: Held, x: str, browsers: Sequence[str], now: datetime) -> Held | None:
        """Join an arrival to its transaction, once, for the browser that asked (design 4a.3).

        None where the arrival is used, late, another transaction's or answers a request that is not outstanding;
        BrowserUnmatched, with the arrival destroyed, where the browser is not the transaction's.
        """
        arrivals, transaction = self.arrivals, held.transaction
        if transaction.browser is None or transaction.browser not in browsers:
            arrivals.spend(x, now)
            raise BrowserUnmatched("an arrival in another browser")
        if transaction.arrival == arrivals.mark(x):
            return self.learnt(held, now)
        arrival = arrivals.usable(x, transaction.id, now)
        if arrival is None or arrival.answer is None or transaction.awaits(arrival.request) is None:
            return None
        joined = self.transactions.put(
            transaction.authenticated_by(arrival.answer, arrival.request, arrivals.mark(x), now), held.version, now
        )
        if joined is None:
            # Lost a race: whoever won holds the answer, or the request is still open and this is tried again.
            return self.match(self.read(transaction.id, now), x, browsers, now)
        arrivals.spend(x, now)
        return self.learnt(joined, now)

    def learnt(self, held: Held, now: datetime) -> Held:
        """Add what the ports know of the person, once the policies let the person in; again if they did not before."""
        transaction = held.transaction
        if transaction.authentication is None or transaction.person is not None:
            return held
        known = self.learning.learn(transaction, now)
        if known.person is None:
            return held

        def told(each: Transaction) -> Transaction:
            return replace(each, person=known.person, receipts=known.receipts, account=known.account)

        return self.transactions.change(held, told, now)

    def answer(
        self,
        held: Held,
        shown: str,
        answer: str,
        now: datetime,
        *,
        remember: bool,
        chosen: tuple[str, ...],
        language: str,
    ) -> Held:
        """Add the receipt of the person's answer to what was ``shown`` (a digest the page's token binds).

        If what would be shown has changed meanwhile, nothing is added: the next step asks again. A no after a yes,
        from another tab or by Back, is the person's last word.
        """
        step = self.step(held.transaction, now)
        own = held.transaction.receipt
        if answer == "no" and own is not None and not held.transaction.issued and isinstance(step, Issue | Enrol):
            refused = replace(
                own, record_id=secrets.token_hex(16), event=Event.REFUSED, event_time=now, valid_until=None
            )
            return self._answered(held, refused, now)
        if not isinstance(step, Ask) or step.question.disclosure.shown(self.pseudonyms) != shown:
            return held
        made = receipt(
            secrets.token_hex(16),
            step.question,
            answer == "yes",
            remember=remember,
            chosen=chosen,
            person=self.learning.receipts_of(held.transaction),
            language=language,
            pseudonyms=self.pseudonyms,
            now=now,
        )
        return self._answered(held, made, now)

    def reconsider(self, held: Held, now: datetime) -> Held:
        """Take a refusal back, so that the person is asked again."""
        return self.transactions.change(held, lambda transaction: replace(transaction, receipt=None), now)

    def enrol(self, held: Held, now: datetime, *, language: str, patience: float) -> Held:
        """Write the durable wish, wait for it at most ``patience`` seconds and record how it stands."""
        step = self.step(held.transaction, now)
        if not isinstance(step, Enrol):
            return held
        account = self.learning.enrol(held.transaction, step.decision, now, language=language, patience=patience)
        return self.transactions.change(held, lambda transaction: replace(transaction, account=account), now)

    def issuing(self, held: Held, step: Issue, now: datetime) -> Issued | None:
        """Give the ids under which the assertion of ``step`` leaves: those recorded, or new ones that are not yet.

        None where another assertion has left under the recorded ids: they stand for that one only.
        """
        content = self._content(step)
        before = held.transaction.issued
        if before is not None:
            return before if before.content == content else None
        return Issued(
            response=f"_{secrets.token_hex(20)}",
            assertion=f"_{secrets.token_hex(20)}",
            at=now,
            name_id=self.learning.name_id(held.transaction, persistent=step.disclosure.name_id_format == PERSISTENT),
            number=step.number,
            content=content,
        )

    def issued(self, held: Held, issued: Issued, now: datetime) -> bool:
        """Record that the assertion leaves; False where the transaction has changed since it was decided."""
        return self.transactions.put(replace(held.transaction, issued=issued), held.version, now) is not None

    def _content(self, step: Issue) -> str:
        return self.pseudonyms.of("content", step.disclosure.shown(self.pseudonyms), step.number or "")

    @staticmethod
    def _outstanding(transaction: Transaction, upstream: str, now: datetime) -> Outstanding:
        # The id carries the transaction, so that no RelayState is needed that could be swapped (attacks 16).
        return Outstanding(f"_{transaction.id}{secrets.token_hex(16)}", upstream, now)

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
                # The answer came too late, or belongs to nobody: what was sent before it stands on its own receipt.
                receipts.take_back(group, made)
        return done

    def _terms(self, transaction: Transaction) -> Terms:
        return Terms(
            service=self.rules.service(transaction.request.service),
            giver=self.rules.giver(transaction.authentication),
            pseudonyms=self.pseudonyms,
            decide=self.rules.decide,
            ways=self.rules.ways(transaction.request),
        )
