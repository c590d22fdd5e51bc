"""Every borrower is listed once, where the library system can list them."""

import pytest

from broker.core.borrowers.library_system import LibraryCapability
from broker.core.errors import LibraryRefused
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import make_borrower

pytestmark = pytest.mark.library("list")


@pytest.mark.library("list", needs=LibraryCapability.LISTED)
def test_every_borrower_is_listed_once(stage: Stage) -> None:
    """Whole, so that a survey counts what a login would find."""
    borrower = make_borrower(stage)
    others = {stage.desk.register(f"C-{place}", "PRIVATE") for place in range(3)}
    listed = list(stage.library.list_borrowers())
    assert borrower in listed
    assert sorted(each.number for each in listed) == sorted({borrower.number, *others})


@pytest.mark.library("list", lacks=LibraryCapability.LISTED)
def test_a_system_that_cannot_list_says_so(stage: Stage) -> None:
    """The survey names another way instead of counting half of the borrowers."""
    with pytest.raises(LibraryRefused):
        list(stage.library.list_borrowers())
