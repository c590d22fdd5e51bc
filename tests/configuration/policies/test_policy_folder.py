"""Which files of a folder are policies, and what is said of those that were meant to be."""

from pathlib import Path

import pytest

from broker.configuration.policies.policy_folder import PolicyFolder
from broker.core.errors import ConfigurationFaults

NOT_READ = "is no policy file by its name, and is not read"
COPY = "is by its name a copy of a policy file (remove it, or move it out of the folder)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a policy file, and what may lie beside one."""
    made = tmp_path / "policies"
    made.mkdir()
    for name in ("student.yaml", "policy.schema.json", "README.md", ".student.yaml.swp", ".gitignore"):
        (made / name).write_text("x")
    (made / "old").mkdir()
    return made


def test_other_files_in_the_policy_folder_are_ignored(folder: Path) -> None:
    """A schema, a note, hidden files of an editor, a folder."""
    found = PolicyFolder(folder).files()
    assert (dict(found.files), found.misnamed, found.removed) == ({"student.yaml": b"x"}, (), frozenset())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hospital.yml", f"{NOT_READ} (rename it to hospital.yaml, or move it out of the folder)"),
        ("hospital.YAML", f"{NOT_READ} (rename it to hospital.yaml, or move it out of the folder)"),
        ("hospital.yaml.txt", f"{NOT_READ} (rename it to hospital.yaml, or move it out of the folder)"),
        ("student.yaml.bak", COPY),
        ("student.yaml~", COPY),
        ("#student.yaml#", COPY),
        ("student (1).yaml", COPY),
        ("student copy.yaml", COPY),
        ("student - kopi.yaml", COPY),
    ],
)
def test_a_file_that_was_meant_to_be_read_says_what_to_rename(folder: Path, name: str, said: str) -> None:
    """Silence would let everybody of that affiliation be refused, or a copy be edited in its place."""
    before = PolicyFolder(folder).file_state()
    (folder / name).write_text("x")
    assert [str(each) for each in PolicyFolder(folder).files().misnamed] == [f"policies/{name}: {said}"]
    assert PolicyFolder(folder).file_state() != before


@pytest.mark.parametrize("name", ["policy_properties.yaml", "policy_properties.yml", "Policy_Properties.YAML"])
def test_the_site_rules_are_no_policy_by_whatever_ending(folder: Path, name: str) -> None:
    """They belong beside the configuration: renamed here, they would be the next fault."""
    (folder / name).write_text("x")
    found = PolicyFolder(folder).files()
    assert list(found.files) == ["student.yaml"]
    fix = "move it next to this folder, as policy_properties.yaml"
    said = f"policies/{name}: holds the rules for all files, and is not read here ({fix})"
    assert [str(each) for each in found.misnamed] == [said]


def test_a_folder_with_misnamed_files_alone_says_so(folder: Path) -> None:
    """The author would not expect the folder to count as empty."""
    (folder / "student.yaml").rename(folder / "student.yml")
    with pytest.raises(ConfigurationFaults, match=r"rename it to student\.yaml"):
        PolicyFolder(folder).files()


def test_removed_names_affiliations_one_a_line(folder: Path) -> None:
    """A # begins a comment; the file is no policy."""
    (folder / "REMOVED").write_text("# since the hospital has its own\nhospital\n\nlaw # 2026\n")
    found = PolicyFolder(folder).files()
    assert (found.removed, list(found.files)) == (frozenset({"hospital", "law"}), ["student.yaml"])
