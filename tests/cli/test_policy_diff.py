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

pytestmark = pytest.mark.long("compares whole sets of policies")

POLICIES = Path(__file__).resolve().parents[2] / "policies"
# The file, what is written there, and what is put in its place.
A_NEW_ATTRIBUTE = ("student.yaml", "{none: [", "{none: [sn: {why: {en: x, da: x}}, ")
FEWER_EMPLOYEES = ("employee.yaml", "[employee@au.dk, staff@au.dk, faculty@au.dk]", "[employee@au.dk, faculty@au.dk]")


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


@pytest.fixture(autouse=True)
def _unset_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_CONFIG", raising=False)


@pytest.mark.parametrize(
    ("edit", "row", "asked_again"),
    [
        (A_NEW_ATTRIBUTE, "WIDER e-resources student: + sn (student.yaml:26)", "e-resources"),
        (
            FEWER_EMPLOYEES,
            "refused e-resources employee -> nobody: no_affiliation e.g. --upstream wayf",
            "e-resources, my-loans",
        ),
    ],
)
def test_an_edit_has_its_row(tmp_path: Path, edit: tuple[str, str, str], row: str, asked_again: str) -> None:
    """Direction, service, affiliation, what changes, the line, and a login that shows it; exit 3."""
    result = diff(POLICIES, copy_with_edit(tmp_path, *edit), "--all")
    assert result.exit_code == 3, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert any(line.startswith(row) and " e.g. " in line for line in lines), result.stdout
    assert f"People who answered before are asked again at {asked_again}." in lines


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
    found = json.loads(diff(POLICIES, copy_with_edit(tmp_path, *A_NEW_ATTRIBUTE), "--json").stdout)
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
