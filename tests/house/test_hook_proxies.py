"""Each file has the hooks of its own folders still, where they are looked for once."""

from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).resolve().parents[1]


def hooked(request: pytest.FixtureRequest, path: Path) -> object:
    """Give the hooks for a file's tests."""
    return request.session.gethookproxy(path)


def test_the_hooks_of_a_file_are_found_once(request: pytest.FixtureRequest) -> None:
    """The answer that there was stays, for no conftest is read after the tests were collected."""
    assert hooked(request, Path(__file__)) is hooked(request, Path(__file__))


def test_files_of_two_folders_are_told_apart(request: pytest.FixtureRequest) -> None:
    """The hooks of one folder's conftest do not run for the tests of another."""
    asked = type(request.session).gethookproxy
    for path in (Path(__file__), TESTS / "core" / "test_any.py", TESTS / "conftest.py"):
        expected = vars(asked(request.session, path)).get("remove_mods")
        assert vars(hooked(request, path)).get("remove_mods") == expected
