"""Checks of the setup of a library system."""

import pytest

from broker.core.borrowers.library_setup import ExpectedSetup, LibraryCapability
from tests.conformance.library_suite.stage import Stage, Trouble
from tests.conformance.library_suite.table import kinds
from tests.conformance.library_suite.values import PERSONAL, make_borrower, soon

pytestmark = pytest.mark.library("set-up")


def test_a_system_has_the_capabilities_of_its_kind(stage: Stage, request: pytest.FixtureRequest) -> None:
    """The system has no other capabilities, since no test would cover them."""
    kind = kinds(request.config)[request.node.callspec.params["stage"]]
    assert stage.library.capabilities == kind.capabilities


def test_a_correct_setup_has_no_faults(stage: Stage) -> None:
    """A correct setup has no fault, and the check leaves no data."""
    expected = ExpectedSetup({"STUDENT": "student.yaml:1", "TEMP": "student.yaml:1"})
    make_borrower(stage)
    assert stage.library.check_setup(expected, soon()) == ()
    assert stage.desk.count() == 1


@pytest.mark.library(needs=LibraryCapability.SETUP_TRIED)
def test_an_unknown_category_is_a_fault(stage: Stage) -> None:
    """The fault names the policy line. The check leaves no data."""
    expected = ExpectedSetup({"STUDNT": "student.yaml:7", "TEMP": "x.yaml:1"})
    (fault,) = stage.library.check_setup(expected, soon())
    assert "STUDNT" in fault.setting
    assert "STUDNT" in fault.sentence
    assert "student.yaml:7" in fault.sentence
    assert stage.desk.count() == 0


@pytest.mark.library(once=True)
@pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.REFUSED, Trouble.HALF])
def test_a_failing_system_is_a_fault_and_not_an_error(stage: Stage, trouble: Trouble) -> None:
    """No error is raised, because ``broker check`` must go on, and no personal value is quoted."""
    expected = ExpectedSetup({"STUDENT": "student.yaml:1"})
    with stage.desk.cause_trouble(trouble):
        faults = stage.library.check_setup(expected, soon())
    assert faults
    assert [value for value in PERSONAL if value in str(faults)] == []
