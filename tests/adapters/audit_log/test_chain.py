"""Verification of the hash chain: every edit of files, lines and head is found, and where."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.adapters.audit_log.hash_chain import ChainHead, encode_head, parse_line
from broker.adapters.audit_log.monthly_files import HEAD_FILE, AuditFiles
from broker.adapters.audit_log.verification import verify
from broker.core.errors import AuditUnavailable
from tests.adapters.audit_log.two_month_audit_log import KEY, NOVEMBER, NOW, OCTOBER

Tampering = Callable[[Path], object]


def _edit(change: Callable[[list[bytes]], list[bytes]], name: str = OCTOBER) -> Tampering:
    def tamper(folder: Path) -> None:
        path = folder / name
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return tamper


def _replace(line: int, old: bytes, new: bytes) -> Tampering:
    return _edit(lambda lines: [*lines[: line - 1], lines[line - 1].replace(old, new), *lines[line:]])


def _replay(folder: Path) -> None:
    october, november = ((folder / name).read_bytes().splitlines(keepends=True) for name in (OCTOBER, NOVEMBER))
    (folder / NOVEMBER).write_bytes(b"".join([*november[:3], october[3], *november[3:]]))


def _forge(folder: Path) -> None:
    """Write a whole chain with another key, including the head."""
    for each in folder.iterdir():
        each.unlink()
    other = AuditFiles(folder, b"b" * 32)
    for _ in range(12):
        other.append(NOW, {"event": "decided"}, sync=False)


def _restore_old_head(folder: Path) -> None:
    """Cut off two lines and write the head of that moment, as an attacker with a copy can."""
    path = folder / NOVEMBER
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-2]))
    line = parse_line(whole[-3])
    assert line is not None
    head = ChainHead(line.number, line.link, "2026-11", sum(map(len, whole[:-2])))
    (folder / HEAD_FILE).write_bytes(encode_head(KEY, head))


def _unlink(*names: str) -> Tampering:
    def tamper(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return tamper


def _make_pipe(folder: Path) -> None:
    (folder / OCTOBER).unlink()
    os.mkfifo(folder / OCTOBER)


def _swap_months(folder: Path) -> None:
    (folder / OCTOBER).rename(folder / "x")
    (folder / NOVEMBER).rename(folder / OCTOBER)
    (folder / "x").rename(folder / NOVEMBER)


TAMPERINGS: dict[str, tuple[Tampering, str]] = {
    "a value changed": (_replace(2, b"decided", b"refused"), f"{OCTOBER}:2: was changed"),
    "a link changed": (_edit(lambda all_: [all_[0], all_[1][:-5] + b'0"}\n', *all_[2:]]), f"{OCTOBER}:2: is no line"),
    "a space inserted": (_edit(lambda all_: [all_[0], b" " + all_[1], *all_[2:]]), f"{OCTOBER}:2: is no line"),
    "a number changed": (_replace(2, b'"n":2', b'"n":7'), f"{OCTOBER}:2: is line 7 where line 2 is next"),
    "a line removed": (_edit(lambda all_: [*all_[:3], *all_[4:]]), f"{OCTOBER}:4: is line 5 where line 4 is next"),
    "the first line removed": (_edit(lambda all_: all_[1:]), f"{OCTOBER}:1: the lines before it are missing"),
    "two lines swapped": (
        _edit(lambda all_: [all_[0], all_[2], all_[1], *all_[3:]]),
        f"{OCTOBER}:3: is line 2 where line 4 is next",
    ),
    "a line twice": (
        _edit(lambda all_: [*all_[:3], all_[2], *all_[3:]]),
        f"{OCTOBER}:4: is line 3 where line 4 is next",
    ),
    "a line of the log repeated elsewhere": (_replay, f"{NOVEMBER}:4: is line 4 where line 10 is next"),
    "a forged line inserted": (
        _edit(lambda all_: [*all_[:3], all_[3].replace(b'"n":4', b'"n":4,"x":1'), *all_[3:]]),
        f"{OCTOBER}:4: was changed",
    ),
    "an empty line": (_edit(lambda all_: [*all_[:3], b"\n", *all_[3:]]), f"{OCTOBER}:4: is no line"),
    "a very long line": (_edit(lambda all_: [*all_, b"x" * 40_000 + b"\n"]), f"{OCTOBER}:9: is no line"),
    "the last line cut off": (_edit(lambda all_: all_[:-1], NOVEMBER), "lines 12 to 12 are missing at the end"),
    "the last line cut in two": (
        _edit(lambda all_: [*all_[:-1], all_[-1][:40]], NOVEMBER),
        "lines 12 to 12 are missing at the end",
    ),
    "all lines of a month cut off": (_edit(lambda _: [], NOVEMBER), "lines 7 to 12 are missing at the end"),
    "all lines of the first month cut off": (_edit(lambda _: []), f"{NOVEMBER}:1: the lines before it"),
    "the last month removed": (_unlink(NOVEMBER), f"{OCTOBER}: lines 7 to 12 are missing at the end"),
    "the first month removed": (_unlink(OCTOBER), f"{NOVEMBER}:1: the lines before it"),
    "a month that is a pipe": (_make_pipe, f"{NOVEMBER}:1: the lines before it"),
    "a month with another name": (
        lambda folder: (folder / OCTOBER).rename(folder / "audit-2024-10.jsonl"),
        "audit-2024-10.jsonl:1: is of another month",
    ),
    "two months with each other's name": (_swap_months, f"{OCTOBER}:1: the lines before it"),
    "everything removed except the head": (_unlink(OCTOBER, NOVEMBER), "lines 1 to 12 are missing at the end"),
    "the head removed": (_unlink(HEAD_FILE), f"{HEAD_FILE}: is missing or not ours"),
    "the head changed": (
        lambda folder: (folder / HEAD_FILE).write_bytes(
            (folder / HEAD_FILE).read_bytes().replace(b'"n":12', b'"n":11')
        ),
        f"{HEAD_FILE}: is missing or not ours",
    ),
    "the head of another key": (_forge, f"{HEAD_FILE}: is missing or not ours"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found_and_its_place_named(two_months: AuditFiles, name: str) -> None:
    """``audit verify`` finds a changed, removed, moved, inserted or repeated line, a removed month and a cut."""
    report = verify(two_months)
    assert (report.findings, report.notes, report.lines, report.number) == ([], [], 12, 12)
    tamper, finding = TAMPERINGS[name]
    tamper(two_months.folder)
    assert any(finding in str(each) for each in verify(two_months).findings), verify(two_months)


def test_a_cut_with_its_old_head_is_found_by_an_anchor(two_months: AuditFiles) -> None:
    """An attacker who kept an older head can cut back to it, but not past the anchor in the store."""
    whole = verify(two_months)
    _restore_old_head(two_months.folder)
    assert verify(two_months).findings == []
    (finding,) = verify(two_months, {whole.number: whole.link}).findings
    assert "lines 11 to 12 are missing at the end: the store names line 12" in str(finding)
    assert verify(two_months, {10: "f" * 64}).findings


def test_nothing_is_written_without_a_head(two_months: AuditFiles) -> None:
    """An attacker removes the head and the last lines: the broker must not cover the cut with new lines."""
    (two_months.folder / HEAD_FILE).unlink()
    with pytest.raises(AuditUnavailable, match="missing or not ours"):
        two_months.append(NOW, {"event": "decided"}, sync=False)


def test_lines_lost_in_a_power_cut_are_found(two_months: AuditFiles) -> None:
    """The head names them. The log goes on, and verification names the gap."""
    path = two_months.folder / NOVEMBER
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2])[:-10])
    two_months.append(NOW, {"event": "decided"}, sync=False)
    found = [str(each) for each in verify(two_months).findings]
    assert found[0] == f"{NOVEMBER}:4: is no line of the audit log"
    assert found[1].startswith(f"{NOVEMBER}:5: is line 13 where line 10 is next")


@pytest.mark.parametrize("month", ["2026-08", "2026-10", "2026-11", "2026-12", "2027-01", ""])
def test_only_the_oldest_month_can_be_deleted(two_months: AuditFiles, month: str) -> None:
    """The chain stays whole: a line records the deletion and the link that the month ended with."""
    now = NOW.replace(month=12)
    two_months.append(now, {"event": "decided"}, sync=False)
    files = {path: path.read_bytes() for path in two_months.folder.iterdir()}
    if month == "2026-10":
        two_months.delete(month, now)
        assert (verify(two_months).findings, two_months.months()) == ([], ["2026-11", "2026-12"])
        two_months.delete("2026-11", now)
        assert (verify(two_months).findings, two_months.months()) == ([], ["2026-12"])
        return
    with pytest.raises(AuditUnavailable, match="is not the oldest month"):
        two_months.delete(month, now)
    assert {path: path.read_bytes() for path in two_months.folder.iterdir()} == files


def test_a_deletion_hides_no_cut(two_months: AuditFiles) -> None:
    """A month whose last lines were cut off before its deletion does not explain the next month."""
    _edit(lambda all_: all_[:-1])(two_months.folder)
    two_months.delete("2026-10", NOW)
    assert [each.where for each in verify(two_months).findings] == [f"{NOVEMBER}:1"]


def test_a_deletion_is_synced_before_the_file_goes(two_months: AuditFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves the month and its announcement, but no gap that no line explains."""
    steps: list[str] = []
    unlink, fsync = Path.unlink, os.fsync

    def record_unlink(path: Path) -> None:
        steps.append("unlink")
        unlink(path)

    def record_sync(folder: int) -> None:
        steps.append("folder")
        fsync(folder)

    monkeypatch.setattr("broker.adapters.audit_log.monthly_files.os.fdatasync", lambda _: steps.append("line"))
    monkeypatch.setattr(Path, "unlink", record_unlink)
    monkeypatch.setattr(os, "fsync", record_sync)
    two_months.delete("2026-10", NOW)
    assert steps == ["line", "unlink", "folder"]
