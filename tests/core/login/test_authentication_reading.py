"""The reading of a verified authentication by its kind of upstream, and the effect of proofs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Institution, Text, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading, Attributes, MapRow, WireAttribute
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.authentication_reading import PIN_CLASS, add_proofs, make_pin_authentication, read_authentication
from broker.core.login.transaction import Authentication

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AU = Institution("https://idp.au.example", ("au-alias",), scopes=("au.dk",))
WAYF = Upstream("wayf", "wayf", "https://wayf.example", "https://broker.example", "plain", Text("x", "x"), (AU,))
ROWS = (MapRow("cn", "cn"), MapRow("uid", "uid"))
MAPS = {"plain": AttributeMap("plain", ROWS), "whole": AttributeMap("whole", ROWS, completes_names=True)}


@pytest.fixture
def login(authentication: Authentication) -> Authentication:
    """Give an authentication of a person with two names."""
    return replace(authentication, attributes=(WireAttribute("cn", ("Asta Ravn",)),), institution=AU.entity_id)


def test_a_pin_shows_an_account_and_nothing_of_the_person() -> None:
    """Neither a level nor a CPR number, and only what the library system itself told."""
    borrower = Borrower("42", "STUD", NOW.date(), "", fields={"surname": "Ravn"})
    authentication = make_pin_authentication("library", borrower, NOW)
    assert (authentication.name_id, authentication.authn_context) == ("42", PIN_CLASS)
    assert authentication.received == authentication.authn_instant == authentication.assertion_until == NOW
    library = replace(WAYF, name="library", profile="library", institutions=())
    reading = read_authentication(authentication, library, {}, NOW)
    assert dict(reading.attributes) == {"borrower_category": ("STUD",)}
    assert (reading.assurance, reading.cpr, reading.age) == (None, "none", None)


@pytest.mark.parametrize("institution", ["https://idp.evil.example", ""])
def test_an_institution_that_is_not_configured_is_refused(login: Authentication, institution: str) -> None:
    """The hub's word is not enough: the configuration says what an institution may assert."""
    with pytest.raises(AttributesRefused, match="unknown_institution"):
        read_authentication(replace(login, institution=institution), WAYF, MAPS, NOW)


@pytest.mark.attack(21)
@pytest.mark.parametrize(
    ("cap", "kept"), [(Assurance.HIGH, {"ial", "aal"}), (Assurance.SUBSTANTIAL, {"aal"}), (Assurance.LOW, set())]
)
def test_the_parts_of_a_level_are_capped_too(login: Authentication, cap: Assurance, kept: set[str]) -> None:
    """An institution says nothing above its cap, under whatever name."""
    rows = AttributeMap("plain", (MapRow("ial", "ial"), MapRow("aal", "aal")))
    wayf = replace(WAYF, institutions=(replace(AU, max_assurance=cap),))
    came = replace(login, attributes=(WireAttribute("ial", ("High",)), WireAttribute("aal", ("Substantial",))))
    reading = read_authentication(came, wayf, {"plain": rows}, NOW)
    assert set(reading.attributes) == kept
    assert set(reading.withheld) == {(name, "above_cap") for name in {"ial", "aal"} - kept}


def test_an_affiliation_that_a_policy_names_is_read(login: Authentication) -> None:
    """And no other beyond eduPerson's words."""
    rows = AttributeMap("plain", (MapRow("scoped", "eduPersonScopedAffiliation"),))
    wayf = replace(WAYF, institutions=(replace(AU, scopes=("au.dk",)),))
    came = replace(login, attributes=(WireAttribute("scoped", ("course-1@au.dk", "course-2@au.dk")),))
    reading = read_authentication(came, wayf, {"plain": rows}, NOW, named_affiliations={"course-1@au.dk"})
    assert dict(reading.attributes) == {"eduPersonScopedAffiliation": ("course-1@au.dk",)}
    assert reading.withheld == (("eduPersonScopedAffiliation", "unknown_affiliation"),)


def test_a_national_eid_s_assertion_is_held_against_its_profile(login: Authentication) -> None:
    """By whatever map it is read: without its version nobody is let in."""
    eid = replace(WAYF, profile="oiosaml3", attribute_map="whole")
    with pytest.raises(AttributesRefused, match="spec_version"):
        read_authentication(login, eid, MAPS, NOW)


def test_a_company_is_refused_by_the_nameid_too(login: Authentication) -> None:
    """The NameID of the authentication is looked at with the attributes."""
    eid = replace(WAYF, profile="oiosaml3")
    of_company = replace(login, name_id="C=DK,O=Firma ApS // CVR:12345678,CN=Eva")
    with pytest.raises(AttributesRefused, match="company_identity"):
        read_authentication(of_company, eid, MAPS, NOW)


READING = AttributeReading(Attributes({"cn": ("Asta Ravn",)}), None, "none", None)
PROOF = MailboxProof("kaldemail", "asta@auh.rm.dk", NOW, NOW + SECOND)
ADDED = {"kaldemail": ("asta@auh.rm.dk",), "kaldemail_domain": ("auh.rm.dk",)}


@pytest.mark.parametrize(
    ("after", "added"), [(timedelta(), ADDED), (SECOND - timedelta(microseconds=1), ADDED), (SECOND, {})]
)
def test_a_proof_adds_until_its_end(after: timedelta, added: Mapping[str, tuple[str, ...]]) -> None:
    """At the moment in which it ends it proves nothing any more."""
    reading = add_proofs(READING, (PROOF,), NOW + after)
    assert dict(reading.attributes) == {"cn": ("Asta Ravn",), **added}


def test_a_proof_that_has_ended_hides_no_other() -> None:
    """Every proof has a separate end."""
    ended = replace(PROOF, name="old", until=NOW)
    assert dict(add_proofs(READING, (ended, PROOF), NOW).attributes) == {"cn": ("Asta Ravn",), **ADDED}


@pytest.mark.parametrize(("sent", "mail"), [({}, "asta@post.example"), ({"mail": ("asta@au.dk",)}, "asta@au.dk")])
def test_an_address_to_write_to_takes_no_place(sent: dict[str, tuple[str, ...]], mail: str) -> None:
    """It is added where the upstream named none, and proves no domain."""
    proof = replace(PROOF, name="mail", address="asta@post.example")
    attributes = add_proofs(replace(READING, attributes=Attributes(sent)), (proof,), NOW).attributes
    assert dict(attributes) == {"mail": (mail,)}
