"""A short walk over two machines: no login is lost while a machine, the Redis master, keys and release change."""

from pathlib import Path

import pytest

from tests.simulations.machines import install_old_release, walk
from tests.simulations.secured_redis import run_sentinels

pytestmark = [pytest.mark.server, pytest.mark.full]


def test_two_machines_lose_no_login(tmp_path: Path) -> None:
    """The faults name each lost login, each late refusal and each second borrower."""
    old = install_old_release(tmp_path, "")
    assert walk("Redis, Sentinels", lambda folder: run_sentinels(folder, "redis-server"), 4.0, old) == []
