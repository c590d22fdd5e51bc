"""Export and deletion of a person over a real store and audit log, by everything that a person can leave."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.forgotten_file import ForgottenFile
from broker.adapters.stores.sqlite import SqliteStore
from broker.app.assembly import Parts, now
from broker.cli.audit import verify_configured
from broker.cli.check import checks
from broker.core import retention
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import CaseReason
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.identity.person_id import PersonIds, compute_person_id_of_identifier
from broker.core.logout.sessions import Session
from broker.core.ports import Key, NewerRelease, StoredRecord, lease_key
from broker.core.retention import RecordKind
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.personal_data.stored_data import NoPerson, PersonBusy
from broker.use_cases.storage.person_records import person_key
from broker.use_cases.storage.records import WRITES
from broker.use_cases.transactions.transactions import Transactions
from tests.plugins.stored_persons import (
    ASTA,
    AU,
    GONE_SERVICE,
    KARLA,
    RecordWriter,
    list_keys,
    list_person_keys,
    read_rows,
    restore_rows,
    store_file,
)
from tests.plugins.stored_receipts import file_receipt

_ROWS: Final = "SELECT kind, grp, name, value FROM record"
# These rows hold no data of a person.
NOBODYS: Final = frozenset(
    {
        retention.TRANSACTION_BEGUN,
        retention.LEASE,
        retention.TURN,
        retention.SETUP,
        retention.AUDIT_ANCHOR,
        retention.PROCESS_STATUS,
        retention.PERSON_KEYS,
        retention.STAFF_SESSION,
        retention.STAFF_SESSION_AT_MOST,
        retention.STAFF_BINDING,
    }
)
# They end by themselves within a week.
ENDS_SOON: Final = frozenset(
    {
        retention.ARRIVAL,
        retention.LOGOUT,
        retention.ENDED,
        retention.CODE,
        retention.CODES_ENDED,
        retention.PIN_LINK,
        retention.LIMIT,
    }
)
# A part of another row's record, or deleted with it.
WITH_OTHERS: Final = frozenset(
    {
        retention.TRANSACTION_IDLE_SHARED,
        retention.TRANSACTION_DONE,
        retention.KNOWN_BROWSER,
        retention.RECEIPT,
        retention.PROOF,
        retention.MAIL_SENT,
        retention.INDEX,
        retention.MAILBOX_INDEX,
        retention.AUDIT_KEY,
    }
)
KINDS: Final = {"person", "receipts", "proofs", "browsers", "mail", "session", "transaction", "reference"}


class Killed(Exception):
    """Stands for the death of the process."""


def asta(parts: Parts) -> PersonIds:
    """Find Asta by her CPR number."""
    return parts.stored_data.find(typed=ASTA.cpr)


def test_a_person_is_found_by_each_thing_that_leads_to_them(parts_with_persons: Parts) -> None:
    """CPR number and borrower number lead to the same records; the library id of the borrower is among them."""
    by_number = parts_with_persons.stored_data.find(typed=f" {ASTA.cpr[:6]}-{ASTA.cpr[6:]} ")
    assert len(by_number.ids) == 2
    assert by_number == parts_with_persons.stored_data.find(borrower=ASTA.number) == asta(parts_with_persons)
    with pytest.raises(NoPerson, match="--login"):
        parts_with_persons.stored_data.find(typed=ASTA.eppn)
    for named in ({"typed": "1111116666"}, {"borrower": "no such"}):
        with pytest.raises(NoPerson, match="nothing is stored"):
            parts_with_persons.stored_data.find(**named)  # type: ignore[arg-type]


def test_an_identifier_leads_to_its_own_person(parts_with_persons: Parts) -> None:
    """Within its institution and type; the same value elsewhere is somebody else."""
    login = ("wayf", AU, "eduPersonPrincipalName")
    person_id = compute_person_id_of_identifier(parts_with_persons.keys.index, *login, "kim@au.dk")
    answer = replace(receipt(), record_id="kim")
    file_receipt(parts_with_persons.store, person_id, "my-loans", answer, now(), hmacs=parts_with_persons.keys.index)
    assert parts_with_persons.stored_data.find(typed="Kim@AU.dk", login=login).ids == (person_id,)
    for other in (("wayf", "https://idp.ku.example", login[2]), ("wayf", AU, "subject-id")):
        with pytest.raises(NoPerson):
            parts_with_persons.stored_data.find(typed="kim@au.dk", login=other)


def test_the_export_holds_everything_and_no_secret(parts_with_persons: Parts) -> None:
    """Records, events and recipients; no CPR number, mail text or hash that lets somebody in."""
    report = parts_with_persons.stored_data.export(asta(parts_with_persons))
    text = json.dumps(report)
    assert {each["kind"] for each in report["kept"]} == KINDS
    assert all(each["until"] for each in report["kept"])
    assert [each["service"] for each in report["recipients"]] == ["my-loans", GONE_SERVICE]
    assert [each["reason"] for each in report["events"] if each["event"] == "refused"] == ["too_young"]
    assert ASTA.address in text
    for secret in (ASTA.cpr, "secret-hash", KARLA.address, KARLA.number):
        assert secret not in text


def test_a_service_of_a_session_is_a_recipient_without_an_audit_log(parts_with_persons: Parts) -> None:
    """Another machine may have logged what was sent: the shared store has its sessions."""
    data = parts_with_persons.stored_data
    (session,) = [each.value for each in data.list_records(asta(parts_with_persons)) if isinstance(each.value, Session)]
    later = replace(session, id="later", at=session.at + timedelta(hours=1))
    Sessions(parts_with_persons.store, parts_with_persons.keys.index).add(later, now())
    for path in (parts_with_persons.config.state / "audit").iterdir():
        path.unlink()
    [recipient] = data.export(asta(parts_with_persons))["recipients"]
    assert recipient == {"service": "my-loans", "last": later.at.isoformat(timespec="seconds")}


def test_an_export_names_no_borrower_of_another_person(parts_with_persons: Parts) -> None:
    """A case of several borrowers, and those that staff ruled out, name other people's numbers."""
    persons = parts_with_persons.enrolment_ports.persons
    person_id = RecordWriter(parts_with_persons, ASTA).id
    numbers = (ASTA.number, "990017")

    def open_case(record: Any) -> Any:
        case = record.enrolment.open_case(CaseReason.POSSIBLE_DUPLICATE, numbers)
        return record.set_enrolment(replace(case, ruled_out=("990018",)))

    persons.change(person_id, open_case, now())
    text = json.dumps(parts_with_persons.stored_data.export(asta(parts_with_persons)))
    assert ASTA.number in text
    assert "990017" not in text
    assert "990018" not in text


