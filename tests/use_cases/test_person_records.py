"""The one record of a person: what it keeps, and what leads to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.person_records import PersonRecords

NOW = datetime(2031, 1, 1, tzinfo=UTC)


@pytest.fixture
def persons(tmp_path: Path) -> PersonRecords:
    """Return the records of persons in a new SQLite file."""
    return PersonRecords(open_store("sqlite:broker.db", tmp_path), LookupHmacs("k", b"key"))


def test_a_first_change_makes_the_record(persons: PersonRecords) -> None:
    """A person without a record gets one, which ends two years after they were last seen."""
    record = persons.change("anna", lambda person: person.confirm_borrower(Borrower("17", "STUD"), NOW), NOW)
    assert record.value.borrower_number == "17"
    assert record.until == NOW + timedelta(days=730)
    assert persons.read("anna", NOW + timedelta(days=731)) is None


def test_a_change_of_nothing_writes_nothing(persons: PersonRecords) -> None:
    """A second login on one day leaves the record as it is."""
    first = persons.change("anna", lambda person: person.mark_seen(NOW), NOW)
    later = NOW + timedelta(hours=3)
    assert persons.change("anna", lambda person: person.mark_seen(later), later).version == first.version


def test_two_writers_lose_nothing(persons: PersonRecords) -> None:
    """A writer whose record is out of date is asked again on what the other wrote."""
    read = persons.change("anna", lambda person: person.mark_seen(NOW), NOW)
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("17", "STUD"), NOW), NOW)
    later = NOW + timedelta(days=2)
    changed = persons.change("anna", lambda person: replace(person, last_seen=later), later, read=read)
    assert (changed.value.borrower_number, changed.value.last_seen) == ("17", later)


def test_a_borrower_number_leads_to_the_person_who_has_it_now(persons: PersonRecords) -> None:
    """A number that the record no longer names leads to nobody."""
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("17", "STUD"), NOW), NOW)
    assert persons.find_by_borrower("17", NOW) == "anna"
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("18", "STUD"), NOW), NOW)
    assert persons.find_by_borrower("17", NOW) is None
    assert persons.find_by_borrower("18", NOW) == "anna"


def test_a_dropped_person_is_gone(persons: PersonRecords) -> None:
    """Neither the record nor what leads to it stays."""
    persons.change("anna", lambda person: person.confirm_borrower(Borrower("17", "STUD"), NOW), NOW)
    persons.drop("anna", NOW)
    assert persons.read("anna", NOW) is None
    assert persons.find_by_borrower("17", NOW) is None
