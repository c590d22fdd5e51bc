"""The borrowers that a wish or a typed number is about, as the library system has them now."""

from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.pins import is_cpr
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.ports import LibrarySystem


def made_by_enrolment(
    library: LibrarySystem,
    enrolment: Enrolment | None,
    by: datetime,
) -> tuple[Borrower, ...]:
    """Return the borrower that an enrolment made, for when its CPR number finds none.

    Staff have given it another number since. They may copy its record for a sibling, mark and all:
    the mark counts on the one that we know, or where our create's answer was lost.
    """
    if enrolment is None or not enrolment.creates:
        return ()
    marked = library.marked(enrolment.id, by)
    return tuple(each for each in marked if enrolment.number in {None, each.number})


def temporary(
    library: LibrarySystem,
    found: tuple[Borrower, ...],
    wish: Wish,
    by: datetime,
) -> Borrower | None:
    """Return the temporary borrower that the person proved; None where the CPR has found it."""
    if wish.cpr is None or wish.temporary is None:
        return None
    if wish.temporary in {borrower.number for borrower in found}:
        return None
    return library.read(wish.temporary, by)


def borrower_of_identifier(
    library: LibrarySystem,
    digits: str,
    by: datetime,
) -> Borrower | None:
    """Return the borrower of a CPR or borrower number (of ``pins.identifier_of``).

    None where it is nobody's, or several have it. A borrower with another date of birth is not the
    CPR number's: a card number may be ten digits of a stranger's.
    """
    if not is_cpr(digits):
        return library.read(digits, by)
    found = library.find(digits, by)
    if len(found) != 1 or found[0].is_anothers(digits):
        return None
    return found[0]
