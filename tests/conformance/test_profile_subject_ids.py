"""subject-id and pairwise-id: made by the broker, permanent, and released only if policy and service allow.

Source: docs/reference/saml-profiles.md#30.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from broker.adapters.saml.metadata.role_descriptors import REQ, read_subject_id_req
from broker.configuration.settings.config import load
from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults
from broker.core.identity.person_id import (
    PAIRWISE,
    SUBJECT,
    SUBJECT_IDENTIFIERS,
    compute_service_ids,
    find_withholding_reason,
)
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
def test_row_30_two_services_share_a_subject_id_but_no_pairwise_id() -> None:
    """The ids are well-formed, in lower case, and have the broker's scope."""
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
@pytest.mark.parametrize(
    ("wanted", "listed", "leaving"),
    [
        (None, SUBJECT_IDENTIFIERS, SUBJECT_IDENTIFIERS),
        ("none", SUBJECT_IDENTIFIERS, set()),
        (SUBJECT, SUBJECT_IDENTIFIERS, {SUBJECT}),
        (PAIRWISE, SUBJECT_IDENTIFIERS, {PAIRWISE}),
        (PAIRWISE, {SUBJECT}, set()),
        (SUBJECT, {PAIRWISE}, set()),
        ("any", SUBJECT_IDENTIFIERS, {PAIRWISE}),
        ("any", {SUBJECT}, {SUBJECT}),
    ],
)
def test_row_30_the_services_request_only_restricts_the_release(
    wanted: str | None, listed: set[str], leaving: set[str]
) -> None:
    """An id is released if the policy lists it and the service requests it."""
    service = replace(LOANS, subject_id_req=wanted)
    assert {name for name in listed if find_withholding_reason(name, service, listed) is None} == leaving
    assert {find_withholding_reason(name, replace(service, scope=None), listed) for name in listed} == {"no_scope"}


@pytest.mark.profile(30)
@pytest.mark.parametrize(
    ("values", "wanted"),
    [(["any"], "any"), ([SUBJECT], SUBJECT), (["none"], "none"), ([SUBJECT, PAIRWISE], "none"), (["all"], "none")],
)
def test_row_30_the_requested_id_is_read_from_the_metadata(values: list[str], wanted: str) -> None:
    """Several values or an unknown value count as "none"."""
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
    """Release both ids to e-resources, whose metadata requests the ids of the test parameter."""
    both = [SUBJECT, PAIRWISE, "eduPersonScopedAffiliation"]
    told = write_release_entries(
        setting, tmp_path, release_entry("e-resources", both) + release_entry("urn:category", [PAIRWISE])
    )
    wanted: tuple[str, ...] = getattr(request, "param", ())
    more = add_entity_attribute(setting, tmp_path, "e-resources", REQ, *wanted) if wanted else {}
    return {**told, **more, "BROKER_IDP__SCOPE": SCOPE}


def read_received_attributes(person: Person, *, foreign: bool = False) -> dict[str, tuple[str, ...]]:
    """Log in and return the attributes that the service receives; check that the page shows the ids."""
    change = add("saml:Assertion/saml:AttributeStatement", FOREIGN)
    page = come_back(person, ask(person, TO_AU), "asta", *([change] if foreign else []))
    if mark(page)[0] == "issue":  # the notice was shown at an earlier login
        return dict(person.deployment.landing(page).attributes)
    text = page.get_data(as_text=True)
    landing = person.deployment.landing(person.agree(page))
    for name in SUBJECT_IDENTIFIERS & landing.attributes.keys():
        assert landing.attributes[name][0] in text
    return dict(landing.attributes)


@pytest.mark.profile(30)
def test_row_30_a_subject_id_of_the_upstream_is_never_passed_on(deployment: Deployment) -> None:
    """The service receives the broker's subject-id, and the person sees it on the page."""
    plain, asserted = (
        read_received_attributes(deployment.person()),
        read_received_attributes(deployment.person(), foreign=True),
    )
    assert plain[SUBJECT] == asserted[SUBJECT]
    for each in (plain, asserted):
        assert each[SUBJECT][0].endswith(f"@{SCOPE}")
        assert each[PAIRWISE][0].endswith(f"@{SCOPE}")
    assert f">{SCOPE}</" in deployment.app.test_client().get("/saml/idp/metadata").get_data(as_text=True)


@pytest.mark.profile(30)
@pytest.mark.parametrize("environment", [("any",)], indirect=True)
def test_row_30_a_request_for_any_id_releases_the_pairwise_id(deployment: Deployment) -> None:
    """Of two listed ids, the broker releases the one that cannot be linked across services."""
    assert SUBJECT_IDENTIFIERS & read_received_attributes(deployment.person()).keys() == {PAIRWISE}


@pytest.mark.profile(30)
@pytest.mark.parametrize(
    "scope", ["Library.Example", "library", "x" * 128 + ".dk", "a b.dk", "@library.example", "au.dk"]
)
def test_row_30_the_scope_is_a_domain_of_the_library(setting: Setting, scope: str) -> None:
    """The scope is a lower-case domain of at most 127 characters, and not the scope of an institution."""
    with pytest.raises(ConfigurationFaults, match="BROKER_IDP__SCOPE"):
        load(setting.config, {"BROKER_IDP__SCOPE": scope})
