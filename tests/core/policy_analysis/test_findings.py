"""The findings of the analysis: faults seeded into the shipped policies, and what is said of each."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Controller, Institution, Service, Text, Upstream
from broker.core.login.site import Site
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.findings import simulate_sample_logins
from broker.core.policy_analysis.sample_logins import Analysis
from tests.core.policy_analysis.random_logins import EID, MAPS
from tests.plugins.core_values import NOW, WORDS

POLICIES = Path(__file__).resolve().parents[3] / "policies"
AU = Institution("https://au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}), max_assurance=Assurance.LOW)
UPSTREAMS = (
    Upstream("wayf", "wayf", "w", "s", "wayf", WORDS, (AU,)),
    Upstream("nemid", "oiosaml3", "n", "s", "oiosaml3", WORDS, (EID,), least=Assurance.LOW),
    Upstream("library", "library", "", "", "", WORDS),
)
NAMES = tuple(upstream.name for upstream in UPSTREAMS)
GIVEN = Controller(Text("Library", "Bibliotek"))
SHIPPED = Service("my-loans", "l", WORDS, NAMES, GIVEN, encrypts=True)
SERVICES = (
    SHIPPED,
    *(replace(SHIPPED, name=name) for name in ("myprint", "e-resources")),
    replace(SHIPPED, name="uncontrolled", controller=None),
    replace(SHIPPED, name="unkeyed", encrypts=False),
    replace(SHIPPED, name="eid-only", methods=("nemid",)),
)
SITE = Site({each.name: each for each in SERVICES}, {each.name: each for each in UPSTREAMS}, MAPS)


def entry(service: str, *attributes: str, borrower: str = "none", basis: str = "public_task") -> str:
    """Write a release entry."""
    head = f"  '{service}': {{legal_basis: {basis}, purpose: {{en: x, da: x}}, name_id: transient, "
    listed = ", ".join(f"{each}: {{why: {{en: x, da: x}}}}" for each in attributes)
    return f"{head}{borrower}: [{listed}]}}\n"


def way(*conditions: str) -> str:
    """Write an alternative."""
    return f"  - {{{', '.join(conditions)}}}\n"


WAYF_AU = ("upstream: wayf", "schacHomeOrganization: [au.dk]")
CPR = "cpr: {why: {en: x, da: x}}"
ENTRY_OF_CPR = "  NAME: {legal_basis: public_task, purpose: {en: x, da: x}, none: [%s]}\n"


@dataclass(frozen=True)
class Seed:
    """A fault: its file, what is written in place of what (or put below), and the finding with its line."""

    file: str
    below: str
    more: str
    finding: str
    instead: str = ""
    beside: str = ""  # the affiliation of another file that the finding needs


def below_match(file: str, more: str, finding: str, beside: str = "") -> Seed:
    """Put an alternative first among those of a file."""
    return Seed(file, "match:\n", more, finding, beside=beside)


def below_release(file: str, more: str, finding: str) -> Seed:
    """Put an entry first among those of a file."""
    return Seed(file, "release:\n", more, finding)


NOBODY = "this alternative decides no login"
UNREACHED = "no login reaches this entry"
SEEDS = [
    # alternatives
    Seed(
        "student.yaml",
        "[student@au.dk]}\n",
        way(*WAYF_AU, "eduPersonScopedAffiliation: [student@au.dk]", "assurance: low"),
        f"student.yaml:11: {NOBODY}",
    ),
    below_match("private.yaml", way(*WAYF_AU, "eduPersonScopedAffiliation: [staff@au.dk]"), NOBODY, "employee"),
    below_match("private.yaml", way("upstream: library", "borrower_category: [EMPLOYEE]"), NOBODY, "employee"),
    below_match("student.yaml", way("upstream: wayf", "eduPersonScopedAffiliation: [student@ku.dk]"), f"10: {NOBODY}"),
    below_match("student.yaml", way("upstream: library", "assurance: low"), f"student.yaml:10: {NOBODY}"),
    below_match("employee.yaml", way("upstream: wayf", "assurance: high"), f"employee.yaml:10: {NOBODY}"),
    Seed(
        "private.yaml",
        "{upstream: nemid, assurance: substantial}\n",
        way("upstream: nemid", "assurance: high"),
        f"private.yaml:12: {NOBODY}",
    ),
    # entries and attributes
    below_release("employee.yaml", entry("eid-only", "sn"), f"employee.yaml:24: {UNREACHED}"),
    below_release(
        "student.yaml", entry("unkeyed", "sn", "specVersion"), "24: specVersion is released to nobody: not_sent"
    ),
    Seed(
        "employee.yaml",
        "eduPersonScopedAffiliation: [employee@*, staff@*, faculty@*]",
        "",
        "eduPersonScopedAffiliation is released to nobody: value_not_allowed",
        "eduPersonScopedAffiliation: staff@ku.dk",
    ),
    below_release(
        "student.yaml", ENTRY_OF_CPR.replace("NAME", "uncontrolled") % CPR, "cpr is released to nobody: no_controller"
    ),
    below_release(
        "employee.yaml", ENTRY_OF_CPR.replace("NAME", "unkeyed") % CPR, "cpr is released to nobody: no_encryption_key"
    ),
    # requirements
    Seed("student.yaml", "require: {", "upstream: wayf, ", "student.yaml:13: require upstream refuses nobody"),
    Seed("hospital.yaml", "require: {", "assurance: low, ", "hospital.yaml:18: require assurance refuses nobody"),
    Seed("private.yaml", "{make: [", "", "require cpr refuses nobody", "{need: ["),
]


EXAMPLE = "examples:\n  - {name: x, login: {upstream: nowhere}, service: my-loans, expect: {effect: deny}}\n"


def load_with_fault(seed: Seed, folder: Path) -> PolicySet:
    """Load the policies with one fault: its file, and the one beside it, without their examples."""
    copy = folder / "policies"
    copy.mkdir()
    for path in POLICIES.glob("*.yaml"):
        if path.name == "services.yaml":
            shutil.copy(path, copy)
            continue
        text = path.read_text().partition("examples:\n")[0] + EXAMPLE
        if path.name == seed.file:
            assert seed.below in text
            text = text.replace(seed.below, seed.instead or seed.below + seed.more, 1)
        elif path.stem != seed.beside:
            continue
        (copy / path.name).write_text(text)
    return live_policies.load(copy, NOW)


def analyze(policies: PolicySet) -> list[str]:
    """Return the rules of a set that have no effect at the site of these tests."""
    analysis = Analysis((policies,), (SITE,), NOW)
    return list(map(str, simulate_sample_logins(analysis).find_useless_rules(policies, analysis.services)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids=[f"{each.file}:{each.finding[:40]}" for each in SEEDS])
def test_a_seeded_fault_is_found(seed: Seed, tmp_path: Path) -> None:
    """With its line, in words."""
    told = analyze(load_with_fault(seed, tmp_path))
    assert any(seed.finding in each and each.startswith(seed.file) for each in told), told


@pytest.fixture(scope="module")
def shipped_policies() -> PolicySet:
    """Give the shipped policies."""
    return live_policies.load(POLICIES, NOW)


@pytest.mark.long("analyses the shipped policies")
def test_the_shipped_policies_have_no_findings(shipped_policies: PolicySet) -> None:
    """At a site as they are written for nothing is without effect."""
    assert analyze(shipped_policies) == []
