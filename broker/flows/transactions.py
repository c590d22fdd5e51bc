"""Transactions as the store keeps them: begun, read, and changed by compare-and-set."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.errors import BrowserUnmatched, StoreUnavailable, TransactionGone
from broker.core.login.transaction import Transaction
from broker.core.ports import Kept, Key, Store
from broker.core.serialization import dump, load

# Beyond this a compare-and-set that keeps losing is a fault, not a race.
_TRIES: Final = 8
# Read aloud at a service desk: no vowels that make words, no letter that looks like a digit.
_SPEAKABLE: Final = "23456789BCDFGHJKMNPQRSTVWXZ"


@dataclass(frozen=True, slots=True)
class Held:
    """A transaction and the version it was read at."""

    transaction: Transaction
    version: str


def reference() -> str:
    """Give eight speakable characters that name a page to the service desk."""
    return "".join(secrets.choice(_SPEAKABLE) for _ in range(8))


@dataclass(frozen=True, slots=True)
class Transactions:
    """The transactions in a store."""

    store: Store

    def add(self, transaction: Transaction, now: datetime) -> Held:
        """Store a new transaction."""
        held = self.put(transaction, None, now)
        if held is None:
            raise StoreUnavailable("a new transaction could not be stored")
        return held

    def read(self, name: str, now: datetime) -> Held:
        """Give the transaction; TransactionGone if there is none that lives."""
        kept = self.store.get(Key("transaction", name), now)
        if kept is None:
            raise TransactionGone("no such transaction")
        return Held(load(Transaction, kept.value), kept.version)

    def end(self, held: Held) -> None:
        """Forget the transaction: nothing can be done by it any more."""
        self.store.drop(Key("transaction", held.transaction.id))

    def put(self, transaction: Transaction, was: str | None, now: datetime) -> Held | None:
        """Write the transaction in the place of version ``was``; None where another wrote first."""
        version = secrets.token_hex(8)
        kept = Kept(dump(transaction), version, transaction.until)
        written = self.store.put(Key("transaction", transaction.id), kept, was, now)
        return Held(transaction, version) if written else None

    def again(self, held: Held, now: datetime) -> Held:
        """Read a transaction again; BrowserUnmatched where another authentication has joined it since ``held``."""
        found = self.read(held.transaction.id, now)
        if _whose(found) != _whose(held):
            raise BrowserUnmatched("another authentication has joined the transaction")
        return found

    def change(
        self,
        held: Held,
        change: Callable[[Transaction], Transaction],
        now: datetime,
        *,
        of_person: bool = True,
    ) -> Held:
        """Write what ``change`` makes of the transaction, again on what others wrote meanwhile.

        A fact ``of_person`` belongs to one authentication: where another has joined the transaction
        since the caller read it, and checked its cookies, the fact is nobody's, and what it led to
        must not be shown (design 4a.3): BrowserUnmatched.
        """
        for _ in range(_TRIES):
            done = self.put(change(held.transaction), held.version, now)
            if done:
                return done
            held = self.again(held, now) if of_person else self.read(held.transaction.id, now)
        raise StoreUnavailable("the transaction kept changing")


def _whose(held: Held) -> tuple[str | None, datetime | None]:
    return held.transaction.arrival, held.transaction.authenticated
