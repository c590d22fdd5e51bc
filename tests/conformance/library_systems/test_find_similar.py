"""Candidates for a possible duplicate: every library system finds them by mail address, some by birth date."""

from datetime import date

import pytest

from broker.core.borrowers.library_setup import LibraryCapability
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import MARK, make_borrower, make_request_with_birth_date, soon

BORN = date(1980, 1, 1)

pytestmark = pytest.mark.library("find_similar")


@pytest.mark.parametrize("typed", ["aase@post.example", "Aase@POST.example"])
def test_a_borrower_is_found_by_mail_address_in_any_case(stage: Stage, typed: str) -> None:
    """The returned record is complete, so that its name and CPR number can be compared."""
    borrower = make_borrower(stage)
    assert stage.library.find_similar(None, typed, soon()) == (borrower,)


def test_another_mail_address_finds_no_borrower(stage: Stage) -> None:
    """A part of an address or a longer address does not match."""
    make_borrower(stage)
    for address in ("ase@post.example", "aase@post.example.org", "%@post.example", "a*@post.example"):
        assert stage.library.find_similar(None, address, soon()) == ()


def test_a_search_without_values_finds_no_borrower(stage: Stage) -> None:
    """Without birth date and mail address no borrower is compared."""
    make_borrower(stage)
    assert stage.library.find_similar(None, None, soon()) == ()


@pytest.mark.library("find_similar", needs=LibraryCapability.FOUND_BY_BIRTH_DATE)
def test_a_borrower_is_found_by_birth_date(stage: Stage) -> None:
    """The mail address may differ."""
    borrower = stage.library.create(make_request_with_birth_date(BORN), MARK, soon())
    assert borrower is not None
    assert borrower.born == BORN
    assert stage.library.find_similar(BORN, "other@post.example", soon()) == (borrower,)
    assert stage.library.find_similar(date(1981, 1, 1), "other@post.example", soon()) == ()


@pytest.mark.library("find_similar", lacks=LibraryCapability.FOUND_BY_BIRTH_DATE)
def test_without_the_capability_a_birth_date_finds_no_borrower(stage: Stage) -> None:
    """The page asks the person instead whether they have an account."""
    make_borrower(stage)
    assert stage.library.find_similar(BORN, None, soon()) == ()
