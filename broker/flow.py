"""One login from request to assertion: each method adds one fact to the transaction and keeps it."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.arrivals import Arrivals
from broker.core.consent import Receipt, receipt
from broker.core.entities import PERSISTENT
from broker.core.errors import BrowserUnmatched, FormRefused, StoreUnavailable, TransactionGone
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.records import dump, load
from broker.core.steps import Ask, Enrol, Issue, Step, Terms, next_step
from broker.core.transaction import (
    LIFETIME,
    AuthnRequest,
    Issued,
    Outstanding,
    Transaction,
)
from broker.learning import Learning
from broker.rules import Rules

# Beyond this a compare-and-set that keeps losing is a fault, not a race.
_TRIES: Final = 8
# Read aloud at a service desk: no vowels that make words, no letter that looks like a digit.
_SPEAKABLE: Final = "23456789BCDFGHJKMNPQRSTVWXZ"
_RECEIPTS_KEPT_FOR: Final = timedelta(days=2 * 365)


@dataclass(frozen=True, slots=True)
class Held:
    """A transaction and the version it was read at."""

    transaction: Transaction
    version: str


def reference() -> str:
    """Give eight speakable characters that name a page to the service desk."""
    return "".join(secrets.choice(_SPEAKABLE) for _ in range(8))


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

    def begin(self, request: AuthnRequest, now: datetime, browser: str | None = None) -> Held:
        """Store a new transaction for a verified AuthnRequest; RequestRefused where its IDPList leaves no way."""
        ways = self.rules.ways(request)
        transaction = Transaction(
            id=secrets.token_hex(16),
            reference=reference(),
            begun=now,
            until=now + LIFETIME,
            request=request,
            browser=browser,
            upstream=ways[0] if len(ways) == 1 else None,
        )
        version = secrets.token_hex(8)
        if not self.store.put(_key(transaction.id), Kept(dump(transaction), version, transaction.until), None, now):
            raise StoreUnavailable("a new transaction could not be stored")
        return Held(transaction, version)

    def read(self, name: str, now: datetime) -> Held:
        """Give the transaction; TransactionGone if there is none that lives."""
        kept = self.store.get(_key(name), now)
        if kept is None:
            raise TransactionGone("no such transaction")
        return Held(load(Transaction, kept.value), kept.version)

    def step(self, transaction: Transaction, now: datetime) -> Step:
        """Say what comes next."""
        return next_step(transaction, self._terms(transaction), now)

    def bind(self, held: Held, browser: str, now: datetime) -> Held:
        """Bind the transaction to the browser that ``browser``, a pseudonym of its cookie b, names."""
        if held.transaction.browser == browser:
            return held
        return self._change(held, lambda transaction: transaction.bound(browser), now)

    def choose(self, held: Held, upstream: str, now: datetime) -> Held:
        """Record the way to log in; FormRefused for one that this request may not take."""
        if upstream not in self.rules.ways(held.transaction.request):
            raise FormRefused("not a way to log in to this service")
        return self._change(held, lambda transaction: transaction.chose(upstream), now)

    def ask_upstream(self, held: Held, now: datetime) -> tuple[Held, Outstanding]:
        """Record a new AuthnRequest to the chosen upstream before it is sent; only for a bound transaction."""
        transaction = held.transaction
        if transaction.browser is None or transaction.upstream is None:
            raise BrowserUnmatched("an AuthnRequest needs a bound transaction")
        outstanding = Outstanding(f"_{transaction.id}{secrets.token_hex(16)}", transaction.upstream, now)
        return self._change(held, lambda each: each.asked(outstanding), now), outstanding

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
        self._change(held, lambda transaction: transaction.consumed(outstanding.id), now)

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
            return held
        arrival = arrivals.usable(x, transaction.id, now)
        if arrival is None or arrival.answer is None or transaction.awaits(arrival.request) is None:
            return None
        answer = arrival.answer
        plain = transaction.authenticated_by(answer, arrival.request, arrivals.mark(x), now)
        learnt = self.learning.learn(plain, self._terms(plain), now)
        joined = self._put(learnt, held.version, now)
        if joined is None:
            # Lost a race: whoever won holds the answer, or the request is still open and this is tried again.
            return self.match(self.read(transaction.id, now), x, browsers, now)
        arrivals.spend(x, now)
        return joined

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

        If what would be shown has changed meanwhile, nothing is added: the next step asks again.
        """
        step = self.step(held.transaction, now)
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
        self._file(made, held.transaction, now)
        return self._change(held, lambda transaction: replace(transaction, receipt=made), now)

    def reconsider(self, held: Held, now: datetime) -> Held:
        """Take a refusal back, so that the person is asked again."""
        return self._change(held, lambda transaction: replace(transaction, receipt=None), now)

    def enrol(self, held: Held, now: datetime, *, language: str, patience: float) -> Held:
        """Write the durable wish, wait for it at most ``patience`` seconds and record how it stands."""
        step = self.step(held.transaction, now)
        if not isinstance(step, Enrol):
            return held
        account = self.learning.enrol(held.transaction, step.decision, now, language=language, patience=patience)
        return self._change(held, lambda transaction: replace(transaction, account=account), now)

    def issue(self, held: Held, now: datetime) -> tuple[Held, bool]:
        """Record once that the assertion is issued; the flag says whether this call was the one."""
        step = self.step(held.transaction, now)
        if not isinstance(step, Issue) or held.transaction.issued is not None:
            return held, False
        issued = Issued(
            response=f"_{secrets.token_hex(20)}",
            assertion=f"_{secrets.token_hex(20)}",
            at=now,
            name_id=self.learning.name_id(held.transaction, persistent=step.disclosure.name_id_format == PERSISTENT),
            number=step.number,
        )
        done = self._change(
            held, lambda transaction: transaction if transaction.issued else replace(transaction, issued=issued), now
        )
        return done, done.transaction.issued == issued

    def _terms(self, transaction: Transaction) -> Terms:
        return Terms(
            service=self.rules.service(transaction.request.service),
            giver=self.rules.giver(transaction.authentication),
            pseudonyms=self.pseudonyms,
            decide=self.rules.decide,
            ways=self.rules.ways(transaction.request),
        )

    def _file(self, made: Receipt, transaction: Transaction, now: datetime) -> None:
        key = Key("receipt", self.learning.receipts_of(transaction), made.record_id)
        self.store.put(key, Kept(dump(made), secrets.token_hex(8), now + _RECEIPTS_KEPT_FOR), None, now, durable=True)

    def _change(self, held: Held, change: Callable[[Transaction], Transaction], now: datetime) -> Held:
        for _ in range(_TRIES):
            done = self._put(change(held.transaction), held.version, now)
            if done:
                return done
            held = self.read(held.transaction.id, now)
        raise StoreUnavailable("the transaction kept changing")

    def _put(self, transaction: Transaction, was: str, now: datetime) -> Held | None:
        version = secrets.token_hex(8)
        kept = Kept(dump(transaction), version, transaction.until)
        return Held(transaction, version) if self.store.put(_key(transaction.id), kept, was, now) else None


def _key(name: str) -> Key:
    return Key("transaction", name)
