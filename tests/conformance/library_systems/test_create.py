"""Creates in every library system: one borrower for each person, with a card number."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.errors import LibraryRefused, LibraryUnavailable
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import MARK, OTHER_MARK, make_borrower, make_request, soon

pytestmark = pytest.mark.library("create")


def test_a_second_create_of_a_person_finds_the_existing_borrower(stage: Stage) -> None:
    """A repetition and another enrolment both have to search again."""
    make_borrower(stage)
    assert stage.library.create(make_request(), OTHER_MARK, soon()) is None
    assert stage.desk.count() == 1


def test_a_create_without_a_cpr_is_refused(stage: Stage) -> None:
    """Without it the borrower would have no unique field and no card number."""
    with pytest.raises(LibraryRefused):
        stage.library.create(make_request(cpr=None), MARK, soon())
    assert stage.desk.count() == 0


def test_an_unknown_category_is_refused(stage: Stage) -> None:
    """Staff must correct it; a retry does not help."""
    with pytest.raises(LibraryRefused):
        stage.library.create(make_request(category="STUDNT"), MARK, soon())
    assert stage.desk.count() == 0


def test_no_borrower_is_made_without_a_card_number(stage: Stage) -> None:
    """The card number is needed to borrow and to check the PIN (docs/reference/design.md#4d)."""
    assert make_borrower(stage).card


@pytest.mark.long("sixty threads at each library system")
@pytest.mark.library("race", needs=LibraryCapability.UNIQUE_CPR)
def test_sixty_concurrent_creates_of_a_person_make_one_borrower(stage: Stage) -> None:
    """One enrolment creates; the others must search again or retry."""

    def attempt(number: int) -> str:
        try:
            return "made" if stage.library.create(make_request(), f"{number:032}", soon()) else "look again"
        except LibraryUnavailable:
            return "try again"

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(attempt, range(60)))
    assert stage.desk.count() == 1
    assert outcomes.count("made") == 1
    assert "look again" in outcomes


def test_an_expired_create_is_not_sent(stage: Stage) -> None:
    """After the deadline another worker may hold the lease."""
    with pytest.raises(LibraryUnavailable):
        stage.library.create(make_request(), MARK, datetime.now(UTC) - timedelta(seconds=1))
    assert stage.desk.count() == 0
