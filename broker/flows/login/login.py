"""One login from request to assertion: each method adds one fact to the transaction and keeps it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import BrowserUnmatched, FormRefused, TransactionGone
from broker.core.login.authentication_reading import by_pin
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.next_step import Terms, next_step
from broker.core.login.steps import Enrol, OfferUpgrade, Step
from broker.core.login.transaction import (
    UNBOUND_FOR,
    AuthnRequest,
    Errand,
    Outstanding,
    Transaction,
)
from broker.core.ports import Store
from broker.core.pseudonyms import Pseudonyms
from broker.flows.login.arrivals import Arrivals
from broker.flows.login.consent_answers import ConsentAnswers
from broker.flows.login.issuance import Issuance
from broker.flows.login.person_lookup import PersonLookup
from broker.flows.logout.sessions import Sessions
from broker.flows.transactions import Held, Transactions, reference


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """The flow over its ports; ``now`` is passed to every method, aware UTC."""

    store: Store
    pseudonyms: Pseudonyms
    rules: ConfiguredEntities
    learning: PersonLookup
    errands_by: str | None = None  # the service by whose policy people sign up

    @property
    def answers(self) -> ConsentAnswers:
        """Give what takes the answers to questions."""
        return ConsentAnswers(self.store, self.pseudonyms, self.learning, self.transactions)

    @property
    def issuance(self) -> Issuance:
        """Give what lets an assertion leave."""
        return Issuance(
            self.pseudonyms, self.learning, self.transactions, Sessions(self.store, self.pseudonyms)
        )

    @property
    def arrivals(self) -> Arrivals:
        """Give the answers between ACS and browser."""
        return Arrivals(self.store, self.pseudonyms)

    @property
    def transactions(self) -> Transactions:
        """Give the transactions."""
        return Transactions(self.store)

    def begin(
        self,
        request: AuthnRequest,
        now: datetime,
        browser: str | None = None,
        *,
        shared: bool = False,
    ) -> tuple[Held, Outstanding | None]:
        """Store a new transaction for a verified AuthnRequest; RequestRefused where its IDPList leaves no way.

        Where the browser is known already and there is but one way to log in, the AuthnRequest to
        it is recorded in the same put, and given (design 4a.1).
        """
        ways = self.rules.ways(request)
        begun = replace(
            _begun(request, now, shared=shared), upstream=ways[0] if len(ways) == 1 else None
        )
        begun = begun.bound(browser) if browser else begun
        if browser is None or begun.upstream is None or begun.upstream in self.rules.local:
            return self.transactions.add(begun, now), None
        sent = self._outstanding(begun, begun.upstream, now)
        return self.transactions.add(begun.asked(sent), now), sent

    def begin_errand(
        self,
        errand: Errand,
        now: datetime,
        *,
        intent: str | None = None,
        upstream: str | None = None,
        back: str | None = None,
        shared: bool = False,
    ) -> Held:
        """Store a transaction that no service asked for; FormRefused where ``upstream`` is no way for it.

        Who signs up or makes a new PIN logs in afresh (ForceAuthn): a screen left open is somebody
        else's chance.
        """
        if self.errands_by is None:
            raise FormRefused("no service by whose policy people sign up")
        request = AuthnRequest(
            id="",
            service=self.errands_by,
            entity_id="",
            acs="",
            force_authn=errand in {Errand.SIGN_UP, Errand.PIN},
        )
        if upstream is not None and upstream not in self.rules.ways(request, errand):
            raise FormRefused("not a way to log in for this")
        back = back if back in self.rules.services else None
        begun = _begun(request, now, shared=shared)
        return self.transactions.add(
            replace(begun, errand=errand, back=back, intent=intent, upstream=upstream), now
        )

    def read(self, name: str, now: datetime) -> Held:
        """Give the transaction; TransactionGone if there is none that lives."""
        return self.transactions.read(name, now)

    def step(self, transaction: Transaction, now: datetime) -> Step:
        """Say what comes next."""
        return next_step(transaction, self._terms(transaction), now)

    def bind(self, held: Held, browser: str, now: datetime, *, shared: bool = False) -> Held:
        """Bind the transaction to the browser that ``browser``, a pseudonym of its cookie b, names."""
        if held.transaction.bound(browser, shared=shared) == held.transaction:
            return held
        return self.transactions.change(
            held, lambda transaction: transaction.bound(browser, shared=shared), now
        )

    def ask_upstream(self, held: Held, upstream: str, now: datetime) -> tuple[Held, Outstanding]:
        """Record a new AuthnRequest to ``upstream`` before it is sent; nothing else changes before it is answered.

        BrowserUnmatched for a transaction that is not bound, FormRefused for a way that this
        request may not take.
        """
        if held.transaction.browser is None:
            raise BrowserUnmatched("an AuthnRequest needs a bound transaction")
        ways = self.rules.ways(held.transaction.request, held.transaction.errand)
        if upstream not in ways or upstream in self.rules.local:
            raise FormRefused("not a way to log in to this service")
        sent = self._outstanding(held.transaction, upstream, now)
        done = self.transactions.change(
            held, lambda transaction: transaction.asked(sent), now, of_person=False
        )
        return done, sent

    def awaited(
        self, in_response_to: str, upstream: str, now: datetime
    ) -> tuple[Held, Outstanding]:
        """Find the request of ours that an answer names, still open and sent to this very upstream.

        TransactionGone where there is none: unsolicited, answered already, another upstream's
        (attacks 15, 16, 18).
        """
        held = self.read(in_response_to[1:33], now)
        outstanding = held.transaction.awaits(in_response_to)
        if outstanding is None or outstanding.upstream != upstream:
            raise TransactionGone("not an outstanding request of this upstream")
        return held, outstanding

    def spoil(self, held: Held, outstanding: Outstanding, now: datetime) -> None:
        """Consume a request that a refused message named, so that nothing can be tried against it again."""
        self.transactions.change(
            held, lambda each: each.consumed(outstanding.id), now, of_person=False
        )

    def match(self, held: Held, x: str, browsers: Sequence[str], now: datetime) -> Held | None:
        """Join an arrival to its transaction, once, for the browser that asked (design 4a.3).

        None where the arrival is used, late, another transaction's or answers a request that is not
        outstanding; BrowserUnmatched, with the arrival destroyed, where the browser is not the
        transaction's.
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
            transaction.authenticated_by(arrival.answer, arrival.request, arrivals.mark(x), now),
            held.version,
            now,
        )
        if joined is None:
            # Lost a race: whoever won holds the answer, or the request is still open and this is
            # tried again.
            return self.match(self.read(transaction.id, now), x, browsers, now)
        arrivals.spend(x, now)
        return self.learnt(joined, now)

    def learnt(self, held: Held, now: datetime) -> Held:
        """Add what the ports know of the person, once the policies let the person in; again if they did not before."""
        transaction = held.transaction
        if transaction.authentication is None or transaction.person is not None:
            return held
        known = self.learning.learn(transaction, now)
        if known == transaction:
            return held

        def told(each: Transaction) -> Transaction:
            if _told(each) != _told(transaction):
                # learnt before something was told beside it: of no use, and what was told is not
                # lost
                return each
            return replace(
                each,
                person=known.person,
                receipts=known.receipts,
                account=known.account,
                proofs=known.proofs,
            )

        return self.transactions.change(held, told, now)

    def upgrade(self, held: Held, now: datetime, *, wanted: bool) -> Held:
        """Add the person's answer to the offer of another category."""
        if not isinstance(self.step(held.transaction, now), OfferUpgrade):
            return held
        if wanted:
            return self.transactions.change(held, lambda each: replace(each, upgrade=True), now)
        self.learning.keep_category(held.transaction, now)
        kept = self.transactions.change(
            held, lambda each: replace(each.relearning(), upgrade=False), now
        )
        return self.learnt(kept, now)

    def verified(
        self, held: Held, upstream: str, borrower: Borrower, now: datetime
    ) -> tuple[Held, str]:
        """Join the library system's word that this is the holder of ``borrower``, and give x for cookie a.

        FormRefused for a way that this request may not take.
        """
        transaction = held.transaction
        ways = self.rules.ways(transaction.request, transaction.errand)
        if transaction.browser is None or upstream not in ways or upstream not in self.rules.local:
            raise FormRefused("not a way to log in to this service")
        self.learning.persons.verified(borrower)
        # Fresh, as what follows an assertion is: a cookie a of before is worthless after it (design
        # 4a.4).
        x = secrets.token_hex(32)
        answer = by_pin(upstream, borrower, now)
        joined = self.transactions.change(
            held,
            lambda each: each.authenticated_by(answer, "", self.arrivals.mark(x), now),
            now,
            of_person=False,
        )
        return self.learnt(joined, now), x

    def adopt(self, held: Held, number: str, now: datetime) -> Held:
        """Add that the temporary borrower ``number`` is the person's own: they have shown its PIN."""
        return self.learnt(
            self.transactions.change(
                held, lambda each: replace(each.relearning(), temporary=number), now
            ),
            now,
        )

    def enrol(self, held: Held, now: datetime, *, language: str, patience: float) -> Held:
        """Write the durable wish, wait for it at most ``patience`` seconds and record how it stands."""
        step = self.step(held.transaction, now)
        if not isinstance(step, Enrol):
            return held
        account = self.learning.enrol(
            held.transaction, step.decision, now, language=language, patience=patience
        )
        return self.transactions.change(
            held, lambda transaction: replace(transaction, account=account), now
        )

    @staticmethod
    def _outstanding(transaction: Transaction, upstream: str, now: datetime) -> Outstanding:
        # The id carries the transaction, so that no RelayState is needed that could be swapped
        # (attacks 16).
        return Outstanding(f"_{transaction.id}{secrets.token_hex(16)}", upstream, now)

    def _terms(self, transaction: Transaction) -> Terms:
        return Terms(
            service=self.rules.service(transaction.request.service),
            giver=self.rules.giver(transaction.authentication),
            pseudonyms=self.pseudonyms,
            decide=self.rules.decide,
            lacking=self.learning.lacking,
            ways=self.rules.ways(transaction.request, transaction.errand),
            local=self.rules.local,
            authn_context=self.rules.authn_context,
            meets=self.rules.meets(transaction.authentication),
            ids=self.learning.ids(transaction),
        )


def _told(transaction: Transaction) -> tuple[object, ...]:
    """Give what a person has told beside their login, and what is learnt of them goes by."""
    return transaction.proofs, transaction.temporary, transaction.upgrade


def _begun(request: AuthnRequest, now: datetime, *, shared: bool) -> Transaction:
    return Transaction(
        secrets.token_hex(16), reference(), now, now + UNBOUND_FOR, request, shared=shared
    )
