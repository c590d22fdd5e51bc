"""The next holder of a name at the university is not the last one, to no service.

Source: docs/reference/design.md#persons and #names.
"""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.gate import http_bindings
from broker.core.identity.identifier_reassignment import PersonLink
from broker.core.serialization import load
from broker.demo.library.services import Landing
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import wayf_hub
from tests.plugins.house import House, Person, mark

URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
ASTA, OTHER, REPLACEMENT, CONSTRUCTED = "1403044004", "1206034218", "7403044000", "140304ABC1"


@pytest.fixture
def asta(house: House) -> Landing:
    """Let Asta get a borrower, and give what MyPrint hears of her."""
    person = house.person()
    assert house.landing(person.agree(person.log_in("asta"))).status == "Success"
    return landed(house, arrive(house))


@pytest.mark.parametrize(
    ("number", "level"),
    [(OTHER, "1"), (OTHER, "2"), (REPLACEMENT, "2"), (CONSTRUCTED, "2")],
    ids=["self-asserted", "known in person", "replacement", "constructed"],
)
def test_the_next_holder_of_an_eppn_gets_nothing_of_the_last(
    house: House, asta: Landing, number: str, level: str
) -> None:
    """Asta's name with another number, however weak: no borrower, one listed case, and Asta herself goes on."""
    for _ in range(2):
        _, page = arrive(house, schacPersonalUniqueID=(URN + number,), eduPersonAssurance=(level,))
        assert mark(page) == ("refuse", "cpr_changed")
    rows = [row for row in house.parts.cases.rows() if row["reason"] == "cpr_changed"]
    assert [row["linked"] for row in rows] == [asta.attributes["uid"][0]]
    assert mark(arrive(house, schacPersonalUniqueID=())[1]) == ("refuse", "cpr_changed")
    again = landed(house, arrive(house))
    assert (again.name_id, again.attributes) == (asta.name_id, asta.attributes)


def test_staff_give_the_name_to_its_next_holder(house: House, asta: Landing) -> None:
    """After the retry the name leads nowhere, by whatever weak number, and Asta's CPR still to Asta."""
    weak = {"schacPersonalUniqueID": (URN + OTHER,), "eduPersonAssurance": ("1",)}
    arrive(house, **weak)
    (case,) = (str(row["id"]) for row in house.parts.cases.rows() if row["reason"] == "cpr_changed")
    assert house.parts.cases.retry(case)
    assert mark(arrive(house, **weak)[1]) == ("refuse", "no_library_account")
    moved = arrive(house, eduPersonPrincipalName=("asta.new@au.dk",))
    assert landed(house, moved).name_id == asta.name_id


@pytest.mark.parametrize("numbers", [(), (URN + ASTA,)], ids=["no number", "her own, self-asserted"])
def test_a_weak_login_that_contradicts_nothing_holds_for_a_year(
    house: House, asta: Landing, numbers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within twelve months Asta's name is Asta; then it is somebody new, NameID and all."""
    weak = {"schacPersonalUniqueID": numbers, "eduPersonAssurance": ("1",)}
    # The services' requests come at the time it is for the broker.
    monkeypatch.setattr("broker.demo.library.services.datetime", SimpleNamespace(now=lambda _zone: house.clock.now()))
    house.clock.ahead = timedelta(days=300)
    held = landed(house, arrive(house, **weak))
    assert (held.name_id, held.attributes["uid"]) == (asta.name_id, asta.attributes["uid"])
    house.clock.ahead = timedelta(days=366)
    assert mark(arrive(house, **weak)[1]) == ("refuse", "no_library_account")


def test_a_self_asserted_number_finds_no_borrower(house: House, asta: Landing) -> None:
    """Another name with Asta's number, at the lowest level, is not Asta."""
    assert asta.attributes["uid"]
    stranger = {"eduPersonPrincipalName": ("mallory@au.dk",), "eduPersonAssurance": ("1",)}
    assert mark(arrive(house, **stranger)[1]) == ("refuse", "no_library_account")


@pytest.mark.parametrize(("number", "same"), [(ASTA, True), (OTHER, False)])
def test_a_replacement_number_gives_way_to_the_cpr_of_the_same_birth(house: House, number: str, *, same: bool) -> None:
    """A student from abroad who gets a CPR stays the same person; another who gets the eppn does not."""
    arrive(house, schacPersonalUniqueID=(URN + REPLACEMENT,))
    before = people(house)
    arrive(house, schacPersonalUniqueID=(URN + number,))
    assert (len(before), people(house) == before) == (1, same)


@pytest.mark.parametrize(("numbers", "told"), [((URN + ASTA,), ("pin", "")), ((), ("refuse", "cpr_required"))])
def test_a_name_alone_makes_no_new_pin(
    house: House, asta: Landing, numbers: tuple[str, ...], told: tuple[str, str]
) -> None:
    """The next holder of Asta's name, a student too, would keep her account by a PIN long after the link has ended."""
    assert asta.attributes["uid"]
    person = house.person()
    asked = wayf_hub.read(urlsplit(str(person.get("/pin?change=wayf").location)).query)
    attributes = {**persona("asta").attributes, "schacPersonalUniqueID": numbers}
    who = replace(persona("asta"), attributes={name: values for name, values in attributes.items() if values})
    xml = wayf_hub.response(HUB, asked, who, house.hub_key(), house.clock.now())
    arrived = person.deliver(asked.acs, http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state))
    assert mark(person.get(arrived.location)) == told


