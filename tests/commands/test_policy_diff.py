"""broker policy diff: edits of the shipped policies, and what the command says of each."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SURNAME = "      sn: {why: {en: x, da: x}}\n"
# The file, what is written there, what is put in its place, and the row that tells of it.
EDITS = [
    (
        "student.yaml",
        "    name_id: transient\n    attributes:\n",
        "    name_id: transient\n    attributes:\n" + SURNAME,
        "WIDER e-resources student: + sn (student.yaml:57)",
    ),
    (
        "student.yaml",
        "values: ['student@*', 'member@*']",
        "values: ['student@*', 'member@*', 'alum@*']",
        "WIDER e-resources student: + eduPersonScopedAffiliation: alum@*",
    ),
    (
        "private.yaml",
        "library-walk-in@au.dk], assurance: low",
        "library-walk-in@au.dk, member@au.dk], assurance: low",
        "WIDER myprint nobody -> private: let in, where it was no_affiliation (private.yaml:",
    ),
    (
        "private.yaml",
        "age: 18, ",
        "age: 17, ",
        "WIDER my-loans private: let in, where it was too_young",
    ),
    (
        "employee.yaml",
        "[employee@au.dk, staff@au.dk, faculty@au.dk]",
        "[employee@au.dk, faculty@au.dk]",
        "refused e-resources employee -> nobody: no_affiliation e.g. wayf au.dk staff@au.dk low",
    ),
    (
        "student.yaml",
        "expires_after: 12 months",
        "expires_after: 6 months",
        "narrower my-loans student: borrower: STUDENT created for 12 months -> STUDENT created for 6 months",
    ),
    (
        "employee.yaml",
        "upgrades: [PRIVATE, STUDENT]",
        "upgrades: [PRIVATE]",
        "other my-loans employee: not asked: to change the category (STUDENT)",
    ),
    (
        "employee.yaml",
        "values: ['employee@*', 'staff@*', 'faculty@*', 'member@*']",
        "values: ['employee@*', 'faculty@*', 'member@*']",
        "narrower e-resources employee: - eduPersonScopedAffiliation: staff@* (was employee.yaml:",
    ),
    (
        "hospital.yaml",
        "name_id: transient",
        "name_id: persistent",
        "WIDER e-resources hospital: name_id transient -> persistent",
    ),
    (
        "hospital.yaml",
        "    legal_basis: consent",
        "    legal_basis: contract",
        "WIDER my-loans hospital: legal basis consent -> contract",
    ),
]


def diff(before: Path, after: Path, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(broker, ["policy", "diff", str(before), str(after), *options])


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """Give a copy of the shipped policies with one edit, its examples as far as they still hold."""
    copy = folder / "policies"
    shutil.copytree(POLICIES, copy)
    text = (copy / file).read_text()
    assert text.count(old) == 1
    (copy / file).write_text(without_examples(text.replace(old, new)))
    return copy


def without_examples(text: str) -> str:
    """Give the file with the first of its examples only, which all edits leave true."""
    head, _, examples = text.partition("examples:\n")
    first = examples.partition("\n  - name:")[0]
    return f"{head}examples:\n{first}\n"


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_CONFIG", raising=False)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "row"), EDITS)
def test_an_edit_is_told_by_its_row(tmp_path: Path, file: str, old: str, new: str, row: str) -> None:
    """Direction, service, affiliation, what changes, and the line; with a login that shows it; exit 3."""
    result = diff(POLICIES, changed(tmp_path, file, old, new))
    assert result.exit_code == 3, result.output
    told = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert any(line.startswith(row) and " e.g. " in line for line in told), result.stdout


def test_the_same_folder_has_no_difference() -> None:
    """Exit 0, and how many classes that holds for."""
    result = diff(POLICIES, POLICIES)
    assert result.exit_code == 0
    assert "classes of logins were compared" in result.stdout


@pytest.mark.slow
def test_programs_read_rows_with_a_login(tmp_path: Path) -> None:
    """A login in JSON is one that an example of a policy file can describe."""
    file, old, new, _ = EDITS[0]
    found = json.loads(diff(POLICIES, changed(tmp_path, file, old, new), "--json").stdout)
    assert found["wider"]
    (row,) = found["rows"]
    assert (row["direction"], row["service"], row["line"]) == ("WIDER", "e-resources", "student.yaml:57")
    assert row["login"]["upstream"] == "wayf"


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """It is named, without a traceback."""
    result = diff(POLICIES, tmp_path / "polices")
    assert result.exit_code == 2
    assert "polices" in result.output


def test_a_broken_set_is_told_with_its_faults(tmp_path: Path) -> None:
    """What cannot be loaded cannot be compared: exit 78, with file and line."""
    copy = changed(tmp_path, "student.yaml", "precedence: 20", "precedense: 20")
    result = diff(POLICIES, copy)
    assert result.exit_code == 78
    assert "student.yaml" in result.output
