"""What gives tests out loads no room, and what a worker keeps to itself changes no result."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from tests.plugins.distribution import gives_out

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = """
from unittest import SkipTest
import pytest

@pytest.fixture
def broken():
    raise OSError("set up")

@pytest.fixture
def untidy():
    yield
    raise OSError("torn down")

def test_passes(): pass
def test_fails(): assert False
def test_is_skipped(): raise SkipTest("so")
def test_is_not_set_up(broken): pass
def test_is_not_torn_down(untidy): pass
"""
LOGGING: Final = """
import logging

def test_logs_and_fails():
    logging.warning("%s", "said " + "aloud")
    assert False
"""
ASKING: Final = """
def test_asks_for_the_log(caplog):
    logging.warning("more")
    assert "more" in caplog.text
"""
OUTCOMES: Final = {"failed": 1, "passed": 2, "skipped": 1, "errors": 2}


def options(dist: str, *tx: str, collectonly: bool = False) -> Any:
    """Give the settings of a run."""
    given = {"dist": dist, "tx": list(tx)}
    return SimpleNamespace(option=SimpleNamespace(collectonly=collectonly), getoption=lambda name, _: given[name])


@pytest.mark.parametrize(
    ("config", "given_out"),
    [
        (options("worksteal", "popen", "popen"), True),
        (options("worksteal", "popen", collectonly=True), False),
        (options("worksteal"), False),
        (options("no", "popen"), False),
    ],
)
def test_only_what_leaves_all_tests_to_workers_loads_no_room(config: Any, given_out: bool) -> None:
    """A worker, a run without workers, and one that only collects, have all that tests need."""
    assert gives_out(config) is given_out


@pytest.mark.server
@pytest.mark.parametrize(
    "more",
    [(), *(pytest.param(each, marks=pytest.mark.slow) for each in (("--durations=3",), ("-v",))), ("-n0",)],
    ids=lambda more: " ".join(more) or "brief",
)
def test_a_run_tells_the_same_results_however_brief(tmp_path: Path, more: tuple[str, ...]) -> None:
    """A test that fails as it is set up, runs or is torn down is told by a worker as by a run without one."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_all.py").write_text(TESTS)
    told = told_by_a_worker(tmp_path, *more)
    last = told.splitlines()[-1]
    assert {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", last) if name in OUTCOMES} == OUTCOMES
    assert told.count("set up") >= 1
    assert told.count("torn down") >= 1


def told_by_a_worker(folder: Path, *more: str) -> str:
    """Run the tests of a folder as the Makefile does; give what it prints."""
    plugins = ("-p", "tests.plugins.brief_reports", "-p", "no:randomly", "-p", "no:cacheprovider")
    command = (sys.executable, "-m", "pytest", "-n1", *more, *plugins, "-c", f"{folder}/pytest.ini", str(folder))
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout


@pytest.mark.server
@pytest.mark.parametrize("asks", [False, True])
def test_a_log_is_kept_for_all_where_one_test_asks_for_it(tmp_path: Path, *, asks: bool) -> None:
    """Nobody listens to the loggers otherwise, and what they say does not stand in the error output in its place."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_all.py").write_text(LOGGING + (ASKING if asks else ""))
    told = told_by_a_worker(tmp_path)
    assert "1 failed, 1 passed" in told if asks else "1 failed" in told
    assert ("said aloud" in told) == asks
