"""A copy of the shipped policies, to edit."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the shipped policies."""
    return Path(shutil.copytree(Path(__file__).resolve().parents[3] / "policies", tmp_path / "policies"))
