"""A small first day: no person gets another person's account, or a duplicate that the broker could have found."""

from pathlib import Path

import pytest

from tests.simulations.first_day import FirstDay


@pytest.mark.long("250 logins, each with its store writes")
def test_a_first_day_gives_everybody_their_own_account_or_a_case(tmp_path: Path) -> None:
    """Most persons get in at once, and most of the others can claim their account."""
    day = FirstDay(tmp_path, borrowers=3_000, logins=250)
    day.run()
    claims = sum(count for what, count in day.met.items() if what.startswith("claims"))
    cases = sum(count for what, count in day.met.items() if what.startswith("case"))
    assert day.met["gets in at once"] + claims + cases == 250
    assert day.met["gets in at once"] > 190
    assert claims > cases > 0
