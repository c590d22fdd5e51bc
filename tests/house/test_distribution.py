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
    plugins = ("-p", "tests.plugins.brief_reports", "-p", "no:randomly", "-p", "no:cacheprovider")
    folder = str(tmp_path)
    command = (sys.executable, "-m", "pytest", "-n1", *more, *plugins, "-c", f"{folder}/pytest.ini", folder)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    last = ran.stdout.splitlines()[-1]
    assert {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", last) if name in OUTCOMES} == OUTCOMES
    assert ran.stdout.count("set up") >= 1
    assert ran.stdout.count("torn down") >= 1
