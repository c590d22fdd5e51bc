"""What is kept of an event: masked, sealed, and once, whoever writes beside it and whatever dies."""

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
from broker.adapters.audit_log.event_search import EventSearch
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.verification import verify
from broker.core.errors import AuditUnavailable, ConfigurationFaults
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.ports import Key, Store
from tests.plugins.audit_bench import KEY, NOW

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
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from broker.adapters.audit_log.monthly_files import AuditFiles
journal, deed = AuditFiles(Path(sys.argv[1]), b"a" * 32), sys.argv[2]
write = os.write
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def half(file, octets):
    write(file, octets[: len(octets) // 2])
    killed()
print("ready", flush=True)
sys.stdin.readline()
for number in range(200 if deed == "many" else 1):
    if deed == "torn":
        os.write = half
    if deed == "headless":
        os.pwrite = killed
    journal.append(datetime(2026, 10, 30, tzinfo=UTC), {"event": "decided", "count": number}, sync=False)
"""


def _writer(folder: Path, deed: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(broker.__path__[0]).parent)}
    command = (sys.executable, "-W", "error", "-c", _WRITER, str(folder), deed)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _go(*writers: subprocess.Popen[str]) -> list[int]:
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


def _text(journal: AuditFiles) -> str:
    return "".join(journal.path(month).read_text() for month in journal.months())


@pytest.mark.server
def test_two_processes_write_one_unbroken_chain(journal: AuditFiles) -> None:
    """Every worker appends after what the other wrote last, under one lock."""
    assert _go(_writer(journal.folder, "many"), _writer(journal.folder, "many")) == [0, 0]
    report = verify(journal)
    assert (report.findings, report.notes, report.lines) == ([], [], 401)


@pytest.mark.server
def test_a_line_torn_by_a_kill_is_set_aside_and_noted(journal: AuditFiles) -> None:
    """Kill -9 in mid-write: no tampering, before and after the next line, and nothing of it is thrown away."""
    journal.append(NOW, {"event": "decided"}, sync=False)
    whole = journal.path("2026-10").read_bytes()
    assert _go(_writer(journal.folder, "torn")) == [-signal.SIGKILL]
    before = verify(journal)
    torn = journal.path("2026-10").read_bytes()[len(whole) :]
    assert (before.findings, [each.what for each in before.notes]) == (
        [],
        ["is cut short: its writer died, or is at it"],
    )
    journal.append(NOW, {"event": "decided"}, sync=False)
    after = verify(journal)
    logged = [f"{len(torn)} octets of a line cut short were set aside"]
    assert (after.findings, [each.what for each in after.notes], after.number) == ([], logged, 4)
    assert [each.read_bytes() for each in journal.folder.glob("torn-*")] == [torn]


@pytest.mark.server
def test_a_line_whose_writer_died_before_the_head_counts(journal: AuditFiles) -> None:
    """The next writer finds it after the head, by its right link, and goes on from it."""
    journal.append(NOW, {"event": "decided"}, sync=False)
    assert _go(_writer(journal.folder, "headless")) == [-signal.SIGKILL]
    journal.append(NOW, {"event": "decided"}, sync=False)
    report = verify(journal)
    assert (report.findings, report.notes, report.number) == ([], [], 4)


def test_lines_that_somebody_put_after_the_head_are_no_torn_line(journal: AuditFiles) -> None:
    """Whole lines without a right link are nobody's crash: they are set aside, and found."""
    journal.append(NOW, {"event": "decided"}, sync=False)
    with journal.path("2026-10").open("ab") as file:
        file.write(b'{"n":3,"event":"released","link":"' + b"0" * 64 + b'"}\n')
    journal.append(NOW, {"event": "decided"}, sync=False)
    assert [each.where for each in verify(journal).findings] == ["audit-2026-10.jsonl:3"]


def test_a_full_disk_leaves_nothing_of_a_line(journal: AuditFiles) -> None:
    """What fits of it is taken back, so that the next line follows the one before."""
    journal.append(NOW, {"event": "decided"}, sync=False)
    size = journal.path("2026-10").stat().st_size
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    try:
        with pytest.raises(AuditUnavailable):
            journal.append(NOW, {"event": "decided"}, sync=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert journal.path("2026-10").stat().st_size == size
    assert verify(journal).findings == []


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
def test_only_what_leaves_or_is_made_waits_for_its_line(
    audit_log: StoredAuditLog, logged: Logged, kind: AuditEventKind, stopped: bool
) -> None:
    """A refusal, a withdrawal or a logout goes on without; every loss is counted and logged."""
    shutil.rmtree(audit_log.journal.folder)
    try:
        audit_log.add(AuditEvent(kind, NOW))
        raised = False
    except AuditUnavailable:
        raised = True
    assert (raised, audit_log.count_lost(), [each["event"] for each in logged]) == (stopped, 1, ["audit_lost"])
    assert audit_log.faults()


def test_a_fact_is_masked_and_one_that_cannot_be_drops_the_line(audit_log: StoredAuditLog, logged: Logged) -> None:
    """Whatever a fact quotes by mistake; the line that is dropped is counted and logged."""
    audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW, reason="of 140304-4004"))
    assert '"reason":"of ******-****"' in _text(audit_log.journal)
    assert "-4004" not in _text(audit_log.journal)
    audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW, reason=["1403044004"]))  # type: ignore[arg-type]
    assert (verify(audit_log.journal).lines, audit_log.count_lost(), len(logged)) == (2, 1, 1)


