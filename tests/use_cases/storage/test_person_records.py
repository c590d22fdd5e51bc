"""The one record of a person: what it keeps, and what leads to it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.errors import StoreUnavailable
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord, RememberedBrowser
from broker.use_cases.storage.person_records import PersonRecords
from tests.plugins.stored_receipts import keep_proof

NOW = datetime(2031, 1, 1, tzinfo=UTC)


@pytest.fixture
def persons(tmp_path: Path) -> PersonRecords:
    """Return the records of persons in a new SQLite file."""
    return PersonRecords(open_store("sqlite:broker.db", tmp_path), LookupHmacs("k", b"key"))


def test_a_borrower_number_leads_to_the_person_who_has_it_now(persons: PersonRecords) -> None:
    """A number that the record no longer names leads to nobody."""
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("17", "STUD"), NOW), NOW)
    assert persons.find_by_borrower("17", NOW) == "anna"
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("18", "STUD"), NOW), NOW)
    assert persons.find_by_borrower("17", NOW) is None
    assert persons.find_by_borrower("18", NOW) == "anna"


def test_a_borrower_number_leads_to_the_person_as_long_as_the_record_lasts(persons: PersonRecords) -> None:
    """A later login moves both ends: a deletion by borrower number finds the person."""
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("17", "STUD"), NOW), NOW)
    later = NOW + timedelta(days=700)
    persons.change("anna", lambda person: person.mark_seen(later), later)
    assert persons.find_by_borrower("17", NOW + timedelta(days=1400)) == "anna"


def test_a_login_prolongs_the_record_but_no_receipt() -> None:
    """A receipt ends two years after its answer, also of somebody who goes on to log in at other services."""
    record = PersonRecord(NOW, NOW).add_receipt("my-loans", consent("first", NOW), NOW)
    soon, late = NOW + timedelta(days=700), NOW + timedelta(days=732)
    assert record.mark_seen(soon).list_receipts("my-loans")
    assert record.mark_seen(soon).mark_seen(late).receipts == {}


def test_a_borrower_leads_to_the_person_who_was_confirmed_last(persons: PersonRecords) -> None:
    """A person who had it before takes nothing back by a login that the library system is not asked for."""
    borrower = Borrower("17", "STUD")
    persons.change("anna", lambda person: person.confirm_borrower(borrower, NOW), NOW)
    later = NOW + timedelta(days=2)
    persons.change("bo", lambda person: person.confirm_borrower(borrower, later), later)
    persons.change("anna", lambda person: person.mark_seen(later), later)
    assert persons.find_by_borrower("17", later) == "bo"
    again = later + timedelta(days=2)
    persons.change("anna", lambda person: person.mark_seen(again).confirm_borrower(borrower, again), again)
    assert persons.find_by_borrower("17", again) == "anna"


def consent(record_id: str, at: datetime, *, remembered: bool = False) -> Receipt:
    """Give a consent."""
    until = at + timedelta(days=365) if remembered else None
    return Receipt(record_id, ReceiptEvent.GIVEN, at, "da", "p", "d", "consent", ("sn",), "s", until)


def kaldemail(at: datetime, address: str = "nurse@auh.rm.dk", days: int = 365) -> MailboxProof:
    """Give the proof of a mailbox of work."""
    return MailboxProof("kaldemail", address, at, at + timedelta(days=days))


def test_answers_are_kept_for_two_years_and_the_newest_fifty_of_a_service() -> None:
    """An answer that still counts is kept beside them; the same answer twice is one."""
    remembered = consent("first", NOW, remembered=True)
    record = PersonRecord(NOW, NOW).add_receipt("my-loans", remembered, NOW)
    for number in range(60):
        at = NOW + timedelta(hours=number + 1)
        record = record.add_receipt("my-loans", consent(str(number), at), at)
        record = record.add_receipt("my-loans", consent(str(number), at), at)
    kept = record.list_receipts("my-loans")
    assert [each.record_id for each in kept[:2]] == ["59", "58"]
    assert (len(kept), kept[-1]) == (51, remembered)
    assert record.list_receipts("myprint") == ()
    later = NOW + timedelta(days=731)
    last = consent("late", later)
    assert record.add_receipt("my-loans", last, later).list_receipts("my-loans")[-1].record_id != "first"


def proofs(persons: PersonRecords, person_id: str, now: datetime) -> tuple[MailboxProof, ...]:
    """Give the proofs of a person that count."""
    record = persons.read(person_id, now)
    return persons.list_proofs(record, now) if record else ()


def test_a_mailbox_is_free_again_when_the_borrower_expires(persons: PersonRecords) -> None:
    """The employment has ended; a borrower that is extended later does not bring the proof back."""
    later = NOW + timedelta(days=40)
    assert keep_proof(persons, "anna", kaldemail(NOW), NOW)
    expiring = Borrower("17", "STUD", expires=(NOW + timedelta(days=30)).date())
    persons.change("anna", lambda record: record.confirm_borrower(expiring, NOW), NOW)
    assert proofs(persons, "anna", NOW + timedelta(days=30)) == (kaldemail(NOW),)
    assert proofs(persons, "anna", later) == ()
    assert not keep_proof(persons, "bo", kaldemail(NOW), NOW + timedelta(days=30))
    assert keep_proof(persons, "bo", kaldemail(later), later)
    extended = replace(expiring, expires=(NOW + timedelta(days=300)).date())
    persons.change("anna", lambda record: record.confirm_borrower(extended, later), later)
    assert proofs(persons, "anna", later) == ()
    assert proofs(persons, "bo", later) == (kaldemail(later),)


def test_a_proof_that_staff_remove_frees_the_mailbox(persons: PersonRecords) -> None:
    """And takes no proof of another name with it."""
    contact = replace(kaldemail(NOW), name="mail")
    assert keep_proof(persons, "anna", kaldemail(NOW), NOW)
    persons.change("anna", lambda record: record.add_proof(contact), NOW)
    persons.drop_proof("anna", "kaldemail", NOW)
    assert proofs(persons, "anna", NOW) == (contact,)
    assert keep_proof(persons, "bo", kaldemail(NOW), NOW)


def test_values_written_after_a_deletion_stay() -> None:
    """A later record stays. A restored one keeps the requests and answers of later, and nothing else."""
    later = NOW + timedelta(hours=1)
    old = (
        PersonRecord(NOW, NOW)
        .confirm_borrower(Borrower("17", "STUD"), NOW)
        .add_receipt("my-loans", consent("old", NOW), NOW)
        .add_proof(kaldemail(NOW))
        .remember_browser(RememberedBrowser("17", "h", NOW + timedelta(days=90)), NOW)
    )
    assert old.keep_after(NOW, later) is None
    assert replace(old, last_seen=later).keep_after(NOW, later) is None
    fresh = consent("new", later)
    kept = old.add_receipt("my-loans", fresh, later).keep_after(NOW, later)
    assert kept == PersonRecord(NOW, later, receipts={"my-loans": (fresh,)})
    assert old.keep_after(NOW - timedelta(seconds=1), later) == old
    request = Enrolment("e", EnrolmentState.PENDING, later)
    assert old.set_enrolment(request).keep_after(NOW, later) == PersonRecord(NOW, later, enrolment=request)
    assert old.set_enrolment(replace(request, requested_at=NOW)).keep_after(NOW, later) is None


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def open_persons(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], PersonRecords]:
    """Give what opens the records of persons as one more process has them."""
    url = "sqlite:broker.db" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    return lambda: PersonRecords(open_store(url, tmp_path), LookupHmacs("k", b"key"))


def test_answers_at_once_are_all_kept(open_persons: Callable[[], PersonRecords]) -> None:
    """Four logins and the background worker write to one record: nobody's answer is lost."""
    open_persons()

    def answer(number: int) -> None:
        persons = open_persons()
        for round_ in range(6):
            made = consent(f"{number}-{round_}", NOW + timedelta(seconds=round_))
            while True:
                try:
                    persons.change(
                        "anna", partial(PersonRecord.add_receipt, service_name="s", receipt=made, now=NOW), NOW
                    )
                    break
                except StoreUnavailable:
                    pass  # it lost eight times: the page says so, and the person tries again

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(answer, range(4)))
    record = open_persons().read("anna", NOW)
    assert record
    assert len(record.value.receipts["s"]) == 24
