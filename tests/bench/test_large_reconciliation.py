"""``broker enrolments reconcile`` as it is run: a process of its own, before a library system that answers by HTTP."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from bench.large_reconciliation import Command, Run, faulty, interrupted_and_mended, library_running, written
from bench.seeded_library import Seed, application
from broker.demo.alma.simulated_alma import Simulation
from broker.demo.run.demo_folder import Ports
from broker.demo.run.loopback_server import serve_on_loopback
from tests.plugins.demo import free_base

pytestmark = [pytest.mark.server, pytest.mark.slow]

# By hand a hundred thousand: python -m bench.large_reconciliation koha 100000
BORROWERS: Final = int(os.environ.get("RECONCILED", "1200"))
DAILY: Final = 100_000  # calls, as the demo's broker.toml has it; a fifth of them is the alarm


@contextmanager
def alma(folder: Path, seed: Seed) -> Iterator[tuple[Command, Simulation]]:
    """Run an Alma in this process, whose limits a test changes, and write its broker's folder."""
    setting = written(folder, Ports(free_base()), seed)
    app = application(seed)
    with serve_on_loopback(app, setting.ports.number("patrons")):
        yield Command(setting.config), app.extensions["alma"]


@pytest.mark.parametrize("system", ["koha", "alma"])
def test_a_run_that_is_interrupted_and_killed_finds_and_mends_all(tmp_path: Path, system: str) -> None:
    """Of every kind, by Ctrl-C and kill -9; a second run finds none, and memory is flat."""
    many = BORROWERS if system == "koha" else max(200, BORROWERS // 6)
    seed = Seed(system, many, many // 20)
    ports = Ports(free_base())
    setting = written(tmp_path / "demo", ports, seed)
    told: list[Run] = []
    with library_running(seed, ports.number("patrons")):
        runs = interrupted_and_mended(Command(setting.config), seed, lambda _, run: told.append(run))
    assert list(faulty(runs, seed)) == []
    assert all(run.told for run in told)
    assert max(run.most for run in told) - told[-1].megabytes(1) < 20


def test_a_comparison_at_the_alarm_of_the_day_stops_and_goes_on_the_next_day(tmp_path: Path) -> None:
    """Four fifths of Alma's calls are used: the rest is for logins, and the place is kept."""
    seed = Seed("alma", 200, 12)
    with alma(tmp_path / "demo", seed) as (command, simulation):
        users = simulation.users
        plenty = users.administration
        # What is left of the day reaches the alarm after some eighty calls.
        users.administration = plenty.changed(per_day=DAILY // 5 + 80)
        stopped = command.run()
        assert (stopped.code, stopped.report["ended"]) == (1, False)
        assert "the calls of the day are nearly used up" in stopped.report["stopped"]
        assert 0 < stopped.report["compared"] < 120
        assert simulation.limits.remaining(users.administration) > DAILY // 5 - 40
        users.administration = plenty
        rest = command.run()
    assert (rest.report["resumed"], rest.report["ended"]) == (True, True)
    assert rest.report["found"] == seed.of_each_kind()


def test_a_run_before_an_alma_never_meets_its_limit_of_a_second(tmp_path: Path) -> None:
    """However fast it is told to be: what it sends a second is what broker.toml says, and none is refused."""
    seed = Seed("alma", 120, 0)
    with alma(tmp_path / "demo", seed) as (command, simulation):
        users = simulation.users
        text = command.config.read_text()
        command.config.write_text(text.replace("calls_a_second = 50", "calls_a_second = 20"))
        # A burst and the next second's calls may fall into one second of Alma's.
        users.administration = users.administration.changed(per_second=42)
        run = command.run()
    assert (run.code, run.report["compared"]) == (0, 120)
    assert [line for line in simulation.access.lines() if line.endswith(" 429")] == []
