"""The days on which a change happens, in words."""

from datetime import date

import pytest

from broker.core.analysis.row_days import days_of_row

TODAY = date(2026, 11, 25)
FIRST = date(2027, 7, 1)
SECOND = date(2028, 1, 1)
COMPARED = (TODAY, FIRST, SECOND)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({TODAY, FIRST, SECOND}, ""),
        ({TODAY, SECOND}, ""),
        ({SECOND}, "after 2027-12-31"),
        ({FIRST, SECOND}, "after 2027-06-30"),
        ({TODAY}, "until 2027-06-30"),
        ({TODAY, FIRST}, "until 2027-12-31"),
        ({FIRST}, "after 2027-06-30, until 2027-12-31"),
    ],
)
def test_the_days_are_said_by_the_last_ones_of_domains(found: set[date], words: str) -> None:
    """Nothing where it happens from today on, and for ever."""
    assert days_of_row(found, COMPARED).in_words() == words
