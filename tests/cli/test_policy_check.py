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


def paste_examples(folder: Path, examples: list[str]) -> None:
    """Put each example below those of the file that its first line names."""
    for example in examples:
        first, _, rest = example.partition("\n")
        with (folder / first.removeprefix("  # ")).open("a") as file:
            file.write(rest + "\n")


@pytest.mark.slow
def test_examples_can_be_pasted_until_none_is_missing(tmp_path: Path) -> None:
    """The printed examples hold, and with them no kind of decision is untried."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    found = json.loads(check(copy, "--json").stdout)
    assert found["untried"]
    paste_examples(copy, found["untried"])
    result = check(copy)
    assert result.exit_code == 0, result.output
    assert "tried by no example" not in result.stdout
    assert "analysis: " in result.stdout


def test_a_rule_without_effect_is_a_warning(tmp_path: Path) -> None:
    """With its line, and what stands before it; the rest is well."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    path = copy / "student.yaml"
    again = "  - {upstream: wayf, schacHomeOrganization: [au.dk], eduPersonScopedAffiliation: [student@au.dk]}\n"
    path.write_text(path.read_text().replace(again, again + again, 1))
    result = check(copy)
    assert result.exit_code == 0, result.output
    assert "warning: student.yaml:11: this alternative is never reached" in result.stderr


def test_the_analysis_can_be_left_out() -> None:
    """And the examples that it would print with it."""
    assert "analysis" not in check(POLICIES, "--no-analysis").stdout
    assert check(POLICIES, "--no-analysis", "--untried").exit_code == 2
