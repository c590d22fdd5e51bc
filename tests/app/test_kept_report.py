"""The report of the staff view: made beside the requests, when something that it rests on has changed."""

import json
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
    moment = NOON - timedelta(seconds=30)
    monkeypatch.setattr(kept_report, "now", lambda: moment)
    upkeep = ReportUpkeep(parts)
    assert not upkeep.step(), "it has only just started"
    moment = NOON - timedelta(seconds=1)
    assert not upkeep.step(), "it started within half a minute"
    moment = NOON
    assert shown(parts, "da") is None
    assert upkeep.step()
    danish, english = shown(parts, "da"), shown(parts, "en")
    assert danish is not None
    assert english is not None
    assert (danish.day, danish.current) == (NOON.date(), True)
    assert "<h2>" in danish.text
    assert danish.text != english.text
    moment += timedelta(minutes=1)
    assert not upkeep.step()
    path = parts.config.policies / "student.yaml"
    path.write_text(path.read_text() + "\n# another set\n")
    assert not upkeep.step(), "looked at within ten seconds"
    parts.policies.refresh(moment)
    late = shown(parts, "da")
    assert late is not None
    assert not late.current
    moment += timedelta(minutes=1)
    assert upkeep.step()
    again = shown(parts, "da")
    assert again is not None
    assert again.current
    moment += timedelta(days=1)
    old = shown(parts, "da")
    assert old is not None
    assert (old.day, old.current) == (NOON.date(), False)


def test_a_broken_file_is_no_report(parts: Parts) -> None:
    """Whatever has become of it, the page says that there is none yet."""
    whole = {"digest": "0", "site": "0", "day": "2031-01-01", "da": "<p>da</p>", "en": "<p>en</p>"}
    texts = [json.dumps({**whole, name: odd}) for name in whole for odd in (None, 5, ["x"])]
    file = parts.config.state / "report.json"
    for text in (*texts, json.dumps({**whole, "day": "soon"}), "", "[]", "null", "{", "[" * 100_000):
        file.write_text(text)
        assert shown(parts, "da") is None
    file.write_text(json.dumps(whole))
    assert shown(parts, "da") is not None
