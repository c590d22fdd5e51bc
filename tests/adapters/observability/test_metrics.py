"""Counters of web workers and of ``broker work``, added up on one page."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.adapters.observability import metrics

_BEGINNING = """
import os, sys
from contextlib import nullcontext
from pathlib import Path
from broker.adapters.observability import metrics
from broker.core.events.broker_events import BrokerEvent, EventKind
folder = Path(sys.argv[1])

def run(times, context):
    pid = os.fork()
    if not pid:
        with context:
            if isinstance(context, nullcontext):
                metrics.count_in_files(folder, str(os.getpid()))
            counting = metrics.Metrics(lambda: 0)
            counting.count(BrokerEvent(EventKind.WORK_STARTED))
            for _ in range(times):
                counting.library_call("read", "done", 0.3)
            os._exit(0)
    os.waitpid(pid, 0)
"""
_WORKERS = """
(folder / "counter_1.db").write_bytes(b"of an earlier server")
with metrics.share_counts(folder):
    for times in range(3):
        run(times + 1, nullcontext())
    print(metrics.is_serving(folder))
    metrics.count_in_files(folder, "9")
    print(metrics.Metrics(lambda: 0).page([]).decode())
print(metrics.is_serving(folder), list(folder.iterdir()))
"""
_WORK = """
run(1, metrics.keep_counts(folder))
with metrics.share_counts(folder):
    run(2, metrics.keep_counts(folder))
    run(3, metrics.keep_counts(folder))
    metrics.count_in_files(folder, "9")
    web = metrics.Metrics(lambda: 0)
    web.library_call("read", "done", 0.3)
    print(web.page([]).decode())
print(metrics.is_serving(folder), sorted(file.name for file in folder.iterdir()))
(folder / "counter_work.db").write_bytes(b"\\x40\\0\\0\\0\\0\\0\\0\\0\\xff")
run(1, metrics.keep_counts(folder))
print((folder / "counter_work.db").stat().st_size > 100)
"""


def _run(script: str, folder: Path) -> str:
    command = (sys.executable, "-c", _BEGINNING + script, str(folder))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.server
def test_the_counts_of_ended_workers_stay_until_the_server_ends(tmp_path: Path) -> None:
    """Three workers one after the other; a new server begins again from 0."""
    (tmp_path / "metrics").mkdir()
    out = _run(_WORKERS, tmp_path / "metrics")
    assert (out.splitlines()[0], out.splitlines()[-1]) == ("True", "False []")
    assert 'broker_library_calls_total{call="read",outcome="done"} 6.0' in out
    assert 'broker_library_call_seconds_bucket{call="read",le="1.0"} 6.0' in out


@pytest.mark.server
def test_the_counts_of_broker_work_outlive_it(tmp_path: Path) -> None:
    """They are added to those of the web workers. A file that a power cut damaged is replaced."""
    out = _run(_WORK, tmp_path / "metrics")
    assert 'broker_library_calls_total{call="read",outcome="done"} 7.0' in out
    assert 'broker_library_call_seconds_count{call="read"} 7.0' in out
    assert "broker_work_starts_total 3.0" in out
    assert out.splitlines()[-2:] == ["False ['counter_work.db', 'histogram_work.db']", "True"]


def test_a_process_counts_alone_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder cannot be made: a full disk does not stop the server."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    (tmp_path / "file").write_text("")
    for context in (metrics.share_counts, metrics.keep_counts):
        with context(tmp_path / "file"):
            counting = metrics.Metrics(lambda: 0)
            counting.register_call("read", "done", 0.1)
            assert b'broker_register_calls_total{call="read",outcome="done"} 1.0' in counting.page([])


def _refuse_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The space is on the disk before a process maps its file. Without space the process counts alone."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with metrics.keep_counts(tmp_path / "metrics"):
        files = list((tmp_path / "metrics").iterdir())
        assert [file.stat().st_blocks * 512 >= file.stat().st_size > 0 for file in files] == [True, True]

    monkeypatch.setattr(os, "posix_fallocate", _refuse_space)
    with metrics.share_counts(tmp_path / "full"):
        metrics.count_in_files(tmp_path / "full", "1")
        counting = metrics.Metrics(lambda: 0)
        counting.register_call("read", "done", 0.1)
        assert b'broker_register_calls_total{call="read",outcome="done"} 1.0' in counting.page([])
        assert list((tmp_path / "full").iterdir()) == []
