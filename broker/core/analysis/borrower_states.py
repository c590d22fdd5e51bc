"""The borrowers that a person may have before a login, as far as rules tell them apart."""

from collections.abc import Iterator, Sequence
from typing import Final

from broker.core.borrowers.library_setup import categories_of
from broker.core.login.described_login import DescribedBorrower
from broker.core.policy.model import BorrowerRule

OTHER_CATEGORY: Final = "(another category)"


def borrowers(rules: Sequence[BorrowerRule | None]) -> Iterator[DescribedBorrower]:
    """Yield a borrower of each category the rules name, of one other, and without a CPR."""
    categories: dict[str, None] = {}
    temporary: dict[str, None] = {}
    for rule in rules:
        if rule is not None:
            categories |= dict.fromkeys(categories_of(rule))
            temporary |= dict.fromkeys(rule.temporary)
    for category in (*categories, OTHER_CATEGORY):
        yield DescribedBorrower(category, linked=True)
    if temporary:  # else they are found by nobody, as if there were none
        for category in (*temporary, OTHER_CATEGORY):
            yield DescribedBorrower(category, temporary=True)
