"""A copy of the demo's folder, to edit."""

import shutil
from pathlib import Path

import pytest

from broker.demo.run.demo_folder import Setting


@pytest.fixture
def folder(setting: Setting, tmp_path: Path) -> Path:
    """Give a copy of the demo's folder."""
    return shutil.copytree(setting.folder, tmp_path / "demo")
