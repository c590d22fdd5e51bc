"""The ages that a change is about, in words."""

import pytest

from broker.core.analysis.partial_logins import AgeRange
from broker.core.analysis.row_ages import in_words


@pytest.mark.parametrize(
    ("ages", "words"),
    [
        ([AgeRange()], ""),
        ([AgeRange(15, 18)], "age 15 to 17"),
        ([AgeRange(15, 16)], "age 15"),
        ([AgeRange(0, 15)], "under 15"),
        ([AgeRange(18)], "from age 18"),
        ([AgeRange(18), AgeRange(15, 18)], "from age 15"),
        ([AgeRange(0, 15), AgeRange(15)], ""),
        ([AgeRange(0, 13), AgeRange(18)], "under 13, from age 18"),
        ([AgeRange(15, 18), None], ""),
        ([], ""),
    ],
)
def test_ages_are_joined_and_said(ages: list[AgeRange | None], words: str) -> None:
    """Nothing where every age is among them, or people of whom no age is known."""
    assert in_words(ages) == words
