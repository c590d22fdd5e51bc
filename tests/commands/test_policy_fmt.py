"""``broker policy fmt``: what it changes, what ``--check`` says, and what it leaves alone."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the shipped policies, without a configuration."""
    monkeypatch.delenv("BROKER_CONFIG", raising=False)
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "policies"


def fmt(*words: str) -> Result:
    """Run the command."""
    result = CliRunner().invoke(broker, ["policy", "fmt", *words], prog_name="broker")
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def spoil(path: Path) -> None:
    """Write a file of the folder in another way."""
    path.write_text(
        path.read_text().replace("version: 1\naffiliation: student\n", "affiliation:  student\nversion: 1\n")
    )


def test_files_in_the_usual_layout_are_left_alone(folder: Path) -> None:
    """Exit 0 both ways, and no file is touched."""
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    for words in ((), ("--check",), (str(folder), "--check")):
        result = fmt(*words)
        assert (result.exit_code, result.stdout) == (0, "4 files are in the usual layout\n")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_check_shows_what_would_change_and_changes_nothing(folder: Path) -> None:
    """Exit 3 with the name and the lines; then the command does it, and nothing is left to do."""
    student = folder / "student.yaml"
    before = student.read_text()
    spoil(student)
    student.chmod(0o640)
    spoilt = student.read_text()
    shown = fmt("--check")
    assert shown.exit_code == 3
    assert shown.stdout.startswith("would be formatted: policies/student.yaml\n--- policies/student.yaml\n")
    assert "\n-affiliation:  student\n version: 1\n+affiliation: student\n" in shown.stdout
    said = json.loads(fmt("--check", "--json").stdout)
    assert (said["files"], said["changed"]) == (4, ["policies/student.yaml"])
    assert said["diff"] in shown.stdout
    assert student.read_text() == spoilt
    done = fmt()
    assert (done.exit_code, done.stdout) == (0, "formatted: policies/student.yaml\n")
    assert student.read_text() == before
    assert student.stat().st_mode & 0o777 == 0o640
    assert not list(folder.glob(".*"))


def test_where_a_file_is_no_yaml_none_is_changed(folder: Path) -> None:
    """The line is named, exit 78."""
    spoil(folder / "student.yaml")
    (folder / "guest.yaml").write_text("a: [\n")
    spoilt = (folder / "student.yaml").read_text()
    refused = fmt()
    assert (refused.exit_code, refused.stdout) == (78, "")
    assert refused.stderr.startswith("policies/guest.yaml:2: is not YAML")
    assert (folder / "student.yaml").read_text() == spoilt


def test_a_folder_that_there_is_not_is_a_usage(folder: Path) -> None:
    """And so is none, where nothing is configured: the sentence says what to set."""
    assert fmt("polices").exit_code == 2
    shutil.rmtree(folder)
    unset = fmt()
    assert (unset.exit_code, unset.stderr.partition(":")[0]) == (78, "BROKER_CONFIG")


@pytest.mark.usefixtures("folder")
def test_the_site_rules_are_put_in_order_too() -> None:
    """Where no folder is named; comments stay, what is given of a login too. A draft has none: they are left alone."""
    rules = Path("policy_properties.yaml")
    shipped = (ROOT / rules).read_text()
    spoilt = shipped.replace(
        "- name: a number that is no real CPR number goes to nobody\n  when: {cpr: [replacement, constructed]}\n"
        "  expect: {never_releases: [cpr]}\n",
        "# mind the indent\n- expect:   {never_releases: [cpr]}\n  when:\n      cpr: [replacement, constructed]\n"
        "  # last\n  name: a number that is no real CPR number goes to nobody\n",
    )
    assert spoilt != shipped
    rules.write_text(spoilt)
    assert fmt("policies").stdout == "4 files are in the usual layout\n"
    assert rules.read_text() == spoilt
    assert fmt().stdout == "formatted: policy_properties.yaml\n"
    assert rules.read_text() == shipped.replace(
        "- name: a number that is no real CPR number goes to nobody\n  when: {cpr: [replacement, constructed]}\n",
        "# mind the indent\n  # last\n- name: a number that is no real CPR number goes to nobody\n"
        "  when:\n    cpr: [replacement, constructed]\n",
    )
    assert fmt().stdout == "5 files are in the usual layout\n"


def test_site_rules_that_are_no_yaml_stop_the_rest(folder: Path) -> None:
    """As any other file: nothing is changed."""
    spoil(folder / "student.yaml")
    spoilt = (folder / "student.yaml").read_text()
    Path("policy_properties.yaml").write_text("a: [\n")
    refused = fmt()
    assert (refused.exit_code, refused.stderr.startswith("policy_properties.yaml:2: is not YAML")) == (78, True)
    assert (folder / "student.yaml").read_text() == spoilt
