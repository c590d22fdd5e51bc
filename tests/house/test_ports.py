"""The ports that tests give to the servers they start."""

import pytest

from tests.plugins.demo import free_base
from tests.plugins.ports import free_port, own


@pytest.mark.server
def test_what_is_asked_for_side_by_side_differs() -> None:
    """A port is listened at some seconds after it was given: nobody else is given it meanwhile."""
    assert len({free_base() for _ in range(60)}) == 60
    assert len({free_port() for _ in range(300)}) == 300


@pytest.mark.parametrize("workers", [1, 2, 4, 7])
def test_no_two_workers_of_a_run_have_a_port_in_common(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """All ports are shared out; one that starts in place of another that died has ports too."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", f"{workers}")
    ports = range(61000, 65500)
    given: list[int] = []
    for number in range(workers):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        given += own(ports)
    assert sorted(given) == list(ports)
    monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{workers}")
    assert own(ports)
