"""What a worker counted outlives it in one file: a reload neither loses a count nor leaves its files."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker.adapters.observability import metrics

# The library decides at its import where counts are kept: each try is a process of its own.
SCRIPT = """
import os, sys
from pathlib import Path
from broker.adapters.observability import metrics
from broker.core.events.broker_events import BrokerEvent, EventKind
folder = Path(sys.argv[1])
with metrics.shared(folder):
    for turn in range(3):
        pid = os.fork()
        if not pid:
            counting = metrics.Metrics(lambda: 0)
            for _ in range(turn + 1):
                counting.count(BrokerEvent(EventKind.HTTP_ERROR_SHOWN, {"reason": "not_found"}))
            counting.library_call("read", "done", 0.3)
            os._exit(0)
        os.waitpid(pid, 0)
        metrics.drop_dead(pid)
        metrics.drop_dead(pid)
    print(sorted(file.name for file in folder.glob("*/*.db")))
    print(metrics.Metrics(lambda: 0).page([]).decode())
"""


@pytest.mark.server
def test_the_files_of_dead_workers_are_dropped_and_their_counts_kept(tmp_path: Path) -> None:
    """Three workers one after another: six refusals and three calls, in one file a kind."""
    run = subprocess.run(
        (sys.executable, "-c", SCRIPT, str(tmp_path / "metrics")), capture_output=True, text=True, check=True
    )
    files, _, page = run.stdout.partition("\n")
    assert files == "['counter_0.db', 'histogram_0.db']"
    assert 'broker_refusals_total{reason="not_found"} 6.0' in page
    assert 'broker_library_calls_total{call="read",outcome="done"} 3.0' in page
    assert 'broker_library_call_seconds_bucket{call="read",le="0.5"} 3.0' in page


WORK = """
import os, sys
from pathlib import Path
from broker.adapters.observability import metrics
from broker.core.events.broker_events import BrokerEvent, EventKind
folder = Path(sys.argv[1])

def works(times):
    pid = os.fork()
    if not pid:
        with metrics.kept(folder):
            counting = metrics.Metrics(lambda: 0, folder)
            counting.count(BrokerEvent(EventKind.WORK_STARTED))
            counting.count(BrokerEvent(EventKind.METADATA_FETCHED, {"feed": "wayf", "result": "new"}))
            for _ in range(times):
                counting.library_call("read", "done", 0.3)
            os._exit(0)
    os.waitpid(pid, 0)

works(1)
with metrics.shared(folder):
    works(2)
    works(3)
    web = metrics.Metrics(lambda: 0, folder)
    web.library_call("read", "done", 0.3)
    print(sorted(file.name for file in (folder / "work").glob("*_0.db")))
    print(web.page([]).decode())
"""


@pytest.mark.server
def test_what_broker_work_counts_is_added_to_what_the_web_workers_count(tmp_path: Path) -> None:
    """Its own files outlive its deaths, and begin again with the server's, so that no sum falls by a part of it."""
    run = subprocess.run(
        (sys.executable, "-c", WORK, str(tmp_path / "metrics")), capture_output=True, text=True, check=True
    )
    files, _, page = run.stdout.partition("\n")
    assert files == "['counter_0.db', 'histogram_0.db']"
    assert 'broker_library_calls_total{call="read",outcome="done"} 6.0' in page
    assert 'broker_library_call_seconds_count{call="read"} 6.0' in page
    assert 'broker_metadata_fetches_total{feed="wayf",result="new"} 2.0' in page
    assert "broker_work_starts_total 2.0" in page


def folders(folder: Path) -> set[str]:
    """Give the folders of the brokers that serve."""
    return {each.name for each in folder.iterdir()}


@pytest.mark.usefixtures("alone")
def test_a_second_broker_leaves_the_counts_of_the_first(tmp_path: Path) -> None:
    """Started by mistake, or beside it during a change: without its folder no worker of the first could start."""
    with metrics.shared(tmp_path):
        (first,) = folders(tmp_path)
        with metrics.shared(tmp_path):
            assert len(folders(tmp_path)) == 2
        assert folders(tmp_path) == {first}
    assert folders(tmp_path) == set()


@pytest.mark.usefixtures("alone")
def test_the_counts_of_a_broker_that_was_killed_are_dropped(tmp_path: Path) -> None:
    """The next one that starts removes them: nobody holds them."""
    (tmp_path / "serving-killed").mkdir()
    (tmp_path / "serving-killed" / "counter_7.db").write_bytes(b"")
    with metrics.shared(tmp_path):
        assert "serving-killed" not in folders(tmp_path)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no name of a folder be left in the environment."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
