"""policy_properties.yaml: the shipped rules hold, and broken or misspelt rules are reported."""

import re
import shutil
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import policy_surroundings
from broker.app.open_metadata import open_metadata
from broker.app.policy_surroundings import PolicySurroundings
from broker.configuration.policies import live_policies, policy_properties
from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults
from broker.core.events.broker_events import discard_event
from broker.core.login.given_facts import GivenFacts
from broker.core.policy_analysis.site_rules import Breach, find_breaches
from broker.demo.run.demo_folder import Setting
from broker.use_cases.policy_trials.login_trials import TrialSite, try_login
from tests.plugins.policies_document import JOBS, SITE_RULES, do, sections

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
NAME = "policy_properties.yaml"


@pytest.fixture(scope="module")
def around(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> PolicySurroundings:
    """Give what policies are checked against in the demo, with a separate place for the rules."""
    folder = tmp_path_factory.mktemp("site") / "site"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "state"))
    settings = load(folder / "broker.toml", {})
    return policy_surroundings.load(settings, lambda: open_metadata(settings, discard_event, NOW))


def find_rules(around: PolicySurroundings) -> Path:
    """Give the file of the site rules."""
    assert around.names.site_rules
    return around.names.site_rules


def list_faults(around: PolicySurroundings, folder: Path, rules: str) -> list[str]:
    """Give the faults of a folder that is held against rules; its warnings where there is none."""
    find_rules(around).write_text(rules, encoding="utf-8")
    try:
        return list(map(str, live_policies.load(folder, NOW, around.names).warnings))
    except ConfigurationFaults as found:
        return list(map(str, found.faults))


@pytest.mark.long("proves site rules of whole policy sets")
def test_the_rules_of_the_document_hold(around: PolicySurroundings, folder: Path) -> None:
    """The shipped file is what the document shows, and of the shipped policies all of it holds."""
    shipped, _ = SITE_RULES
    text = (ROOT / NAME).read_text(encoding="utf-8")
    assert "\n".join(line for line in text.splitlines() if not line.startswith("#")) + "\n" == shipped
    assert list_faults(around, folder, text) == []


def test_a_broken_site_rule_is_reported_as_documented(around: PolicySurroundings, folder: Path) -> None:
    """The rule, the line that decides, and a person; before the job that breaks it the added rule holds too."""
    shipped = (ROOT / NAME).read_text(encoding="utf-8")
    rules = "#\n" * shipped.count("\n") + SITE_RULES[1]
    assert list_faults(around, folder, rules) == []
    for block in JOBS["requirement"]:
        do(folder, block)
    (shown,) = re.findall(r"^```text\n(.*)\n```$", sections()["site-rules"], re.MULTILINE)
    (told,) = list_faults(around, folder, rules)
    assert told == shown


def rule(when: str = "{}", expect: str = "{effect: deny}", service: str = "my-loans") -> str:
    """Write one rule."""
    return f"- name: a rule\n  when: {when}\n  service: {service}\n  expect: {expect}\n"