def test_a_borrower_that_became_another_persons_is_neither_shown_nor_deleted(parts_with_persons: Parts) -> None:
    """The desk corrected the number in the account; who had it by mistake has not been looked up since."""
    karla = RecordWriter(parts_with_persons, KARLA).id
    corrected = Borrower(ASTA.number, "STUDENT")
    persons = parts_with_persons.enrolment_ports.persons
    persons.change(karla, lambda record: record.confirm_borrower(corrected, now()), now())
    assert asta(parts_with_persons) == PersonIds((RecordWriter(parts_with_persons, ASTA).id,))
    account = persons.read(parts_with_persons.stored_data.find(borrower=ASTA.number).ids[1], now())
    assert account
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    assert persons.read(account.key.group, now()) == account


def test_every_kind_of_record_is_deleted_or_ends_by_itself(parts_with_persons: Parts) -> None:
    """A row that is added to the retention table is exported and deleted, or is named here."""
    found = {each.key.kind for each in parts_with_persons.stored_data.list_records(asta(parts_with_persons))}
    assert found == {row.kind for row in set(retention.TABLE) - NOBODYS - ENDS_SOON - WITH_OTHERS}


def test_no_record_is_kept_longer_than_its_row_says(parts_with_persons: Parts) -> None:
    """The store deletes each record at the end that the retention table documents, or before it."""
    longest: dict[str, timedelta] = {}
    for row in retention.TABLE:
        longest[row.kind] = max(longest.get(row.kind, timedelta()), row.lasts or timedelta.max)
    late = []
    for kind in get_args(retention.RecordKind):
        for key, kept in parts_with_persons.store.list(kind, None, now()):
            if kept.until - now() > longest[kind]:
                late.append(key)
    assert late == []


