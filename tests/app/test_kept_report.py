"""The report of the staff view: made beside the requests, when something that it rests on has changed."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.app import assembly, kept_report
from broker.app.assembly import Parts
from broker.app.kept_report import ReportUpkeep, shown
from broker.demo.run.demo_folder import Setting
from broker.files.settings.config import load

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Parts:
    """Give the parts of a broker with a folder of its own."""
    folder = shutil.copytree(setting.folder, tmp_path / "demo")
    return assembly.assemble(load(folder / "broker.toml", {}))


@pytest.mark.slow
def test_the_report_is_made_once_and_anew_when_the_day_or_the_set_changes(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both languages; what is there is shown until the next is whole, and a damaged file is none."""
    state = parts.config.state
    moment = NOON
    monkeypatch.setattr(kept_report, "now", lambda: moment)
    upkeep = ReportUpkeep(parts)
    assert shown(state, "da") is None
    assert upkeep.step()
    danish, english = shown(state, "da"), shown(state, "en")
    assert danish is not None
    assert english is not None
    assert (danish.digest, danish.day) == (parts.policies.current.digest, "2031-01-01")
    assert "<h2>" in danish.text
    assert danish.text != english.text
    moment += timedelta(minutes=1)
    assert not upkeep.step()
    path = parts.config.policies / "student.yaml"
    path.write_text(path.read_text() + "\n# another set\n")
    assert not upkeep.step(), "looked at within ten seconds"
    moment += timedelta(minutes=1)
    assert upkeep.step()
    again = shown(state, "da")
    assert again is not None
    assert again.digest != danish.digest
    (state / "report.json").write_text("{")
    assert shown(state, "da") is None
