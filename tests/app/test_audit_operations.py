"""What staff read and erase of the audit log: the events of a borrower's persons, and of nobody else."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from broker.app import audit_operations
from broker.app.assembly import Parts, assemble, now
from broker.configuration.settings.config import load
from broker.core.borrowers.borrower import Borrower
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.core.person_record import PersonRecord
from broker.core.ports import Kept, Key
from broker.demo.run.demo_folder import Setting
from broker.use_cases.storage.records import dump

NUMBER = "4711"
# Persons, and the borrower that the CPR number of each was found to have.
PERSONS = {"holder": NUMBER, "another": "4712", "stranger": None}


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Parts:
    """Give a broker's parts over an empty store and an empty audit log, with borrowers in it."""
    environ = {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}", "BROKER_STATE": str(tmp_path / "state")}
    parts = assemble(load(setting.config, environ))
    by_pin = compute_person_id_of_borrower(parts.keys.index, NUMBER)
    for person, number in {**PERSONS, by_pin: None}.items():
        reason = "by-pin" if person == by_pin else person
        parts.audit_log.add(AuditEvent(AuditEventKind.DECIDED, now(), person=person, reason=reason))
        if number:
            borrower = Borrower(number, "STUD")
            change = partial(PersonRecord.confirm_borrower, borrower=borrower, now=now())
            parts.enrolment_ports.persons.change(person, change, now())
    parts.audit_log.add(AuditEvent(AuditEventKind.ENROLMENT_MADE, now(), borrower=NUMBER, reason="its number"))
    return parts


def put(parts: Parts, key: Key, fact: object) -> None:
    """Store a fact."""
    assert parts.store.put(key, Kept(dump(fact), "1", now() + timedelta(days=1)), None, now())


def reasons(parts: Parts, borrower: str) -> set[str]:
    """Give what is told of the events of a borrower."""
    return {str(event.get("reason")) for event in audit_operations.events(parts, borrower=borrower)}


def test_the_events_of_a_borrower_are_those_of_its_persons(parts: Parts) -> None:
    """By its number, by the CPR number that found it, and by its library account."""
    assert reasons(parts, NUMBER) == {"holder", "by-pin", "its number"}
    assert reasons(parts, "4712") == {"another"}
    assert reasons(parts, "4713") == set()


def test_what_is_erased_is_the_borrowers_and_nobody_elses(parts: Parts) -> None:
    """One key of each of its persons and one of its number; the others' events can be read as before."""
    assert audit_operations.erased(parts, borrower=NUMBER) == 3
    assert (reasons(parts, NUMBER), reasons(parts, "4712")) == (set(), {"another"})
    assert audit_operations.erased(parts, borrower=NUMBER) == 0
    assert audit_operations.verified(parts).findings == []
