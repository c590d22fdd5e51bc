"""Matches the answer of an upstream with the transaction of the browser that brings it.

An arrival is an answer that the ACS has accepted. The ACS redirects the browser to the page of the
transaction, with the arrival token.
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

    ``token_hash`` is the keyed hash of the arrival token.
    """

    context: LoginContext
    token_hash: str
    arrival: Record[Arrival] | None


@dataclass(frozen=True, slots=True)
class ArrivalMatching:
    """Adds the answers in arrivals to their transactions.

    Source: docs/reference/design.md#4a-3.
    """

    arrivals: Arrivals
    transactions: Transactions
    person_at_login: PersonAtLogin

    def read_both(self, name: str, arrival_token: str, now: datetime) -> TransactionAndArrival:
        """Return the transaction ``name`` and the arrival, read in one call of the store.

        Raises TransactionGone if there is no such transaction.
        """
        context, arrival = self.arrivals.read_both(name, arrival_token, now)
        if context.transaction.purpose is LoginPurpose.STAFF:
            raise TransactionGone("a login of staff")
        return TransactionAndArrival(context, self.arrivals.hash_token(arrival_token), arrival)

    def match(
        self, brought: TransactionAndArrival, browsers: Sequence[str], now: datetime
    ) -> LoginContext | None:
        """Match an arrival with its transaction and add the answer; ``store`` writes the result.

        Return None if the arrival was used, is too old, belongs to another transaction or answers a
        request that is not outstanding. If the transaction has this arrival already, look up the
        person again and store the result. Raises BrowserUnmatched, and destroys the arrival, if
        another browser began the transaction.
        """
        context, arrival = brought.context, brought.arrival
        transaction = context.transaction
        self.arrivals.require_browser(transaction, arrival, browsers, now)
        if transaction.arrival == brought.token_hash:
            return self.person_at_login.look_up_and_store(context, now)
        answer = arrival.value.find_answer_for(transaction, now) if arrival else None
        if arrival is None or answer is None:
            return None
        authenticated = transaction.add_answer(
            answer, arrival.value.request, brought.token_hash, now
        )
        # The answer and the look-up of the person are written together.
        learned = self.person_at_login.look_up(replace(context, transaction=authenticated), now)
        return replace(learned, others=(self.arrivals.draft_spent(arrival),))

    def store(self, context: LoginContext, now: datetime) -> LoginContext | None:
        """Write the result of ``match``, unless it is written already.

        Return None if another request wrote first. The caller then reads again.
        """
        if not context.others:
            return context
        stored = self.transactions.put(context.transaction, context.version, now, context.others)
        if stored is None:
            return None
        self.person_at_login.log_permitted(context, now)
        return replace(stored, evaluated=context.evaluated)
