"""The findings of the analysis: faults seeded into the shipped policies, and what is said of each."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Controller, Institution, Service, Text, Upstream
from broker.core.login.site import Site
from broker.core.policy.model import Alternative, PolicySet
from broker.core.policy_analysis.findings import Findings, find_faults
from broker.core.policy_analysis.personas import Analysis
from tests.core.policy_analysis.random_policies import EID, MAPS, NOW, WORDS

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


def below_match(file: str, more: str, finding: str) -> Seed:
    """Put an alternative first among those of a file."""
    return Seed(file, "match:\n", more, finding)


def below_release(file: str, more: str, finding: str) -> Seed:
    """Put an entry first among those of a file."""
    return Seed(file, "release:\n", more, finding)


NOBODY = "nobody can match this alternative"
FIRST = "this alternative is never reached:"
UNREACHED = "no login reaches this entry: methods in broker.toml are only nemid"
CPR_LATE = (
    "lets in logins that are refused for cpr_required when the account is made; write require: {cpr: real}; e.g. "
)
SEEDS = [
    # alternatives
    Seed(
        "student.yaml",
        "[student@au.dk]}\n",
        way(*WAYF_AU, "eduPersonScopedAffiliation: [student@au.dk]", "assurance: low"),
        f"student.yaml:11: {FIRST} student.yaml:10 decides before it",
    ),
    below_match("private.yaml", way(*WAYF_AU, "eduPersonScopedAffiliation: [staff@au.dk]"), f"{FIRST} employee.yaml:"),
    below_match("private.yaml", way("upstream: library", "borrower_category: [EMPLOYEE]"), f"{FIRST} employee.yaml:11"),
    below_match("student.yaml", way("upstream: wayf", "eduPersonScopedAffiliation: [student@ku.dk]"), f"10: {NOBODY}"),
    below_match("student.yaml", way("upstream: wayf", "schacHomeOrganization: [ku.dk]"), f"student.yaml:10: {NOBODY}"),
    below_match(
        "employee.yaml", way("upstream: nemid", "eduPersonScopedAffiliation: [employee@au.dk]"), f"10: {NOBODY}"
    ),
    below_match("student.yaml", way("upstream: wayf", "borrower_category: [STUDENT]"), f"student.yaml:10: {NOBODY}"),
    below_match("student.yaml", way("upstream: library", "assurance: low"), f"student.yaml:10: {NOBODY}"),
    below_match("employee.yaml", way("upstream: wayf", "assurance: high"), f"employee.yaml:10: {NOBODY}"),
    below_match("employee.yaml", way("upstream: wayf", "eduPersonPrimaryAffiliation: [lecturer]"), f"10: {NOBODY}"),
    below_match("private.yaml", way("upstream: wayf", "schacHomeOrganization: ['k*']"), f"private.yaml:11: {NOBODY}"),
    Seed(
        "private.yaml",
        "{upstream: nemid, assurance: substantial}\n",
        way("upstream: nemid", "assurance: high"),
        f"private.yaml:12: {FIRST} private.yaml:11 decides before it",
    ),
    # entries and attributes
    below_release("employee.yaml", entry("eid-only", "sn"), f"employee.yaml:24: {UNREACHED}"),
    below_release("student.yaml", entry("eid-only", "sn"), f"student.yaml:24: {UNREACHED}"),
    below_release(
        "student.yaml",
        entry("unkeyed", "sn", "specVersion"),
        "24: specVersion leaves for nobody: not_sent; e.g. --upstream wayf",
    ),
    below_release(
        "student.yaml",
        entry("uncontrolled", "assuranceLevel"),
        "24: assuranceLevel leaves for nobody: not_sent; e.g. --upstream wayf",
    ),
    Seed(
        "student.yaml",
        "eduPersonScopedAffiliation: student@*",
        "",
        "eduPersonScopedAffiliation leaves for nobody: ",
        "eduPersonScopedAffiliation: student@ku.dk",
    ),
    Seed(
        "employee.yaml",
        "eduPersonScopedAffiliation: [employee@*, staff@*, faculty@*]",
        "",
        "eduPersonScopedAffiliation leaves for nobody: value_not_allowed; e.g. --upstream wayf",
        "eduPersonScopedAffiliation: staff@ku.dk",
    ),
    below_release(
        "student.yaml", ENTRY_OF_CPR.replace("NAME", "uncontrolled") % CPR, "cpr leaves for nobody: no_controller"
    ),
    below_release(
        "employee.yaml", ENTRY_OF_CPR.replace("NAME", "unkeyed") % CPR, "cpr leaves for nobody: no_encryption_key"
    ),
    # requirements
    Seed("student.yaml", "require: {", "upstream: wayf, ", "student.yaml:13: require upstream refuses nobody"),
    Seed("hospital.yaml", "require: {", "assurance: low, ", "hospital.yaml:18: require assurance refuses nobody"),
    *(
        Seed(file, "{make: [", "", "require cpr refuses nobody: no entry says borrower: make", "{need: [")
        for file in ("student.yaml", "private.yaml", "hospital.yaml")
    ),
    # accounts
    Seed(
        "student.yaml",
        "require: {cpr: real, assurance: low}",
        "",
        f"student.yaml:24: {CPR_LATE}--upstream wayf",
        "require: {assurance: low}",
    ),
    Seed("employee.yaml", "require: {cpr: real, assurance: low}", "", CPR_LATE, "require: {assurance: low}"),
    Seed("hospital.yaml", "require: {cpr: real}", "", CPR_LATE, "require: {assurance: substantial}"),
    Seed("student.yaml", "email: mail}", "", "the rule has no field email", "phone: mobile}"),
    Seed(
        "student.yaml",
        "email: mail}",
        "",
        "a login without an address makes no account: add mail to the field email",
        "email: title}",
    ),
]


EXAMPLE = "examples:\n  - {name: x, login: {upstream: nowhere}, service: my-loans, expect: {effect: deny}}\n"


def load_with_fault(seed: Seed, folder: Path) -> PolicySet:
    """Load the policies with one fault: its file, and those that the finding names, without their examples."""
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
        elif path.name.removesuffix(".yaml") not in seed.finding:
            continue
        (copy / path.name).write_text(text)
    return live_policies.load(copy, NOW)


def analyze(policies: PolicySet) -> Findings:
    """Analyse a set at the site of these tests."""
    return find_faults(Analysis((policies,), (SITE,), NOW))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids=[f"{each.file}:{each.finding[:40]}" for each in SEEDS])
def test_a_seeded_fault_is_found(seed: Seed, tmp_path: Path) -> None:
    """With its line, in words, and with a login that shows it where one does."""
    told = [str(each) for each in analyze(load_with_fault(seed, tmp_path)).found]
    assert any(seed.finding in each and each.startswith(seed.file) for each in told), told


@pytest.fixture(scope="module")
def shipped_policies() -> PolicySet:
    """Give the shipped policies."""
    return live_policies.load(POLICIES, NOW)


def test_the_shipped_policies_have_no_findings(shipped_policies: PolicySet) -> None:
    """At a site as they are written for nothing is without effect, and the analysis is complete."""
    found = analyze(shipped_policies)
    assert found.found == ()
    assert found.logins > 100


def test_a_dead_entry_without_upstreams_does_not_blame_the_methods(shipped_policies: PolicySet) -> None:
    """The file names no upstream: its people match at none, whatever the services offer."""
    (policy,) = [each for each in shipped_policies.policies if each.affiliation == "student"]
    first = policy.match[0]
    by_any_way = Alternative(tuple(each for each in first.conditions if each.name != "upstream"), first.place)
    entry_of_it = replace(policy.releases[0], service="eid-only")
    changed = replace(policy, match=(by_any_way,), releases=(entry_of_it,))
    others = tuple(each for each in shipped_policies.policies if each is not policy)
    found = analyze(PolicySet((*others, changed), "d"))
    assert f"{entry_of_it.place}: no login reaches this entry" in [str(each) for each in found.found]
