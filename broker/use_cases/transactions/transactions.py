"""Transactions as the store keeps them: begun, read, and changed by compare-and-set."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import BrowserUnmatched, StoreUnavailable, TransactionGone
from broker.core.help_codes import SPEAKABLE, normalize_code, spell_number
from broker.core.login.transaction import Transaction
from broker.core.person_record import PersonRecord
from broker.core.ports import Key, Store, Write
from broker.use_cases.storage.records import Content, Reads, Record, Records
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin

_LENGTH: Final = 8
_MOVES_BY: Final = timedelta(seconds=5)  # a lesser move of an end is not worth a write


class TransactionAbsent(TransactionGone):
    """The store has been asked for this transaction, and has none that lives."""

    def __init__(self, name: str) -> None:
        """Store the name that was asked for, which stands in no text."""
        super().__init__("no such transaction")
        self.name = name


class TransactionOfAnotherBrowser(BrowserUnmatched):
    """The store has been asked for this transaction, and it is bound to another browser."""

    def __init__(self, name: str) -> None:
        """Store the name that was asked for, which stands in no text."""
        super().__init__("not the browser of this transaction")
        self.name = name


@dataclass(frozen=True, slots=True)
class Held:
    """A transaction, the version it was read at, and what this request has decided on it so far.

    Where ``others`` is not empty the transaction is not written yet: those writes go with its next
    one, and stand only if that does. ``person`` is the person record that this request has read.
    """

    transaction: Transaction
    version: str
    evaluated: EvaluatedLogin | None = None
    others: tuple[Write, ...] = ()
    person: Record[PersonRecord] | None = None


def draw_reference() -> str:
    """Return eight speakable characters that name a page to the service desk."""
    # One draw of all the letters: the system is asked once.
    return spell_number(secrets.randbelow(len(SPEAKABLE) ** _LENGTH), _LENGTH)


def is_reference(spoken: str) -> bool:
    """Return whether a text, in any case and spacing, has the shape of a reference."""
    written = normalize_code(spoken)
    return len(written) == _LENGTH and set(written) <= set(SPEAKABLE)


def find_by_reference(store: Store, spoken: str, now: datetime) -> Transaction | None:
    """Return the living transaction of an authenticated person that has a reference, or None.

    It reads every transaction: for staff, who ask rarely, and not for requests of visitors.
    """
    written = normalize_code(spoken)
    for record in Records(store, Transaction).list("transaction", None, now):
        transaction = record.value
        if transaction.authentication is not None and transaction.reference == written:
            return transaction
    return None


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

    @staticmethod
    def key(name: str) -> Key:
        """Return the key of the transaction of this id."""
        return Key("transaction", name)

    def read(self, name: str, now: datetime) -> Held:
        """Return the transaction of this id; TransactionAbsent where there is none that lives."""
        return _held(name, self._records.get(self.key(name), now))

    def get_from(self, name: str, reads: Reads) -> Held:
        """Return the transaction as ``reads`` has it; TransactionAbsent as ``read`` says."""
        return _held(name, self._records.get_from(self.key(name), reads))

    def end(self, held: Held) -> None:
        """Drop the transaction: nothing can be done by it any more."""
        self._records.drop(self.key(held.transaction.id))

    def put(
        self, transaction: Transaction, was: str | None, now: datetime, others: Sequence[Write] = ()
    ) -> Held | None:
        """Write the transaction in the place of version ``was``; None where another wrote first.

        ``others`` are written with it, and only if it is.
        """
        content = Content(transaction, transaction.until)
        draft = self._records.draft(self.key(transaction.id), content, was)
        if not self.store.put_many(draft, others, now):
            return None
        return Held(transaction, draft.kept.version)

    def put_then_read(
        self,
        transaction: Transaction,
        was: str | None,
        now: datetime,
        others: Sequence[Write],
        keys: Sequence[Key],
    ) -> Reads | None:
        """Write as ``put``, then read ``keys``, in one turn; None where another wrote first."""
        content = Content(transaction, transaction.until)
        draft = self._records.draft(self.key(transaction.id), content, was)
        read = self.store.put_many_then_get(draft, others, keys, now)
        return None if read is None else dict(zip(keys, read, strict=True))

    def reread(self, held: Held, now: datetime) -> Held:
        """Read a transaction again.

        BrowserUnmatched where another authentication has joined it since ``held``.
        """
        read = self.read(held.transaction.id, now)
        _check_same_person(held.transaction, read.transaction)
        return read

    def mark_attended(self, held: Held, now: datetime) -> Held:
        """Record that its person has come for the transaction, where its end moves by that."""
        until = held.transaction.mark_attended(now).until
        if abs(until - held.transaction.until) < _MOVES_BY:
            return held
        return self.change(held, lambda transaction: transaction.mark_attended(now), now)

    def mark_finished(self, held: Held, now: datetime) -> Held:
        """Record that the transaction's work is done, where its end moves by that."""
        if held.transaction.mark_finished(now) == held.transaction:
            return held
        return self.change(held, lambda transaction: transaction.mark_finished(now), now)

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
        must not be shown (docs/reference/design.md#4a-3): BrowserUnmatched.
        """
        before = held.transaction
        if held.others:
            written = self.put(change(before), held.version, now, held.others)
            if written:
                return replace(written, evaluated=held.evaluated)

        def changed(record: Record[Transaction] | None) -> Content[Transaction]:
            present = _held(before.id, record).transaction
            if of_person:
                _check_same_person(before, present)
            after = change(present)
            return Content(after, after.until)

        key = self.key(before.id)
        read = Record(key, before, held.version, before.until)
        amended = self._records.amend(key, changed, now, read=None if held.others else read)
        return replace(_held(before.id, amended.record), evaluated=held.evaluated)

    @property
    def _records(self) -> Records[Transaction]:
        return Records(self.store, Transaction)


def _held(name: str, record: Record[Transaction] | None) -> Held:
    if record is None:
        raise TransactionAbsent(name)
    return Held(record.value, record.version)


def _check_same_person(before: Transaction, present: Transaction) -> None:
    """Raise BrowserUnmatched where another authentication has joined than the one of ``before``."""
    if (present.arrival, present.authenticated) != (before.arrival, before.authenticated):
        raise BrowserUnmatched("another authentication has joined the transaction")
