"""The account that an example or a site rule expects: its category, or that none is made."""

from typing import Any, Final, Literal

from broker.files.checked_files import Shape
from broker.files.policies.value_syntax import OneLineText

NO_BORROWER: Final = "none"


def _without_description(schema: dict[str, Any]) -> None:
    """Take the description out: an editor would show it in place of the key's own."""
    schema.pop("description", None)


class ExpectBorrowerShape(Shape, json_schema_extra=_without_description):
    """The category of the borrower that is expected."""

    category: OneLineText


ExpectedBorrower = ExpectBorrowerShape | Literal["none"]


def expected_category(written: ExpectedBorrower | None) -> str | None:
    """Return the category that is expected; None where none is, or no account at all."""
    return written.category if isinstance(written, ExpectBorrowerShape) else None
