"""The mend of one borrower: what a login would do, of a borrower that is as it was compared."""

from dataclasses import dataclass
from typing import NoReturn

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change, Nothing, Plan
from broker.core.borrowers.enrolment import Granted
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Names
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.use_cases.borrowers.enrolment_attempt import EnrolmentAttempt
from broker.use_cases.borrowers.leased_enrolment import Overtaken


class NotMended(Exception):
    """A borrower was not mended; the text says why, without a personal value."""


@dataclass(slots=True)
class BorrowerMend(EnrolmentAttempt):
    """The mend of ``borrower``, for a wish that is in ``entry`` and not in the store.

    Nobody else ever carries such a wish out: what staff, or a login, have done by then counts more.
    """

    borrower: Borrower

    def mend(self) -> bool:
        """Mend it and write that; False where somebody else has changed it meanwhile. NotMended."""
        try:
            self._enrol()
        except Overtaken:
            return False
        except (LibraryUnavailable, LibraryRefused) as error:
            self._tell_held_up(error)
            raise NotMended(f"{error.reason}: {error}") from error
        return True

    def _carry_out(self, planned: Plan, borrower: Borrower | None, wish: Wish) -> None:
        if isinstance(planned, Nothing | Change) and not self._is_as_compared(borrower):
            raise Overtaken
        super(BorrowerMend, self)._carry_out(planned, borrower, wish)

    def _is_as_compared(self, found: Borrower | None) -> bool:
        """Return whether the CPR number leads to the borrower that was compared, as it was then."""
        was = self.borrower
        if found is None or found.number != was.number:
            return False
        before = (was.category, was.expires, was.mark)
        return (found.category, found.expires, found.mark) == before

    def _granted(self, borrower: Borrower, wish: Wish) -> Granted | None:
        # What staff gave is not granted by a mend: it would be lowered later as if a login had.
        before = self.entry.enrolment
        if wish.lowers:
            return before.grant(borrower, wish)
        return before.granted

    def _case(self, reason: str, cause: str | None = None, borrowers: Names = ()) -> NoReturn:
        numbers = ", ".join(borrowers)
        raise NotMended(": ".join(filter(None, (reason, cause, numbers))))

    def _give_up(self, reason: str | None) -> NoReturn:
        raise NotMended(reason or "given_up")
