"""``broker policy report``, as an administrator meets it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker
from broker.demo.run.demo_folder import Setting

Report = Callable[..., Result]


@pytest.fixture
def folder(setting: Setting, tmp_path: Path) -> Path:
    """Give a broker's folder, without a store."""
    ignored = shutil.ignore_patterns("broker.db*", "last-good", "audit")
    shutil.copytree(setting.folder, tmp_path / "demo", ignore=ignored)
    return tmp_path / "demo"


@pytest.fixture
def report(folder: Path) -> Report:
    """Give what runs the command."""

    def run(*words: str, **environment: str) -> Result:
        config = {"BROKER_CONFIG": str(folder / "broker.toml"), "BROKER_POLICY__LIVE": "apply"}
        result = CliRunner().invoke(broker, ["policy", "report", *words], env={**config, **environment})
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return run


def test_files_say_who_gets_what(report: Report, tmp_path: Path) -> None:
    """One file for all in each language, one for each service's owner; the same day, the same files."""
    into = tmp_path / "new" / "out"
    result = report("--html", str(into), "--date", "2026-11-26")
    assert result.exit_code == 0, result.output
    names = {f"{stem}-{language}.html" for stem in ("report", "service-my-loans") for language in ("da", "en")}
    assert names <= {path.name for path in into.iterdir()}
    first = {path.name: path.read_bytes() for path in into.iterdir()}
    assert report("--html", str(into), "--date", "2026-11-26").exit_code == 0
    assert {path.name: path.read_bytes() for path in into.iterdir()} == first
    assert 'data-attribute="cpr"' in (into / "service-my-loans-da.html").read_text()
    assert 'data-attribute="cpr"' not in (into / "service-e-resources-da.html").read_text()


def test_other_files_are_left_alone(report: Report, tmp_path: Path) -> None:
    """A folder with anything but an earlier report is refused by name, and nothing is written."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    result = report("--html", str(tmp_path / "mine"))
    assert result.exit_code == 2
    assert "thesis.txt" in result.output
    assert len(list((tmp_path / "mine").iterdir())) == 1
