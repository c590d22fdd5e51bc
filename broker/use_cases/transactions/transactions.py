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

_REFERENCE_LENGTH: Final = 8
_LEAST_CHANGE: Final = timedelta(seconds=5)  # a smaller change of ``until`` is not written


@dataclass(frozen=True, slots=True)
class LoginContext:
    """The login of one request: the transaction as it was read, its version and its evaluation.

    If ``others`` is not empty, the transaction is not written yet. These writes are made together
    with its next write. ``person`` is the person record that this request has read.
    """

    transaction: Transaction
    version: str
    evaluated: EvaluatedLogin | None = None
    others: tuple[Write, ...] = ()
    person: Record[PersonRecord] | None = None


def draw_reference() -> str:
    """Return eight speakable characters, the help code of a page."""
    # Draw all letters at once: that needs one call of the operating system only.
    return spell_number(secrets.randbelow(len(SPEAKABLE) ** _REFERENCE_LENGTH), _REFERENCE_LENGTH)


def is_reference(spoken: str) -> bool:
    """Return whether a text has the shape of a help code, in any case and spacing."""
    written = normalize_code(spoken)
    return len(written) == _REFERENCE_LENGTH and set(written) <= set(SPEAKABLE)


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

    def add(self, transaction: Transaction, now: datetime) -> LoginContext:
        """Store a new transaction."""
        context = self.put(transaction, None, now)
        if context is None:
            raise StoreUnavailable("a new transaction could not be stored")
        return context

    @staticmethod
    def key(name: str) -> Key:
        """Return the key of a transaction."""
        return Key("transaction", name)

    def read(self, name: str, now: datetime) -> LoginContext:
        """Return the transaction of this id. Raises TransactionGone if there is none."""
        return _require(self._records.get(self.key(name), now))

    def get_from(self, name: str, reads: Reads) -> LoginContext:
        """Return the transaction that was read into ``reads``.

        Raises TransactionGone if there is none.
        """
        return _require(self._records.get_from(self.key(name), reads))

    def end(self, context: LoginContext) -> None:
        """Delete the transaction."""
        self._records.drop(self.key(context.transaction.id))

    def put(
        self,
        transaction: Transaction,
        expected_version: str | None,
        now: datetime,
        others: Sequence[Write] = (),
    ) -> LoginContext | None:
        """Write the transaction if the stored version is ``expected_version``.

        Return None if another request wrote first. ``others`` are written together with the
        transaction, and only if it is written.
        """
        content = Content(transaction, transaction.until)
        draft = self._records.draft(self.key(transaction.id), content, expected_version)
        if not self.store.put_many(draft, others, now):
            return None
        return LoginContext(transaction, draft.record.version)

    def reread(self, context: LoginContext, now: datetime) -> LoginContext:
        """Read a transaction again.

        Raises BrowserUnmatched if another authentication has joined it since ``context`` was read.
        """
        read = self.read(context.transaction.id, now)
        _check_same_person(context.transaction, read.transaction)
        return read

    def mark_attended(self, context: LoginContext, now: datetime) -> LoginContext:
        """Record a request of the person, if that changes when the transaction ends."""
        until = context.transaction.mark_attended(now).until
        if abs(until - context.transaction.until) < _LEAST_CHANGE:
            return context
        return self.change(context, lambda transaction: transaction.mark_attended(now), now)

    def mark_finished(self, context: LoginContext, now: datetime) -> LoginContext:
        """Record that the login is finished, if that changes when the transaction ends."""
        if context.transaction.mark_finished(now) == context.transaction:
            return context
        return self.change(context, lambda transaction: transaction.mark_finished(now), now)

    def change(
        self,
        context: LoginContext,
        change: Callable[[Transaction], Transaction],
        now: datetime,
        *,
        of_person: bool = True,
    ) -> LoginContext:
        """Write the changed transaction; apply ``change`` again if another request wrote first.

        A change ``of_person`` belongs to one authentication. Another authentication may have joined
        the transaction since the caller read it and checked its cookies. Then the change must not
        be written, and no page may show its result (docs/reference/design.md#4a-3): raises
        BrowserUnmatched.
        """
        before = context.transaction
        if context.others:
            written = self.put(change(before), context.version, now, context.others)
            if written:
                return replace(written, evaluated=context.evaluated)

        def change_record(record: Record[Transaction] | None) -> Content[Transaction]:
            present = _require(record).transaction
            if of_person:
                _check_same_person(before, present)
            after = change(present)
            return Content(after, after.until)

        key = self.key(before.id)
        read = Record(key, before, context.version, before.until)
        amended = self._records.amend(
            key, change_record, now, read=None if context.others else read
        )
        return replace(_require(amended.record), evaluated=context.evaluated)

    @property
    def _records(self) -> Records[Transaction]:
        return Records(self.store, Transaction)


def _require(record: Record[Transaction] | None) -> LoginContext:
    if record is None:
        raise TransactionGone("no such transaction")
    return LoginContext(record.value, record.version)


def _check_same_person(before: Transaction, present: Transaction) -> None:
    """Raise BrowserUnmatched if another authentication has joined since ``before`` was read."""
    if (present.arrival, present.authenticated) != (before.arrival, before.authenticated):
        raise BrowserUnmatched("another authentication has joined the transaction")
