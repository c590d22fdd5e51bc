"""``broker policy report``, as an administrator meets it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
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
        config = {"BROKER_CONFIG": str(folder / "broker.toml")}
        result = CliRunner().invoke(broker, ["policy", "report", *words], env={**config, **environment})
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return run


@pytest.mark.long("analyses the shipped policies")
def test_files_say_who_gets_what(report: Report, tmp_path: Path) -> None:
    """The command writes a report for all in each language, one for each owner, and none of a service that went."""
    into = tmp_path / "new" / "out"
    into.mkdir(parents=True)
    (into / "service-gone-da.html").write_text("a service that was")
    result = report("--html", str(into), "--date", "2026-11-26")
    assert result.exit_code == 0, result.output
    names = {path.name for path in into.iterdir()}
    assert names >= {f"{stem}-{language}.html" for stem in ("report", "service-my-loans") for language in ("da", "en")}
    assert "service-gone-da.html" not in names
    assert 'data-attribute="cpr"' in (into / "service-my-loans-da.html").read_text()
    assert 'data-attribute="cpr"' not in (into / "service-e-resources-da.html").read_text()


def test_without_a_configuration_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A report needs the services and who is responsible for them."""
    monkeypatch.delenv("BROKER_CONFIG", raising=False)
    result = CliRunner().invoke(broker, ["policy", "report", "--html", str(tmp_path / "out")])
    assert result.exit_code == 78
    assert result.stderr.startswith("BROKER_CONFIG: is not set")


def test_an_answer_about_no_service_is_a_fault(report: Report, folder: Path, tmp_path: Path) -> None:
    """It would stand in no record."""
    with (folder / "broker.toml").open("a") as file:
        file.write('\n[record.receivers]\nmy-lones = {en = "a", da = "b"}\n')
    result = report("--html", str(tmp_path / "out"))
    assert result.exit_code == 78
    assert "no receiver my-lones (did you mean " in result.stderr
