"""Two persons with a record of every kind in the store, written by the production code that writes each kind."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.app.assembly import Parts, assemble, now
from broker.configuration.settings.config import load
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.register_look_up import LookUpReason, RegisterLookUp
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import TraceFacts
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.identity.person_id import compute_person_id_of_borrower, compute_person_id_of_cpr
from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.logout.logout_state import Logout, LogoutPeer, LogoutRequest
from broker.core.logout.sessions import NameID, Session
from broker.core.mail.mail_contents import WelcomeMail
from broker.core.person_record import RememberedBrowser
from broker.core.policy.model import RegisterRule
from broker.core.ports import Key
from broker.core.retention import RecordKind
from broker.demo.run.demo_folder import Setting
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.personal_data.stored_data import OWN_LOOKS
from broker.use_cases.storage.rate_limits import Limits
from broker.use_cases.storage.records import Records
from broker.use_cases.transactions.transactions import Transactions
from tests.plugins.stored_receipts import file_receipt, keep_proof

AU: Final = "https://idp.au.example"
GONE_SERVICE: Final = "reading-room"
FRESH: Final = timedelta(minutes=1)
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CPR: Final = "urn:oid:1.3.6.1.4.1.25178.1.2.15"
_EPPN: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
_AFFILIATION: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"
_ASSURANCE: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.11"
_URN: Final = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"


@dataclass(frozen=True)
class StoredPerson:
    """The identifiers of one person."""

    cpr: str
    eppn: str
    number: str
    address: str
    reference: str


ASTA: Final = StoredPerson("1403044004", "asta@au.dk", "4711", "asta@auh.rm.dk", "BCDFGHJK")
KARLA: Final = StoredPerson("1111024568", "karla@au.dk", "4712", "karla@auh.rm.dk", "KMNPQRST")


@dataclass(frozen=True)
class RecordWriter:
    """Writes the records of one person."""

    parts: Parts
    who: StoredPerson

    @property
    def id(self) -> str:
        """Return the person id."""
        return compute_person_id_of_cpr(self.parts.keys.index, self.who.cpr)

    def write_all(self) -> None:
        """Write a record of every kind."""
        for leave in (
            self.log_in,
            self.enrol,
            self.queue_pin_mail,
            self.prove_mailbox,
            self.give_consent,
            self.use_rate_limit,
            self.write_audit_lines,
        ):
            leave()

    def log_in(self) -> None:
        """Store an active login, a session and a logout."""
        moment = now()
        store, hmacs = self.parts.store, self.parts.keys.index
        end = moment + timedelta(minutes=4)
        values = {_EPPN: self.who.eppn, _CPR: _URN + self.who.cpr}
        values |= {_AFFILIATION: "student@au.dk", _ASSURANCE: "2"}
        wire = tuple(WireAttribute(name, (value,)) for name, value in values.items())
        answer = Authentication("wayf", "https://wayf.demo.example", AU, (AU,), wire, moment, None, moment, end)
        request = AuthnRequest("_q1", "my-loans", "https://my-loans.demo.example", "https://my-loans/acs")
        blank = Transaction(
            f"tx-{self.who.number}", self.who.reference, moment, moment + timedelta(minutes=30), request
        )
        authenticated = replace(blank, browser=f"browser-{self.who.number}", upstream="wayf", authentication=answer)
        Transactions(store).add(replace(authenticated, person=Person(self.id)), moment)
        Arrivals(store, hmacs).add(blank.id, "_q1", answer, (f"_a{self.who.number}-{moment.timestamp()}", end), moment)
        session = Session(
            id=f"session-{self.who.number}",
            service="my-loans",
            entity_id="https://my-loans.demo.example",
            name_id=NameID(f"name-id-{self.who.number}"),
            index="_i1",
            browser=f"browser-{self.who.number}",
            person=self.id,
            transaction=blank.id,
            upstream="wayf",
            at=moment,
            until=moment + timedelta(hours=12),
        )
        Sessions(store, hmacs).add(session, moment)
        peer = LogoutPeer("service", "my-loans")
        asked = LogoutRequest(peer, "_l1", session.name_id, latest_issue_time=moment)
        logout = Logout(f"logout-{self.who.number}", asked, moment, groups=((session.browser, self.id),))
        Records(store, Logout).add(Key("logout", logout.id), logout, logout.until, moment)

    def enrol(self) -> None:
        """Store a pending enrolment, a confirmed borrower and a register look-up."""
        fields = (WantedField("email", self.who.address, "create"),)
        wanted = WantedBorrower(self.who.cpr, "STUD", (), date(2036, 1, 1), fields, self.who.address)
        due = now() + timedelta(days=1)
        pending = Enrolment(f"e-{self.who.number}", EnrolmentState.PENDING, now(), wanted, next_attempt=due)
        borrower = Borrower(self.who.number, "STUD")
        persons = self.parts.enrolment_ports.persons
        persons.change(
            self.id,
            lambda record: record.end_look_up(None, now()).confirm_borrower(borrower, now()).set_enrolment(pending),
            now(),
        )
        cpr, number = self.who.cpr, self.who.number
        look_up = RegisterLookUp(cpr, number, LookUpReason.REFRESH, RegisterRule(), now(), now())
        persons.change(self.id, lambda record: replace(record, register_look_up=look_up), now())

    def queue_pin_mail(self) -> None:
        """Make a PIN link and queue a mail with it."""
        self.parts.codes.make_link(self.who.number)
        outbox = self.parts.outbox
        outbox.queue_mail(outbox.draft_mail(self.who.address, WelcomeMail("link"), "en", about=self.who.number))

    def prove_mailbox(self) -> None:
        """Store the proof of a mailbox."""
        proved = MailboxProof("kaldemail", self.who.address, now(), now() + timedelta(days=365))
        assert keep_proof(self.parts.enrolment_ports.persons, self.id, proved, now())

    def give_consent(self) -> None:
        """Store consent receipts for a service and for a service that no longer exists."""
        for service in ("my-loans", GONE_SERVICE):
            group = self.parts.keys.index.compute("receipts", self.id, service)
            given = Receipt(
                f"r-{self.who.number}-{service}",
                ReceiptEvent.GIVEN,
                now(),
                "da",
                group,
                "digest",
                "consent",
                ("gn",),
                "shown",
                None,
            )
            file_receipt(self.parts.store, self.id, service, given, now(), hmacs=self.parts.keys.index)

    def use_rate_limit(self) -> None:
        """Use one look-up of the rate limit, and remember a browser."""
        Limits(self.parts.store, self.parts.keys.index, now).take(OWN_LOOKS, self.id)
        browser = RememberedBrowser(self.who.number, "secret-hash", now() + timedelta(days=90))
        library_id = compute_person_id_of_borrower(self.parts.keys.index, self.who.number)
        persons = self.parts.enrolment_ports.persons
        persons.change(library_id, lambda record: record.remember_browser(browser, now()), now())

    def write_audit_lines(self) -> None:
        """Write support traces and audit log lines."""
        traces = SupportTraces(self.parts.store)
        traces.add_trace(TraceFacts(self.who.reference, now(), "ask", "too_many", person=self.id))
        traces.add_trace(TraceFacts(self.who.reference[::-1], now(), "enrol", "library_unavailable", person=self.id))
        told = AuditEvent(AuditEventKind.RELEASED, now(), self.who.reference, self.id, service="my-loans")
        add = self.parts.audit_log.add
        add(replace(told, institution=AU, attributes=("gn",)))
        add(replace(told, service=GONE_SERVICE))
        add(replace(told, kind=AuditEventKind.REFUSED, reason="too_young", policy="private.yaml:18"))
        add(AuditEvent(AuditEventKind.PIN_CHOSEN, now(), borrower=self.who.number))


def store_file(parts: Parts) -> Path:
    """Return the file of an SQLite store."""
    return Path(parts.config.store.url.removeprefix("sqlite:"))


def list_keys(parts: Parts) -> set[Key]:
    """Return the keys of all records."""
    kinds = get_args(RecordKind)
    return {key for kind in kinds for key, _ in parts.store.list(kind, None, now())}


def list_person_keys(parts: Parts, who: StoredPerson) -> set[Key]:
    """Return the keys of a person's records, index entries and audit keys."""
    person = parts.stored_data.find(typed=who.cpr)
    own = {each.key for each in parts.stored_data.list_records(person)}
    audit_log = parts.audit_log
    assert isinstance(audit_log, StoredAuditLog)
    groups = {*audit_log.person_keys.groups(person.ids, (who.number,))}
    return own | {key for key in list_keys(parts) if key.kind == "audit" and key.group in groups}