DID = "(did you mean "
MISTAKES = [
    (rule(service="my-lones"), f"unknown service 'my-lones' {DID}'my-loans'?)"),
    (rule("{upstream: wafy}"), f"unknown upstream 'wafy' {DID}'wayf'?)"),
    (rule("{intent: studnt}"), f"unknown affiliation 'studnt' {DID}'student'?)"),
    (rule(expect="{reason: to_young}"), f"unknown reason 'to_young' {DID}'too_young'?)"),
    (rule(expect="{borrower: {category: STUDNET}}"), f"unknown category 'STUDNET' {DID}'STUDENT'?)"),
    (rule(expect="{never_releases: [crp]}"), f"unknown attribute 'crp' {DID}'cpr'?)"),
    (rule(expect="{}"), "expect: says nothing of what must come of it"),
    (rule("{age: {from: 18, under: 18}}"), "when.age: nobody has such an age: under must be more than from"),
    (rule("{age: old}"), "when.age: must be a whole number, or {under: 15}"),
    (rule("{cpr: " + "010190-" + "1234}"), "policy_properties.yaml:2: holds what looks like a CPR number"),
    (rule().replace("expect", "expct"), f"unknown key 'expct' {DID}'expect'?)"),
    ("name: x\n", "policy_properties.yaml:1: must be a list of rules (write - name: ..., one for each rule)"),
    (
        rule("{upstream: wayf, schacHomeOrganization: lu.se}"),
        "'a rule': no login at its services matches its conditions",
    ),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_a_mistake_is_told_with_its_mend(around: PolicySurroundings, folder: Path, text: str, told: str) -> None:
    """A typo guards nothing, and neither does a rule about nobody."""
    assert any(told in each for each in list_faults(around, folder, text)), list_faults(around, folder, text)


@pytest.mark.long("proves site rules of whole policy sets")
def test_an_account_that_is_made_is_told_where_none_may_be(around: PolicySurroundings, folder: Path) -> None:
    """A person with an account breaks no such rule."""
    none, student = "{borrower: none}", "upstream: wayf, eduPersonScopedAffiliation: student@au.dk"
    assert list_faults(around, folder, rule(f"{{{student}, borrower: true}}", none)) == []
    told = list_faults(around, folder, rule(f"{{{student}}}", none))
    assert any(
        "my-loans makes an account of the category STUDENT (student.yaml:16) (e.g. --upstream wayf" in each
        for each in told
    )


def test_without_a_file_nothing_is_said(around: PolicySurroundings, folder: Path) -> None:
    """Rules are there for a site that writes some."""
    find_rules(around).unlink(missing_ok=True)
    assert live_policies.load(folder, NOW, around.names).warnings == ()


BROKEN = [
    rule("{upstream: nemid}", "{never_releases: [cpr]}"),
    rule("{age: {under: 16}}", service="myprint"),
    rule("{upstream: wayf, schacHomeOrganization: au.dk, borrower: true}", "{effect: permit}", "myprint"),
]


@pytest.mark.long("proves site rules of whole policy sets")
@pytest.mark.parametrize("text", BROKEN)
def test_a_try_confirms_each_person_that_is_named(around: PolicySurroundings, folder: Path, text: str) -> None:
    """With the borrower that it has, the engine of a try comes to the same."""
    find_rules(around).write_text(text, encoding="utf-8")
    policies = live_policies.load(folder, NOW)
    assert around.maps
    site = TrialSite(policies, "", around.names.site)
    (written,) = policy_properties.load(find_rules(around))
    breaches = find_breaches(written, policies, around.names.site, NOW)
    assert breaches
    for breach in breaches:
        # Where a borrower makes a difference, the login has the one of the rule.
        assert breach.login.borrower or "no_library_account" not in breach.deviation.what
        confirm(site, breach)


def confirm(site: TrialSite, breach: Breach) -> None:
    """Try the person of a breach, and see that what is tried does what was said."""
    facts = {each.name: getattr(breach.login, each.name) for each in fields(GivenFacts)}
    trial = try_login(site, GivenFacts(**facts | {"whole": True}), (breach.service,), NOW)
    (played,) = trial.played
    leaving = {each.name for each in played.attributes_sent}
    verb, _, name = breach.deviation.what.partition(" ")
    if verb == "releases":
        assert name in leaving
    else:
        assert played.is_permitted == (breach.deviation.what == "lets in") or played.place == breach.deviation.place


@pytest.mark.long("proves a site rule of a whole policy set")
def test_a_rule_of_the_cpr_number_holds_whatever_a_service_publishes(around: PolicySurroundings, folder: Path) -> None:
    """Without a key it gets none today, and one as soon as it publishes a key."""
    path = folder / "student.yaml"
    path.write_text(path.read_text().replace("{none: [", "{none: [cpr: {why: {en: a, da: b}}, ", 1))
    find_rules(around).write_text(rule(expect="{never_releases: [cpr]}", service="e-resources"), encoding="utf-8")
    configured = {name: replace(each, encrypts=False) for name, each in around.services.items()}
    with pytest.raises(ConfigurationFaults, match="e-resources releases cpr"):
        live_policies.load(folder, NOW, replace(around.names, services=configured))


@pytest.mark.parametrize("name", ["policy_properties.yml", "Policy_Properties.YAML"])
def test_rules_under_another_name_are_a_fault(around: PolicySurroundings, folder: Path, name: str) -> None:
    """They would guard nothing."""
    find_rules(around).unlink(missing_ok=True)
    other = find_rules(around).with_name(name)
    other.write_text(rule())
    with pytest.raises(ConfigurationFaults) as found:
        live_policies.load(folder, NOW, around.names)
    assert str(found.value.faults[0]) == f"{name}: holds no site rules under this name (name it {NAME})"
    other.unlink()
