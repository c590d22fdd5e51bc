"""A folder of a broker that a test may edit."""

import shutil
from pathlib import Path

import pytest

from broker.demo.run.demo_folder import Setting


@pytest.fixture
def own_setting(setting: Setting, tmp_path: Path) -> Path:
    """Give a copy of the demo's folder without what it has written."""
    ignored = shutil.ignore_patterns("broker.db*", "last-good", "audit")
    return Path(shutil.copytree(setting.folder, tmp_path / "own", ignore=ignored))
