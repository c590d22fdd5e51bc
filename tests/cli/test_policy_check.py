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


@pytest.mark.long("analyses the shipped policies")
@pytest.mark.parametrize("key", ["upgrades", "lowers"])
def test_a_category_that_no_login_changes_is_a_warning(tmp_path: Path, key: str) -> None:
    """Where each entry of the file only needs an account: with the line of the key."""
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    path = copy / "hospital.yaml"
    text = path.read_text().partition("examples:\n")[0].replace("{make: [", "{need: [")
    lines = [each for each in text.splitlines() if not each.startswith(("  upgrades:", "  lowers:"))]
    at = lines.index("  category: HOSPITAL") + 1
    written = {"lowers": "{by: [wayf], categories: [STUDENT]}"}.get(key, "[TEMP]")
    lines.insert(at, f"  {key}: {written}")
    example = "  - {name: x, login: {upstream: nemid}, service: my-loans, expect: {effect: deny}}"
    path.write_text("\n".join((*lines, "examples:", example, "")))
    told = [each for each in check(copy).stderr.splitlines() if "no login changes a category" in each]
    said = f"hospital.yaml:{at + 1}: no login changes a category by {key}: no entry says borrower: make"
    assert told == [f"warning: {said}"]


def test_the_analysis_can_be_left_out() -> None:
    """And the examples that it would print with it."""
    assert "analysis" not in check(POLICIES, "--no-analysis").stdout
    assert check(POLICIES, "--no-analysis", "--untried").exit_code == 2
