"""The chain of lines: whatever is changed, taken out, moved, put in or cut off is found, and where."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.adapters.audit_log.hash_chain import GENESIS, ChainHead, head_octets, read, written
from broker.adapters.audit_log.monthly_files import HEAD, AuditFiles
from broker.adapters.audit_log.verification import VerificationReport, verify
from broker.core.errors import AuditUnavailable
from tests.plugins.audit_bench import KEY, NOVEMBER, NOW, OCTOBER
from tests.plugins.drawn import BESIDE_FIXTURES, drawn

Spoil = Callable[[Path], object]


def _lines(change: Callable[[list[bytes]], list[bytes]], name: str = OCTOBER) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return spoil


def _replay(folder: Path) -> None:
    october, november = ((folder / name).read_bytes().splitlines(keepends=True) for name in (OCTOBER, NOVEMBER))
    (folder / NOVEMBER).write_bytes(b"".join([*november[:3], october[3], *november[3:]]))


def _forged(folder: Path) -> None:
    """Write a whole chain with another key, head and all."""
    for each in folder.iterdir():
        each.unlink()
    other = AuditFiles(folder, b"b" * 32)
    for _ in range(14):
        other.append(NOW, {"event": "decided"}, sync=False)


def _older_head(folder: Path) -> None:
    """Cut the tail off and write the head that was right then, as who kept a copy can."""
    path = folder / NOVEMBER
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-2]))
    line = read(whole[-3][:-1])
    assert line is not None
    head = ChainHead(line.number, line.link, "2026-11", sum(map(len, whole[:-2])))
    (folder / HEAD).write_bytes(head_octets(KEY, head))


def _emptied(folder: Path) -> None:
    for name in (OCTOBER, NOVEMBER):
        (folder / name).unlink()


def _piped(folder: Path) -> None:
    (folder / OCTOBER).unlink()
    os.mkfifo(folder / OCTOBER)


TAMPERINGS: dict[str, tuple[Spoil, str]] = {
    "a value changed": (
        _lines(lambda all_: [all_[0], all_[1].replace(b"decided", b"refused"), *all_[2:]]),
        f"{OCTOBER}:2: was changed",
    ),
    "a link changed": (
        _lines(lambda all_: [all_[0], all_[1].replace(all_[1][-10:-3], b"0" * 7), *all_[2:]]),
        f"{OCTOBER}:2: was changed",
    ),
    "a space put in": (_lines(lambda all_: [all_[0], b" " + all_[1], *all_[2:]]), f"{OCTOBER}:2: is no line"),
    "a number changed": (
        _lines(lambda all_: [all_[0], all_[1].replace(b'"n":2', b'"n":7'), *all_[2:]]),
        f"{OCTOBER}:2: line 2 to 6 is missing before line 7",
    ),
    "a line removed": (_lines(lambda all_: [*all_[:3], *all_[4:]]), f"{OCTOBER}:4: line 4 is missing before line 5"),
    "the first line removed": (_lines(lambda all_: all_[1:]), f"{OCTOBER}:1: the month does not begin here"),
    "two lines swapped": (
        _lines(lambda all_: [all_[0], all_[2], all_[1], *all_[3:]]),
        f"{OCTOBER}:3: line 2 stands here again",
    ),
    "a line twice": (_lines(lambda all_: [*all_[:3], all_[2], *all_[3:]]), f"{OCTOBER}:4: line 3 stands here again"),
    "a line of ours put in elsewhere": (_replay, f"{NOVEMBER}:4: line 4 stands here again"),
    "a line of somebody's put in": (
        _lines(lambda all_: [*all_[:3], all_[3].replace(b'"n":4', b'"n":4,"x":1'), *all_[3:]]),
        f"{OCTOBER}:4: was changed",
    ),
    "an empty line": (_lines(lambda all_: [*all_[:3], b"\n", *all_[3:]]), f"{OCTOBER}:4: is no line"),
    "the last line cut off": (_lines(lambda all_: all_[:-1], NOVEMBER), "lines 14 to 14 are missing at the end"),
    "the last line cut in two": (
        _lines(lambda all_: [*all_[:-1], all_[-1][:40]], NOVEMBER),
        "lines 14 to 14 are missing at the end",
    ),
    "all lines of a month cut off": (_lines(lambda _: [], NOVEMBER), "lines 8 to 14 are missing at the end"),
    "all lines of the first month cut off": (_lines(lambda _: []), f"{NOVEMBER}: the months before it"),
    "the last month removed": (
        lambda folder: (folder / NOVEMBER).unlink(),
        f"{OCTOBER}: lines 8 to 14 are missing at the end",
    ),
    "the first month removed": (lambda folder: (folder / OCTOBER).unlink(), f"{NOVEMBER}: the months before it"),
    "a month that is a pipe": (_piped, f"{NOVEMBER}: the months before it"),
    "a month under another name": (
        lambda folder: (folder / OCTOBER).rename(folder / "audit-2026-09.jsonl"),
        "audit-2026-09.jsonl:1: the month does not begin here",
    ),
    "months in each other's place": (
        lambda folder: [
            (folder / OCTOBER).rename(folder / "x"),
            (folder / NOVEMBER).rename(folder / OCTOBER),
            (folder / "x").rename(folder / NOVEMBER),
        ],
        f"{OCTOBER}:1: the month does not begin here",
    ),
    "everything removed but the head": (_emptied, "lines 1 to 14 are missing at the end"),
    "the head removed": (lambda folder: (folder / HEAD).unlink(), f"{HEAD}: is missing or not ours"),
    "the head changed": (
        lambda folder: (folder / HEAD).write_bytes((folder / HEAD).read_bytes().replace(b":14,", b":13,")),
        f"{HEAD}: is missing or not ours",
    ),
    "the head of another key": (_forged, f"{HEAD}: is missing or not ours"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found_and_its_place_named(two_months: AuditFiles, name: str) -> None:
    """Issue: audit verify finds a changed, removed, reordered, inserted or replayed line, a removed month, a cut."""
    assert verify(two_months).findings == []
    spoil, logged = TAMPERINGS[name]
    spoil(two_months.folder)
    assert any(logged in str(each) for each in verify(two_months).findings), verify(two_months)


def test_a_whole_chain_is_well(two_months: AuditFiles) -> None:
    """The control: fourteen lines in two months, each month begun by a line of its own."""
    report = verify(two_months)
    assert (report.findings, report.notes, report.lines, report.number) == ([], [], 14, 14)
    assert two_months.months() == ["2026-10", "2026-11"]


def test_a_cut_with_the_head_of_then_is_found_by_what_the_store_remembers(two_months: AuditFiles) -> None:
    """Who kept an older head can cut the tail back to it, but not past the anchor in the store."""
    whole = verify(two_months)
    _older_head(two_months.folder)
    assert verify(two_months).findings == []
    (finding,) = verify(two_months, {whole.number: whole.link}).findings
    assert "lines 13 to 14 are missing at the end: the store names line 14" in str(finding)
    assert verify(two_months, {12: "f" * 64}).findings


def test_without_its_head_nothing_more_is_written(two_months: AuditFiles) -> None:
    """Otherwise whoever removes the head and the tail would have the broker itself hide the cut."""
    (two_months.folder / HEAD).unlink()
    with pytest.raises(AuditUnavailable, match="missing or not ours"):
        two_months.append(NOW, {"event": "decided"}, sync=False)
    two_months.accept(NOW, [each.mark for each in verify(two_months).findings])
    report = verify(two_months)
    assert (report.findings, report.number) == ([], 15)


def test_a_month_is_deleted_oldest_first_and_the_trail_says_so(two_months: AuditFiles) -> None:
    """An old month can go; the chain stays whole, because a line binds what the month ended with."""
    for wrong in ("2026-11", "2026-09"):
        with pytest.raises(AuditUnavailable, match="is not the oldest month"):
            two_months.delete(wrong, NOW)
    two_months.delete("2026-10", NOW)
    report = verify(two_months)
    assert (report.findings, two_months.months()) == ([], ["2026-11"])
    assert [each.what for each in report.notes] == ["month 2026-10 was deleted"]


@pytest.mark.parametrize("month", ["2026-08", "2026-10", "2026-11", "2026-12", "2027-01", ""])
def test_only_the_oldest_month_may_go(two_months: AuditFiles, month: str) -> None:
    """One from the middle would leave a gap that the audit log itself explains away; the open one is written to."""
    two_months.append(NOW.replace(month=12), {"event": "decided"}, sync=False)
    files = {path: path.read_bytes() for path in two_months.folder.iterdir()}
    if month == "2026-10":
        two_months.delete(month, NOW.replace(month=12))
        assert (verify(two_months).findings, two_months.months()) == ([], ["2026-11", "2026-12"])
        return
    with pytest.raises(AuditUnavailable, match="is not the oldest month"):
        two_months.delete(month, NOW.replace(month=12))
    assert {path: path.read_bytes() for path in two_months.folder.iterdir()} == files


def test_the_line_that_deletes_a_month_is_on_the_disk_first(
    two_months: AuditFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in between leaves the month and its announcement, never a gap that no line explains."""
    steps: list[str] = []
    unlink, fsync = Path.unlink, os.fsync

    def unlinked(path: Path) -> None:
        steps.append("unlink")
        unlink(path)

    def synced(folder: int) -> None:
        steps.append("folder")
        fsync(folder)

    monkeypatch.setattr("broker.adapters.audit_log.monthly_files.os.fdatasync", lambda _: steps.append("line"))
    monkeypatch.setattr(Path, "unlink", unlinked)
    monkeypatch.setattr(os, "fsync", synced)
    two_months.delete("2026-10", NOW)
    assert steps == ["line", "unlink", "folder"]


