"""What staff accept, and what the store remembers: nothing later hides behind either."""

import secrets
from datetime import timedelta

import pytest

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.hash_chain import Anchors, ChainHead
from broker.adapters.audit_log.monthly_files import HEAD, AuditFiles
from broker.adapters.audit_log.verification import VerificationReport, verify
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.ports import Store
from tests.plugins.audit_bench import NOVEMBER, NOW, OCTOBER

LATER = NOW + timedelta(days=9)


def _accept(journal: AuditFiles) -> None:
    journal.accept(LATER, [each.mark for each in verify(journal).findings])


def _change(journal: AuditFiles, name: str, line: int, old: bytes, new: bytes) -> None:
    path = journal.folder / name
    whole = path.read_bytes().splitlines(keepends=True)
    assert old in whole[line - 1]
    whole[line - 1] = whole[line - 1].replace(old, new)
    path.write_bytes(b"".join(whole))


def _spoilt(journal: AuditFiles) -> AuditFiles:
    """Change one line, and let staff accept that it is changed."""
    _change(journal, OCTOBER, 3, b"decided", b"refused")
    assert [each.where for each in verify(journal).findings] == [f"{OCTOBER}:3"]
    _accept(journal)
    assert verify(journal).findings == []
    return journal


def test_what_is_accepted_is_a_note_from_then_on(two_months: AuditFiles) -> None:
    """And who looks still sees it, and that staff have."""
    report = verify(_spoilt(two_months))
    assert [str(each) for each in report.notes] == [
        f"{NOVEMBER}:8: staff had seen 1 findings",
        f"{OCTOBER}:3: accepted: was changed, or the line before it was",
    ]


@pytest.mark.parametrize(("name", "line"), [(OCTOBER, 3), (OCTOBER, 5), (NOVEMBER, 2)])
def test_nothing_hides_behind_what_was_accepted(two_months: AuditFiles, name: str, line: int) -> None:
    """Neither another line nor the same one again: staff have accepted what they saw, no more."""
    _spoilt(two_months)
    _change(two_months, name, line, b'"count":', b'"count":9')
    assert f"{name}:{line}" in [each.where for each in verify(two_months).findings]


@pytest.mark.parametrize("rest", [b"", b'{"n":15,"at"', b"of nobody\n"])
def test_without_a_head_staff_can_always_go_on(two_months: AuditFiles, rest: bytes) -> None:
    """Whatever the last month ends with, or is: what nobody can read is set aside."""
    (two_months.folder / HEAD).unlink()
    (two_months.folder / NOVEMBER).write_bytes(rest)
    for _ in range(2):
        _accept(two_months)
    assert verify(two_months).findings == []
    two_months.append(LATER, {"event": "decided"}, sync=False)
    assert verify(two_months).findings == []


def _checked(audit_log: StoredAuditLog) -> VerificationReport:
    return verify(audit_log.journal, audit_log.anchors.links(NOW))


def _written(audit_log: StoredAuditLog, number: int) -> None:
    for _ in range(number):
        audit_log.add(AuditEvent(AuditEventKind.DECIDED, NOW, about=secrets.token_hex(8)))


def test_a_cut_trail_that_goes_on_is_found_for_ever(audit_log: StoredAuditLog, logged: list[dict[str, object]]) -> None:
    """Who kept an old head cuts back to it; the store keeps what it knew, and the log has it at once."""
    _written(audit_log, 5)
    files = {path: path.read_bytes() for path in audit_log.journal.folder.iterdir()}
    _written(audit_log, 70)
    for path, octets in files.items():
        path.write_bytes(octets)
    assert "the store names line 66" in str(_checked(audit_log).findings)
    _written(audit_log, 300)
    assert [each.what for each in _checked(audit_log).findings] == ["is not the line that the store names"]
    assert [each["event"] for each in logged] == ["audit_anchor"]


def test_an_emptied_folder_is_found_before_and_after_a_new_beginning(audit_log: StoredAuditLog) -> None:
    """Head and all: the broker begins again at line one, and the store has another line two."""
    _written(audit_log, 3)
    for path in audit_log.journal.folder.iterdir():
        path.unlink()
    assert "lines 1 to 2 are missing at the end" in str(_checked(audit_log).findings)
    _written(audit_log, 3)
    assert [each.what for each in _checked(audit_log).findings] == ["is not the line that the store names"]


def test_machines_that_share_a_store_have_each_their_own_trail(audit_log: StoredAuditLog, store: Store) -> None:
    """Another machine's lines are not missing here."""
    other = Anchors(store, "elsewhere")
    _written(audit_log, 3)
    head = audit_log.journal.append(NOW, {"event": "decided"}, sync=False)
    assert other.keep(head._replace(number=642), NOW) is None
    assert _checked(audit_log).findings == []
    assert (list(audit_log.anchors.links(NOW)), list(other.links(NOW))) == ([2], [642])


@pytest.mark.parametrize(("beyond", "left"), [(1, []), (2, [2]), (65, [2]), (66, [2, 66])])
def test_an_anchor_of_a_line_that_is_there_stays(store: Store, beyond: int, left: list[int]) -> None:
    """Staff accept what is gone, the last line that stands is not: it is what the next cut contradicts."""
    anchors = Anchors(store, "")
    for number in (1, 2, 3, 66):
        assert anchors.keep(ChainHead(number, f"{number:064}", "2026-10", 0), NOW) is None
    anchors.forget(beyond, NOW)
    assert sorted(anchors.links(NOW)) == left
