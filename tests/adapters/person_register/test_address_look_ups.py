"""A look-up through each simulated register over TLS: who gets an address, and who does not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.register_look_up import ADDRESS_FIELDS
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import RegisterRule
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.register_look_ups import RegisterLookUps
from broker.use_cases.storage.person_records import PersonRecords
from tests.adapters.person_register.conftest import Stage
from tests.use_cases.conftest import Hooks, Shelf

pytestmark = pytest.mark.server

WRITTEN = {"address": "Prøvevej 12B, 2. th", "address2": "Nørre Prøve", "postal_code": "8000", "city": "Aarhus C"}


def now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


@pytest.mark.parametrize(
    ("cpr", "fields", "note"),
    [
        ("0101800000", WRITTEN, None),
        ("0202800000", {}, None),  # protected name and address
        ("0404800000", {}, "dead"),
        ("3112990000", {}, "not_active"),
    ],
)
def test_only_an_active_unprotected_person_gets_an_address(
    stage: Stage, tmp_path: Path, cpr: str, fields: dict[str, str], note: str | None
) -> None:
    """A protected address stays in the register, also if the policy asks for it."""
    persons = PersonRecords(open_store("sqlite:broker.db", tmp_path), LookupHmacs("k", b"key"))
    library = Shelf(Hooks())
    library.add(PersonFacts(), cpr, number="7")
    persons.change("person", lambda each: each.request_look_up(cpr, "7", RegisterRule("always"), now()), now())
    claimed = persons.claim_due(now() + timedelta(minutes=1), now())
    assert claimed
    pins: Any = None  # a look-up concerns no PIN
    ports = EnrolmentPorts(library, persons, persons.hmacs, now, pins)
    person = claimed.record.value
    assert person.register_look_up
    look_ups = RegisterLookUps(ports, stage.opened())
    look_ups.carry_out(claimed.record.key.group, person.register_look_up, claimed.lease)
    record = persons.read("person", now())
    assert record
    written = {name: text for name, text in library.borrowers["7"].fields.items() if name in ADDRESS_FIELDS}
    assert (written, record.value.register_note) == (fields, note)
    assert record.value.register_look_up is None
