"""The budget of syntax nodes that each package may use; packing or splitting lines does not change them."""

import tomllib

import pytest

from tests.plugins.source_files import ROOT
from tests.plugins.weight import weigh

BUDGETS = tomllib.loads((ROOT / "tests" / "repository" / "weight_budgets.toml").read_text())["nodes"]


@pytest.mark.slow
def test_every_package_stays_within_its_budget() -> None:
    """A package that grows past its budget needs something else removed, or a budget that somebody has agreed to.

    A row without a package would let the next one of its name grow unseen.
    """
    weights = weigh()
    assert {part: nodes for part, nodes in weights.items() if nodes > BUDGETS.get(part, 0)} == {}
    assert set(BUDGETS) - set(weights) == set()
