"""broker policy diff: edits of the shipped policies, and what the command says of each."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.demo.run.demo_folder import Setting
from tests.plugins.policies_document import JOBS, do

POLICIES = Path(__file__).resolve().parents[2] / "policies"
# The file, what is written there, what is put in its place, and the row that tells of it.
EDITS = [
    (
        "student.yaml",
        "{none: [",
        "{none: [sn: {why: {en: x, da: x}}, ",
        "WIDER e-resources student: + sn (student.yaml:26)",
    ),
    (
        "private.yaml",
        "library-walk-in@au.dk], assurance: low",
        "library-walk-in@au.dk, member@au.dk], assurance: low",
        "WIDER myprint nobody -> private: now let in; was refused: no_affiliation (private.yaml:",
    ),
    ("private.yaml", "age: 18, ", "age: 17, ", "WIDER my-loans private: now let in; was refused: too_young"),
    (
        "employee.yaml",
        "[employee@au.dk, staff@au.dk, faculty@au.dk]",
        "[employee@au.dk, faculty@au.dk]",
        "refused e-resources employee -> nobody: no_affiliation e.g. --upstream wayf",
    ),
    (
        "student.yaml",
        "expires: 12 months",
        "expires: 6 months",
        "narrower my-loans student: expires for 12 months -> for 6 months",
    ),
    (
        "employee.yaml",
        "upgrades: [TEMP, PRIVATE, STUDENT]",
        "upgrades: [TEMP, PRIVATE]",
        "other my-loans employee: no longer asks upgrade of STUDENT",
    ),
    (
        "hospital.yaml",
        "{none: [",
        "{name_id: persistent, none: [",
        "WIDER e-resources hospital: name_id transient -> persistent",
    ),
    (
        "hospital.yaml",
        "{make: [",
        "{legal_basis: contract, make: [",
        "WIDER my-loans hospital: legal_basis consent -> contract",
    ),
]


def diff(before: Path | str, after: Path | str, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(broker, ["policy", "diff", str(before), str(after), *options])


def copy_with_edit(folder: Path, file: str, old: str, new: str) -> Path:
    """Give a copy of the shipped policies with one edit, its examples as far as they still hold."""
    copy = folder / "policies"
    shutil.copytree(POLICIES, copy)
    text = (copy / file).read_text()
    assert text.count(old) == 1
    (copy / file).write_text(remove_examples(text.replace(old, new)))
    return copy


def remove_examples(text: str) -> str:
    """Give the file with the first of its examples only, which all edits leave true."""
    head, _, examples = text.partition("examples:\n")
    first = examples.partition("\n  - name:")[0]
    return f"{head}examples:\n{first}\n"


# By the beginning of an edit's row, the service where people are asked again; for the others nowhere.
ASKED_AGAIN = {
    "WIDER e-resources student": "e-resources",
    "WIDER e-resources hospital": "e-resources",
    "WIDER my-loans hospital": "my-loans",
}


@pytest.fixture(autouse=True)
def _unset_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_CONFIG", raising=False)


@pytest.mark.parametrize(("file", "old", "new", "row"), EDITS)
def test_an_edit_has_its_row(tmp_path: Path, file: str, old: str, new: str, row: str) -> None:
    """Direction, service, affiliation, what changes, the line, and a login that shows it; exit 3."""
    result = diff(POLICIES, copy_with_edit(tmp_path, file, old, new), "--all")
    assert result.exit_code == 3, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert any(line.startswith(row) and " e.g. " in line for line in lines), result.stdout
    again = next((service for begin, service in ASKED_AGAIN.items() if row.startswith(begin)), None)
    if again:
        assert f"People who answered before are asked again at {again}." in lines


def play(persona: str, service: str, folder: Path) -> object:
    """Return what ``try`` says of the login at the service, by the policies of a folder, without lines of files."""
    options = [*shlex.split(persona), "--service", service, "--from", str(folder), "--json"]
    result = CliRunner().invoke(broker, ["policy", "try", *options])
    assert result.exit_code == 0, result.output
    return json.loads(re.sub(r":\d+", "", result.stdout))["services"]


@pytest.mark.parametrize(
    "edit",
    [
        ("student.yaml", "{none: [", "{none: [eduPersonEntitlement: {values: urn:x:*, why: {en: x, da: x}}, "),
        ("hospital.yaml", "{none: [schacHomeOrganization: au.dk", "{none: [schacHomeOrganization"),
    ],
    ids=["a new attribute", "any value"],
)
def test_the_login_of_each_row_shows_its_change(tmp_path: Path, edit: tuple[str, str, str]) -> None:
    """Tried with both sets, it has two results: also where no condition names the attribute that leaves."""
    after = copy_with_edit(tmp_path, *edit)
    rows = json.loads(diff(POLICIES, after, "--json").stdout)["rows"]
    tries = {(row["persona"], row["service"]) for row in rows}
    assert tries
    for persona, service in tries:
        assert play(persona, service, POLICIES) != play(persona, service, after), (persona, service)


def test_a_failing_example_hides_no_change(tmp_path: Path) -> None:
    """The output has the change and the failing example; exit 78."""
    after = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    path = after / "private.yaml"
    path.write_text(path.read_text().replace("age: 18, ", "age: 17, ", 1))
    result = diff(POLICIES, after)
    assert result.exit_code == 78
    assert "WIDER     Private user: my-loans: now let in; was refused: too_young" in result.stdout
    assert "private.yaml" in result.stderr
    assert "lets in" in result.stderr


def test_programs_read_rows_with_a_login(tmp_path: Path) -> None:
    """A login in JSON is written as options of ``policy try``."""
    file, old, new, _ = EDITS[0]
    found = json.loads(diff(POLICIES, copy_with_edit(tmp_path, file, old, new), "--json").stdout)
    (row,) = found["rows"]
    assert (row["direction"], row["service"], row["line"]) == ("WIDER", "e-resources", "student.yaml:26")
    assert row["persona"].startswith("--upstream wayf")
    assert found["asked_again"] == ["e-resources"]


@pytest.fixture
def configured_folder(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a broker over an empty store, named by the environment."""
    ignored = shutil.ignore_patterns("broker.db*", "last-good", "audit")
    shutil.copytree(setting.folder, tmp_path / "demo", ignore=ignored)
    monkeypatch.setenv("BROKER_CONFIG", str(tmp_path / "demo" / "broker.toml"))
    return tmp_path / "demo"