def test_an_erased_person_s_events_are_nobody_s_and_the_chain_is_whole(audit_log: StoredAuditLog, store: Store) -> None:
    """The lines stay, the key goes: neither person nor reference nor what it was about can be read any more."""
    reader = EventSearch(audit_log.journal, audit_log.person_keys, store)
    other = replace(RELEASED, person="q" * 32, reference="XXXXXXXX")
    for each in (RELEASED, replace(RELEASED, kind=AuditEventKind.DECIDED, reference="ZZZZZZZZ"), other):
        audit_log.add(each)
    mine, theirs = audit_log.person_keys.of_person("p" * 32), audit_log.person_keys.of_person("q" * 32)
    assert [each["event"] for each in reader.of((mine,), NOW)] == ["released", "decided"]
    assert [each["about"] for each in reader.by_reference("bcdf ghjk", NOW)] == ["a-b"]
    assert audit_log.person_keys.erase(mine, NOW) == 1
    assert (list(reader.of((mine,), NOW)), list(reader.by_reference("BCDFGHJK", NOW))) == ([], [])
    assert len(list(reader.of((theirs,), NOW))) == 1
    assert verify(audit_log.journal).findings == []
    text = _text(audit_log.journal)
    assert not any(each in text for each in ("p" * 32, mine.partition(".")[2][:16], "BCDFGHJK", "ZZZZZZZZ", "a-b"))
    marks = [json.loads(line).get("tag") for line in text.splitlines()]
    assert len(set(marks)) == len(marks)  # the erased person's two logins have nothing in common


def test_an_event_of_a_month_that_is_over_is_found_in_the_next_one_s_file(
    audit_log: StoredAuditLog, store: Store
) -> None:
    """What began before midnight is written after another worker has opened the month; its key is of its own time."""
    audit_log.add(replace(RELEASED, person="q" * 32, at=NOW.replace(month=11, day=1)))
    audit_log.add(RELEASED)
    reader, mine = (
        EventSearch(audit_log.journal, audit_log.person_keys, store),
        audit_log.person_keys.of_person("p" * 32),
    )
    assert audit_log.journal.months() == ["2026-11"]
    assert [each["event"] for each in reader.of((mine,), NOW)] == ["released"]
    assert [each["about"] for each in reader.by_reference("BCDFGHJK", NOW)] == ["a-b", "a-b"]
    assert set(reader.groups_of("BCDFGHJK", NOW)) == {mine, audit_log.person_keys.of_person("q" * 32)}


def test_each_person_has_a_key_of_their_own_each_month(audit_log: StoredAuditLog, store: Store) -> None:
    """What is forgotten of one is forgotten of nobody else, and a key says nothing of another month."""
    for person in ("p", "q"):
        for month in (10, 11):
            audit_log.add(replace(RELEASED, person=person, at=NOW.replace(month=month, day=1)))
    keys = [kept.value for _, kept in store.list("audit", None, NOW)]
    assert (len(keys), len(set(keys))) == (4, 4)


