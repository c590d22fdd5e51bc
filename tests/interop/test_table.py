"""The printed table is the one that the tests run: no cell without a test, none that does not apply with one."""

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.interop import table

pytestmark = pytest.mark.slow  # of the products of the field, make test runs those of tests/walks/test_connect.py

HERE = Path(__file__).parent


def filled(path: Path) -> Iterator[tuple[str, str]]:
    """Give the cells that the tests of a file fill, from their marks."""
    for name, test in runpy.run_path(str(path)).items():
        marks = {each.name: each for each in getattr(test, "pytestmark", ())} if name.startswith("test_") else {}
        for peer in marks["parametrize"].args[1] if "interop" in marks else ():
            yield peer, marks["interop"].args[0]


def test_every_cell_has_a_test() -> None:
    """Each product and feature that go together have a test of theirs, so that the table cannot claim more."""
    cells = {cell for path in HERE.glob("test_*.py") for cell in filled(path)}
    every = {(peer, feature) for peer in table.PEERS for feature in table.FEATURES}
    assert cells == every - table.NOT_APPLICABLE.keys()


@pytest.mark.server
def test_a_missing_cell_fails_the_run() -> None:
    """Without the tests of the upstreams, the table says what is missing and the run fails."""
    plugins = ("-p", "no:cacheprovider", "-p", "tests.plugins.interop.matrix")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *plugins, str(HERE / "test_services.py")]
    run = subprocess.run(command, cwd=HERE.parent.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout
    assert "missing" in run.stdout


def test_what_became_of_each_cell_is_printed() -> None:
    """A row a product, a column a feature; what does not apply has a footnote."""
    head, *rows = table.lines({("shib", "login"): "ok", ("shib", "force"): "FAILED"})
    (shib,) = (each for each in rows if each.startswith("mod_shib"))
    mellon = next(each for each in rows if each.startswith("mod_auth_mellon"))
    assert head.split() == [*table.FEATURES.values()]
    assert shib.split()[2:6] == ["ok", "missing", "missing", "FAILED"]
    number = mellon.split("(")[2][0]
    assert f"({number}) has no way to ask for ForceAuthn" in rows


def test_what_does_not_apply_is_in_the_table() -> None:
    """A footnote about a product or feature that is none would hide a test that is missing."""
    assert {peer for peer, _ in table.NOT_APPLICABLE} <= table.PEERS.keys()
    assert {feature for _, feature in table.NOT_APPLICABLE} <= table.FEATURES.keys()


def test_the_docs_show_the_table() -> None:
    """docs/interop.md holds the table as it is printed when all is well."""
    every = {(peer, feature): "ok" for peer in table.PEERS for feature in table.FEATURES}
    assert "\n".join(table.lines(every)) in (HERE.parent.parent / "docs" / "interop.md").read_text(encoding="utf-8")
