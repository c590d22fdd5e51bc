"""Entity categories: what each gives at most, and whose word for it counts.

Source: docs/reference/saml-profiles.md#43 to #48.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from broker.adapters.saml.metadata.entity_attributes import read_required
from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Service, Text
from broker.core.errors import ConfigurationFaults
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import BUNDLES, CODE_OF_CONDUCT, evaluate
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment, mark
from tests.plugins.login_messages import TO_AU, ask, come_back
from tests.plugins.policy_copies import add_entity_attribute, copy_site, release_entry, write_release_entries

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
REFEDS = "https://refeds.org/category/"
CATEGORY = "http://macedir.org/entity-category"
# What the specifications list, written here once more from them and not from the code.
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


def loaded(setting: Setting, folder: Path, *entries: tuple[str, Iterable[str]]) -> PolicySet:
    """Load the shipped policies with these entries of categories."""
    made = write_release_entries(
        setting, folder, "".join(release_entry(name, attributes) for name, attributes in entries)
    )
    return live_policies.load(Path(made["BROKER_SITE"]) / "policies", NOW)


def decided(policy: PolicySet, *categories: str, wants: frozenset[str] | None = None) -> Decision:
    """Decide for a service of these categories."""
    return evaluate(policy, PERSON, replace(SERVICE, categories=categories, required=wants), NOW)


def released(decision: Decision) -> set[str]:
    """Return the names of what leaves."""
    return {listed.name for listed, _ in decision.released}


@pytest.mark.profile(43, 44, 45)
@pytest.mark.parametrize("name", GOLDEN)
def test_row_43_a_category_gives_its_bundle(setting: Setting, tmp_path: Path, name: str) -> None:
    """Anonymous, pseudonymous, personalized: all of the specification's attributes, and the person's others stay."""
    assert BUNDLES[REFEDS + name] == GOLDEN[name]
    policy = loaded(setting, tmp_path, *((REFEDS + each, sorted(GOLDEN[each])) for each in GOLDEN))
    assert released(decided(policy, REFEDS + name)) == GOLDEN[name]


@pytest.mark.profile(43, 44, 45)
@pytest.mark.parametrize(
    ("name", "more"), [("anonymous", "mail"), ("pseudonymous", "subject-id"), ("personalized", "uid")]
)
def test_row_44_a_category_never_gives_more(setting: Setting, tmp_path: Path, name: str, more: str) -> None:
    """An entry that lists another attribute is a fault of the policy, with the line."""
    with pytest.raises(ConfigurationFaults, match=f"{more} is none of the attributes of {REFEDS}{name}"):
        loaded(setting, tmp_path, (REFEDS + name, [*sorted(GOLDEN[name]), more]))


@pytest.mark.profile(43)
def test_row_43_of_several_categories_the_least_counts(setting: Setting, tmp_path: Path) -> None:
    """Whatever their order in the file, and in the service's metadata."""
    policy = loaded(setting, tmp_path, *((REFEDS + each, sorted(GOLDEN[each])) for each in reversed(GOLDEN)))
    names = [REFEDS + each for each in GOLDEN]
    for categories in (names, names[::-1], names[1:]):
        assert released(decided(policy, *categories)) == GOLDEN["pseudonymous" if len(categories) == 2 else "anonymous"]


@pytest.mark.profile(45)
def test_row_45_assurance_is_the_institutions_word(setting: Setting, tmp_path: Path) -> None:
    """What it said leaves as it said it; a person of whom it said nothing gets no value that nobody gave."""
    policy = loaded(setting, tmp_path, (REFEDS + "personalized", sorted(GOLDEN["personalized"])))
    decision = decided(policy, REFEDS + "personalized")
    assert {each.name: values for each, values in decision.released}["eduPersonAssurance"] == (
        "2", "https://refeds.org/assurance",
    )  # fmt: skip
    silent = replace(
        PERSON, attributes=Attributes({n: v for n, v in PERSON.attributes.items() if n != "eduPersonAssurance"})
    )
    service = replace(SERVICE, categories=(REFEDS + "personalized",))
    assert "eduPersonAssurance" not in released(evaluate(policy, silent, service, NOW))


@pytest.mark.profile(46)
def test_row_46_research_and_scholarship_is_not_claimed(deployment: Deployment) -> None:
    """Nor any other category: our descriptors name none, neither as a member nor as one that we support."""
    for path in ("/saml/idp/metadata", "/saml/sp/wayf/metadata"):
        descriptor = deployment.app.test_client().get(path).get_data(as_text=True)
        assert "entity-category" not in descriptor
        assert "research-and-scholarship" not in descriptor


