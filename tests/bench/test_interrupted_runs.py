"""What the driver of interrupted comparisons takes for a proof: a run that was over is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from bench.large_reconciliation import Command, Run, faulty, interrupted_and_mended
from bench.seeded_library import Seed

SEED: Final = Seed("alma", 200, 6)
ALL: Final = SEED.of_each_kind()


def run(code: int, **report: Any) -> Run:
    """Give a run that ended so."""
    return Run((), code, report)


def runs() -> dict[str, Run]:
    """Give four runs as they should be."""
    return {
        "until Ctrl-C": run(1, stopped="interrupted"),
        "gone on, until kill -9": run(-9),
        "gone on, to the end": run(0, found=ALL, mended=ALL, ended=True, resumed=True),
        "a second run": run(0, found={}, compared=199),
    }


def test_runs_as_they_should_be_have_no_fault() -> None:
    """A kill may have cost the count of one mend."""
    assert list(faulty(runs(), SEED)) == []
    one_less = {**ALL, "category": 0}
    counted = replace(runs()["gone on, to the end"], report={**runs()["gone on, to the end"].report, "found": one_less})
    counted.report["mended"] = one_less  # type: ignore[index]
    assert list(faulty({**runs(), "gone on, to the end": counted}, SEED)) == []


def test_a_run_that_was_over_before_the_kill_proves_nothing() -> None:
    """The next one begins anew, and what it does is no going on."""
    begun_anew = run(0, found=ALL, mended=ALL, ended=True, resumed=False)
    assert list(faulty({**runs(), "gone on, to the end": begun_anew}, SEED)) == [
        "kill -9: the run had ended before it, so nothing was gone on with"
    ]


@pytest.mark.parametrize("seed", [Seed("alma", 100, 6), Seed("alma", 200, 5)], ids=["few", "a kind is missing"])
def test_too_few_borrowers_are_refused(seed: Seed) -> None:
    """Nothing is started: a run would be over, or would not meet every kind."""
    with pytest.raises(SystemExit, match="too few"):
        interrupted_and_mended(Command(Path("nowhere")), seed, lambda *_: None)
