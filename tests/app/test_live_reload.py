"""Log, metric and ``/readyz`` when the policies of a worker change or cannot be loaded."""

import ctypes
import json
import os
import shutil
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import get_native_id
from typing import Any

import pytest

from broker.adapters.observability import application_log
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.app import assembly, background_work, readiness, work_lock
from broker.app.assembly import Parts, assemble, now
from broker.app.readiness import describe_process, list_gauges
from broker.app.server import refresh
from broker.app.work_lock import hold_work_lock
from broker.configuration.settings.config import load
from broker.core.errors import StoreUnavailable
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.demo.run.demo_folder import Setting


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Parts:
    """Give a broker's parts over a new folder that tests may edit."""
    folder = tmp_path / "site"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "last-good"))
    application_log.configure()
    return assemble(load(folder / setting.config.name, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))


def edit(parts: Parts, old: str, new: str) -> None:
    """Edit the students' file, and let the worker look."""
    file = parts.config.policies / "student.yaml"
    file.write_text(file.read_text().replace(old, new, 1))
    refresh(parts)


def list_policy_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Give the lines of the log about policies since it was last asked."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"].startswith("policies_")]


def test_a_change_of_policies_is_a_line_of_the_log(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    """With the digest, the one before and the worker; each worker tells its own."""
    before = parts.policies.current.digest[:12]
    edit(parts, "review_by: 2027-06-30", "review_by: 2027-07-30")
    (line,) = list_policy_lines(capsys)
    after = parts.policies.current.digest[:12]
    facts = ("policies_changed", "info", after, before, os.getpid())
    assert tuple(line[name] for name in ("event", "level", "digest", "from", "worker")) == facts
    assert before != after


def test_policies_that_cannot_be_loaded_are_an_error_line(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    """The line has the level that alerts people."""
    edit(parts, "precedence", "precedense")
    (line,) = list_policy_lines(capsys)
    assert (line["event"], line["level"]) == ("policies_stale", "error")


def test_a_worker_that_hangs_is_a_note_and_does_not_count_as_running(parts: Parts) -> None:
    """It holds its lock and no longer reports to the store."""
    with hold_work_lock(parts.config.state):
        for minutes, expected in ((11, work_lock.HANGS), (1, None)):
            status = replace(describe_process(parts, "work"), at=now() - timedelta(minutes=minutes))
            parts.fleet.report(status, now())
            assert readiness.notes(parts).get("work") == expected
            running = [gauge.value for gauge in list_gauges(parts) if gauge.name == "broker_work_running"]
            assert running == [expected is None]


def test_workers_are_forked_after_the_thread_of_the_system_has_ended() -> None:
    """A worker that is forked before can inherit a lock of OpenSSL; it then hangs at its first signature."""
    library = ctypes.CDLL(None)
    key = ctypes.c_uint()
    library.pthread_key_create(ctypes.byref(key), library.usleep)  # called with the value when the thread ends

    def read() -> int:
        library.pthread_setspecific(key, ctypes.c_void_p(200_000))
        return get_native_id()

    thread = assembly.finish_reload(read)
    assert not Path(f"/proc/self/task/{thread}").exists()


def test_a_crash_and_a_store_that_is_down_are_error_lines(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    """The page does not matter: an administrator must act. A refusal that a person causes is none."""
    application_log.log_unexpected(ValueError(), "BCDFGHJK")
    for reason in ("store_unavailable", "form_refused"):
        parts.tell(BrokerEvent(EventKind.STRANGER_REFUSED, {"reason": reason}))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == ["error", "error", "info"]


def test_the_worker_pauses_while_the_store_is_down(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single loop logs an error line that names the store; the others wait without a line."""

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("redis: ConnectionError")

    for call in ("get_many", "put_many", "claim", "count"):
        monkeypatch.setattr(EncryptedStore, call, refuse)
    written = ""
    end = time.monotonic() + 60
    with background_work._run_loops(parts):
        while '"worker_waits"' not in written:
            assert time.monotonic() < end
            time.sleep(0.01)
            written += capsys.readouterr().out
    written += capsys.readouterr().out
    facts = [(line["event"], line["level"], line.get("reason")) for line in map(json.loads, written.splitlines())]
    assert set(facts) == {("worker_waits", "error", "store_unavailable")}