def read_rows(parts: Parts) -> tuple[list[Any], list[Any]]:
    """Return all rows of the store, as in a backup."""
    with closing(sqlite3.connect(store_file(parts))) as connection:
        return connection.execute("SELECT * FROM record").fetchall(), connection.execute(
            "SELECT * FROM counter"
        ).fetchall()


def restore_rows(parts: Parts, rows: tuple[list[Any], list[Any]]) -> None:
    """Replace the contents of the store by a backup."""
    with closing(sqlite3.connect(store_file(parts))) as connection, connection:
        connection.execute("DELETE FROM record")
        connection.execute("DELETE FROM counter")
        connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", rows[0])
        connection.executemany("INSERT INTO counter VALUES (?, ?, ?, ?, ?)", rows[1])


@pytest.fixture(scope="module")
def module_parts(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the broker's parts over SQLite, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("store")
    environ = {"BROKER_STORE__URL": f"sqlite:{folder / 'broker.db'}", "BROKER_STATE": str(folder / "state")}
    return assemble(load(setting.config, environ))


@dataclass(slots=True)
class PersonRecordsBackup:
    """The records and audit log of two persons, restored before each test of a module.

    After a minute the records are written again: assertions are valid for four minutes, and must be so in each test.
    """

    parts: Parts
    copies: Path
    rows: tuple[list[Any], list[Any]] = ([], [])
    since: datetime = LONG_AGO

    def restore(self) -> None:
        """Replace what the previous test left."""
        audit_log = self._audit_log()
        audit_log.person_keys.cache.clear()
        for path in (*audit_log.files.folder.iterdir(), *self.parts.config.state.glob("forgotten*")):
            path.unlink()
        if now() - self.since >= FRESH:
            restore_rows(self.parts, ([], []))
            self._write()
            return
        restore_rows(self.parts, self.rows)
        shutil.copytree(self.copies, audit_log.files.folder, dirs_exist_ok=True)

    def _write(self) -> None:
        self.since = now()
        for who in (ASTA, KARLA):
            RecordWriter(self.parts, who).write_all()
        self.rows = read_rows(self.parts)
        shutil.rmtree(self.copies, ignore_errors=True)
        shutil.copytree(self._audit_log().files.folder, self.copies)

    def _audit_log(self) -> StoredAuditLog:
        audit_log = self.parts.audit_log
        assert isinstance(audit_log, StoredAuditLog)
        return audit_log


@pytest.fixture(scope="module")
def persons_backup(module_parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> PersonRecordsBackup:
    """Return the backup of two persons' records, not yet restored."""
    return PersonRecordsBackup(module_parts, tmp_path_factory.mktemp("backup") / "audit")


@pytest.fixture
def parts_with_persons(module_parts: Parts, persons_backup: PersonRecordsBackup) -> Parts:
    """Return the broker's parts with the records of two persons, their audit log, and no forgotten.log."""
    persons_backup.restore()
    return module_parts