@pytest.mark.parametrize(
    ("facts", "number", "what"),
    [
        ({"event": "decided"}, 16, "is line 16 where 15 is next"),
        ({"event": "decided"}, 14, "is line 14 where 15 is next"),
        ({"event": "opened", "month": "2026-11", "after": "link"}, 15, "opens a month where none begins"),
    ],
)
def test_a_line_by_who_has_the_key_is_held_to_the_chain_too(
    two_months: AuditFiles, facts: dict[str, str], number: int, what: str
) -> None:
    """A broker with a fault, or a thief of the key: a right link alone makes no right line."""
    path = two_months.folder / NOVEMBER
    last = read(path.read_bytes().splitlines()[-1])
    assert last is not None
    assert last.number == 14
    after = {"after": last.link} if "after" in facts else {}
    with path.open("ab") as file:
        file.write(written(KEY, last.link, number, {**facts, **after})[0])
    assert verify(two_months).findings[0].what == what


def test_a_month_opens_after_the_one_before_it(journal: AuditFiles) -> None:
    """One that claims another past, by a right link, is found: what was in between may be gone."""
    head = journal.append(NOW, {"event": "decided"}, sync=False)
    opening = {"event": "opened", "month": "2026-11", "after": GENESIS}
    journal.path("2026-11").write_bytes(written(KEY, head.link, head.number + 1, opening)[0])
    assert [each.what for each in verify(journal).findings] == ["opens a month where none begins"]


