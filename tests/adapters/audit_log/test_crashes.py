"""A writer killed at any step: the next one goes on, nothing is found that nobody did, and no line is thrown away."""

import hashlib
import os
import resource
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.audit_log.monthly_files import HEAD, AuditFiles
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


def test_an_earlier_crash_s_lines_of_a_new_month_count(journal: AuditFiles) -> None:
    """A month's first lines whose writer died before the head named them are gone on from, not written again."""
    journal.append(NOW, FACTS, sync=True)
    head = (journal.folder / HEAD).read_bytes()
    journal.append(LATER, FACTS, sync=True)
    (journal.folder / HEAD).write_bytes(head)
    journal.append(LATER, FACTS, sync=True)
    report = verify(journal)
    assert (report.findings, report.number, list(journal.folder.glob("torn-*"))) == ([], 5, [])


def test_a_month_that_no_line_found_room_in_is_no_finding(journal: AuditFiles) -> None:
    """The disk was full all November: its file is empty, the chain goes on in December, and October can go."""
    journal.append(NOW, FACTS, sync=True)
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises(AuditUnavailable):
            journal.append(LATER, FACTS, sync=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (verify(journal).findings, journal.path("2026-11").stat().st_size) == ([], 0)
    journal.append(LATER + timedelta(days=30), FACTS, sync=True)
    assert (verify(journal).findings, journal.months()) == ([], ["2026-10", "2026-12"])
    journal.delete("2026-10", LATER + timedelta(days=30))
    assert verify(journal).findings == []


def test_no_line_is_written_that_nobody_could_read(journal: AuditFiles) -> None:
    """It would look like a tampering; it is refused, and the chain stays whole."""
    journal.append(NOW, FACTS, sync=False)
    with pytest.raises(AuditUnavailable, match="longer than any"):
        journal.append(NOW, {**FACTS, "reason": "x" * 17_000}, sync=False)
    journal.append(NOW, FACTS, sync=False)
    assert (verify(journal).findings, verify(journal).number) == ([], 3)


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


def test_who_checks_a_copy_writes_nothing(journal: AuditFiles) -> None:
    """Not even a head where there is none: made by root it would keep the broker from its own trail."""
    journal.append(NOW, FACTS, sync=False)
    (journal.folder / HEAD).unlink()
    before = sorted(journal.folder.iterdir())
    assert [each.where for each in verify(journal).findings] == [HEAD]
    assert sorted(journal.folder.iterdir()) == before
