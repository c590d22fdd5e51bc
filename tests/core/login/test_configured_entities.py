"""From a verified authentication to a decision: what the reading held back is known to whom decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.core.entities import Assurance, Institution, Service, Text, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading, Attributes, MapRow, WireAttribute
from broker.core.identity.mailbox_proofs import Proved
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.login_decision import login_facts
from broker.core.login.transaction import Authentication, AuthnRequest, Transaction
from broker.core.policy.decision import evaluate
from broker.core.policy.model import PolicySet
from broker.files import attribute_maps
from tests.plugins.eid_messages import NSIS, said

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WORDS = Text("words", "ord")
AU = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))
MAP = AttributeMap(
    "wayf",
    (
        MapRow("scoped", "eduPersonScopedAffiliation", scope="sub"),
        MapRow("primary", "eduPersonPrimaryAffiliation", single=True, pattern="[a-z]+"),
        MapRow("assurance", "eduPersonAssurance"),
        MapRow("mail", "mail"),
    ),
)
RULES = ConfiguredEntities(
    {"my-loans": Service("my-loans", "https://loans.example", WORDS, ("wayf",))},
    {"wayf": Upstream("wayf", "wayf", "https://wayf.example", "https://sp.example", "wayf", WORDS, (AU,))},
    {"wayf": MAP},
    lambda: PolicySet((), "d"),
)
CAME = Authentication(
    "wayf", "https://wayf.example", AU.entity_id, (AU.entity_id,), (), NOW, "x", NOW, NOW + timedelta(minutes=4)
)


def read(rules: ConfiguredEntities, came: Authentication, *proofs: Proved) -> AttributeReading:
    """Read an authentication by the upstream that is configured."""
    return read_authentication(came, rules.upstreams[came.upstream], rules.maps, NOW, proofs)


@pytest.mark.parametrize(("left", "domain"), [(timedelta(seconds=1), "auh.rm.dk"), (timedelta(0), None)])
def test_a_proof_counts_until_it_ends(left: timedelta, domain: str | None) -> None:
    """One that runs out while its person is logging in no longer says where they work."""
    proof = Proved("kaldemail", "nurse@auh.rm.dk", NOW - timedelta(days=365), NOW + left)
    assert read(RULES, CAME, proof).attributes.one("kaldemail_domain") == domain


@pytest.mark.parametrize(
    ("sent", "mail"), [((), "proved@post.example"), (("told@au.example",), "told@au.example")], ids=["none", "one"]
)
def test_a_proved_address_is_written_to_where_the_upstream_named_none(sent: tuple[str, ...], mail: str) -> None:
    """An institution's own address stands, whatever somebody proved in an earlier login."""
    proof = Proved("mail", "proved@post.example", NOW, NOW + timedelta(days=1))
    came = replace(CAME, attributes=(WireAttribute("mail", sent),) if sent else ())
    assert read(RULES, came, proof).attributes.one("mail") == mail


LEVEL = f"{NSIS}loa/"
EID = Institution("https://eid.example", may_assert=frozenset({"cpr"}))
NEMLOGIN = Upstream(
    "nemid", "oiosaml3", EID.entity_id, "https://sp.example", "oiosaml3", WORDS, (EID,), least=Assurance.SELF_ASSERTED
)
MAPS = attribute_maps.load(Path(__file__).resolve().parents[3] / "attribute_maps").maps


def of_eid(values: dict[str, str], upstream: Upstream = NEMLOGIN) -> tuple[ConfiguredEntities, Authentication]:
    """Give rules with a national eID, and an authentication by it, of the class that says most."""
    attributes = tuple(WireAttribute(name, (value,)) for name, value in values.items())
    came = replace(
        CAME, upstream="nemid", institution=EID.entity_id, attributes=attributes, authn_context=f"{LEVEL}High"
    )
    return replace(RULES, upstreams={"nemid": upstream}, maps=MAPS), came


def class_of(rules: ConfiguredEntities, came: Authentication) -> str | None:
    """Give the class of an authentication; None where its attributes are refused."""
    try:
        return rules.authn_context(came, read(rules, came))
    except AttributesRefused:
        return None


@pytest.mark.parametrize("cap", list(Assurance))
@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"loa": "Low"}, "Low"),
        ({"loa": "Substantial"}, "Substantial"),
        ({"loa": "High"}, "High"),
        ({"loa": "High", f"{NSIS}ial": "Low"}, "Low"),
        ({"loa": "High", f"{NSIS}aal": "Substantial"}, "Substantial"),
        ({"loa": "High", f"{NSIS}ial": "Substantial", f"{NSIS}aal": "Low"}, "Low"),
        ({"loa": "Low", f"{NSIS}ial": "High", f"{NSIS}aal": "High"}, "Low"),
        ({"loa": "High", f"{NSIS}aal": "Sure"}, None),
        ({"loa": "Sure"}, None),
        ({"loa": "4"}, None),
        ({"loa": f"{LEVEL}High"}, None),
        ({"loa": "high"}, None),
        ({"loa": None}, None),
    ],
)
def test_the_class_of_the_national_eid_is_the_level_that_was_read(
    values: dict[str, str | None], level: str | None, cap: Assurance
) -> None:
    """Of all its parts the lowest, no more than it is good for; who is let in by nothing is told of as nothing."""
    rules, came = of_eid(said(**values), replace(NEMLOGIN, institutions=(replace(EID, max_assurance=cap),)))
    told = min(cap, Assurance.named(level)) if level else Assurance.SELF_ASSERTED
    expected = None if told is Assurance.SELF_ASSERTED else f"{LEVEL}{told.name.capitalize()}"
    assert class_of(rules, came) == expected


def test_who_is_not_let_in_is_of_no_class() -> None:
    """A level below what is configured satisfies no service, though it be one that it asked for."""
    rules, came = of_eid(said(loa="Low"), replace(NEMLOGIN, least=Assurance.SUBSTANTIAL))
    assert class_of(rules, came) is None
    assert rules.authn_context(came, AttributeReading(Attributes(), None, "none", None)) is None


def test_another_upstreams_class_is_its_own_word() -> None:
    """What an institution says of how it authenticated is read by no map."""
    assert RULES.authn_context(CAME, read(RULES, CAME)) == "x"


@pytest.mark.parametrize(
    ("asked", "told"), [((), "Low"), (("Low",), "Low"), (("High",), None), (("Low", "High"), "Low")]
)
def test_a_service_is_told_no_more_than_was_read(asked: tuple[str, ...], told: str | None) -> None:
    """Whatever it asks for, and whatever class stood beside the level."""
    rules, came = of_eid(said(loa="High", **{f"{NSIS}ial": "Low"}))
    classes = tuple(LEVEL + each for each in asked)
    request = AuthnRequest(
        "_r1", "my-loans", "https://loans.example", "https://loans.example/acs", authn_contexts=classes
    )
    begun = Transaction("t" * 32, "BCDFGHJK", NOW, NOW, request, upstream="nemid", authentication=came)
    vouched = rules.for_service(begun, read(rules, came))
    assert (vouched and vouched.authn_context) == (told and LEVEL + told)


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
    facts = login_facts(read(RULES, came).without_cpr(), upstream="wayf", intent=None)
    assert evaluate(RULES.policies(), facts, RULES.service("my-loans"), NOW).may_find_by_cpr is may
