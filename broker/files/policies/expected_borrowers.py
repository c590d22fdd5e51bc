"""The account that an example or a site rule expects: its category, or that none is made."""

from typing import Final, Literal

from broker.files.checked_files import Shape
from broker.files.policies.value_syntax import OneLineText

NO_BORROWER: Final = "none"


class ExpectBorrowerShape(Shape):
    """The category of the borrower that is expected."""

    category: OneLineText


ExpectedBorrower = ExpectBorrowerShape | Literal["none"]


def expected_category(written: ExpectedBorrower | None) -> str | None:
    """Return the category that is expected; None where none is, or no account at all."""
    return written.category if isinstance(written, ExpectBorrowerShape) else None
