"""Unknown and unusable names in policies: a fault or a warning with its line and the nearest known name."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.core.entities import Institution
from broker.core.errors import ConfigurationFaults
from broker.core.policy.model import RegisterRule
from tests.plugins.policy_names import AARHUS, NAMES, upstream

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Edited = Callable[[str, str, str], Path]


@pytest.fixture(name="edited")
def edit_policies(tmp_path: Path) -> Edited:
    """Give an editor of one shipped file, which gives the folder."""
    folder = shutil.copytree(ROOT / "policies", tmp_path / "policies")

    def edit(name: str, old: str, new: str) -> Path:
        file = folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        return folder

    return edit


def faults(folder: Path, names: NameableInPolicies = NAMES) -> list[str]:
    """Give the faults of a folder."""
    with pytest.raises(ConfigurationFaults) as found:
        live_policies.load(folder, NOW, names)
    return [str(fault) for fault in found.value.faults]


def warnings(folder: Path, names: NameableInPolicies = NAMES) -> list[str]:
    """Give the warnings of a folder."""
    return [str(fault) for fault in live_policies.load(folder, NOW, names).warnings]


@pytest.mark.parametrize(
    ("conditions", "warned"),
    [
        ("eduPersonEntitlement: ['urn:x']", True),
        ("eduPersonAffiliation: [guest]", True),
        ("schacHomeOrganization: [au.dk], eduPersonEntitlement: ['urn:x']", False),
        ("eduPersonScopedAffiliation: [guest@au.dk], eduPersonEntitlement: ['urn:x']", False),
        ("eduPersonScopedAffiliation: ['member@*']", True),
        ("eduPersonScopedAffiliation: [guest@au.dk, 'staff@*'], eduPersonEntitlement: ['urn:x']", True),
    ],
)
@pytest.mark.parametrize("several", [True, False])
def test_a_condition_that_any_institution_can_meet_gets_a_warning(
    edited: Edited, conditions: str, *, warned: bool, several: bool
) -> None:
    """No warning if another condition names the institution, or if there is only one institution."""
    folder = edited("private.yaml", "match:\n", f"match:\n  - {{upstream: wayf, {conditions}}}\n")
    other = Institution("https://idp.ku.example", scopes=("ku.dk",))
    of_wayf = upstream("wayf", "wayf", AARHUS, *((other,) if several else ()))
    told = [each for each in warnings(folder, replace(NAMES, upstreams={"wayf": of_wayf})) if "scope" in each]
    name = conditions.partition(":")[0]
    said = f"policies/private.yaml:11: {name} has no scope: any institution of wayf may assert it"
    assert told == ([f"{said} (add a condition for schacHomeOrganization)"] if warned and several else [])


def test_the_shipped_policies_have_no_warnings() -> None:
    """All services and upstreams that they name are configured here."""
    assert warnings(ROOT / "policies") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        (
            "student.yaml",
            "{surname: sn",
            "{boots: sn",
            "student.yaml:20: unknown field 'boots' (known are address, address2, ",
        ),
        (
            "private.yaml",
            "age: 18, upstream: nemid}",
            "age: 18, upstream: nemdi}",
            "policies/private.yaml:16: unknown upstream 'nemdi' (did you mean 'nemid'?)",
        ),
        (
            "private.yaml",
            "lowers: {by: [wayf]",
            "lowers: {by: [wafy]",
            "policies/private.yaml:21: unknown upstream 'wafy' (did you mean 'wayf'?)",
        ),
        (
            "student.yaml",
            "login: {upstream: wayf, assurance: low, cpr: real, age: 22, schac",
            "login: {upstream: wafy, assurance: low, cpr: real, age: 22, schac",
            "policies/student.yaml:29: unknown upstream 'wafy' (did you mean 'wayf'?)",
        ),
        (
            "student.yaml",
            "[borrower_number, displayName, mail]}\n  e",
            "[borrower_number, displayName, {mial: {why: {en: a b, da: b a}}}]}\n  e",
            "policies/student.yaml:25: unknown attribute 'mial' (did you mean 'mail'?)",
        ),
        (
            "student.yaml",
            "releases: [borrower_number, displayName, mail]",
            "releases: [borrower_number, displayname, mail]",
            "policies/student.yaml:53: unknown attribute 'displayname' (did you mean 'displayName'?)",
        ),
        (
            "private.yaml",
            "intent: private, schac",
            "intent: privat, schac",
            "policies/private.yaml:51: unknown intent 'privat' (did you mean 'private'?)",
        ),
    ],
)
def test_a_name_that_is_not_there_is_a_fault_with_what_was_meant(
    edited: Edited, name: str, old: str, new: str, fault: str
) -> None:
    """Such a file is never put in force: as written it would refuse people, or test nothing."""
    assert [each for each in faults(edited(name, old, new)) if fault in each]


def test_an_address_without_a_field_for_it_is_a_fault(edited: Edited) -> None:
    """Each address would be refused."""
    folder = edited("student.yaml", "register: set_if_empty", "register: always")
    fields = frozenset({"surname", "firstname", "email", "phone", "mobile", "city"})
    fault = "the library system has no field for an address: address, address2, postal_code (write a"
    assert [each for each in faults(folder, replace(NAMES, borrower_fields=fields)) if fault in each]


def test_without_a_register_nobody_is_said_to_be_looked_up(edited: Edited) -> None:
    """The shipped policies ask for the address; without a register no page and no report says so."""
    folder = edited("student.yaml", "register: set_if_empty", "register:  set_if_empty")
    rules = {
        has_register: {
            policy.borrower.register
            for policy in live_policies.load(folder, NOW, replace(NAMES, person_register=has_register)).policies
            if policy.borrower
        }
        for has_register in (False, True)
    }
    assert rules == {False: {None}, True: {RegisterRule("set_if_empty")}}


def test_without_a_configuration_any_name_will_do() -> None:
    """Then nobody knows which categories staff make and which fields the connector writes."""
    assert warnings(ROOT / "policies", NameableInPolicies()) == []
