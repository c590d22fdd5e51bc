"""Entity categories: the attributes that each releases at most, and the sources that can assign one.

Source: docs/reference/saml-profiles.md#43 to #48.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from broker.adapters.saml.metadata.role_descriptors import read_required
from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Service, Text
from broker.core.errors import ConfigurationFaults
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import BUNDLES, CODE_OF_CONDUCT, evaluate
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment, mark
from tests.plugins.login_messages import TO_AU, ask, come_back
from tests.plugins.policy_copies import add_entity_attribute, release_entry, write_release_entries

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
REFEDS = "https://refeds.org/category/"
CATEGORY = "http://macedir.org/entity-category"
# The attributes of the specifications, copied from them and not from the code.
GOLDEN = {
    "anonymous": {"schacHomeOrganization", "eduPersonScopedAffiliation"},
    "pseudonymous": {"schacHomeOrganization", "eduPersonScopedAffiliation", "eduPersonAssurance", "pairwise-id"},
    "personalized": {
        "schacHomeOrganization", "eduPersonScopedAffiliation", "eduPersonAssurance", "subject-id",
        "displayName", "gn", "sn", "mail",
    },
}  # fmt: skip
PERSON = LoginFacts(
    "wayf",
    Attributes(
        {
            "schacHomeOrganization": ("au.dk",),
            "eduPersonScopedAffiliation": ("student@au.dk",),
            "eduPersonAssurance": ("2", "https://refeds.org/assurance"),
            "displayName": ("Asta Ravn",),
            "gn": ("Asta",),
            "sn": ("Ravn",),
            "mail": ("asta@post.example",),
            "eduPersonPrincipalName": ("asta@au.dk",),
        }
    ),
    Assurance.LOW,
)
SERVICE = Service("far", "https://far.example", Text("Far", "Fjern"), (), scope="library.example")


def load_with_entries(setting: Setting, folder: Path, *entries: tuple[str, Iterable[str]]) -> PolicySet:
    """Load the shipped policies with release entries for these categories."""
    made = write_release_entries(
        setting, folder, "".join(release_entry(name, attributes) for name, attributes in entries)
    )
    return live_policies.load(Path(made["BROKER_SITE"]) / "policies", NOW)


def decide(policy: PolicySet, *categories: str, wants: frozenset[str] | None = None) -> Decision:
    """Evaluate the policies for a service with these categories."""
    return evaluate(policy, PERSON, replace(SERVICE, categories=categories, required=wants), NOW)


def list_released(decision: Decision) -> set[str]:
    """Return the names of the released attributes."""
    return {listed.name for listed, _ in decision.released}


@pytest.mark.profile(43, 44, 45)
@pytest.mark.parametrize("name", GOLDEN)
def test_row_43_a_category_releases_its_attribute_bundle(setting: Setting, tmp_path: Path, name: str) -> None:
    """Each REFEDS category releases all attributes of its specification and no others."""
    assert BUNDLES[REFEDS + name] == GOLDEN[name]
    policy = load_with_entries(setting, tmp_path, *((REFEDS + each, sorted(GOLDEN[each])) for each in GOLDEN))
    assert list_released(decide(policy, REFEDS + name)) == GOLDEN[name]


@pytest.mark.profile(43, 44, 45)
@pytest.mark.parametrize(
    ("name", "more"), [("anonymous", "mail"), ("pseudonymous", "subject-id"), ("personalized", "uid")]
)
def test_row_44_a_category_never_releases_more(setting: Setting, tmp_path: Path, name: str, more: str) -> None:
    """A release entry with another attribute is a policy fault."""
    with pytest.raises(ConfigurationFaults, match=f"{more} is none of the attributes of {REFEDS}{name}"):
        load_with_entries(setting, tmp_path, (REFEDS + name, [*sorted(GOLDEN[name]), more]))


@pytest.mark.profile(43)
def test_row_43_the_smallest_of_several_categories_counts(setting: Setting, tmp_path: Path) -> None:
    """The order in the policy file and in the service's metadata does not matter."""
    policy = load_with_entries(setting, tmp_path, *((REFEDS + each, sorted(GOLDEN[each])) for each in reversed(GOLDEN)))
    names = [REFEDS + each for each in GOLDEN]
    for categories in (names, names[::-1], names[1:]):
        assert (
            list_released(decide(policy, *categories))
            == GOLDEN["pseudonymous" if len(categories) == 2 else "anonymous"]
        )