@pytest.mark.profile(47)
def test_row_47_code_of_conduct_gives_what_is_required(setting: Setting, tmp_path: Path) -> None:
    """Of what the policy lists, the attributes that the service's metadata marks; none marked, none given."""
    policy = loaded(setting, tmp_path, (CODE_OF_CONDUCT, ["displayName", "mail", "eduPersonScopedAffiliation"]))
    for wants, leaving in [(frozenset({"mail", "sn"}), {"mail"}), (frozenset(), set())]:
        decision = decided(policy, CODE_OF_CONDUCT, wants=frozenset(wants))
        assert released(decision) == leaving
        assert {each.code for each in decision.fates if each.name == "displayName"} == {"not_required"}


@pytest.mark.profile(32, 47)
def test_row_47_what_is_required_is_read_from_the_metadata() -> None:
    """By Name; isRequired true or 1; another spelling, or none, is a request and no need."""
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


OID = {"mail": "urn:oid:0.9.2342.19200300.100.1.3", "gn": "urn:oid:2.5.4.42"}


@pytest.fixture
def environment(setting: Setting, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Let policies know two categories, and say by whom e-resources is in one: itself, broker.toml, or nobody."""
    entries = release_entry(f"{REFEDS}anonymous", sorted(GOLDEN["anonymous"])) + release_entry(
        CODE_OF_CONDUCT, ["gn", "mail"]
    )
    told = write_release_entries(setting, tmp_path, entries)
    match getattr(request, "param", None):
        case "itself":
            told |= add_entity_attribute(setting, tmp_path, "e-resources", CATEGORY, f"{REFEDS}anonymous")
        case "broker.toml":
            told["BROKER_SERVICES__E_RESOURCES__CATEGORIES"] = json.dumps([f"{REFEDS}anonymous"])
        case "conduct":
            told["BROKER_SERVICES__E_RESOURCES__CATEGORIES"] = json.dumps([CODE_OF_CONDUCT])
            path = copy_site(setting, tmp_path) / "metadata" / "e-resources.xml"
            wants = (
                '<md:AttributeConsumingService xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" index="0">'
                '<md:ServiceName xml:lang="en">E</md:ServiceName>'
                f'<md:RequestedAttribute Name="{OID["mail"]}" isRequired="true"/>'
                f'<md:RequestedAttribute Name="{OID["gn"]}"/></md:AttributeConsumingService>'
            )
            path.write_text(path.read_text().replace("</SPSSODescriptor>", wants + "</SPSSODescriptor>"))
    return told


@pytest.mark.profile(48)
@pytest.mark.parametrize("environment", ["itself"], indirect=True)
def test_row_48_a_service_that_says_so_itself_gets_nothing(deployment: Deployment) -> None:
    """A file that the service wrote is no registrar: the category in it does not count."""
    person = deployment.person()
    assert mark(come_back(person, ask(person, TO_AU), "asta")) == ("refuse", "no_policy_for_service")
    assert REFEDS + "anonymous" not in deployment.parts.services["e-resources"].categories


@pytest.mark.profile(43, 48)
@pytest.mark.parametrize("environment", ["broker.toml"], indirect=True)
def test_row_48_the_librarys_word_counts(deployment: Deployment) -> None:
    """The control: named in broker.toml, the service gets the category's bundle and no more."""
    person = deployment.person()
    landing = deployment.landing(person.agree(come_back(person, ask(person, TO_AU), "asta")))
    assert landing.attributes.keys() == GOLDEN["anonymous"]


@pytest.mark.profile(47)
@pytest.mark.parametrize("environment", ["conduct"], indirect=True)
def test_row_47_only_the_required_one_of_two_leaves(deployment: Deployment) -> None:
    """Through the whole broker: the metadata marks mail, and only asks for the name."""
    person = deployment.person()
    page = come_back(person, ask(person, TO_AU), "asta")
    assert ">Asta<" not in page.get_data(as_text=True)
    assert deployment.landing(person.agree(page)).attributes.keys() == {"mail"}


@pytest.mark.profile(43)
def test_row_43_no_category_decides_for_a_login_of_nobodys(setting: Setting, tmp_path: Path) -> None:
    """Who has no affiliation here gets nothing by any category."""
    policy = loaded(setting, tmp_path, (REFEDS + "anonymous", sorted(GOLDEN["anonymous"])))
    stranger = replace(PERSON, attributes=Attributes({"schacHomeOrganization": ("ku.dk",)}))
    service = replace(SERVICE, categories=(REFEDS + "anonymous",))
    assert evaluate(policy, stranger, service, NOW).effect is Effect.DENY
