"""The audit log: masked and sealed lines, losses, crashes, and events that cannot be read after erasure."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import broker
from broker.adapters.audit_log.audit_log import StoredAuditLog, open_audit_log
from broker.adapters.audit_log.monthly_files import HEAD_FILE, AuditFiles
from broker.adapters.audit_log.verification import verify
from broker.core.errors import AuditUnavailable, ConfigurationFaults
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.identity.person_id import PersonIds
from broker.core.ports import Key, Store
from tests.adapters.audit_log.two_month_audit_log import KEY, NOW

Logged = list[Mapping[str, Any]]
RELEASED = AuditEvent(
    AuditEventKind.RELEASED,
    NOW,
    reference="BCDFGHJK",
    person="p" * 32,
    service="my-loans",
    attributes=("cpr",),
    about="a-b",
)
_WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from broker.adapters.audit_log.monthly_files import HEAD_FILE, AuditFiles
files = AuditFiles(Path(sys.argv[1]), b"a" * 32)
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    files.append(datetime(2026, 10, 30, tzinfo=UTC), {"event": "decided", "count": number}, sync=False)
"""


def _start_writer(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(broker.__path__[0]).parent)}
    command = (sys.executable, "-W", "error", "-c", _WRITER, str(folder))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _run_writers(*writers: subprocess.Popen[str]) -> list[int]:
    """Let all writers begin together, and return their exit codes."""
    for each in writers:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"
    for each in writers:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    codes = [each.wait(60) for each in writers]
    for each in writers:
        each.communicate()
    return codes


def _text(files: AuditFiles) -> str:
    return "".join(files.path(month).read_text() for month in files.months())


@pytest.mark.server
def test_two_processes_write_one_chain(files: AuditFiles) -> None:
    """Each worker appends after the last line of the other, under one lock."""
    assert _run_writers(_start_writer(files.folder), _start_writer(files.folder)) == [0, 0]
    report = verify(files)
    assert (report.findings, report.notes, report.lines) == ([], [], 400)


def test_a_line_whose_writer_died_before_the_head_counts(files: AuditFiles) -> None:
    """The next writer finds it after the head by its link, also in a month that is over."""
    head = (files.folder / HEAD_FILE).read_bytes() if files.append(NOW, {"event": "decided"}, sync=False) else b""
    files.append(NOW, {"event": "decided"}, sync=False)
    (files.folder / HEAD_FILE).write_bytes(head)
    files.append(NOW.replace(month=11), {"event": "decided"}, sync=False)
    report = verify(files)
    assert (report.findings, report.notes, report.number) == ([], [], 3)


@pytest.mark.parametrize("foreign", [b'{"n":2,"event":"released","link":"' + b"0" * 64 + b'"}\n', b"x\n", b"x\ny"])
def test_foreign_lines_after_the_head_are_found(files: AuditFiles, foreign: bytes) -> None:
    """They are not mistaken for the half line of a crash, and the log goes on behind them."""
    files.append(NOW, {"event": "decided"}, sync=False)
    with files.path("2026-10").open("ab") as file:
        file.write(foreign)
    files.append(NOW, {"event": "decided"}, sync=False)
    assert verify(files).findings[0].where == "audit-2026-10.jsonl:2"
    assert verify(files).number == 2


