"""Policy folders as Git has them: a revision's files, the commit of a digest, and what Git refuses."""

from pathlib import Path

import pytest

from broker.configuration.policies.git_revisions import find_set, folder_at
from broker.configuration.policies.policy_folder import PolicyFolder
from broker.core.errors import ConfigurationFaults
from tests.walks.test_policy_explain import git

pytestmark = pytest.mark.server  # Git runs in a separate process


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Give a policy folder below the top of a repository with three commits: a, b, and no policy at all."""
    folder = tmp_path / "site" / "policies"
    folder.mkdir(parents=True)
    git(tmp_path, "init", "-q")
    for text in ("a", "b"):
        (folder / "student.yaml").write_text(text)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", f"Write {text}")
    (folder / "student.yaml").rename(folder / "README")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "Remove it")
    (folder / "student.yaml").write_text("not committed")
    return folder


@pytest.mark.parametrize(("revision", "text"), [("HEAD~2", b"a"), ("HEAD~1", b"b")])
def test_a_revision_has_its_own_files(policies: Path, revision: str, text: bytes) -> None:
    """The command extracts all its files and removes them afterwards; faults name the revision."""
    with folder_at(policies, revision) as extracted:
        found = PolicyFolder(extracted).files()
    assert (found.files, found.place) == ({"student.yaml": text}, f"policies@{revision}")
    assert not extracted.exists()


def test_the_commit_of_a_digest_is_found(policies: Path) -> None:
    """Commits without a policy are skipped; a set that no commit has is a fault."""
    with folder_at(policies, "HEAD~2") as extracted:
        digest = PolicyFolder(extracted).files().digest
    found, commit = find_set(policies, digest)
    assert found.files == {"student.yaml": b"a"}
    assert commit.endswith('"Write a"')
    with pytest.raises(ConfigurationFaults, match="no commit of it holds set"):
        find_set(policies, PolicyFolder(policies).files().digest)


@pytest.mark.parametrize("revision", ["nowhere", "--help", "--output=made", "-n1", ""])
def test_a_revision_that_is_none_is_a_fault(policies: Path, revision: str) -> None:
    """Also one that would be an option of Git."""
    with pytest.raises(ConfigurationFaults), folder_at(policies, revision):
        pass
    assert sorted(path.name for path in policies.iterdir()) == ["README", "student.yaml"]
