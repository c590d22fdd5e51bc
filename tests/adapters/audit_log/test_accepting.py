"""Findings that staff accept, and the anchors in the store: neither hides a later change."""

import json
import secrets
from datetime import timedelta

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.hash_chain import Anchors, ChainHead
from broker.adapters.audit_log.monthly_files import HEAD_FILE, AuditFiles
from broker.adapters.audit_log.verification import _NO_BEGINNING, AuditFinding, VerificationReport, verify
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.ports import Store
from tests.adapters.audit_log.two_month_audit_log import NOVEMBER, NOW, OCTOBER

LATER = NOW + timedelta(days=9)


def _accept(files: AuditFiles) -> None:
    report = verify(files)
    files.accept(LATER, [each.mark for each in report.findings], (report.number, report.link))


def _change(files: AuditFiles, name: str, line: int, old: bytes, new: bytes) -> None:
    path = files.folder / name
    whole = path.read_bytes().splitlines(keepends=True)
    assert old in whole[line - 1]
    whole[line - 1] = whole[line - 1].replace(old, new)
    path.write_bytes(b"".join(whole))


def _change_and_accept(files: AuditFiles) -> None:
    _change(files, OCTOBER, 3, b"decided", b"refused")
    assert [each.where for each in verify(files).findings] == [f"{OCTOBER}:3"]
    _accept(files)


def test_an_accepted_finding_becomes_a_note(two_months: AuditFiles) -> None:
    """The next report has it as a note and no findings."""
    _change_and_accept(two_months)
    report = verify(two_months)
    accepted = f"{OCTOBER}:3: accepted: was changed, or the line before it was"
    assert (report.findings, [str(each) for each in report.notes]) == ([], [accepted])


@pytest.mark.parametrize(("name", "line"), [(OCTOBER, 3), (OCTOBER, 5), (NOVEMBER, 2)])
def test_a_later_change_is_found(two_months: AuditFiles, name: str, line: int) -> None:
    """Another line and the same line again: staff accepted only what they saw."""
    _change_and_accept(two_months)
    _change(two_months, name, line, b'"count":', b'"count":9')
    assert f"{name}:{line}" in [each.where for each in verify(two_months).findings]


def test_a_forged_first_line_accepts_nothing(two_months: AuditFiles) -> None:
    """An attacker without the key cuts lines and puts a line in front that accepts the findings to come."""
    path = two_months.folder / OCTOBER
    lines = path.read_bytes().splitlines(keepends=True)
    cut = json.loads(lines[3])
    path.write_bytes(b"".join(lines[4:]))
    marks = [each.mark for each in verify(two_months).findings]
    marks.append(AuditFinding(f"{OCTOBER}:1", _NO_BEGINNING).mark)
    forged = {"n": cut["n"], "at": cut["at"], "event": str(AuditEventKind.ACCEPTED), "findings": marks}
    body = json.dumps(forged, separators=(",", ":")).encode()[:-1] + b',"link":"' + cut["link"].encode() + b'"}\n'
    path.write_bytes(body + b"".join(lines[4:]))
    assert verify(two_months).findings


def test_a_month_with_lines_of_a_later_month_is_not_deleted(two_months: AuditFiles) -> None:
    """An attacker without the key moves lines into the oldest month, so that its regular deletion removes them."""
    old, new = two_months.folder / OCTOBER, two_months.folder / NOVEMBER
    lines = new.read_bytes().splitlines(keepends=True)
    old.write_bytes(old.read_bytes() + b"".join(lines[:2]))
    new.write_bytes(b"".join(lines[2:]))
    assert [each.where for each in verify(two_months).findings] == [f"{OCTOBER}:7", f"{OCTOBER}:8"]
    with pytest.raises(AuditUnavailable, match="later month"):
        two_months.delete("2026-10", LATER)


@pytest.mark.parametrize("rest", [b"", b'{"n":15,"at"', b"no line\n"])
def test_the_log_continues_without_a_head_after_acceptance(two_months: AuditFiles, rest: bytes) -> None:
    """The last month's file may be empty or damaged."""
    (two_months.folder / HEAD_FILE).unlink()
    (two_months.folder / NOVEMBER).write_bytes(rest)
    for _ in range(2):
        _accept(two_months)
    two_months.append(LATER, {"event": "decided"}, sync=False)
    assert verify(two_months).findings == []


def _verify(audit_log: StoredAuditLog) -> VerificationReport:
    return verify(audit_log.files, audit_log.anchors.links(NOW))


def _write(audit_log: StoredAuditLog, number: int) -> None:
    for _ in range(number):
        audit_log.add(AuditEvent(AuditEventKind.DECIDED, NOW, about=secrets.token_hex(8)))


def test_a_cut_is_found_after_the_log_has_grown_again(
    audit_log: StoredAuditLog, log_lines: list[dict[str, object]]
) -> None:
    """An attacker cuts back to an old head: the store still has the anchor, and the log reports it at once."""
    _write(audit_log, 5)
    old = {path: path.read_bytes() for path in audit_log.files.folder.iterdir()}
    _write(audit_log, 70)
    for path, octets in old.items():
        path.write_bytes(octets)
    assert "the store names line 66" in str(_verify(audit_log).findings)
    _write(audit_log, 300)
    assert [each.what for each in _verify(audit_log).findings] == ["is not the line that the store names"]
    assert [each["event"] for each in log_lines] == ["audit_anchor"]


def test_an_emptied_folder_is_found_before_and_after_a_new_beginning(audit_log: StoredAuditLog) -> None:
    """Without head and lines the broker begins again at line 1, and the store has another line 2."""
    _write(audit_log, 3)
    for path in audit_log.files.folder.iterdir():
        path.unlink()
    assert "lines 1 to 2 are missing at the end" in str(_verify(audit_log).findings)
    _write(audit_log, 3)
    assert [each.what for each in _verify(audit_log).findings] == ["is not the line that the store names"]


def test_machines_that_share_a_store_have_separate_logs(audit_log: StoredAuditLog, store: Store) -> None:
    """Another machine's lines are not missing here."""
    other = Anchors(store, "elsewhere")
    _write(audit_log, 3)
    head = audit_log.files.append(NOW, {"event": "decided"}, sync=False)
    assert other.add(head._replace(number=642), NOW) is None
    assert _verify(audit_log).findings == []
    assert (list(audit_log.anchors.links(NOW)), list(other.links(NOW))) == ([2], [642])


@pytest.mark.parametrize(("last", "left"), [(1, []), (2, [2]), (65, [2]), (66, [2, 66])])
def test_the_anchors_of_existing_lines_stay(store: Store, last: int, left: list[int]) -> None:
    """Acceptance drops the anchors of missing lines only; the next cut contradicts the others."""
    anchors = Anchors(store, "")
    for number in (1, 2, 3, 66):
        assert anchors.add(ChainHead(number, f"{number:064}", "2026-10", 0), NOW) is None
    anchors.drop_after(last, NOW)
    assert sorted(anchors.links(NOW)) == left