def test_a_deletion_takes_everything_of_the_person_and_nothing_of_another(parts_with_persons: Parts) -> None:
    """Records, index entries and audit keys; the octets too, and the chain of the audit log stays whole."""
    mine, theirs = list_person_keys(parts_with_persons, ASTA), list_person_keys(parts_with_persons, KARLA)
    indexes = {key for key in list_keys(parts_with_persons) if key.kind == "index"}
    before = octets_of(parts_with_persons, mine)
    assert len(mine) == 11
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    assert parts_with_persons.stored_data.purge() == ()
    assert mine & list_keys(parts_with_persons) == set()
    assert list_person_keys(parts_with_persons, KARLA) == theirs
    with pytest.raises(NoPerson):
        asta(parts_with_persons)
    assert len(indexes & list_keys(parts_with_persons)) == len(indexes) // 2
    assert verify_configured(parts_with_persons).findings == []
    left = octets(parts_with_persons)
    assert [each for each in before if each in left] == []


def test_a_login_under_way_delivers_nothing_more(parts_with_persons: Parts) -> None:
    """It is marked as over before it is dropped, for a request that has read it already."""
    transaction = Transactions(parts_with_persons.store).read(f"tx-{ASTA.number}", now()).transaction
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    assert Sessions(parts_with_persons.store, parts_with_persons.keys.index).is_over(transaction, now())


