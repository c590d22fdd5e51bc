"""The borrowers that a wish is about beside those of its CPR number, as they are now."""

from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.ports import LibrarySystem


def made_by_enrolment(
    library: LibrarySystem, enrolment: Enrolment | None, by: datetime
) -> tuple[Borrower, ...]:
    """Return the borrower that an enrolment made, for when its CPR number finds none.

    Staff have given it another number since. They may copy its record for a sibling, mark and all:
    the mark counts on the one that we know, or where our create's answer was lost.
    """
    if enrolment is None:
        return ()
    if not enrolment.creates:
        return ()
    marked = library.marked(enrolment.id, by)
    return tuple(each for each in marked if enrolment.number in {None, each.number})


def temporary(
    library: LibrarySystem, found: tuple[Borrower, ...], wish: Wish, by: datetime
) -> Borrower | None:
    """Return the temporary borrower that the person proved; None where the CPR has found it."""
    if wish.cpr is None or wish.temporary is None:
        return None
    if wish.temporary in {borrower.number for borrower in found}:
        return None
    return library.read(wish.temporary, by)
