"""The policy commands load everything that a start loads, and find the same faults."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import policy_configuration
from broker.app.assembly import assemble
from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults
from broker.demo.run.demo_folder import Setting

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a sound configuration, which the environment names."""
    folder = tmp_path / "site"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "last-good"))
    monkeypatch.setenv("BROKER_CONFIG", str(folder / setting.config.name))
    return folder


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first ``old`` in a file."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def find_start_warnings(site: Path) -> tuple[str, ...]:
    """Give the warnings of a start."""
    parts = assemble(load(site / "broker.toml", {"BROKER_STORE__URL": f"sqlite:{site / 'broker.db'}"}))
    return tuple(map(str, parts.policies.current.warnings))


def test_the_metadata_says_what_is_encrypted(site: Path) -> None:
    """No warning of a CPR number that goes out encrypted; one for each file where there is no key to encrypt to."""
    assert policy_configuration.load_checked(None, NOW).warnings == find_start_warnings(site) == ()
    edit(site / "metadata" / "my-loans.xml", ' use="encryption"', ' use="signing"')
    warned = policy_configuration.load_checked(None, NOW).warnings
    assert warned == find_start_warnings(site)
    assert len([each for each in warned if "my-loans publishes no encryption key" in each]) == 4


def test_a_folder_is_checked_against_the_configuration(site: Path, tmp_path: Path) -> None:
    """A proposal beside the policies in use is held against the same names."""
    proposal = shutil.copytree(site / "policies", tmp_path / "proposal")
    edit(proposal / "student.yaml", "displayName, mail]", "displayName, {mial: {why: {en: a b, da: b a}}}]")
    with pytest.raises(ConfigurationFaults) as found:
        policy_configuration.load_checked(proposal, NOW)
    assert "proposal/student.yaml:25: unknown attribute 'mial' (did you mean 'mail'?)" in map(str, found.value.faults)
    assert policy_configuration.load_checked(None, NOW).warnings == ()


def test_a_start_refuses_a_folder_that_breaks_a_site_rule(site: Path) -> None:
    """As one whose example fails; the last good set of the machine stays in force, whatever a new rule finds in it."""
    rules = site / "policy_properties.yaml"
    assert find_start_warnings(site) == ()
    rules.write_text("- {name: nobody prints, service: myprint, when: {upstream: library}, expect: {effect: deny}}\n")
    environ = {"BROKER_STORE__URL": f"sqlite:{site / 'broker.db'}"}
    policies = assemble(load(site / "broker.toml", environ)).policies
    assert policies.current.policies
    assert "'nobody prints' does not hold: myprint lets in" in str(policies.file_faults[0])
    shutil.rmtree(site / "state")
    with pytest.raises(ConfigurationFaults):
        assemble(load(site / "broker.toml", environ))


def test_without_a_configuration_names_are_not_checked_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name would pass: silence would be taken for a yes."""
    monkeypatch.delenv("BROKER_CONFIG", raising=False)
    checked = policy_configuration.load_checked(ROOT / "policies", NOW)
    assert checked.warnings == ("names are not checked: set BROKER_CONFIG",)
