"""An upstream's answer between ACS and browser: used once, then the record that it was spent."""

from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.errors import MessageRefused
from broker.core.login.transaction import (
    ARRIVAL_USABLE_FOR,
    SKEW,
    Arrival,
    Authentication,
    UpstreamRefusal,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store, Write
from broker.core.retention import ARRIVAL
from broker.use_cases.storage.records import Content, Reads, Record, Records


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The arrivals in a store, each under a token that a browser learns.

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
        """Store the answer that a message brought, and return the arrival token.

        ``message`` is the assertion's id and its end. MessageRefused if that assertion has been
        here before, whoever brings it: a replay, also in parallel or on another worker, finds the
        record and loses (attacks 15).
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
        """Return the arrival as ``reads`` has it, used or not; None where there is none."""
        return self._records.get_from(key, reads)

    def spend(self, record: Record[Arrival], now: datetime) -> None:
        """Take the answer out and leave the record that it was spent."""
        self.store.put(*self.draft_spent(record), now)

    def draft_spent(self, record: Record[Arrival]) -> Write:
        """Return the write that takes the answer out: what remains is the spent record."""
        spent = replace(record.value, answer=None)
        return self._records.draft(record.key, Content(spent, record.until), record.version)

    def compute_mark(self, arrival_token: str) -> str:
        """Return the pseudonym of the arrival token that a transaction keeps.

        The login cookie holds the token: it is good if its mark is the transaction's.
        """
        return self.hmacs.compute("arrival-mark", arrival_token)

    def _token(
        self, answer: Authentication | UpstreamRefusal, message_id: str, request: str
    ) -> str:
        if isinstance(answer, Authentication):
            named = self.hmacs.compute("arrival", answer.issuer, message_id)
        else:
            # An error status may be unsigned, so that anybody can write one: each request takes one
            # and no more.
            named = self.hmacs.compute("arrival", answer.upstream, "", request)
        return named.partition(".")[2]

    @property
    def _records(self) -> Records[Arrival]:
        return Records(self.store, Arrival)
