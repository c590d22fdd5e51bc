"""The borrowers that a wish or a typed number is about, as the library system has them now."""

from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import LibraryRefused
from broker.core.ports import LibrarySystem


def borrower_without_cpr(
    library: LibrarySystem,
    wish: Wish,
    by: datetime,
) -> tuple[Borrower, ...]:
    """Return the borrower of the number in a wish without a CPR, if it is there.

    LibraryRefused for a wish with neither: it would enrol nobody.
    """
    if wish.borrower is None:
        raise LibraryRefused("a wish without a CPR number and without a borrower enrols nobody")
    borrower = library.read(wish.borrower, by)
    return (borrower,) if borrower else ()


def borrower_of_enrolment(
    library: LibrarySystem,
    enrolment: Enrolment,
    wish: Wish,
    by: datetime,
) -> tuple[Borrower, ...]:
    """Return the borrower that this enrolment made, if staff have given it another number since.

    Staff who copy the record for a sibling copy the mark: it counts on the one that we know, or
    where our create's answer was lost.
    """
    if not enrolment.creates or wish.cpr is None:
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


def link_still_valid(
    library: LibrarySystem,
    found: tuple[Borrower, ...],
    linked: str | None,
    by: datetime,
) -> str | None:
    """Return the number of a link; None where the library has deleted or merged that borrower."""
    if linked is None or linked in {borrower.number for borrower in found}:
        return linked
    if library.read(linked, by) is None:
        return None
    return linked
