"""broker policy check with its analysis: what it says, and the examples that it gives to paste."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@pytest.fixture(autouse=True)
def _unset_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_CONFIG", raising=False)


def check(folder: Path, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(broker, ["policy", "check", str(folder), *options])


@pytest.mark.slow
def test_untried_decisions_are_listed_with_a_login() -> None:
    """The login is written as options of ``policy try``."""
    found = json.loads(check(POLICIES, "--json").stdout)
    assert all(": " in each and ", try --upstream " in each for each in found["untried"])
    printed = check(POLICIES, "--untried").stdout
    assert found["untried"]
    assert all(each in printed for each in found["untried"])


@pytest.mark.long("analyses the shipped policies")
def test_a_rule_without_effect_is_a_warning(tmp_path: Path) -> None:
    """With its line; the rest is well."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    path = copy / "student.yaml"
    again = "  - {upstream: wayf, schacHomeOrganization: [au.dk], eduPersonScopedAffiliation: [student@au.dk]}\n"
    path.write_text(path.read_text().replace(again, again + again, 1))
    result = check(copy)
    assert result.exit_code == 0, result.output
    assert "warning: student.yaml:11: this alternative decides no login" in result.stderr


def test_the_analysis_can_be_left_out() -> None:
    """And the examples that it would print with it."""
    assert "analysis" not in check(POLICIES, "--no-analysis").stdout
