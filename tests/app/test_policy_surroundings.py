"""What policies stand on, as the configuration has it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import policy_surroundings
from broker.demo.run.demo_folder import Setting
from broker.files.settings.config import load

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TABLE = "\n[person_register]\nsystem = "


@pytest.mark.server
@pytest.mark.parametrize(
    ("table", "asked"),
    [
        ("", None),
        (f'{TABLE}"datafordeler"\n', False),
        (f'{TABLE}"datafordeler"\nalso = ["guardianship"]\n', True),
        (f'{TABLE}"serviceplatformen"\n', None),
    ],
)
def test_policies_know_whether_guardianship_is_asked_for(
    setting: Setting, tmp_path: Path, table: str, *, asked: bool | None
) -> None:
    """Datafordeler's schema has it under a name that nobody has seen work: it is asked for where `also` says so."""
    folder = shutil.copytree(setting.folder, tmp_path / "demo")
    path = folder / "broker.toml"
    path.write_text(path.read_text() + table)
    settings = load(path, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"})
    assert policy_surroundings.load(settings, lambda _: None, NOW).names.guardianship is asked
