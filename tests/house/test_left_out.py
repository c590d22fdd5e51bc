"""What a run leaves out by a mark is not made, and nothing else is missed."""

import functools
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Final

import pytest

from tests.plugins.left_out import arguments, left_out, marks

ROOT: Final = Path(__file__).resolve().parents[2]
SETTINGS: Final = "[pytest]\nmarkers =\n  server\n  slow\n"
TABLE: Final = """
import pytest
from flask import request

@pytest.fixture
def house(): pass

class TestMarked:
    pytestmark = pytest.mark.slow
    def test_of_a_class(self): assert False

def test_plain(): pass
@pytest.mark.server
def test_marked(): assert False
def test_by_its_argument(house): assert False
@pytest.mark.parametrize("row", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_of_a_table(row): assert row != 2
"""
MARKED: Final = """
import pytest
pytestmark = [pytest.mark.server]
def test_of_a_marked_module(): assert False
"""


@pytest.mark.parametrize(
    ("expression", "marks"),
    [
        ("not server and not slow and not long", {"server", "slow", "long"}),
        ("not slow", {"slow"}),
        ("slow", set()),
        ("", set()),
        ("not slow or server", set()),
        ("not (slow and server)", set()),
    ],
)
def test_only_an_expression_of_nothing_but_not_leaves_marks_out(expression: str, marks: set[str]) -> None:
    """Of every other pytest itself decides, test by test."""
    assert left_out(expression) == marks


def test_a_plain_function_has_no_marks() -> None:
    """Nor one whose arguments start nothing."""
    assert marks(test_a_plain_function_has_no_marks) == set()
    assert marks(lambda house: house) == {"server"}


def plain(first: int, /, house: int = 0, *, demo: int = 0, **more: int) -> object:
    """Have a variable of a fixture's name beside what is asked for."""
    stage = first + house + demo
    return stage, more


@functools.wraps(plain)
def wrapping(*given: int, **more: int) -> object:
    """Ask for what another asks for."""
    return given, more


def signed(*given: int) -> object:
    """Say by itself what it asks for."""
    return given


signed.__signature__ = inspect.signature(plain)  # type: ignore[attr-defined]


@pytest.mark.parametrize("function", [plain, wrapping, signed])
def test_the_arguments_of_a_function_are_those_that_pytest_gives_it(function: FunctionType) -> None:
    """Also where it stands before another, or says what it takes; no variable is taken for one."""
    named = [each for each in inspect.signature(function).parameters if each != "more"]
    assert [each for each in arguments(function) if each != "more"] == named == ["first", "house", "demo"]
    assert marks(function) == {"server"}


@pytest.mark.server
def test_a_run_that_makes_fewer_tests_runs_the_same(tmp_path: Path) -> None:
    """Marks of a module, a class, a function, an argument and a row: what has none of those left out is run.

    Nothing is asked of what stands beside the tests, such as Flask's ``request``.
    """
    files = {"pytest.ini": SETTINGS, "test_table.py": TABLE, "test_marked.py": MARKED}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    counts = ran(tmp_path)
    assert (counts["passed"], counts["deselected"], "failed" in counts) == ("3", "1", False)


@pytest.mark.server
def test_one_that_is_named_is_told_as_left_out(tmp_path: Path) -> None:
    """Whoever asks for a test by its name is not told that there is none."""
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    path = tmp_path / "test_table.py"
    path.write_text(TABLE)
    assert ran(f"{path}::test_marked", f"{path}::test_plain") == {"passed": "1", "deselected": "1"}


def ran(*what: Path | str) -> dict[str, str]:
    """Run files without the marks ``server`` and ``slow``, and count what became of their tests."""
    plugins = ("-p", "tests.plugins.servers", "-p", "tests.plugins.left_out", "-p", "no:cacheprovider")
    command = (sys.executable, "-m", "pytest", "-m", "not server and not slow", *plugins, *map(str, what))
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    found = re.findall(r"(\d+) (passed|failed|deselected|error)", told.splitlines()[-1])
    return {word: number for number, word in found}