def test_a_sync_covers_the_line_and_its_failure_is_reported(files: AuditFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor that wrote the line is synced, after the lock was released."""
    sizes = []

    def fail(file: int) -> None:
        sizes.append(os.fstat(file).st_size)
        files.append(NOW, {"event": "decided"}, sync=False)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("broker.adapters.audit_log.monthly_files.os.fdatasync", fail)
    with pytest.raises(AuditUnavailable, match="Input/output error"):
        files.append(NOW, {"event": "decided"}, sync=True)
    assert sizes == [len(files.path("2026-10").read_bytes().splitlines(keepends=True)[0])]


def test_a_full_disk_leaves_nothing_of_a_line(files: AuditFiles) -> None:
    """The part that fitted is removed, so that the next line follows the one before."""
    files.append(NOW, {"event": "decided"}, sync=False)
    size = files.path("2026-10").stat().st_size
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    try:
        with pytest.raises(AuditUnavailable):
            files.append(NOW, {"event": "decided"}, sync=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert files.path("2026-10").stat().st_size == size
    assert verify(files).findings == []


@pytest.mark.parametrize(
    ("kind", "stopped"),
    [
        (AuditEventKind.RELEASED, True),
        (AuditEventKind.ENROLMENT_WANTED, True),
        (AuditEventKind.REFUSED, False),
        (AuditEventKind.CONSENT_WITHDRAWN, False),
        (AuditEventKind.LOGOUT_DONE, False),
    ],
)
def test_required_events_fail_without_their_line(
    audit_log: StoredAuditLog, log_lines: Logged, kind: AuditEventKind, stopped: bool
) -> None:
    """A refusal, a withdrawal and a logout continue without it; every loss is counted and log_lines."""
    shutil.rmtree(audit_log.files.folder)
    try:
        audit_log.add(AuditEvent(kind, NOW))
        raised = False
    except AuditUnavailable:
        raised = True
    assert (raised, audit_log.count_lost(), [each["event"] for each in log_lines]) == (stopped, 1, ["audit_lost"])
    assert audit_log.faults()


def test_facts_are_masked_or_the_line_is_lost(audit_log: StoredAuditLog, log_lines: Logged) -> None:
    """A fact may quote a number by mistake. The lost line is counted and log_lines."""
    audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW, reason="of 140304-4004"))
    assert '"reason":"of ******-****"' in _text(audit_log.files)
    assert "-4004" not in _text(audit_log.files)
    audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW, reason=["1403044004"]))  # type: ignore[arg-type]
    assert (verify(audit_log.files).lines, audit_log.count_lost(), len(log_lines)) == (1, 1, 1)


MINE = PersonIds(("p" * 32,))
THEIRS = PersonIds(("q" * 32,))


def _list_events(audit_log: StoredAuditLog, person: PersonIds) -> list[str]:
    return [str(each["event"]) for each in audit_log.list_events(person, NOW)]


def _about(audit_log: StoredAuditLog, reference: str) -> list[str]:
    return [str(each["about"]) for each in audit_log.list_by_reference(reference, NOW)]


def test_erasure_makes_events_anonymous_and_keeps_the_chain(audit_log: StoredAuditLog) -> None:
    """Without the key nobody can read person, reference and ``about`` in the lines."""
    other = replace(RELEASED, person="q" * 32, reference="XXXXXXXX")
    for each in (RELEASED, replace(RELEASED, kind=AuditEventKind.DECIDED, reference="ZZZZZZZZ"), other):
        audit_log.add(each)
    assert (_list_events(audit_log, MINE), _about(audit_log, "bcdf ghjk")) == (["released", "decided"], ["a-b"])
    (group,) = audit_log.person_keys.groups(MINE.ids, ())
    assert audit_log.erase(MINE, None, NOW) == 1
    assert (_list_events(audit_log, MINE), _about(audit_log, "BCDFGHJK"), _list_events(audit_log, THEIRS)) == (
        [],
        [],
        ["released"],
    )
    assert verify(audit_log.files).findings == []
    text = _text(audit_log.files)
    assert not any(each in text for each in ("p" * 32, group.partition(".")[2][:16], "BCDFGHJK", "ZZZZZZZZ", "a-b"))
    # The two logins of the erased person have nothing in common.
    tags = [json.loads(line).get("tag") for line in text.splitlines()]
    assert len(set(tags)) == len(tags)


def test_each_person_has_one_key_a_year(audit_log: StoredAuditLog, store: Store) -> None:
    """The erasure of one person erases no other, and a key opens no other year."""
    for person in ("p", "q"):
        for year, month in ((2026, 1), (2026, 12), (2027, 1)):
            audit_log.add(replace(RELEASED, person=person, at=NOW.replace(year=year, month=month, day=1)))
    keys = [kept.value for _, kept in store.list("audit", None, NOW)]
    assert (len(keys), len(set(keys))) == (4, 4)


def test_an_authenticated_person_cannot_fill_the_disk(
    audit_log: StoredAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusals are limited; decisions and releases are always written."""
    monkeypatch.setattr("broker.adapters.audit_log.audit_log._REFUSALS_PER_MINUTE", 2)
    for _ in range(5):
        audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW, person="p", institution="https://idp.au.example"))
        audit_log.add(replace(RELEASED, person="p"))
    audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW.replace(hour=13), person="q"))
    events = [json.loads(line)["event"] for line in _text(audit_log.files).splitlines()]
    assert events == [*["refused", "released"] * 2, *["released"] * 3, "refused"]
    assert audit_log.count_lost() == 3


