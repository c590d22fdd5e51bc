"""When a borrower account expires."""

from datetime import date

import pytest

from broker.core.policy.expiry import Expiry, add_months


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 11, 25), 24, date(2028, 11, 25)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2027, 1, 31), 13, date(2028, 2, 29)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
    ],
)
def test_months_after_a_day(day: date, months: int, then: date) -> None:
    """A month without that day ends on its last day."""
    assert add_months(day, months) == Expiry(months).find_date(day) == then


@pytest.mark.parametrize(
    ("today", "day_of_year", "then"),
    [
        (date(2026, 12, 1), (8, 31), date(2027, 8, 31)),
        (date(2027, 8, 1), (8, 31), date(2027, 8, 31)),  # 30 days are left
        (date(2027, 8, 2), (8, 31), date(2028, 8, 31)),
        (date(2027, 8, 31), (8, 31), date(2028, 8, 31)),  # the day itself
        (date(2027, 9, 1), (8, 31), date(2028, 8, 31)),
        (date(2027, 12, 20), (1, 1), date(2029, 1, 1)),
    ],
)
def test_a_day_of_the_year(today: date, day_of_year: tuple[int, int], then: date) -> None:
    """The next such day that leaves an account at least 30 days."""
    assert Expiry(day_of_year=day_of_year).find_date(today) == then
