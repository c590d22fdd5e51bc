"""Transactions in the store: added, read, and changed by compare-and-set."""

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
_MOVES_BY: Final = timedelta(seconds=5)  # a smaller change of the end is not written


@dataclass(frozen=True, slots=True)
class Held:
    """A transaction as one request has read it, with its version and its evaluation.

    If ``others`` is not empty, the transaction is not written yet. These writes belong to its next
    write and count only together with it. ``person`` is the person record that this request has
    read.
    """

    transaction: Transaction
    version: str
    evaluated: EvaluatedLogin | None = None
    others: tuple[Write, ...] = ()
    person: Record[PersonRecord] | None = None


def draw_reference() -> str:
    """Return eight speakable characters, the help code of a page."""
    # One draw for all letters: one call of the operating system.
    return spell_number(secrets.randbelow(len(SPEAKABLE) ** _LENGTH), _LENGTH)


def is_reference(spoken: str) -> bool:
    """Return whether a text has the shape of a help code, in any case and spacing."""
    written = normalize_code(spoken)
    return len(written) == _LENGTH and set(written) <= set(SPEAKABLE)


def find_by_reference(store: Store, spoken: str, now: datetime) -> Transaction | None:
    """Return the transaction of an authenticated person that has this help code, or None.

    It reads every transaction. Only staff call it, and rarely.
    """
    written = normalize_code(spoken)
    for record in Records(store, Transaction).list("transaction", None, now):
        transaction = record.value
        if transaction.authentication is not None and transaction.reference == written:
            return transaction
    return None


@dataclass(frozen=True, slots=True)
class Transactions:
    """The transactions in the store."""

    store: Store

    def add(self, transaction: Transaction, now: datetime) -> Held:
        """Store a new transaction."""
        held = self.put(transaction, None, now)
        if held is None:
            raise StoreUnavailable("a new transaction could not be stored")
        return held

    @staticmethod
    def key(name: str) -> Key:
        """Return the key of a transaction."""
        return Key("transaction", name)

    def read(self, name: str, now: datetime) -> Held:
        """Return the transaction of this id; raises TransactionGone."""
        return _require(self._records.get(self.key(name), now))

    def get_from(self, name: str, reads: Reads) -> Held:
        """Return the transaction that was read into ``reads``; raises TransactionGone."""
        return _require(self._records.get_from(self.key(name), reads))

    def end(self, held: Held) -> None:
        """Delete the transaction."""
        self._records.drop(self.key(held.transaction.id))

    def put(
        self, transaction: Transaction, was: str | None, now: datetime, others: Sequence[Write] = ()
    ) -> Held | None:
        """Write the transaction if the present version is ``was``.

        Return None if another request wrote first. ``others`` are written with the transaction, and
        only if it is.
        """
        content = Content(transaction, transaction.until)
        draft = self._records.draft(self.key(transaction.id), content, was)
        if not self.store.put_many(draft, others, now):
            return None
        return Held(transaction, draft.kept.version)

    def reread(self, held: Held, now: datetime) -> Held:
        """Read a transaction again.

        Raises BrowserUnmatched if another authentication has joined it since ``held`` was read.
        """
        read = self.read(held.transaction.id, now)
        _check_same_person(held.transaction, read.transaction)
        return read

    def mark_attended(self, held: Held, now: datetime) -> Held:
        """Record a request of the person, if that moves the end of the transaction."""
        until = held.transaction.mark_attended(now).until
        if abs(until - held.transaction.until) < _MOVES_BY:
            return held
        return self.change(held, lambda transaction: transaction.mark_attended(now), now)

    def mark_finished(self, held: Held, now: datetime) -> Held:
        """Record that the login is finished, if that moves the end of the transaction."""
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
        """Write the changed transaction; apply ``change`` again if another request wrote first.

        A change ``of_person`` belongs to one authentication. If another one has joined the
        transaction since the caller read it and checked its cookies, the change belongs to nobody,
        and no page may show its result (docs/reference/design.md#4a-3). Then BrowserUnmatched is
        raised.
        """
        before = held.transaction
        if held.others:
            written = self.put(change(before), held.version, now, held.others)
            if written:
                return replace(written, evaluated=held.evaluated)

        def change_record(record: Record[Transaction] | None) -> Content[Transaction]:
            present = _require(record).transaction
            if of_person:
                _check_same_person(before, present)
            after = change(present)
            return Content(after, after.until)

        key = self.key(before.id)
        read = Record(key, before, held.version, before.until)
        amended = self._records.amend(key, change_record, now, read=None if held.others else read)
        return replace(_require(amended.record), evaluated=held.evaluated)

    @property
    def _records(self) -> Records[Transaction]:
        return Records(self.store, Transaction)


def _require(record: Record[Transaction] | None) -> Held:
    if record is None:
        raise TransactionGone("no such transaction")
    return Held(record.value, record.version)


def _check_same_person(before: Transaction, present: Transaction) -> None:
    """Raise BrowserUnmatched if another authentication has joined since ``before`` was read."""
    if (present.arrival, present.authenticated) != (before.arrival, before.authenticated):
        raise BrowserUnmatched("another authentication has joined the transaction")
