"""broker policy check with its analysis: what it says, and the examples that it gives to paste."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker
from tests.plugins.policies_document import JOBS, do

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_CONFIG", raising=False)


def check(folder: Path, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(broker, ["policy", "check", str(folder), *options])


def pasted(folder: Path, examples: list[str]) -> None:
    """Put each example below those of the file that its first line names."""
    for example in examples:
        first, _, rest = example.partition("\n")
        with (folder / first.removeprefix("  # ")).open("a") as file:
            file.write(rest + "\n")


@pytest.mark.slow
def test_examples_can_be_pasted_until_none_is_missing(tmp_path: Path) -> None:
    """Each holds, and tries what it was printed for: then nothing is left untried."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    found = json.loads(check(copy, "--json").stdout)
    assert found["complete"]
    assert found["untried"]
    pasted(copy, found["untried"])
    result = check(copy)
    assert result.exit_code == 0, result.output
    assert "tried by no example" not in result.stdout
    assert "analysis complete" in result.stdout


def test_a_rule_without_effect_is_a_warning(tmp_path: Path) -> None:
    """With its line, and what stands before it; the rest is well."""
    copy = tmp_path / "policies"
    shutil.copytree(POLICIES, copy)
    path = copy / "student.yaml"
    again = "  - {upstream: wayf, schacHomeOrganization: [au.dk], eduPersonScopedAffiliation: [student@au.dk]}\n"
    path.write_text(path.read_text().replace(again, again + again, 1))
    result = check(copy)
    assert result.exit_code == 0, result.output
    assert "warning: student.yaml:12: this alternative never decides" in result.stderr


TAKES = "warning: guest.yaml:10: takes from "
BOTH = "[guest@au.dk, employee@au.dk]"
MEANT = (
    f"  - {{name: both, login: {{upstream: wayf, schacHomeOrganization: au.dk, eduPersonScopedAffiliation: {BOTH}}}, "
    "service: my-loans, expect: {effect: deny, affiliation: guest}}\n"
)


@pytest.mark.long("analyses the shipped policies")
@pytest.mark.parametrize(
    ("precedence", "more", "losing"),
    [
        (5, "", []),
        (35, "", ["employee.yaml:11", "student.yaml:11", "private.yaml:13"]),
        (35, MEANT, ["student.yaml:11", "private.yaml:13"]),
    ],
)
def test_whom_a_new_file_takes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precedence: int, more: str, losing: list[str]
) -> None:
    """By its precedence, from each of the files that there were, with a person; not where an example means it."""
    monkeypatch.chdir(POLICIES.parent)
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    for block in JOBS["add-affiliation"]:
        do(copy, block)
    path = copy / "guest.yaml"
    path.write_text(path.read_text().replace("precedence: 5", f"precedence: {precedence}") + more)
    told = [line for line in check(copy).stderr.splitlines() if line.startswith(TAKES)]
    assert [line.removeprefix(TAKES).partition(": ")[0] for line in told] == losing
    assert all(f"becomes guest (precedence {precedence} before " in line for line in told)
    assert all("; e.g. wayf au.dk " in line and "guest@au.dk" in line for line in told)


def test_the_analysis_can_be_left_out() -> None:
    """And the examples that it would print with it."""
    assert "analysis" not in check(POLICIES, "--no-analysis").stdout
    assert check(POLICIES, "--no-analysis", "--untried").exit_code == 2