def test_an_unconfigured_service_is_named(configured_folder: Path, tmp_path: Path) -> None:
    """Its entry has no effect yet, which the output must say."""
    after = Path(shutil.copytree(configured_folder / "policies", tmp_path / "after"))
    for block in JOBS["add-service"]:
        do(after, block)
    result = diff(configured_folder / "policies", after)
    assert (result.exit_code, "not compared: no service 'booking' is configured" in result.stderr) == (0, True)
    assert "not compared" not in diff(configured_folder / "policies", configured_folder / "policies").stderr


@pytest.mark.parametrize(
    ("file", "pattern", "new", "said"),
    [
        (
            "broker.toml",
            r', may_assert = \["cpr", "alumni_cpr"\]',
            "",
            "refused Student at Aarhus University: My loans: ",
        ),
        (
            "broker.toml",
            r'methods = \["wayf", "nemid"\]',
            'methods = ["wayf"]',
            "refused Employee at Aarhus University Hospital -> nobody: Electronic resources: not_offered.",
        ),
        ("attribute_maps/wayf.yaml", r"(?m)^ .*: cpr\n", "", "refused Student at Aarhus University: My loans: "),
    ],
)
def test_two_configurations_are_compared(configured_folder: Path, file: str, pattern: str, new: str, said: str) -> None:
    """Institutions, what they may assert, methods and attribute maps decide as policies do."""
    after = Path(shutil.copytree(configured_folder, configured_folder.parent / "changed"))
    text = (after / file).read_text()
    assert re.search(pattern, text)
    (after / file).write_text(re.sub(pattern, new, text))
    narrower = diff(configured_folder, after)
    assert narrower.exit_code == 3, narrower.output
    assert any(" ".join(line.split()).startswith(said) for line in narrower.stdout.splitlines()), narrower.stdout
    assert len(narrower.stdout.splitlines()) <= 25


@pytest.mark.parametrize(("file", "old", "new", "row"), [EDITS[0], EDITS[3]])
def test_the_example_persona_shows_the_change_when_it_is_tried(
    tmp_path: Path, file: str, old: str, new: str, row: str
) -> None:
    """The options that a change ends with, given to ``policy try``, print something else by the other set."""
    after = copy_with_edit(tmp_path, file, old, new)
    rows = json.loads(diff(POLICIES, after, "--json").stdout)["rows"]
    shown = next(
        each for each in rows if row.startswith(f"{each['direction']} {each['service']} {each['affiliation']}:")
    )
    words = ("policy", "try", *shlex.split(shown["persona"]), "--service", shown["service"], "--json", "--from")
    both = [
        json.loads(CliRunner().invoke(broker, [*words, str(each)]).stdout)["services"] for each in (POLICIES, after)
    ]
    (before,), (tried,) = both
    assert before != tried
