"""A writer killed at any step: the next one goes on, nothing is found that nobody did, and no line is thrown away."""

import hashlib
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.verification import verify
from broker.core.errors import AuditUnavailable
from tests.plugins.audit_bench import KEY, NOVEMBER, NOW

CALLS = ("open", "write", "pwrite", "fdatasync", "fsync", "ftruncate", "unlink")
LATER = NOW + timedelta(days=9)
FACTS = {"event": "released", "service": "my-loans"}


def _first(_: AuditFiles) -> None:
    """Leave the folder empty: the very first line is under way."""


def _same_month(journal: AuditFiles) -> None:
    journal.append(LATER, FACTS, sync=True)


def _next_month(journal: AuditFiles) -> None:
    journal.append(NOW, FACTS, sync=True)


def _after_a_torn_line(journal: AuditFiles) -> None:
    journal.append(LATER, FACTS, sync=True)
    with journal.path("2026-11").open("ab") as file:
        file.write(b'{"n":3,"at"')


def _killed(journal: AuditFiles, step: int, *, half: bool) -> bool:
    """Append in a child that dies at its ``step``-th call of the system; False where it had fewer."""
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(call: Callable[..., Any], name: str) -> Callable[..., Any]:
            def called(*given: Any, **more: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    if half and name == "write":
                        call(given[0], given[1][: len(given[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*given, **more)

            return called

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name), name))
        try:
            journal.append(LATER, FACTS, sync=True)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("before", [_first, _same_month, _next_month, _after_a_torn_line])
def test_a_writer_killed_at_any_step_spoils_nothing(
    tmp_path: Path, before: Callable[[AuditFiles], None], half: bool
) -> None:
    """First line, any line, a month's first line, and a line torn before: each step of each."""
    for step in range(1, 60):
        folder = tmp_path / f"{step}"
        folder.mkdir()
        journal = AuditFiles(folder, KEY)
        before(journal)
        stood = verify(journal)
        died = _killed(journal, step, half=half)
        assert verify(journal).findings == [], step
        assert verify(journal).number >= stood.number
        for _ in range(2):
            journal.append(LATER, FACTS, sync=True)
        report = verify(journal)
        assert report.findings == [], step
        assert report.number >= stood.number + 2
        if not died:
            break
    assert step > 4


def test_nothing_is_written_through_somebody_s_link(journal: AuditFiles, tmp_path: Path) -> None:
    """Whoever may write in the folder does not have the broker write over what they may not."""
    journal.append(NOW, FACTS, sync=False)
    victim = tmp_path / "victim"
    evil = b"evil\n"
    aside = f"torn-2026-10-{hashlib.sha256(evil).hexdigest()[:16]}"
    with journal.path("2026-10").open("ab") as file:
        file.write(evil)
    for name in (aside, NOVEMBER):
        victim.write_text("precious")
        (journal.folder / name).symlink_to(victim)
    journal.append(NOW, FACTS, sync=False)
    with pytest.raises(AuditUnavailable):
        journal.append(LATER, FACTS, sync=False)
    assert victim.read_text() == "precious"
    (kept,) = journal.folder.glob("torn-*")
    assert (kept.name, kept.is_symlink(), kept.read_bytes()) == (aside, False, evil)
