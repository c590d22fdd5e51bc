"""Read a policy folder as of a Git revision, by ``git archive``."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from broker.configuration.policies.policy_folder import FoundFiles, PolicyFolder
from broker.core.errors import ConfigurationFaults, Fault

_TIMEOUT: Final = 60.0  # seconds
_MOST_COMMITS: Final = 1000
_SHOWN: Final = 12


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


def find_set(folder: Path, digest: str) -> tuple[FoundFiles, str]:
    """Return the files of ``folder`` with a digest, and the newest commit of them in words.

    Read at most a thousand commits that change the folder. Raise ConfigurationFaults if none has
    them, or Git fails.
    """
    listed = _git(folder, "log", f"-{_MOST_COMMITS}", "--format=%H%x00%cs%x00%s", "--", ".").decode(
        "utf-8", "replace"
    )
    for line in listed.splitlines():
        commit, day, subject = line.split("\0", 2)
        try:
            with folder_at(folder, commit) as extracted:
                found = PolicyFolder(extracted).files()
        except ConfigurationFaults:
            continue  # the commit removed the folder, or left no policy file in it
        if found.digest == digest:
            return found, f'commit {commit[:_SHOWN]} of {day}, "{subject}"'
    what = f"no commit of it holds set {digest[:_SHOWN]}"
    raise ConfigurationFaults([Fault(str(folder), what)])


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
