"""Arrivals: answers of upstreams, on their way from the ACS to the browser's next request.

An arrival can be used once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.errors import BrowserUnmatched, MessageRefused
from broker.core.login.transaction import (
    ARRIVAL_USABLE_FOR,
    SKEW,
    Arrival,
    Authentication,
    Transaction,
    UpstreamRefusal,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store, Write
from broker.core.retention import ARRIVAL
from broker.use_cases.storage.records import Content, Reads, Record, Records, read_together
from broker.use_cases.transactions.transactions import LoginContext, Transactions


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The arrivals in the store. A browser gets the token of its arrival.

    Source: docs/reference/design.md#4a-2.
    """

    store: Store
    hmacs: LookupHmacs

    def add(
        self,
        transaction: str,
        request: str,
        answer: Authentication | UpstreamRefusal,
        message: tuple[str, datetime],
        now: datetime,
    ) -> str:
        """Store the answer in a message of an upstream, and return the arrival token.

        ``message`` is the id of the assertion and the time when it expires. Raises MessageRefused
        if an assertion with this id was stored before. So a replay is refused, even at the same
        time on another worker (docs/reference/attacks.md#15).
        """
        message_id, message_until = message
        arrival_token = self._token(answer, message_id, request)
        arrival = Arrival(transaction, request, now, answer)
        until = ARRIVAL.ends(max(message_until, now + ARRIVAL_USABLE_FOR) + SKEW)
        if not self._records.add(self.key(arrival_token), arrival, until, now):
            raise MessageRefused("response.replayed", "assertion id seen before")
        return arrival_token

    def key(self, arrival_token: str) -> Key:
        """Return the key of the arrival under ``arrival_token``."""
        return Key("arrival", self.hmacs.compute("arrival-key", arrival_token))

    def get_from(self, key: Key, reads: Reads) -> Record[Arrival] | None:
        """Return the arrival that was read into ``reads``, used or not; None if there is none."""
        return self._records.get_from(key, reads)

    def read_both(
        self, name: str, arrival_token: str, now: datetime
    ) -> tuple[LoginContext, Record[Arrival] | None]:
        """Return the transaction ``name`` and the arrival, read in one call of the store.

        Raises TransactionGone if there is no such transaction.
        """
        transactions = Transactions(self.store)
        key = self.key(arrival_token)
        reads = read_together(self.store, [transactions.key(name), key], now)
        return transactions.get_from(name, reads), self.get_from(key, reads)

    def require_browser(
        self,
        transaction: Transaction,
        arrival: Record[Arrival] | None,
        browsers: Sequence[str],
        now: datetime,
    ) -> str:
        """Return the browser that began a transaction, if it is one of ``browsers``.

        Raises BrowserUnmatched, and destroys the arrival, if another browser began the transaction.
        """
        if transaction.browser is None or transaction.browser not in browsers:
            if arrival:
                self.spend(arrival, now)
            raise BrowserUnmatched("an arrival in another browser")
        return transaction.browser

    def spend(self, record: Record[Arrival], now: datetime) -> None:
        """Remove the answer. The record stays, because it shows that the answer was used."""
        self.store.put(*self.draft_spent(record), now)

    def draft_spent(self, record: Record[Arrival]) -> Write:
        """Return the write that removes the answer. The record stays to detect replays."""
        spent = replace(record.value, answer=None)
        return self._records.draft(record.key, Content(spent, record.until), record.version)

    def hash_token(self, arrival_token: str) -> str:
        """Return the keyed hash of the arrival token, which is stored in the transaction.

        The login cookie contains the token. It is valid if its hash is the one in the transaction.
        """
        return self.hmacs.compute("arrival-mark", arrival_token)

    def _token(
        self, answer: Authentication | UpstreamRefusal, message_id: str, request: str
    ) -> str:
        if isinstance(answer, Authentication):
            digest = self.hmacs.compute("arrival", answer.issuer, message_id)
        else:
            # An error status may be unsigned, so every visitor can write one. Only one is accepted
            # for each request.
            digest = self.hmacs.compute("arrival", answer.upstream, "", request)
        return digest.partition(".")[2]

    @property
    def _records(self) -> Records[Arrival]:
        return Records(self.store, Arrival)
