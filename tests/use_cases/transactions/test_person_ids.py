"""The person id of a login."""

from dataclasses import replace
from typing import Final

import pytest

from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.person_id import IDENTIFIER_TYPES, NAME_ID, compute_person_id_of_cpr
from broker.core.identity.rights import Ground
from broker.core.login.transaction import Authentication
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.transactions.person_resolution import compute_person_id
from tests.use_cases.conftest import World

HMACS: Final = LookupHmacs("i1", b"k" * 32)
CPR: Final = "1403044004"


@pytest.fixture
def came(world: World) -> Authentication:
    """Return an authentication without an identifier."""
    now = world.now
    return Authentication("wayf", "hub", "https://au.example", (), (), now, None, now, now)


def identify(came: Authentication, ground: Ground = Ground.NOTHING, /, **said: str) -> str | None:
    """Return the person id of a login with these attributes."""
    names = {name.replace("_", "-"): (value,) for name, value in said.items() if name != NAME_ID}
    reading = AttributeReading(Attributes(names), None, "real" if "cpr" in said else "none", None, ground=ground)
    return compute_person_id(HMACS, replace(came, name_id=said.get(NAME_ID, came.name_id)), reading)


def test_the_same_number_is_the_same_person_through_every_upstream(came: Authentication) -> None:
    """Other identifiers in the login do not matter."""
    expected = compute_person_id_of_cpr(HMACS, CPR)
    assert identify(came, Ground.INSTITUTION, cpr=CPR, eduPersonPrincipalName="asta@au.dk") == expected
    assert identify(replace(came, upstream="nemid"), Ground.NATIONAL_EID, cpr=CPR, cprUuid="u") == expected
    assert CPR not in expected
    assert identify(came, Ground.INSTITUTION, cpr="1206034218") != expected


@pytest.mark.parametrize("ground", [Ground.IDENTIFIER, Ground.NOTHING, Ground.LIBRARY_ACCOUNT])
def test_a_number_that_is_not_usable_is_nobodys_id(came: Authentication, ground: Ground) -> None:
    """The login is the person of its identifier."""
    guest = identify(came, ground, cpr=CPR, eduPersonPrincipalName="asta@au.dk")
    assert guest == identify(came, ground, eduPersonPrincipalName="asta@au.dk")


def test_the_first_identifier_of_the_list_counts(came: Authentication) -> None:
    """A further identifier of a lower rank changes nothing."""
    said: dict[str, str] = {}
    ids = []
    for identifier_type in reversed(IDENTIFIER_TYPES):
        alone = {identifier_type.replace("-", "_"): "same value"}
        said |= alone
        ids.append(identify(came, Ground.NOTHING, **said))
        assert ids[-1] == identify(came, Ground.NOTHING, **alone)
    assert len(set(ids)) == len(IDENTIFIER_TYPES)


def test_a_name_id_that_changes_is_no_identifier(came: Authentication) -> None:
    """A transient one would make every login another person."""
    assert identify(replace(came, name_id="n1", name_id_format="transient")) is None


def test_an_identifier_is_good_within_its_institution_only(came: Authentication) -> None:
    """Two institutions may assert the same value."""
    logins = (came, replace(came, institution="https://ku.example"), replace(came, upstream="campus"))
    assert len({identify(each, eduPersonPrincipalName="asta@au.dk") for each in logins}) == 3


def test_a_login_without_an_identifier_has_no_person_id(came: Authentication) -> None:
    """No other login can reach its record."""
    assert identify(came) is None
    assert identify(came, eduPersonPrincipalName="") is None
