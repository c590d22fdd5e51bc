"""The report of ``broker enrolments reconcile``: what is a finding, and what is said of a run that was stopped."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from broker.app.reconciling import Reconciled


def reconciled(
    found: Mapping[str, int], mended: Mapping[str, int], stopped: str | None = None, *, resumed: bool = False
) -> Reconciled:
    """Give what a run over nine borrowers came to."""
    return Reconciled(stopped is None, stopped, resumed, 9, found, mended, (), 0)


@pytest.mark.parametrize(
    ("found", "mended", "is_finding"),
    [
        ({}, {}, False),
        ({"card": 2}, {"card": 2}, False),
        ({"card": 2}, {"card": 1}, True),
        ({"category_of_staff": 4, "policy_changed": 1, "no_policy": 1}, {}, False),
        ({"several_lower": 1}, {}, True),
        ({"another_mark": 1}, {}, True),
    ],
)
def test_what_is_left_for_somebody_to_look_at_is_a_finding(
    found: Mapping[str, int], mended: Mapping[str, int], *, is_finding: bool
) -> None:
    """What is staff's, or a login's, is told and is none."""
    assert reconciled(found, mended).is_finding is is_finding


def test_a_run_that_was_stopped_is_a_finding_and_says_how_to_go_on() -> None:
    """It never says that all is well."""
    stopped = reconciled({}, {}, "library_unavailable: no answer", resumed=True)
    assert stopped.is_finding
    said = list(stopped.sentences())
    assert said[:2] == [
        "9 borrowers compared, with those of the run that was stopped",
        "stopped: library_unavailable: no answer",
    ]
    assert "the same command goes on there" in said[2]
    assert list(reconciled({}, {}).sentences()) == [
        "9 borrowers compared",
        "all that were compared are as they were granted",
    ]
    assert "card: 2 found, 1 mended" in reconciled({"card": 2}, {"card": 1}).sentences()


def test_whoever_was_left_out_is_said() -> None:
    """A run that compared nobody never says that all is well."""
    nobody = replace(reconciled({}, {}), compared=0, left_out=2)
    assert list(nobody.sentences()) == [
        "0 borrowers compared",
        "2 left out: skipped, under way, or a case",
        "nothing was compared",
    ]
