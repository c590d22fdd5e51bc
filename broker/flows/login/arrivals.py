"""An upstream's answer on its way from the ACS to its browser; used once, and kept as the record that it was spent."""

import secrets
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
from broker.core.ports import Kept, Key, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.serialization import dump, load


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The arrivals in a store; x, the name that a browser learns, comes from the assertion's id (design 4a.2)."""

    store: Store
    pseudonyms: Pseudonyms

    def add(
        self,
        transaction: str,
        request: str,
        answer: Authentication | UpstreamRefusal,
        message: tuple[str, datetime],
        now: datetime,
    ) -> str:
        """Keep the answer that ``message`` (assertion id and its end) brought and give x.

        MessageRefused if that assertion has been here before, whoever brings it: a replay, also in
        parallel or on another worker, finds the record and loses (attacks 15).
        """
        name, until = message
        # An error status may be unsigned, so that anybody can write one: each request takes one and
        # no more.
        named = (
            (answer.issuer, name)
            if isinstance(answer, Authentication)
            else (answer.upstream, "", request)
        )
        x = self.pseudonyms.of("arrival", *named).partition(".")[2]
        arrival = Arrival(transaction, request, now, answer)
        kept = Kept(
            dump(arrival), secrets.token_hex(8), max(until, now + ARRIVAL_USABLE_FOR) + SKEW
        )
        if not self.store.put(self._key(x), kept, None, now):
            raise MessageRefused("response.replayed", "assertion id seen before")
        return x

    def usable(self, x: str, transaction: str, now: datetime) -> Arrival | None:
        """Give the arrival if it belongs to ``transaction``, is unused and not older than 60 seconds."""
        kept = self.store.get(self._key(x), now)
        if kept is None:
            return None
        arrival = load(Arrival, kept.value)
        late = now > arrival.at + ARRIVAL_USABLE_FOR
        return (
            None
            if late or arrival.answer is None or arrival.transaction != transaction
            else arrival
        )

    def spend(self, x: str, now: datetime) -> None:
        """Take the answer out and leave the record that it was spent."""
        kept = self.store.get(self._key(x), now)
        if kept is None:
            return
        spent = replace(load(Arrival, kept.value), answer=None)
        self.store.put(
            self._key(x), Kept(dump(spent), secrets.token_hex(8), kept.until), kept.version, now
        )

    def mark(self, x: str) -> str:
        """Give the pseudonym of x that a transaction keeps: cookie a is good if its mark is the transaction's."""
        return self.pseudonyms.of("arrival-mark", x)

    def _key(self, x: str) -> Key:
        return Key("arrival", self.pseudonyms.of("arrival-key", x))
