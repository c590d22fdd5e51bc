"""Which facts a power cut may not undo, and which it may: asked of the store by those that write them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any, Final

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.transaction import Authentication, AuthnRequest, Transaction
from broker.core.logout.sessions import NameID, Session
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Write
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.transactions import Transactions
from tests.plugins.stored_arrivals import spend
from tests.plugins.stored_receipts import file_receipt, keep_proof

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER: Final = NOW + timedelta(hours=1)
KEY: Final = LookupHmacs("k1", b"k" * 32)
LOGIN: Final = Authentication("wayf", "i", "i", (), (), NOW, None, NOW, LATER)
TRANSACTION: Final = Transaction("t", "BCDFGHJK", NOW, LATER, AuthnRequest("_1", "s", "e", "acs"))
SESSION: Final = Session("s", "my-loans", "e", NameID("n"), "_1", "b", "p", "t", "wayf", NOW, LATER)
PROVED: Final = MailboxProof("kaldemail", "ann@auh.rm.dk", NOW, LATER)
RECEIPT: Final = Receipt("r", ReceiptEvent.GIVEN, NOW, "da", "p", "d", "consent", (), "s", LATER)
WANTED: Final = WantedBorrower("0101990000", "STUD", (), date(2028, 11, 25), (), None)
PENDING: Final = Enrolment("e", EnrolmentState.PENDING, NOW, WANTED, next_attempt=NOW)


class AskedStore(SqliteStore):
    """A store that notes of each write whether it was asked to wait for the disk."""

    def __init__(self, path: Path) -> None:
        """Note nothing yet."""
        super().__init__(path)
        self.asked: list[bool] = []

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:
        """Write and note."""
        self.asked.append(durable)
        return super().put_many(first, others, now, durable=durable)


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Any:
    """Give an empty store."""
    path = tmp_path / "broker.db"
    copy(empty_store, path)
    store = AskedStore(path)
    yield store
    for connection in store._connections.idle:
        connection.close()


def clock() -> datetime:
    """Give the time at which all happens."""
    return NOW


def enrol(store: AskedStore) -> None:
    """Write an enrolment, and change it."""
    persons = PersonRecords(store, LookupHmacs("i1", b"k" * 32))
    persons.change("p", lambda person: person.set_enrolment(PENDING), NOW)
    persons.change("p", lambda person: person.set_enrolment(None), NOW)


def lease(store: AskedStore) -> None:
    """Claim an enrolment, hold it, and let it go."""
    persons = PersonRecords(store, LookupHmacs("i1", b"k" * 32))
    persons.change("p", lambda person: person.set_enrolment(PENDING), NOW)
    store.asked.clear()
    claimed = persons.claim_due(NOW, NOW)
    assert claimed
    assert claimed.lease.renew(LATER, NOW)
    claimed.lease.end(NOW)


def log_in(store: AskedStore) -> None:
    """Begin a transaction, and change it."""
    transactions = Transactions(store)
    context = transactions.add(TRANSACTION, NOW)
    transactions.change(context, lambda found: replace(found, browser="b"), NOW)


def arrive(store: AskedStore) -> None:
    """Bring an answer, and spend it."""
    arrivals = Arrivals(store, KEY)
    spend(arrivals, arrivals.add("t", "_1", LOGIN, ("_a", LATER), NOW), NOW)


def log_out(store: AskedStore) -> None:
    """Begin a session, end it, and close what came before."""
    sessions = Sessions(store, KEY)
    sessions.add(SESSION, NOW)
    sessions.end([SESSION], NOW)
    sessions.close("b", "p", NOW)


WRITES: dict[str, tuple[Callable[[AskedStore], object], bool]] = {
    "an enrolment": (enrol, True),
    "a receipt": (lambda store: file_receipt(store, "ann", "my-loans", RECEIPT, NOW), True),
    "a proof": (lambda store: keep_proof(PersonRecords(store, KEY), "ann", PROVED, NOW), True),
    "a lease": (lease, False),
    "a transaction": (log_in, False),
    "an arrival": (arrive, False),
    "a session": (log_out, False),
}


@pytest.mark.parametrize(("write", "durable"), WRITES.values(), ids=WRITES)
def test_a_power_cut_undoes_no_more_than_a_login(
    store: AskedStore, write: Callable[[AskedStore], object], *, durable: bool
) -> None:
    """Person, enrolment, consent and proof are on the disk before anybody learns of them."""
    write(store)
    assert store.asked
    assert set(store.asked) == {durable}
