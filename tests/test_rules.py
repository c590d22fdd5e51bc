"""From a verified authentication to a decision: what the reading held back is known to whom decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.attributes import AttributeMap, Row, WireAttribute
from broker.core.entities import Institution, Service, Text, Upstream
from broker.core.policy import PolicySet
from broker.core.proofs import Proved
from broker.core.transaction import Authentication, AuthnRequest, Transaction
from broker.rules import Rules

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORDS = Text("words", "ord")
AU = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))
MAP = AttributeMap(
    "wayf",
    (
        Row("scoped", "eduPersonScopedAffiliation", scope="sub"),
        Row("primary", "eduPersonPrimaryAffiliation", single=True, pattern="[a-z]+"),
        Row("assurance", "eduPersonAssurance"),
        Row("mail", "mail"),
    ),
)
RULES = Rules(
    {"my-loans": Service("my-loans", "https://loans.example", WORDS, ("wayf",))},
    {"wayf": Upstream("wayf", "wayf", "https://wayf.example", "https://sp.example", "wayf", WORDS, (AU,))},
    {"wayf": MAP},
    lambda: PolicySet((), "d"),
)
CAME = Authentication(
    "wayf", "https://wayf.example", AU.entity_id, (AU.entity_id,), (), NOW, "x", NOW, NOW + timedelta(minutes=4)
)


@pytest.mark.parametrize(("left", "domain"), [(timedelta(seconds=1), "auh.rm.dk"), (timedelta(0), None)])
def test_a_proof_counts_until_it_ends(left: timedelta, domain: str | None) -> None:
    """One that runs out while its person is logging in no longer says where they work."""
    proof = Proved("kaldemail", "nurse@auh.rm.dk", NOW - timedelta(days=365), NOW + left)
    assert RULES.reading(CAME, NOW, (proof,)).attributes.one("kaldemail_domain") == domain


@pytest.mark.parametrize(
    ("sent", "mail"), [((), "proved@post.example"), (("told@au.example",), "told@au.example")], ids=["none", "one"]
)
def test_a_proved_address_is_written_to_where_the_upstream_named_none(sent: tuple[str, ...], mail: str) -> None:
    """An institution's own address stands, whatever somebody proved in an earlier login."""
    proof = Proved("mail", "proved@post.example", NOW, NOW + timedelta(days=1))
    came = replace(CAME, attributes=(WireAttribute("mail", sent),) if sent else ())
    assert RULES.reading(came, NOW, (proof,)).attributes.one("mail") == mail


@pytest.mark.parametrize(
    ("sent", "may"),
    [
        ({}, True),
        ({"scoped": "employee@au.dk"}, True),
        ({"scoped": "employee@ku.dk"}, False),
        ({"primary": "EMPLOYEE"}, False),
        ({"scoped": "guest@au.dk"}, False),
        ({"assurance": "2"}, False),
    ],
)
def test_only_who_is_known_in_person_finds_a_borrower_by_cpr(sent: dict[str, str], may: bool) -> None:
    """An affiliation that was withheld leaves its holder unknown, not as well known as by a national eID."""
    wire = tuple(WireAttribute(name, (value,)) for name, value in ({"assurance": "3"} | sent).items())
    came = replace(CAME, attributes=wire)
    request = AuthnRequest("_r1", "my-loans", "https://loans.example", "https://loans.example/acs")
    begun = Transaction(
        "t" * 32, "BCDFGHJK", NOW, NOW + timedelta(minutes=30), request, upstream="wayf", authentication=came
    )
    assert RULES.decide(begun, NOW).may_find_by_cpr is may
