"""What a worker counted outlives it in one file: a reload neither loses a count nor leaves its files."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from broker.adapters.observability import metrics

# The library decides at its import where counts are kept: each try is a process of its own.
SCRIPT = """
import os, sys
from pathlib import Path
from broker.adapters.observability import metrics
from broker.core.event_routes import BrokerEvent, EventKind
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
from broker.core.event_routes import BrokerEvent, EventKind
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


WITHOUT_FOLDER = """
import os, sys
from pathlib import Path
from broker.adapters.observability import metrics
from broker.core.event_routes import BrokerEvent, EventKind
folder = Path(sys.argv[1])
with metrics.shared(folder):
    metrics.Metrics(lambda: 0, folder)
    (folder / "work").write_text("of somebody else")
    pid = os.fork()
    if not pid:
        with metrics.kept(folder):
            metrics.Metrics(lambda: 0, folder).count(BrokerEvent(EventKind.WORK_STARTED))
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(metrics.Metrics(lambda: 0, folder).page([]).decode())
"""


@pytest.mark.server
def test_broker_work_that_can_keep_no_counts_counts_with_its_server(tmp_path: Path) -> None:
    """It was forked from what counts by files, and would die without any at each start: nobody would get an account."""
    run = subprocess.run(
        (sys.executable, "-c", WITHOUT_FOLDER, str(tmp_path / "metrics")), capture_output=True, text=True, check=True
    )
    code, _, page = run.stdout.partition("\n")
    assert (code, run.stderr) == ("0", "")
    assert "broker_work_starts_total 1.0" in page


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


BROKEN = (b"", b"\xff" * 4096, b"\xc8\0\0\0" + b"\xff" * 400, b"\0\x10\0\0" + b"\0" * 65532)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("octets", BROKEN)
@pytest.mark.parametrize("name", ["counter_123.db", "counter_0.db"])
def test_counts_that_a_power_cut_has_torn_stop_nobody(tmp_path: Path, name: str, octets: bytes) -> None:
    """They are lost, and what can be read is kept: broker work starts, and so does what drops a dead worker's."""
    work = tmp_path / "work"
    work.mkdir()
    sound = MmapedDict(str(work / "counter_77.db"))  # type: ignore[no-untyped-call]
    sound.write_value('["a", "b", {}, ""]', 2.0, 0.0)  # type: ignore[no-untyped-call]
    sound.close()  # type: ignore[no-untyped-call]
    (work / name).write_bytes(octets)
    with metrics.kept(tmp_path):
        assert {each.name for each in work.glob("*.db")} == {"counter_0.db"}
    values = MmapedDict.read_all_values_from_file(str(work / "counter_0.db"))  # type: ignore[no-untyped-call]
    assert [(key, value) for key, value, _, _ in values] == [('["a", "b", {}, ""]', 2.0)]


@pytest.mark.usefixtures("alone")
def test_work_that_starts_beside_a_server_keeps_its_folder(tmp_path: Path) -> None:
    """The server removes abandoned folders in one turn: work makes and holds its own before it or after."""
    entered, leave = threading.Event(), threading.Event()

    def counting() -> None:
        with metrics.kept(tmp_path):
            entered.set()
            leave.wait(20)

    work = threading.Thread(target=counting)
    with metrics._locked(str(tmp_path)):
        work.start()
        assert not entered.wait(0.3)
    assert entered.wait(20)
    assert (tmp_path / "work" / "in-use").exists()
    leave.set()
    work.join()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no name of a folder be left in the environment."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
