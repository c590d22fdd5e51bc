"""The person id of a login."""

from dataclasses import replace

import pytest

from broker.core.identity.person_id import (
    IDENTIFIER_TYPES,
    LoginIdentifiers,
    compute_person_id,
    compute_person_id_of_borrower,
    compute_person_id_of_cpr,
)
from broker.core.identity.rights import Ground
from broker.core.lookup_hmacs import LookupHmacs

CPR = "1403044004"
EPPN = {"eduPersonPrincipalName": "asta@au.dk"}
STUDENT = LoginIdentifiers(Ground.INSTITUTION, "wayf", "https://au.example", CPR, identifiers=EPPN)
NAMELESS = LoginIdentifiers(Ground.NOTHING, "wayf", "https://au.example")


def test_the_same_number_is_the_same_person_through_every_upstream(hmacs: LookupHmacs) -> None:
    """Other identifiers in the login do not matter."""
    eid = LoginIdentifiers(Ground.NATIONAL_EID, "nemid", "https://eid.example", CPR, identifiers={"cprUuid": "u"})
    expected = compute_person_id_of_cpr(hmacs, CPR)
    assert compute_person_id(hmacs, STUDENT) == compute_person_id(hmacs, eid) == expected
    assert CPR not in expected
    assert compute_person_id(hmacs, replace(STUDENT, cpr="1206034218")) != expected


@pytest.mark.parametrize("ground", [Ground.IDENTIFIER, Ground.NOTHING, Ground.LIBRARY_ACCOUNT])
def test_a_number_that_is_not_usable_is_nobodys_id(hmacs: LookupHmacs, ground: Ground) -> None:
    """The login is the person of its identifier."""
    guest = replace(STUDENT, ground=ground)
    assert compute_person_id(hmacs, guest) == compute_person_id(hmacs, replace(guest, cpr=None))


def test_the_first_identifier_of_the_list_counts(hmacs: LookupHmacs) -> None:
    """A further identifier of a lower rank changes nothing."""
    said: dict[str, str] = {}
    ids = []
    for identifier_type in reversed(IDENTIFIER_TYPES):
        said = {**said, identifier_type: "same value"}
        ids.append(compute_person_id(hmacs, replace(NAMELESS, identifiers=said)))
        alone = {identifier_type: "same value"}
        assert ids[-1] == compute_person_id(hmacs, replace(NAMELESS, identifiers=alone))
    assert len(set(ids)) == len(IDENTIFIER_TYPES)


def test_an_identifier_is_good_within_its_institution_only(hmacs: LookupHmacs) -> None:
    """Two institutions may assert the same value."""
    named = replace(NAMELESS, identifiers=EPPN)
    other = replace(named, institution="https://ku.example")
    ids = {compute_person_id(hmacs, each) for each in (named, other, replace(named, upstream="campus"))}
    assert len(ids) == 3


def test_a_library_account_is_not_the_person_of_a_number(hmacs: LookupHmacs) -> None:
    """The number in that record may be somebody else's."""
    account = LoginIdentifiers(Ground.LIBRARY_ACCOUNT, "library", "", borrower_number=CPR)
    assert compute_person_id(hmacs, account) == compute_person_id_of_borrower(hmacs, CPR)
    assert compute_person_id(hmacs, account) != compute_person_id_of_cpr(hmacs, CPR)


def test_a_login_without_an_identifier_has_no_person_id(hmacs: LookupHmacs) -> None:
    """No other login can reach its record."""
    assert compute_person_id(hmacs, NAMELESS) is None
    assert compute_person_id(hmacs, replace(NAMELESS, identifiers={"eduPersonPrincipalName": ""})) is None
