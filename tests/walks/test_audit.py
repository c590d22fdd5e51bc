"""The audit trail of whole logins: the events that happened, in their order, and nothing of the person."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.app import audit_operations, readiness
from broker.core.login.transaction import Transaction
from broker.demo.people.personas import persona
from broker.use_cases.records import Reads
from broker.use_cases.transactions import Transactions
from tests.plugins.house import House, mark

LOOP = {"enrolment_made"}  # written by the worker, before or after the request's next line


def _trail(house: House) -> StoredAuditLog:
    assert isinstance(house.parts.trail, StoredAuditLog)
    return house.parts.trail


def _lines(house: House) -> Iterator[dict[str, object]]:
    for each in sorted(_trail(house).journal.folder.glob("*.jsonl")):
        yield from map(json.loads, each.read_text().splitlines())


def _events(house: House) -> list[object]:
    return [each["event"] for each in _lines(house)]


def _settled(house: House) -> None:
    """Wait until the worker has written that the account was made: it may be after the assertion has left."""
    house.until(lambda: set(_events(house)) >= LOOP, "the account was made")


def test_a_whole_login_is_on_the_trail_and_nothing_of_the_person(house: House) -> None:
    """Decision, consent, borrower, release; a second login by its release alone; no value of the persona anywhere."""
    person, asta = house.person(), persona("asta")
    landed = house.landing(person.agree(person.log_in("asta"), remember=True))
    _settled(house)
    first = _events(house)
    assert [each for each in first if each not in LOOP] == [
        "opened",
        "policies_loaded",
        "decided",
        "consent_given",
        "enrolment_wanted",
        "released",
    ]
    assert [each for each in first if each in LOOP] == ["enrolment_made"]
    again = house.person()
    house.landing(again.log_in("asta"))
    told = [each for each in _events(house) if each not in LOOP]
    assert told[-2:] == ["released", "released"]  # straight through, one line says it all
    released = list(_lines(house))[-1]
    assert {"cpr", "borrower_number"} <= set(
        map(str, released["attributes"] if isinstance(released["attributes"], list) else ())
    )
    assert str(released["policy"]).startswith("student.yaml:")
    files = b"".join(each.read_bytes() for each in _trail(house).journal.folder.iterdir()).decode()
    cookies = [each.value for each in (*person.cookies(""), *again.cookies(""))]
    values = [value for each in asta.attributes.values() for value in each if len(value) > 3]
    landed_values = [value for each in landed.attributes.values() for value in each]
    known = {"au.dk", "Aarhus Universitet", "student"}  # the institution's, not the person's
    assert landed.name_id
    for value in {*values, *landed_values, *cookies, landed.name_id} - known:
        # Two digits may be part of anything; as a fact of their own they may not.
        bare = value.rpartition(":")[2]
        assert (bare if len(bare) > 3 else f'"{bare}"') not in files, bare
    assert audit_operations.verified(house.parts).findings == []


def test_a_refusal_is_on_the_trail_with_its_reason_and_rule(house: House) -> None:
    """Whom the policies deny; a stranger's message that is no SAML costs the trail nothing."""
    assert mark(house.person().log_in("mia"))[0] == "refuse"
    house.person().deliver("/saml/sp/wayf/acs", {"SAMLResponse": "AAAA"})
    (refused,) = [each for each in _lines(house) if each["event"] == "refused"]
    assert refused["reason"] == persona("mia").expect
    assert refused["upstream"] == "wayf"


def test_a_consent_is_on_the_trail_when_given_refused_and_taken_back(house: House) -> None:
    """Each answer once, with the receipt it is about."""
    person = house.person()
    page = person.agree(person.log_in("asta"), answer="no")
    assert mark(page) == ("refuse", "consent_refused")
    given = house.person()
    given.agree(given.log_in("asta"), remember=True)
    assert [each for each in _events(house) if "consent" in str(each)] == ["consent_refused", "consent_given"]


def test_a_second_submit_is_on_the_trail_once(house: House) -> None:
    """The same assertion given again is no second release (docs/reference/design.md#4a-shown)."""
    person = house.person()
    landed = person.agree(person.log_in("asta"), remember=True)
    again = person.get(landed.request.path.removesuffix("/consent"))
    assert house.landing(again) == house.landing(landed)
    assert _events(house).count("released") == 1


def test_no_assertion_leaves_that_cannot_be_written_down(house: House) -> None:
    """A full disk or a lost folder: the person is asked to try again, readiness says so, and then it works."""
    person, folder = house.person(), _trail(house).journal.folder
    house.landing(person.agree(person.log_in("asta"), remember=True))
    _settled(house)
    away = folder.rename(folder.with_name("elsewhere"))
    page = house.person().log_in("asta")
    assert mark(page) == ("error", "audit_unavailable")
    assert b"SAMLResponse" not in page.get_data()
    assert readiness.readiness(house.parts)["audit"]
    away.rename(folder)
    assert not readiness.readiness(house.parts)["audit"]
    assert "audit" in readiness.notes(house.parts)
    house.landing(house.person().log_in("asta"))


def test_an_overtaken_release_is_said_not_to_have_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another fact was written first: what the trail said of this assertion is taken back on the trail."""
    person = house.person()
    house.landing(person.agree(person.log_in("asta"), remember=True))
    _settled(house)
    release = Transactions.put_then_read
    lost: list[str] = []

    def overtaken(self: Transactions, transaction: Transaction, *further: Any) -> Reads | None:
        if not lost:
            lost.append(transaction.id)
            return None
        return release(self, transaction, *further)

    monkeypatch.setattr(Transactions, "put_then_read", overtaken)
    house.landing(house.person().log_in("asta"))
    assert _events(house)[-3:] == ["released", "not_released", "released"]


def test_staff_erase_a_borrower_and_the_trail_is_whole(house: House) -> None:
    """By the borrower number: shown before, nobody's after, and no finding either way."""
    person = house.person()
    landed = house.landing(person.agree(person.log_in("asta"), remember=True))
    _settled(house)
    (number,) = landed.attributes["uid"]
    before = audit_operations.events(house.parts, borrower=number)
    assert {str(each["event"]) for each in before} == {
        "decided",
        "consent_given",
        "enrolment_wanted",
        "enrolment_made",
        "released",
    }
    reference = str(before[0]["reference"])
    assert audit_operations.events(house.parts, reference=reference)[0]["event"] == "decided"
    assert audit_operations.erased(house.parts, borrower=number) >= 1
    assert (
        audit_operations.events(house.parts, borrower=number)
        == audit_operations.events(house.parts, reference=reference)
        == ()
    )
    assert audit_operations.verified(house.parts).findings == []
    assert _events(house)[-1] == "person_erased"
