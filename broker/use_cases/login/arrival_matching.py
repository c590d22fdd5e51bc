"""Joins the answer of an upstream to the transaction of the browser that brings it.

An arrival is an answer that the ACS has accepted. The browser then brings the arrival token to the
page of the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.errors import TransactionGone
from broker.core.login.transaction import Arrival, LoginPurpose
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.storage.records import Record
from broker.use_cases.transactions.transactions import LoginContext, Transactions


@dataclass(frozen=True, slots=True)
class TransactionAndArrival:
    """A transaction and the arrival that a browser brings; None if there is no such arrival.

    ``mark`` is the keyed hash of the arrival token.
    """

    context: LoginContext
    mark: str
    arrival: Record[Arrival] | None


@dataclass(frozen=True, slots=True)
class ArrivalMatching:
    """Joins arrivals to transactions.

    Source: docs/reference/design.md#4a-3.
    """

    arrivals: Arrivals
    transactions: Transactions
    lookup: PersonAtLogin

    def read_both(self, name: str, arrival_token: str, now: datetime) -> TransactionAndArrival:
        """Return the transaction ``name`` and the arrival, read in one call of the store.

        Raises TransactionGone if there is no such transaction.
        """
        context, arrival = self.arrivals.read_both(name, arrival_token, now)
        if context.transaction.purpose is LoginPurpose.STAFF:
            raise TransactionGone("a login of staff")
        return TransactionAndArrival(context, self.arrivals.compute_mark(arrival_token), arrival)

    def match(
        self, brought: TransactionAndArrival, browsers: Sequence[str], now: datetime
    ) -> LoginContext | None:
        """Join an arrival to its transaction for the browser that asked; ``join`` stores it.

        Return None if the arrival was used, is too old, belongs to another transaction or answers a
        request that is not outstanding. If the transaction has this arrival already, look up the
        person again and store the result. Raises BrowserUnmatched, and destroys the arrival, if
        another browser began the transaction.
        """
        context, arrival = brought.context, brought.arrival
        transaction = context.transaction
        self.arrivals.require_browser(transaction, arrival, browsers, now)
        if transaction.arrival == brought.mark:
            return self.lookup.look_up_and_store(context, now)
        answer = arrival.value.find_answer_for(transaction, now) if arrival else None
        if arrival is None or answer is None:
            return None
        authenticated = transaction.add_answer(answer, arrival.value.request, brought.mark, now)
        # The answer and the look-up of the person are written together.
        learned = self.lookup.look_up(replace(context, transaction=authenticated), now)
        return replace(learned, others=(self.arrivals.draft_spent(arrival),))

    def join(self, context: LoginContext, now: datetime) -> LoginContext | None:
        """Write what ``match`` joined, unless it is written already.

        Return None if another request wrote first. The caller then reads again.
        """
        if not context.others:
            return context
        joined = self.transactions.put(context.transaction, context.version, now, context.others)
        if joined is None:
            return None
        self.lookup.log_permitted(context, now)
        return replace(joined, evaluated=context.evaluated)