def test_who_has_logged_in_once_does_not_fill_the_disk(
    audit_log: StoredAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a refusal can be loaded again and again; what is decided or leaves has room always."""
    monkeypatch.setattr("broker.adapters.audit_log.audit_log._REFUSALS_AN_HOUR", 2)
    for _ in range(5):
        audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW, person="p", institution="https://idp.au.example"))
        audit_log.add(replace(RELEASED, person="p"))
    audit_log.add(AuditEvent(AuditEventKind.REFUSED, NOW.replace(hour=13), person="q"))
    events = [json.loads(line)["event"] for line in _text(audit_log.journal).splitlines()][1:]
    assert events == [*["refused", "released"] * 2, *["released"] * 3, "refused"]
    assert audit_log.count_lost() == 3


@pytest.mark.parametrize(("mode", "refused"), [(0o700, False), (0o755, False), (0o770, True), (0o777, True)])
def test_a_folder_that_others_may_write_to_is_refused(
    audit_log: StoredAuditLog, tmp_path: Path, mode: int, refused: bool
) -> None:
    """Whoever may write there may take the audit log away."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigurationFaults, match="open for others") if refused else nullcontext():
        open_audit_log(folder, KEY, audit_log.person_keys, audit_log.anchors, audit_log.tell)


@pytest.mark.parametrize(
    ("kind", "must"),
    [(AuditEventKind.RELEASED, True), (AuditEventKind.ENROLMENT_WANTED, True), (AuditEventKind.LOGOUT_DONE, False)],
)
def test_what_must_not_be_lost_waits_for_the_disk(
    audit_log: StoredAuditLog, monkeypatch: pytest.MonkeyPatch, kind: AuditEventKind, *, must: bool
) -> None:
    """A power cut forgets no line of what has left; other lines wait for nobody."""
    synced: list[int] = []
    monkeypatch.setattr("broker.adapters.audit_log.monthly_files.os.fdatasync", synced.append)
    audit_log.add(AuditEvent(kind, NOW))
    assert len(synced) == must


def test_the_key_of_a_person_is_stored_durably(
    audit_log: StoredAuditLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line outlives a power cut; without its key it would be nobody's from then on."""
    asked: list[tuple[str, bool]] = []
    put = type(store).put

    def noted(self: Store, key: Key, *rest: Any, durable: bool = False) -> bool:
        asked.append((key.kind, durable))
        return put(self, key, *rest, durable=durable)

    monkeypatch.setattr(type(store), "put", noted)
    audit_log.add(RELEASED)
    assert ("audit", True) in asked
    assert ("audit", False) not in asked


def test_a_worker_forgets_a_key_after_five_minutes(audit_log: StoredAuditLog, store: Store) -> None:
    """What was erased by another process is sealed under a new key from then on, and never under the old one."""
    audit_log.add(RELEASED)
    ((place, old),) = store.list("audit", None, NOW)
    store.drop(place)
    audit_log.add(replace(RELEASED, at=NOW + timedelta(minutes=5, microseconds=-1)))
    assert list(store.list("audit", None, NOW)) == []
    audit_log.add(replace(RELEASED, at=NOW + timedelta(minutes=5)))
    ((_, new),) = store.list("audit", None, NOW)
    assert new.value != old.value


def test_the_folder_of_the_trail_is_made_for_its_owner_alone(audit_log: StoredAuditLog, tmp_path: Path) -> None:
    """With the folders above it; one that cannot be made is a fault of the configuration."""
    folder = tmp_path / "state" / "audit"
    made = open_audit_log(folder, KEY, audit_log.person_keys, audit_log.anchors, audit_log.tell)
    made.add(AuditEvent(AuditEventKind.LOGOUT_DONE, NOW))
    assert (folder.stat().st_mode & 0o777, made.faults()) == (0o700, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationFaults, match="cannot be made"):
        open_audit_log(tmp_path / "file" / "audit", KEY, audit_log.person_keys, audit_log.anchors, audit_log.tell)