def _found(report: VerificationReport) -> bool:
    return bool(report.findings or report.notes)


@settings(max_examples=drawn(120), deadline=None, suppress_health_check=BESIDE_FIXTURES)
@given(drawn=st.data())
def test_any_single_edit_is_found(two_months: AuditFiles, drawn: st.DataObject) -> None:
    """Law: an octet changed, put in or taken out, or two lines in each other's place, anywhere, is never unseen."""
    path = two_months.folder / drawn.draw(st.sampled_from((OCTOBER, NOVEMBER)))
    before = path.read_bytes()
    place = drawn.draw(st.integers(0, len(before) - 1))
    octet = drawn.draw(st.binary(min_size=1, max_size=1).filter(lambda each: each != before[place : place + 1]))
    lines = before.splitlines(keepends=True)
    one, two = drawn.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True))
    swapped = list(lines)
    swapped[one], swapped[two] = swapped[two], swapped[one]
    edits = {
        "change": before[:place] + octet + before[place + 1 :],
        "insert": before[:place] + octet + before[place:],
        "delete": before[:place] + before[place + 1 :],
        "append": before + octet,
        "swap": b"".join(swapped),
    }
    path.write_bytes(edits[drawn.draw(st.sampled_from(sorted(edits)))])
    try:
        assert path.read_bytes() == before or _found(verify(two_months))
    finally:
        path.write_bytes(before)


def test_the_first_line_follows_nothing(journal: AuditFiles) -> None:
    """A chain begins with the link of noughts, so that its beginning cannot be cut off unseen."""
    journal.append(NOW, {"event": "decided"}, sync=True)
    line = read(journal.path("2026-10").read_bytes().splitlines()[0])
    assert line is not None
    assert (line.number, line.facts["after"]) == (1, GENESIS)
