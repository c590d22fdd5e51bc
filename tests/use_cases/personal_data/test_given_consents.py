"""Consents in a real store: each person withdraws only their own, and the files contain nothing in clear text."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.entities import Controller, Service, Text
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import LegalBasis
from broker.core.ports import Store
from broker.use_cases.personal_data.given_consents import GivenConsents
from broker.use_cases.storage.person_records import PersonRecords
from tests.plugins.stored_receipts import file_receipt

NOW = datetime(2031, 1, 1, 12, 0, tzinfo=UTC)
HMACS = LookupHmacs("k1", b"k" * 32)
ASTA, BO = "5e" * 16, "b0" * 16
LOANS = Service(
    "my-loans",
    "https://loans.library.example/saml",
    Text("My loans", "Mine lån"),
    ("wayf",),
    Controller(Text("The Royal Example Library", "Det Kgl. Eksempelbibliotek"), "dpo@royal.example"),
    privacy_notice=Text("https://library.example/en/privacy", "https://library.example/privatliv"),
)
PRINT = Service("myprint", "https://print.library.example/saml", Text("MyPrint", "MyPrint"), ("wayf",))
FileAnswer = Callable[..., Receipt]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a sealed store in a file."""
    return EncryptedStore(open_store("sqlite:broker.db", tmp_path), {"k1": bytes(range(32))}, "k1")


@pytest.fixture
def choices(store: Store) -> GivenConsents:
    """Return the consents at two services."""
    return GivenConsents(PersonRecords(store, HMACS), HMACS, {each.name: each for each in (LOANS, PRINT)})


@pytest.fixture
def file_answer(choices: GivenConsents) -> FileAnswer:
    """Return a function that stores a person's answer."""

    def file(
        person: str, service: str = "my-loans", at: datetime = NOW, basis: LegalBasis = "consent", *, remember: bool
    ) -> Receipt:
        group = choices.hmacs.compute("receipts", person, service)
        event = ReceiptEvent.GIVEN if basis == "consent" else ReceiptEvent.INFORMED
        until = at + timedelta(days=365) if remember else None
        names = ("sn", "cpr", "mail", "title")
        record_id = sha256(f"{person} {service} {at}".encode()).hexdigest()[:32]
        made = Receipt(record_id, event, at, "da", group, "d" * 64, basis, names, "s", until, ("mail",))
        file_receipt(choices.persons.store, person, service, replace(made, optional=("mail", "title")), at)
        return made

    return file


def test_another_persons_consent_is_not_withdrawn(choices: GivenConsents, file_answer: FileAnswer) -> None:
    """A consent at another service is not withdrawn either."""
    file_answer(ASTA, remember=True)
    assert choices.take_back(BO, "my-loans", "da", NOW) is None
    assert choices.take_back(ASTA, "myprint", "da", NOW) is None
    assert choices.list_all(ASTA, NOW)[0].find_remembered(NOW) is not None


def test_the_record_has_the_fields_of_the_standard(choices: GivenConsents, file_answer: FileAnswer) -> None:
    """The fields of ISO/IEC TS 27560 as JSON: attribute names and pseudonyms, but no person id and no entityID."""
    file_answer(ASTA, remember=True)
    receipts = [choices.list_all(ASTA, NOW)[0].receipts[0]]
    file_answer(ASTA, "myprint", remember=True)
    receipts.append(choices.list_all(ASTA, NOW)[1].receipts[0])
    first, second = (
        choices.as_record(made, service, "https://login.library.example/my-choices", None, None)
        for made, service in zip(receipts, (LOANS, PRINT), strict=True)
    )
    assert set(first) >= {
        "record_id", "schema", "event", "event_time", "language", "user_ref", "service_ref", "policy_version",
        "legal_basis", "data_categories", "set_hash", "retention", "valid_until", "withdraw_url", "method",
    }  # fmt: skip
    assert (first["event"], first["data_categories"]) == ("given", ["sn", "cpr", "mail"])
    assert first["optional_not_chosen"] == ["title"]
    assert first["as_configured_now"]["recipients"][0]["contact"] == "dpo@royal.example"
    assert second["as_configured_now"]["privacy_notice_url"] is None
    assert not {first["user_ref"], first["service_ref"]} & {second["user_ref"], second["service_ref"]}
    written = json.dumps(first)
    assert [each for each in (ASTA, LOANS.entity_id) if each in written] == []


def test_the_files_of_the_store_contain_no_clear_text(
    choices: GivenConsents, file_answer: FileAnswer, tmp_path: Path
) -> None:
    """The files of the store name no person, service, attribute or action.

    Source: docs/reference/consent.md#check-5.
    """
    file_answer(ASTA, remember=True)
    choices.take_back(ASTA, "my-loans", "da", NOW)
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"person" in octets
    for clear in ("my-loans", LOANS.entity_id, "library.example", "title", "given", "withdrawn", "consent"):
        assert clear.encode() not in octets, clear
