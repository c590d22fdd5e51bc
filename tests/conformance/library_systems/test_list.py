"""Listing all borrowers, if the library system supports it."""

import pytest

from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.errors import LibraryRefused
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import make_borrower

pytestmark = pytest.mark.library("list")


@pytest.mark.library("list", needs=LibraryCapability.LISTED)
def test_every_borrower_is_listed_once(stage: Stage) -> None:
    """The records are complete, so that a survey counts the borrowers that logins would find."""
    borrower = make_borrower(stage)
    others = {stage.desk.register(f"C-{place}", "PRIVATE") for place in range(3)}
    listed = list(stage.library.list_borrowers())
    assert borrower in listed
    assert sorted(each.number for each in listed) == sorted({borrower.number, *others})


@pytest.mark.library("list", lacks=LibraryCapability.LISTED)
def test_a_system_without_a_list_reports_it(stage: Stage) -> None:
    """The survey then suggests another way and does not count a part of the borrowers."""
    with pytest.raises(LibraryRefused):
        list(stage.library.list_borrowers())