@pytest.mark.profile(45)
def test_row_45_assurance_is_released_as_the_institution_asserted_it(setting: Setting, tmp_path: Path) -> None:
    """The broker neither changes the value nor adds a missing one."""
    policy = load_with_entries(setting, tmp_path, (REFEDS + "personalized", sorted(GOLDEN["personalized"])))
    decision = decide(policy, REFEDS + "personalized")
    assert {each.name: values for each, values in decision.released}["eduPersonAssurance"] == (
        "2", "https://refeds.org/assurance",
    )  # fmt: skip
    silent = replace(
        PERSON, attributes=Attributes({n: v for n, v in PERSON.attributes.items() if n != "eduPersonAssurance"})
    )
    service = replace(SERVICE, categories=(REFEDS + "personalized",))
    assert "eduPersonAssurance" not in list_released(evaluate(policy, silent, service, NOW))


@pytest.mark.profile(46)
def test_row_46_research_and_scholarship_is_not_claimed(deployment: Deployment) -> None:
    """The broker's metadata has no entity category and no entity category support."""
    for path in ("/saml/idp/metadata", "/saml/sp/wayf/metadata"):
        descriptor = deployment.app.test_client().get(path).get_data(as_text=True)
        assert "entity-category" not in descriptor
        assert "research-and-scholarship" not in descriptor


@pytest.mark.profile(47)
def test_row_47_code_of_conduct_releases_required_attributes(setting: Setting, tmp_path: Path) -> None:
    """Of the attributes in the policy, those that the service's metadata marks as required are released."""
    policy = load_with_entries(
        setting, tmp_path, (CODE_OF_CONDUCT, ["displayName", "mail", "eduPersonScopedAffiliation"])
    )
    for wants, leaving in [(frozenset({"mail", "sn"}), {"mail"}), (frozenset(), set())]:
        decision = decide(policy, CODE_OF_CONDUCT, wants=frozenset(wants))
        assert list_released(decision) == leaving
        assert {each.code for each in decision.fates if each.name == "displayName"} == {"not_required"}


@pytest.mark.profile(32, 47)
def test_row_47_required_attributes_are_read_from_the_metadata() -> None:
    """An attribute is required if isRequired is "true" or "1"."""
    written = "".join(
        f'<md:RequestedAttribute Name="urn:{name}" FriendlyName="mail"{flag}/>'
        for name, flag in [
            ("a", ' isRequired="true"'),
            ("b", ' isRequired="1"'),
            ("c", ' isRequired="false"'),
            ("d", ""),
        ]
    )
    role = etree.fromstring(
        '<md:SPSSODescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"><md:AttributeConsumingService>'
        f"{written}</md:AttributeConsumingService></md:SPSSODescriptor>"
    )
    assert read_required(role) == {"urn:a", "urn:b"}


@pytest.fixture
def environment(setting: Setting, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Add a release entry for a category, and assign it to e-resources in its metadata or in broker.toml."""
    entries = release_entry(f"{REFEDS}anonymous", sorted(GOLDEN["anonymous"]))
    told = write_release_entries(setting, tmp_path, entries)
    match getattr(request, "param", None):
        case "itself":
            told |= add_entity_attribute(setting, tmp_path, "e-resources", CATEGORY, f"{REFEDS}anonymous")
        case "broker.toml":
            told["BROKER_SERVICES__E_RESOURCES__CATEGORIES"] = json.dumps([f"{REFEDS}anonymous"])
    return told


@pytest.mark.profile(48)
@pytest.mark.parametrize("environment", ["itself"], indirect=True)
def test_row_48_a_category_in_the_services_own_metadata_does_not_count(deployment: Deployment) -> None:
    """A metadata file from the service is not signed by a registrar, so its category is ignored."""
    person = deployment.person()
    assert mark(come_back(person, ask(person, TO_AU), "asta")) == ("refuse", "no_policy_for_service")
    assert REFEDS + "anonymous" not in deployment.parts.services["e-resources"].categories


@pytest.mark.profile(43, 48)
@pytest.mark.parametrize("environment", ["broker.toml"], indirect=True)
def test_row_48_a_category_in_broker_toml_counts(deployment: Deployment) -> None:
    """The positive control: the service receives exactly the attributes of the category."""
    person = deployment.person()
    landing = deployment.landing(person.agree(come_back(person, ask(person, TO_AU), "asta")))
    assert landing.attributes.keys() == GOLDEN["anonymous"]


@pytest.mark.profile(43)
def test_row_43_no_category_applies_to_a_person_without_affiliation(setting: Setting, tmp_path: Path) -> None:
    """A login without an affiliation is denied for every category."""
    policy = load_with_entries(setting, tmp_path, (REFEDS + "anonymous", sorted(GOLDEN["anonymous"])))
    stranger = replace(PERSON, attributes=Attributes({"schacHomeOrganization": ("ku.dk",)}))
    service = replace(SERVICE, categories=(REFEDS + "anonymous",))
    assert evaluate(policy, stranger, service, NOW).effect is Effect.DENY
