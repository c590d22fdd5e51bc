"""Find a person's borrower: how long an answer counts, and for whom."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.errors import LibrarySilent
from tests.use_cases.memory_library import AASE, AASE_CPR


@pytest.mark.parametrize("change", ["deleted", "renumbered", "renamed", "doubled"])
def test_a_borrower_that_is_no_longer_theirs_is_forgotten(world: Any, change: str) -> None:
    """Not even a silent library system brings it back."""
    hers = world.library.add(AASE, AASE_CPR)
    world.find("aase", AASE, AASE_CPR)
    if change == "deleted":
        del world.library.borrowers[hers.number]
    elif change == "doubled":
        world.library.add(AASE, AASE_CPR)
    else:
        number = "0101990018" if change == "renumbered" else AASE_CPR
        fields = {"surname": "Skov", "firstname": "Ida"}
        world.library.borrowers[hers.number] = replace(hers, cpr=number, fields=fields)
    world.now += timedelta(minutes=11)
    assert world.find("aase", AASE, AASE_CPR).number is None
    world.fail_next(LibrarySilent("no answer"))
    assert world.find("aase", AASE, AASE_CPR) is None
    assert world.persons.find_by_borrower(hers.number, world.now) is None
