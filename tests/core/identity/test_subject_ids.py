"""Identifiers of our own: who gets which, and that nobody can compare them."""

from dataclasses import replace

import pytest

from broker.core.entities import Service, Text
from broker.core.identity.person_id import PAIRWISE, SUBJECT, compute_service_ids, find_withholding_reason
from broker.core.lookup_hmacs import LookupHmacs

KEY = LookupHmacs("k1", b"k" * 32)
LOANS = Service("my-loans", "https://loans.example", Text("x", "x"), ("wayf",), scope="library.example")
OTHER = replace(LOANS, name="other", entity_id="https://other.example")
BOTH = (SUBJECT, PAIRWISE)


@pytest.mark.parametrize(
    ("wanted", "listed", "subject", "pairwise"),
    [
        (None, BOTH, None, None),
        ("none", BOTH, "not_wanted", "not_wanted"),
        ("subject-id", BOTH, None, "not_wanted"),
        ("pairwise-id", BOTH, "not_wanted", None),
        ("any", BOTH, "not_wanted", None),
        ("any", (SUBJECT,), None, None),
        ("odd", BOTH, None, None),
    ],
)
def test_metadata_takes_away_what_it_does_not_want(
    wanted: str | None, listed: tuple[str, ...], subject: str | None, pairwise: str | None
) -> None:
    """A service that takes either gets the one by which services cannot compare, where the policy lists both."""
    service = replace(LOANS, subject_id_req=wanted)
    assert find_withholding_reason(SUBJECT, service, listed) == subject
    assert find_withholding_reason(PAIRWISE, service, listed) == pairwise


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("wanted", [None, "any", "none"])
def test_without_a_scope_there_is_none(name: str, wanted: str | None) -> None:
    """An identifier without the library's scope would be nobody's: none is made, and the page says why."""
    service = replace(LOANS, scope=None, subject_id_req=wanted)
    assert find_withholding_reason(name, service, BOTH) == "no_scope"
    assert compute_service_ids(KEY, "p1", service) == {}


def test_only_the_subject_id_is_the_same_everywhere() -> None:
    """Two services can tell by it that they have the same person, and by the pairwise-id they cannot."""
    here, there = compute_service_ids(KEY, "p1", LOANS), compute_service_ids(KEY, "p1", OTHER)
    assert set(here) == set(BOTH)
    assert here[SUBJECT] == there[SUBJECT]
    assert here[PAIRWISE] != there[PAIRWISE]
    assert here[SUBJECT] != here[PAIRWISE]
    assert compute_service_ids(KEY, "p1", replace(LOANS, name="renamed")) == here


@pytest.mark.parametrize("name", BOTH)
def test_an_identifier_is_one_persons_under_our_scope(name: str) -> None:
    """Another person's, or another key's, is another; small letters and digits, and the key's id is not in it."""
    made = compute_service_ids(KEY, "p1", LOANS)[name]
    assert made != compute_service_ids(KEY, "p2", LOANS)[name]
    assert made != compute_service_ids(LookupHmacs("k1", b"j" * 32), "p1", LOANS)[name]
    digits, at, scope = made.partition("@")
    assert (at, scope) == ("@", "library.example")
    assert len(digits) == 64
    assert digits.isalnum()
    assert digits.islower() or digits.isdigit()
