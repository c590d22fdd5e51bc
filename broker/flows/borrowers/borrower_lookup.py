"""Which borrowers a wish is about, as the library system has them now."""

from datetime import datetime

from broker.core.borrowers.borrower import Borrower, Enrolment, Wish
from broker.core.borrowers.pins import is_cpr
from broker.core.errors import LibraryRefused
from broker.core.ports import LibrarySystem


def borrowers_of_wish(library: LibrarySystem, wish: Wish, by: datetime) -> tuple[Borrower, ...]:
    """Give every borrower with the wish's CPR, or without one the borrower of its number.

    LibraryRefused for a wish with neither: it would enrol nobody.
    """
    if wish.cpr is not None:
        return library.find(wish.cpr, by)
    if wish.borrower is None:
        raise LibraryRefused("a wish without a CPR number and without a borrower enrols nobody")
    borrower = library.read(wish.borrower, by)
    return (borrower,) if borrower else ()


def borrower_of_enrolment(
    library: LibrarySystem, enrolment: Enrolment, wish: Wish, by: datetime
) -> tuple[Borrower, ...]:
    """Give the borrower that this enrolment made, if it made any and the desk has given it another number since.

    A desk that copies the record for a sibling copies the mark: it counts on the one that we know,
    or where our create's answer was lost.
    """
    if not enrolment.creates or wish.cpr is None:
        return ()
    known = enrolment.number
    return tuple(each for each in library.marked(enrolment.id, by) if known in {None, each.number})


def temporary(
    library: LibrarySystem, there: tuple[Borrower, ...], wish: Wish, by: datetime
) -> Borrower | None:
    """Give the temporary borrower that the person proved, or None where there is none or the CPR has found it."""
    if (
        wish.cpr is None
        or wish.temporary is None
        or wish.temporary in {each.number for each in there}
    ):
        return None
    return library.read(wish.temporary, by)


def link_still_valid(
    library: LibrarySystem, there: tuple[Borrower, ...], linked: str | None, by: datetime
) -> str | None:
    """Give the number that a link names, or None where the library has deleted or merged that borrower."""
    if linked is None or any(each.number == linked for each in there):
        return linked
    return linked if library.read(linked, by) else None


def borrower_of_identifier(library: LibrarySystem, digits: str, by: datetime) -> Borrower | None:
    """Give the borrower of a CPR or borrower number (of ``pins.whose``); None where it is nobody's, or several have it.

    A borrower with another date of birth is not the CPR number's: a card number may be ten digits
    of a stranger's.
    """
    if not is_cpr(digits):
        return library.read(digits, by)
    there = library.find(digits, by)
    return there[0] if len(there) == 1 and not there[0].is_anothers(digits) else None