def people(house: House) -> set[str]:
    """Give the person ids that links lead to."""
    store = house.parts.store
    return {load(PersonLink, kept.value).person for _, kept in store.list("link", None, house.clock.now())}


def arrive(house: House, service: str = "myprint", /, **asserted: tuple[str, ...]) -> tuple[Person, TestResponse]:
    """Come to a service by the hub as Asta, with these attributes in place of hers (an empty one is not sent)."""
    attributes = {name: values for name, values in {**persona("asta").attributes, **asserted}.items() if values}
    person = house.person()
    asked = wayf_hub.read(urlsplit(person.choose(person.ask(service))).query)
    who = replace(persona("asta"), attributes=attributes)
    xml = wayf_hub.response(HUB, asked, who, house.hub_key(), house.clock.now())
    fields = http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state)
    return person, person.get(person.deliver(asked.acs, fields).location)


def landed(house: House, came: tuple[Person, TestResponse]) -> Landing:
    """Agree to what is asked and give what MyPrint hears."""
    person, page = came
    return house.landing(person.agree(page))


def test_no_account_is_learnt_of_whose_name_is_in_doubt(house: House, asta: Landing) -> None:
    """While staff have the case nothing is written down about a borrower for a person who may be another."""
    assert asta
    _, page = arrive(house, schacPersonalUniqueID=(URN + OTHER,), eduPersonAssurance=("2",))
    assert mark(page) == ("refuse", "cpr_changed")
    known = house.broker.read(page.request.path.split("/")[2], house.clock.now()).transaction
    assert known.person is not None
    assert (known.person.case, known.account) == ("cpr_changed", None)


ONE, ANOTHER = "6f1c0000-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000002"
NO_NUMBER: dict[str, tuple[str, ...]] = {"schacPersonalUniqueID": ()}


@pytest.mark.parametrize("level", ["1", "2"], ids=["self-asserted", "known in person"])
def test_the_next_holder_with_another_cpr_uuid_gets_nothing_of_the_last(
    house: House, asta: Landing, level: str
) -> None:
    """Asta's name with another cprUuid and no number, however weak: no borrower, one listed case, and Asta goes on."""
    assert landed(house, arrive(house, cprUuid=(ONE,))).name_id == asta.name_id
    for _ in range(2):
        _, page = arrive(house, **NO_NUMBER, cprUuid=(ANOTHER,), eduPersonAssurance=(level,))
        assert mark(page) == ("refuse", "cpr_changed")
    assert listed(house) == [asta.attributes["uid"][0]]
    assert mark(arrive(house, **NO_NUMBER)[1]) == ("refuse", "cpr_changed")
    again = landed(house, arrive(house, **NO_NUMBER, cprUuid=(ONE,)))
    assert (again.name_id, again.attributes) == (asta.name_id, asta.attributes)


def test_the_right_number_beside_another_cpr_uuid_is_a_case(house: House, asta: Landing) -> None:
    """The register gives nobody a second cprUuid: of two things that were ever one person's, one is wrong now."""
    landed(house, arrive(house, cprUuid=(ONE,)))
    assert mark(arrive(house, cprUuid=(ANOTHER,))[1]) == ("refuse", "cpr_changed")
    assert listed(house) == [asta.attributes["uid"][0]]
    assert mark(arrive(house, **NO_NUMBER, eduPersonPrincipalName=(), cprUuid=(ANOTHER,))[1])[0] == "refuse"


@pytest.mark.parametrize("level", ["1", "2"], ids=["self-asserted", "known in person"])
def test_one_persons_name_and_anothers_cpr_uuid_are_a_case(house: House, asta: Landing, level: str) -> None:
    """Two names that lead to two people lead to neither."""
    other = {"eduPersonPrincipalName": ("other@au.dk",), "schacPersonalUniqueID": (URN + OTHER,)}
    theirs = landed(house, arrive(house, "my-loans", **other, cprUuid=(ANOTHER,)))
    assert theirs.name_id != asta.name_id
    for _ in range(2):
        _, page = arrive(house, **NO_NUMBER, cprUuid=(ANOTHER,), eduPersonAssurance=(level,))
        assert mark(page) == ("refuse", "cpr_changed")
    assert listed(house) == [asta.attributes["uid"][0]]
    still = landed(house, arrive(house, **{**other, **NO_NUMBER}, cprUuid=(ANOTHER,)))
    assert still.attributes["uid"] == theirs.attributes["uid"]


def test_a_cpr_uuid_that_comes_later_is_learned(house: House, asta: Landing) -> None:
    """Asta without a number and with a cprUuid for the first time is Asta; from then on another one is not."""
    for _ in range(2):
        learned = landed(house, arrive(house, **NO_NUMBER, cprUuid=(ONE,)))
        assert (learned.name_id, learned.attributes["uid"]) == (asta.name_id, asta.attributes["uid"])
    assert mark(arrive(house, **NO_NUMBER, cprUuid=(ANOTHER,))[1]) == ("refuse", "cpr_changed")


def test_a_self_asserted_cpr_uuid_is_not_learned(house: House, asta: Landing) -> None:
    """What anybody may have typed does not part Asta from her borrower later."""
    weak = landed(house, arrive(house, **NO_NUMBER, cprUuid=(ANOTHER,), eduPersonAssurance=("1",)))
    assert weak.name_id == asta.name_id
    assert landed(house, arrive(house, **NO_NUMBER, cprUuid=(ONE,))).name_id == asta.name_id


def listed(house: House) -> list[object]:
    """Give the borrowers that links remember for whom staff have a case."""
    return [row["linked"] for row in house.parts.cases.rows() if row["reason"] == "cpr_changed"]
