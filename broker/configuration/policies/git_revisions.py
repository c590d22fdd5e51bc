"""Read a policy folder as of a Git revision, by ``git archive``."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from broker.configuration.policies.policy_folder import PolicyFolder
from broker.core.errors import ConfigurationFaults, Fault

_TIMEOUT: Final = 60.0  # seconds
_MOST_COMMITS: Final = 1000
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its id, its day and its subject."""

    id: str
    day: str
    subject: str

    def __str__(self) -> str:
        """Name the commit for people."""
        return f'commit {self.id[:_SHOWN]} of {self.day}, "{self.subject}"'


@contextmanager
def folder_at(folder: Path, revision: str) -> Iterator[Path]:
    """Extract ``folder`` as of a revision into a temporary folder; raise ConfigurationFaults."""
    commit = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    # Git archives only the folder that it runs in.
    octets = _git(folder, "archive", "--format=tar", commit.decode().strip())
    with TemporaryDirectory() as temporary:
        extracted = Path(temporary) / f"{folder.resolve().name}@{revision.replace('/', '_')}"
        extracted.mkdir()
        with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
            archive.extractall(extracted, filter="data")
        yield extracted


def commit_with_digest(folder: Path, digest: str) -> Commit | None:
    """Return the newest commit of ``folder`` whose policies have a digest.

    Read at most a thousand commits that change the folder. Raise ConfigurationFaults if Git fails.
    """
    listed = _git(folder, "log", f"-{_MOST_COMMITS}", "--format=%H%x00%cs%x00%s", "--", ".").decode(
        "utf-8", "replace"
    )
    for line in listed.splitlines():
        commit = Commit(*line.split("\0", 2))
        if _digest_at(folder, commit) == digest:
            return commit
    return None


def _digest_at(folder: Path, commit: Commit) -> str | None:
    try:
        with folder_at(folder, commit.id) as extracted:
            return PolicyFolder(extracted).files().digest
    except ConfigurationFaults:
        return None  # the commit removed the folder, or left no policy file in it


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - a revision is passed after --end-of-options
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the administrator's own Git
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationFaults([Fault("git", f"cannot be run: {error}", "install it")]) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ConfigurationFaults([Fault(str(folder), f"git: {said[0] if said else arguments[0]}")])
    return done.stdout