@pytest.mark.parametrize(("mode", "refused"), [(0o700, False), (0o755, False), (0o770, True), (0o777, True)])
def test_a_folder_that_others_may_write_to_is_refused(
    audit_log: StoredAuditLog, tmp_path: Path, mode: int, refused: bool
) -> None:
    """Another user could delete the audit log."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigurationFaults, match="open for others") if refused else nullcontext():
        open_audit_log(folder, KEY, audit_log.person_keys, audit_log.anchors, audit_log.write_log)


@pytest.mark.parametrize(
    ("kind", "must"),
    [(AuditEventKind.RELEASED, True), (AuditEventKind.ENROLMENT_WANTED, True), (AuditEventKind.LOGOUT_DONE, False)],
)
def test_required_events_are_synced(
    audit_log: StoredAuditLog, monkeypatch: pytest.MonkeyPatch, kind: AuditEventKind, *, must: bool
) -> None:
    """A power cut loses no release; other events do not wait for the disk."""
    synced: list[int] = []
    monkeypatch.setattr("broker.adapters.audit_log.monthly_files.os.fdatasync", synced.append)
    audit_log.add(AuditEvent(kind, NOW))
    assert len(synced) == must


def test_the_key_of_a_person_is_stored_durably(
    audit_log: StoredAuditLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synced line would be anonymous if a power cut lost its key."""
    asked: list[tuple[str, bool]] = []
    put = type(store).put

    def record_put(self: Store, key: Key, *rest: Any, durable: bool = False) -> bool:
        asked.append((key.kind, durable))
        return put(self, key, *rest, durable=durable)

    monkeypatch.setattr(type(store), "put", record_put)
    audit_log.add(RELEASED)
    assert ("audit", True) in asked
    assert ("audit", False) not in asked


def test_a_worker_caches_a_key_for_five_minutes(audit_log: StoredAuditLog, store: Store) -> None:
    """After another process erased the key, the worker seals with a new one."""
    audit_log.add(RELEASED)
    ((place, old),) = store.list("audit", None, NOW)
    store.drop(place)
    audit_log.add(replace(RELEASED, at=NOW + timedelta(minutes=5, microseconds=-1)))
    assert list(store.list("audit", None, NOW)) == []
    audit_log.add(replace(RELEASED, at=NOW + timedelta(minutes=5)))
    ((_, new),) = store.list("audit", None, NOW)
    assert new.value != old.value


def test_the_folder_is_made_for_its_owner_only(audit_log: StoredAuditLog, tmp_path: Path) -> None:
    """A folder that cannot be made is a configuration fault."""
    folder = tmp_path / "new"
    made = open_audit_log(folder, KEY, audit_log.person_keys, audit_log.anchors, audit_log.write_log)
    made.add(AuditEvent(AuditEventKind.LOGOUT_DONE, NOW))
    assert (folder.stat().st_mode & 0o777, made.faults()) == (0o700, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationFaults, match="cannot be written to"):
        open_audit_log(tmp_path / "file" / "audit", KEY, audit_log.person_keys, audit_log.anchors, audit_log.write_log)
