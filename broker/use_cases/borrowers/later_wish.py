"""The later wish: it keeps what was agreed to, proved and owed by the wish that it replaces."""

from dataclasses import replace
from typing import Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish

_UNFINISHED: Final = frozenset({EnrolmentState.WANTED, EnrolmentState.CASE})


def later_wish(before: Enrolment, wish: Wish) -> Wish:
    """Return ``wish`` with what it keeps of the wish of ``before``."""
    earlier = before.wish
    if earlier is None:
        return wish
    if before.state is EnrolmentState.WANTED:
        wish = _agreed(earlier, wish)
    if before.state in _UNFINISHED:
        wish = _proved(earlier, wish)
    return wish


def _agreed(earlier: Wish, wish: Wish) -> Wish:
    """Keep that a person agreed while the library was down: a later login had nothing to offer."""
    if earlier.category != wish.category:
        return wish
    return replace(wish, upgrade=wish.upgrade or earlier.upgrade)


def _proved(earlier: Wish, wish: Wish) -> Wish:
    """Keep that a temporary borrower was proved.

    A login that does not prove it again makes no second borrower, and hides no case.
    """
    if not earlier.temporary:
        return wish
    temporary = wish.temporary or earlier.temporary
    adopts = dict.fromkeys([*wish.adopts, *earlier.adopts])
    confirmed = earlier.confirmed and temporary == earlier.temporary
    return replace(wish, temporary=temporary, adopts=tuple(adopts), confirmed=confirmed)
