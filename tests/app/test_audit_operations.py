"""What staff read and erase of the audit trail: the events of a borrower's persons, and of nobody else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from broker.app import audit_operations
from broker.app.assembly import Parts, assemble, now
from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import ConfigurationFaults
from broker.core.identity.identifier_reassignment import PersonLink
from broker.core.ports import Kept, Key
from broker.core.serialization import dump
from broker.demo.run.demo_folder import Setting
from broker.files.settings.config import load

NUMBER = "4711"
# Names and the links that they lead to: person, borrower number, pseudonym of the CPR.
LINKS = {
    "by-number": ("holder", NUMBER, "k1.cpr"),
    "same-cpr": ("holder-elsewhere", None, "k1.cpr"),
    "another-number": ("another", "4712", "k1.other"),
    "another-cpr": ("stranger", None, "k1.other"),
    "no-cpr": ("nobody", None, None),
}


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Parts:
    """Give a broker's parts over an empty store and an empty trail, with the links in it."""
    environ = {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}", "BROKER_AUDIT__FOLDER": f"{tmp_path / 'audit'}"}
    parts = assemble(load(setting.config, environ))
    links = {**LINKS, parts.links.of_borrower(NUMBER): ("by-pin", None, None)}
    for name, (person, number, cpr) in links.items():
        link = PersonLink(person, number, cpr, now())
        assert parts.store.put(Key("link", name), Kept(dump(link), "1", now() + timedelta(days=1)), None, now())
    for person, _, _ in links.values():
        parts.trail.add(AuditEvent(AuditEventKind.DECIDED, now(), person=person, reason=person))
    parts.trail.add(AuditEvent(AuditEventKind.ENROLMENT_MADE, now(), borrower=NUMBER, reason="its number"))
    return parts


def reasons(parts: Parts, borrower: str) -> set[str]:
    """Give what is told of the events of a borrower."""
    return {str(event.get("reason")) for event in audit_operations.events(parts, borrower=borrower)}


def test_the_events_of_a_borrower_are_those_of_its_persons(parts: Parts) -> None:
    """By its number, by the links that lead there or share their CPR, and by the link that a PIN makes."""
    assert reasons(parts, NUMBER) == {"holder", "holder-elsewhere", "by-pin", "its number"}
    assert reasons(parts, "4712") == {"another", "stranger"}
    assert reasons(parts, "4713") == set()


def test_what_is_erased_is_the_borrowers_and_nobody_elses(parts: Parts) -> None:
    """One key of each of its persons and one of its number; the others' events can be read as before."""
    assert audit_operations.erased(parts, borrower=NUMBER) == 4
    assert (reasons(parts, NUMBER), reasons(parts, "4712")) == (set(), {"another", "stranger"})
    assert audit_operations.erased(parts, borrower=NUMBER) == 0
    assert audit_operations.verified(parts).findings == []


def test_an_enrolment_that_no_link_leads_to_is_found_by_its_number(parts: Parts) -> None:
    """A borrower made for somebody whose link is gone: the events of the wish are the borrower's."""
    wish = Wish("1403044004", "student", "STUD", (), date(2036, 1, 1), (), None)
    parts.enrolments.want(wish, None)
    (row,) = parts.enrolments.ports.records.all()
    parts.trail.add(AuditEvent(AuditEventKind.ENROLMENT_WANTED, now(), person=row.key.group, reason="its wish"))
    assert "its wish" not in reasons(parts, NUMBER)
    assert parts.enrolments.ports.records.write(row, replace(row.enrolment, number=NUMBER), None)
    assert "its wish" in reasons(parts, NUMBER)
    assert "its wish" not in reasons(parts, "4712")


@pytest.mark.parametrize("ask", [audit_operations.journal, audit_operations.verified, audit_operations.accepted])
def test_without_a_trail_each_question_is_a_fault_of_the_configuration(
    setting: Setting, tmp_path: Path, ask: Callable[[Parts], object]
) -> None:
    """With the key that says so."""
    environ = {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}", "BROKER_AUDIT__ON": "false"}
    parts = assemble(load(setting.config, environ))
    with pytest.raises(ConfigurationFaults, match=r"audit\.on: is false"):
        ask(parts)
