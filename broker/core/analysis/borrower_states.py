"""The borrowers that a person may have before a login, as far as rules tell them apart."""

from collections.abc import Iterator, Sequence
from typing import Final

from broker.core.borrowers.library_setup import categories_of
from broker.core.login.described_login import DescribedBorrower
from broker.core.policy.model import BorrowerRule

OTHER_CATEGORY: Final = "(another category)"


def borrowers(rules: Sequence[BorrowerRule | None]) -> Iterator[DescribedBorrower]:
    """Yield a borrower of each category that the rules name, and of one other."""
    categories: dict[str, None] = {}
    for rule in rules:
        if rule is not None:
            categories |= dict.fromkeys(categories_of(rule))
    for category in (*categories, OTHER_CATEGORY):
        yield DescribedBorrower(category, linked=True)
