"""subject-id and pairwise-id: of our own, the person's for ever, and only as policy and service have it.

Source: docs/reference/saml-profiles.md#30.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from broker.adapters.saml.metadata.entity_attributes import REQ, read_subject_id_req
from broker.configuration.settings.config import load
from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults
from broker.core.identity.person_id import MINTED, PAIRWISE, SUBJECT, compute_service_ids, find_withholding_reason
from broker.core.lookup_hmacs import LookupHmacs
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment, Person, mark
from tests.plugins.login_messages import TO_AU, ask, come_back
from tests.plugins.policy_copies import add_entity_attribute, release_entry, write_release_entries
from tests.plugins.saml_parties import WORDS, add

SCOPE = "library.example"
SYNTAX = re.compile(r"[A-Za-z0-9][A-Za-z0-9=-]{0,126}@[A-Za-z0-9][A-Za-z0-9.-]{0,126}")
NAMING = LookupHmacs("k", b"k" * 32)
LOANS = Service("my-loans", "https://loans.example", WORDS, (), scope=SCOPE)
PRINT = replace(LOANS, name="print", entity_id="https://print.example")
FOREIGN = (
    f'<saml:Attribute Name="urn:oasis:names:tc:SAML:attribute:{SUBJECT}" '
    'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">'
    "<saml:AttributeValue>asta1234@au.dk</saml:AttributeValue></saml:Attribute>"
)


@pytest.mark.profile(30)
def test_row_30_one_person_two_services() -> None:
    """The same subject-id at both, another pairwise-id at each; both well-formed, small letters, our scope."""
    loans, printing = compute_service_ids(NAMING, "p1", LOANS), compute_service_ids(NAMING, "p1", PRINT)
    assert loans[SUBJECT] == printing[SUBJECT]
    assert loans[PAIRWISE] != printing[PAIRWISE]
    every = {*loans.values(), *printing.values(), *compute_service_ids(NAMING, "p2", LOANS).values()}
    assert len(every) == 5
    for each in every:
        assert SYNTAX.fullmatch(each)
        assert each == each.casefold()
        assert each.endswith(f"@{SCOPE}")


@pytest.mark.profile(30)
def test_row_30_without_the_key_nobody_can_make_one() -> None:
    """Another key gives other ids; without a scope there are none."""
    other = compute_service_ids(replace(NAMING, key=b"o" * 32), "p1", LOANS)
    assert set(other.values()).isdisjoint(compute_service_ids(NAMING, "p1", LOANS).values())
    assert compute_service_ids(NAMING, "p1", replace(LOANS, scope=None)) == {}


@pytest.mark.profile(30)
@pytest.mark.parametrize(
    ("wanted", "listed", "leaving"),
    [
        (None, MINTED, MINTED),
        ("none", MINTED, set()),
        (SUBJECT, MINTED, {SUBJECT}),
        (PAIRWISE, MINTED, {PAIRWISE}),
        (PAIRWISE, {SUBJECT}, set()),
        (SUBJECT, {PAIRWISE}, set()),
        ("any", MINTED, {PAIRWISE}),
        ("any", {SUBJECT}, {SUBJECT}),
    ],
)
def test_row_30_what_a_service_wants_takes_away(wanted: str | None, listed: set[str], leaving: set[str]) -> None:
    """Released as the policy says: nothing that is not listed ever leaves, and never more than is wanted."""
    service = replace(LOANS, subject_id_req=wanted)
    assert {name for name in listed if find_withholding_reason(name, service, listed) is None} == leaving
    assert {find_withholding_reason(name, replace(service, scope=None), listed) for name in listed} == {"no_scope"}


@pytest.mark.profile(30)
@pytest.mark.parametrize(
    ("values", "wanted"),
    [(["any"], "any"), ([SUBJECT], SUBJECT), (["none"], "none"), ([SUBJECT, PAIRWISE], "none"), (["all"], "none")],
)
def test_row_30_a_request_is_read_from_the_metadata(values: list[str], wanted: str) -> None:
    """One of four words; two at once, or another, are taken for the least."""
    said = "".join(f"<saml:AttributeValue>{each}</saml:AttributeValue>" for each in values)
    root = etree.fromstring(
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" '
        'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><md:Extensions>'
        f'<x:EntityAttributes xmlns:x="urn:oasis:names:tc:SAML:metadata:attribute"><saml:Attribute Name="{REQ}">'
        f"{said}</saml:Attribute></x:EntityAttributes></md:Extensions><md:SPSSODescriptor/></md:EntityDescriptor>"
    )
    role = root[1]
    assert read_subject_id_req(role) == wanted
    root.remove(root[0])
    assert read_subject_id_req(role) is None


@pytest.fixture
def environment(setting: Setting, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Let a policy give both ids to two services, one of which takes any."""
    both = [SUBJECT, PAIRWISE, "eduPersonScopedAffiliation"]
    told = write_release_entries(
        setting, tmp_path, release_entry("e-resources", both) + release_entry("urn:category", [PAIRWISE])
    )
    wanted: tuple[str, ...] = getattr(request, "param", ())
    more = add_entity_attribute(setting, tmp_path, "e-resources", REQ, *wanted) if wanted else {}
    return {**told, **more, "BROKER_IDP__SCOPE": SCOPE}


def seen(person: Person, *, foreign: bool = False) -> dict[str, tuple[str, ...]]:
    """Log in and give what the service gets, having looked that the page says so."""
    change = add("saml:Assertion/saml:AttributeStatement", FOREIGN)
    page = come_back(person, ask(person, TO_AU), "asta", *([change] if foreign else []))
    if mark(page)[0] == "issue":  # the notice was shown at an earlier login
        return dict(person.deployment.landing(page).attributes)
    text = page.get_data(as_text=True)
    landing = person.deployment.landing(person.agree(page))
    for name in MINTED & landing.attributes.keys():
        assert landing.attributes[name][0] in text
    return dict(landing.attributes)


@pytest.mark.profile(30)
def test_row_30_an_upstreams_id_is_never_passed_on(deployment: Deployment) -> None:
    """It asserts one of its own scope; the service gets ours, the same as without, and the person was shown it."""
    plain, asserted = seen(deployment.person()), seen(deployment.person(), foreign=True)
    assert plain[SUBJECT] == asserted[SUBJECT]
    for each in (plain, asserted):
        assert each[SUBJECT][0].endswith(f"@{SCOPE}")
        assert each[PAIRWISE][0].endswith(f"@{SCOPE}")
    assert f">{SCOPE}</" in deployment.app.test_client().get("/saml/idp/metadata").get_data(as_text=True)


@pytest.mark.profile(30)
@pytest.mark.parametrize("environment", [("any",)], indirect=True)
def test_row_30_the_request_in_the_metadata_is_honoured(deployment: Deployment) -> None:
    """Any: the one that links nothing, of the two that the policy lists."""
    assert MINTED & seen(deployment.person()).keys() == {PAIRWISE}


@pytest.mark.profile(30)
@pytest.mark.parametrize(
    "scope", ["Library.Example", "library", "x" * 128 + ".dk", "a b.dk", "@library.example", "au.dk"]
)
def test_row_30_a_scope_is_a_domain_of_our_own(setting: Setting, scope: str) -> None:
    """Small letters, a dot, no more than 127; and an institution's scope is not ours to make ids under."""
    with pytest.raises(ConfigurationFaults, match="BROKER_IDP__SCOPE"):
        load(setting.config, {"BROKER_IDP__SCOPE": scope})
