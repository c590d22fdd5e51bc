"""Crashes of a writer: the next writer continues the chain, and no confirmed line is lost."""

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
from tests.adapters.audit_log.two_month_audit_log import KEY, NOVEMBER, NOW

CALLS = ("open", "write", "pwrite", "fdatasync", "fsync", "ftruncate", "unlink")
LATER = NOW + timedelta(days=9)
FACTS = {"event": "released", "service": "my-loans"}


def _first(_: AuditFiles) -> None:
    """Leave the folder empty: the very first line is under way."""


def _same_month(files: AuditFiles) -> None:
    files.append(LATER, FACTS, sync=True)


def _next_month(files: AuditFiles) -> None:
    files.append(NOW, FACTS, sync=True)


def _after_half_a_line(files: AuditFiles) -> None:
    files.append(LATER, FACTS, sync=True)
    with files.path("2026-11").open("ab") as file:
        file.write(b'{"n":3,"at"')


def _append_and_kill(files: AuditFiles, step: int, *, half: bool) -> bool:
    """Append in a child that is killed at its ``step``-th system call; return False if it made fewer."""
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(call: Callable[..., Any], name: str) -> Callable[..., Any]:
            def call_or_die(*given: Any, **more: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    if half and name == "write":
                        call(given[0], given[1][: len(given[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*given, **more)

            return call_or_die

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name), name))
        try:
            files.append(LATER, FACTS, sync=True)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.long("kills a process at each system call")
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("before", [_first, _same_month, _next_month, _after_half_a_line])
def test_a_writer_killed_at_any_step_breaks_nothing(
    tmp_path: Path, before: Callable[[AuditFiles], None], half: bool
) -> None:
    """At the first line, any line, the first of a month, and a line after a half one; at each system call."""
    for step in range(1, 60):
        folder = tmp_path / f"{step}"
        folder.mkdir()
        files = AuditFiles(folder, KEY)
        before(files)
        stood = verify(files)
        died = _append_and_kill(files, step, half=half)
        assert verify(files).findings == [], step
        assert verify(files).number >= stood.number
        for _ in range(2):
            files.append(LATER, FACTS, sync=True)
        report = verify(files)
        assert report.findings == [], step
        assert report.number >= stood.number + 2
        if not died:
            break
    assert step > 4


def test_no_link_in_the_folder_is_followed(files: AuditFiles, tmp_path: Path) -> None:
    """Another user cannot make the broker write to a file elsewhere."""
    files.append(NOW, FACTS, sync=False)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (files.folder / NOVEMBER).symlink_to(victim)
    with pytest.raises(AuditUnavailable):
        files.append(LATER, FACTS, sync=False)
    assert victim.read_text() == "precious"