def test_the_line_stands_before_anything_is_deleted(parts_with_persons: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and person ids, and no number; where it cannot be written nothing is deleted."""
    mine = list_person_keys(parts_with_persons, ASTA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            parts_with_persons.stored_data.forget(asta(parts_with_persons))
    assert mine <= list_keys(parts_with_persons)
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    written = (parts_with_persons.config.state / "forgotten.log").read_text()
    assert ASTA.cpr not in written
    assert ASTA.number not in written.replace(RecordWriter(parts_with_persons, ASTA).id, "").split()
    assert parts_with_persons.config.state.joinpath("forgotten.log").stat().st_mode & 0o077 == 0


def test_a_deletion_beside_the_worker_is_not_complete(parts_with_persons: Parts) -> None:
    """A worker that has the lease stops it; the same again, when it has ended, is complete."""
    place = lease_key(person_key(RecordWriter(parts_with_persons, ASTA).id))
    assert parts_with_persons.store.put(place, StoredRecord(b"", "theirs", now() + timedelta(minutes=9)), None, now())
    person = asta(parts_with_persons)
    with pytest.raises(PersonBusy):
        parts_with_persons.stored_data.forget(person)
    assert list(checks.find_restored_persons(parts_with_persons)) == [
        "person: 2 deleted person records are there again: broker person forget --replay"
    ]
    parts_with_persons.store.drop(place)
    parts_with_persons.stored_data.forget(person)
    with pytest.raises(NoPerson):
        asta(parts_with_persons)


@pytest.mark.parametrize("kind", ["person", "reference"])
def test_a_record_of_a_newer_release_is_not_deleted(parts_with_persons: Parts, kind: RecordKind) -> None:
    """Another machine was upgraded: the deletion is refused as a whole, and is complete with the newer release."""
    store, before = parts_with_persons.store, list_keys(parts_with_persons)
    person = asta(parts_with_persons)
    found = next(each for each in parts_with_persons.stored_data.list_records(person) if each.key.kind == kind)
    kept = store.get(found.key, now())
    assert kept
    newer = kept._replace(value=bytes([WRITES + 1]) + kept.value[1:], version="newer")
    assert store.put(found.key, newer, kept.version, now())
    for delete in (lambda: parts_with_persons.stored_data.forget(person), parts_with_persons.stored_data.replay):
        with pytest.raises(NewerRelease):
            delete()
    assert list_keys(parts_with_persons) >= before
    assert store.get(found.key, now()) == newer


def test_a_worker_that_comes_late_makes_no_record_again(parts_with_persons: Parts) -> None:
    """It read the record before the deletion, and its lease has been taken since."""
    persons = parts_with_persons.enrolment_ports.persons
    person_id = RecordWriter(parts_with_persons, ASTA).id
    read = persons.read(person_id, now())
    assert read
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    persons.change(person_id, lambda record: record.set_enrolment(None), now(), read=read)
    assert persons.read(person_id, now()) is None


def test_a_replay_leaves_what_was_written_after_the_line(parts_with_persons: Parts) -> None:
    """The person came again in the same month: the audit key of then, the mailbox and the answers stay."""
    audit_log = parts_with_persons.audit_log
    assert isinstance(audit_log, StoredAuditLog)
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    audit_log.person_keys.cache.clear()
    RecordWriter(parts_with_persons, ASTA).write_all()
    again = list_person_keys(parts_with_persons, ASTA)
    indexes = {key for key in list_keys(parts_with_persons) if key.kind == "index"}
    events = parts_with_persons.stored_data.list_events(asta(parts_with_persons))
    assert events
    assert parts_with_persons.stored_data.replay() == 0
    assert list_person_keys(parts_with_persons, ASTA) == again
    assert indexes <= list_keys(parts_with_persons)
    assert parts_with_persons.stored_data.list_events(asta(parts_with_persons)) == events
    proof = MailboxProof("kaldemail", ASTA.address, now(), now() + timedelta(days=1))
    assert not parts_with_persons.enrolment_ports.persons.claim_mailbox("another", proof, now())


def test_a_replay_after_a_login_keeps_the_new_parts_of_the_old_record(parts_with_persons: Parts) -> None:
    """The backup was restored and the person logged in before the replay."""
    backup = read_rows(parts_with_persons)
    person_id = RecordWriter(parts_with_persons, ASTA).id
    parts_with_persons.stored_data.forget(asta(parts_with_persons))
    restore_rows(parts_with_persons, backup)
    fresh = replace(receipt(), record_id="fresh")
    file_receipt(parts_with_persons.store, person_id, "my-loans", fresh, now(), hmacs=parts_with_persons.keys.index)
    parts_with_persons.stored_data.replay()
    record = parts_with_persons.enrolment_ports.persons.read(person_id, now())
    assert record
    assert record.value.receipts == {"my-loans": (fresh,)}
    assert (record.value.borrower_number, record.value.enrolment, record.value.proofs) == (None, None, ())
    proof = MailboxProof("kaldemail", ASTA.address, now(), now() + timedelta(days=1))
    assert parts_with_persons.enrolment_ports.persons.claim_mailbox("another", proof, now())


@pytest.mark.parametrize("after", range(1, 16))
@pytest.mark.parametrize("is_replayed", [False, True])
def test_a_deletion_that_was_killed_is_complete_when_it_is_repeated(
    parts_with_persons: Parts, after: int, is_replayed: bool
) -> None:
    """Killed at any change of the store; a replay completes it too, because its line came first."""
    mine, theirs = list_person_keys(parts_with_persons, ASTA), list_person_keys(parts_with_persons, KARLA)
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, after)
        with pytest.raises(Killed):
            parts_with_persons.stored_data.forget(asta(parts_with_persons))
    for key, _ in list(parts_with_persons.store.list("lease", None, now())):
        parts_with_persons.store.drop(key)  # it has ended by itself within seconds
    if not is_replayed:
        with suppress(NoPerson):
            parts_with_persons.stored_data.forget(asta(parts_with_persons))
    else:
        parts_with_persons.stored_data.replay()
    assert mine & list_keys(parts_with_persons) == set()
    assert list_person_keys(parts_with_persons, KARLA) == theirs


def test_a_line_that_was_cut_short_is_none(tmp_path: Path) -> None:
    """The next line is still read."""
    log = ForgottenFile(tmp_path)
    assert list(log.read()) == []
    log.add(("p1",), now())
    with (tmp_path / "forgotten.log").open("a") as file:
        file.write("\n2026-12-0")
    log.add(("p2", "p3"), now())
    assert [person_id for person_id, _ in log.read()] == ["p1", "p2", "p3"]


def receipt() -> Receipt:
    """Give a consent of this moment."""
    return Receipt("r", ReceiptEvent.GIVEN, now(), "da", "p", "d", "consent", ("gn",), "s", None)


def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the process die at a change of the store."""
    made = [0]

    def count_calls(change: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            made[0] += 1
            if made[0] == after:
                raise Killed
            return change(*args, **more)

        return run

    for name in ("put_many", "drop"):
        monkeypatch.setattr(SqliteStore, name, count_calls(getattr(SqliteStore, name)))


def octets(parts: Parts) -> bytes:
    """Give everything that lies in the files of the store."""
    file = store_file(parts)
    return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))


def octets_of(parts: Parts, noted: Iterable[Key]) -> list[bytes]:
    """Give the ciphertexts of records that lie in the store's files now."""
    with closing(sqlite3.connect(store_file(parts))) as connection:
        rows = {(kind, group, name): value for kind, group, name, value in connection.execute(_ROWS)}
    found = [rows[key] for key in noted if key in rows]
    lying = octets(parts)
    assert found
    assert all(each in lying for each in found)
    return found
