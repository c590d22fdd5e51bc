"""Creates in every library system: one borrower for each person, with a card number."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.borrowers.library_system import LibraryCapability
from broker.core.errors import LibraryRefused, LibraryUnavailable
from tests.conformance.library_suite.stage import Stage
from tests.conformance.library_suite.values import MARK, OTHER_MARK, make_borrower, make_request, soon

pytestmark = pytest.mark.library("create")


def test_a_second_create_of_one_person_is_told_to_look_again(stage: Stage) -> None:
    """A repetition by the same enrolment and by another one."""
    make_borrower(stage)
    assert stage.library.create(make_request(), OTHER_MARK, soon()) is None
    assert stage.desk.count() == 1


def test_a_create_without_a_cpr_is_refused(stage: Stage) -> None:
    """Without it the borrower would have no unique field and no card number."""
    with pytest.raises(LibraryRefused):
        stage.library.create(make_request(cpr=None), MARK, soon())
    assert stage.desk.count() == 0


def test_a_category_that_there_is_none_is_refused(stage: Stage) -> None:
    """Staff must correct it; a second try does not help."""
    with pytest.raises(LibraryRefused):
        stage.library.create(make_request(category="STUDNT"), MARK, soon())
    assert stage.desk.count() == 0


def test_no_borrower_is_made_without_a_card_number(stage: Stage) -> None:
    """By it the person borrows, and its PIN can be checked (docs/reference/design.md#4d)."""
    assert make_borrower(stage).card


@pytest.mark.library("race", needs=LibraryCapability.UNIQUE_CPR)
def test_sixty_creates_of_one_person_leave_one_borrower(stage: Stage) -> None:
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


def test_after_the_deadline_nothing_is_done(stage: Stage) -> None:
    """A create whose time is up is not sent: the lease may be another's by now."""
    with pytest.raises(LibraryUnavailable):
        stage.library.create(make_request(), MARK, datetime.now(UTC) - timedelta(seconds=1))
    assert stage.desk.count() == 0
