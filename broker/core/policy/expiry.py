"""When a borrower account expires: some months after a login, or on a day of the year."""

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Final

# A day of the year that is nearer than this counts as next year's.
LEAST_DAYS: Final = 30
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of an account: ``months`` after a login, or the next ``day_of_year``.

    ``day_of_year`` is month and day of the month; then ``months`` does not count.
    """

    months: int = 0
    day_of_year: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Return ``for 12 months`` or ``until 31 August``."""
        if self.day_of_year is None:
            return f"for {self.months} months"
        month, day = self.day_of_year
        return f"until {day} {MONTHS[month - 1]}"

    def find_date(self, today: date) -> date:
        """Return the day on which an account that is made or renewed ``today`` expires.

        An account lasts at least 30 days: if the day of the year is nearer, that of the next year
        counts.
        """
        if self.day_of_year is None:
            return add_months(today, self.months)
        years = (today.year, today.year + 1, today.year + 2)
        days = (date(year, *self.day_of_year) for year in years)
        return next(day for day in days if (day - today).days >= LEAST_DAYS)


def add_months(day: date, months: int) -> date:
    """Return the same day ``months`` later, the month's last day where it has none such."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    last_day = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last_day))
