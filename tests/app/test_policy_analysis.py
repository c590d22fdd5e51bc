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
LOGIN = f"{{upstream: wayf, schacHomeOrganization: au.dk, eduPersonScopedAffiliation: {BOTH}}}"


def meant(service: str, effect: str = "deny") -> str:
    """Write an example of an employee who is a guest too, and meant to be one at a service."""
    expect = f"{{effect: {effect}, affiliation: guest}}"
    return f"  - {{name: both at {service}, login: {LOGIN}, service: {service}, expect: {expect}}}\n"


@pytest.mark.long("analyses the shipped policies")
@pytest.mark.parametrize(
    ("precedence", "more", "losing"),
    [
        (5, "", []),
        (35, "", ["employee.yaml:11", "student.yaml:11", "private.yaml:13"]),
        (35, meant("e-resources", "permit"), ["employee.yaml:11", "student.yaml:11", "private.yaml:13"]),
        (35, meant("my-loans"), ["employee.yaml:11", "student.yaml:11", "private.yaml:13"]),
        (35, meant("my-loans") + meant("myprint"), ["student.yaml:11", "private.yaml:13"]),
    ],
)
def test_whom_a_new_file_takes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precedence: int, more: str, losing: list[str]
) -> None:
    """By its precedence, from each of the files that there were, with a person.

    Not where an example means it at each service that the other file lets them into and the new one does not.
    """
    monkeypatch.chdir(POLICIES.parent)
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    for block in JOBS["add-affiliation"]:
        do(copy, block)
    path = copy / "guest.yaml"
    path.write_text(path.read_text().replace("precedence: 5", f"precedence: {precedence}") + more)
    told = [line for line in check(copy).stderr.splitlines() if line.startswith(TAKES)]
    assert [line.removeprefix(TAKES).partition(": ")[0] for line in told] == losing
    assert all("becomes guest" in line and f" (precedence {precedence} before " in line for line in told)
    assert all("; e.g. wayf au.dk " in line and "guest@au.dk" in line for line in told)
    lost = "my-loans, myprint" if "my-loans" not in more else "myprint"
    assert all(f"becomes guest and loses {lost} (" in line for line in told if "takes from employee" in line)


@pytest.mark.long("analyses the shipped policies")
def test_the_person_of_such_a_warning_is_one_who_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address that they prove, without which they stay what they are."""
    monkeypatch.chdir(POLICIES.parent)
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    text = (POLICIES / "hospital.yaml").read_text()
    head = text.partition("examples:\n")[0]
    for old, new in (("hospital", "region"), ("precedence: 40", "precedence: 15"), ("auh.rm.dk", "regionh.dk")):
        head = head.replace(old, new)
    of_region = "{upstream: nemid, assurance: substantial, proof: {kaldemail: someone@regionh.dk}}"
    example = f"  - {{name: x, login: {of_region}, service: e-resources, expect: {{effect: permit}}}}\n"
    (copy / "region.yaml").write_text(f"{head}examples:\n{example}")
    (told,) = (each for each in check(copy).stderr.splitlines() if "takes from private" in each)
    assert "; e.g. nemid substantial proof:someone@" in told


@pytest.mark.long("analyses the shipped policies")
@pytest.mark.parametrize("key", ["upgrades", "lowers"])
def test_a_category_that_no_login_changes_is_a_warning(tmp_path: Path, key: str) -> None:
    """Where each entry of the file only needs an account: with the line of the key."""
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    path = copy / "hospital.yaml"
    text = path.read_text().partition("examples:\n")[0].replace("borrower: make", "borrower: need")
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
