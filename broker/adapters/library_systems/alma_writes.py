"""Whole users that are read from Alma and written back at once: what staff write between is lost.

Nothing that Alma answers shows it afterwards, so that the only help is to leave no time between the
two calls (docs/alma.md#writes).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from broker.adapters.http_exchange import moment
from broker.adapters.library_systems import alma_refusals, alma_requests, alma_users
from broker.adapters.library_systems.alma_changes import Draft
from broker.adapters.library_systems.alma_requests import AlmaAnswer, Calls
from broker.adapters.library_systems.alma_searches import UserSearches
from broker.adapters.library_systems.alma_users import User
from broker.core.errors import (
    CallNotMade,
    ChangeUnanswered,
    LibraryError,
    LibraryRefused,
    LibraryUnavailable,
)

Query = Mapping[str, str | Sequence[str]]

# What staff write about somebody, and nobody else does.
_OF_STAFF: Final = {"user_block": "block", "user_note": "note"}


class Written(NamedTuple):
    """A user as it was sent, and what Alma answered."""

    sent: Draft
    answer: AlmaAnswer


class WholeWrites:
    """Reads and writes whole users of one Alma."""

    def __init__(self, calls: Calls, searches: UserSearches, timeout: float) -> None:
        self._calls = calls
        self._searches = searches
        self._timeout = timeout

    def write(
        self,
        number: str,
        operation: str,
        draft: Callable[[User], Draft],
        query: Query,
        deadline: datetime,
    ) -> Written:
        """Write back what ``draft`` makes of the user of a number.

        The turns of both calls are waited for before the first. LibraryRefused where there is no
        such user, CallNotMade where nothing was written; ChangeUnanswered where nobody knows.
        """
        attempt = 0
        while True:
            user = self._present(number, deadline, operation)
            if user is None:
                raise LibraryRefused(f"{operation}: no such borrower")
            sent = draft(user)
            answer = self._put(number, sent, operation, query, deadline)
            if answer.code != alma_refusals.PER_SECOND:
                return Written(sent, answer)
            # By the end of the pause staff may have changed the user: it is read anew.
            self._calls.budget.back_off(attempt, moment(deadline, self._timeout))
            attempt += 1

    def _present(self, number: str, deadline: datetime, operation: str) -> User | None:
        """Return the user as it is; CallNotMade where Alma does not say: nothing was written."""
        try:
            return self._searches.numbered(number, deadline, operation, turns=2)
        except LibraryUnavailable as error:
            raise CallNotMade(str(error), error.setting) from error

    def look_back(self, number: str, written: Written, deadline: datetime) -> User | None:
        """Return the user as it is after a write, None where Alma does not say.

        LibraryRefused where a block or a note is gone that was read and sent: Alma has not taken
        it, or a write of ours that had no answer came after all. LibraryUnavailable where the user
        is gone.
        """
        demand_kept(written.sent, written.answer.body)
        try:
            after = self._searches.numbered(number, deadline, "look_back")
        except LibraryError:
            # The answer to the write was sound, and the next look sees what became of it.
            return None
        if after is None:
            raise LibraryUnavailable("change: the user is gone")
        demand_kept(written.sent, after)
        return after

    def _put(
        self, number: str, body: Draft, operation: str, query: Query, deadline: datetime
    ) -> AlmaAnswer:
        asked = {name: value for name, value in query.items() if value}
        path = alma_requests.numbered_path(number, **asked)
        call = self._calls.call
        try:
            return call(operation, "PUT", path, deadline, body=body, turns=0)
        except CallNotMade:
            raise
        except LibraryUnavailable as error:
            raise ChangeUnanswered(str(error), error.setting) from error


def demand_kept(sent: User, after: User) -> None:
    """Raise LibraryRefused where a user has fewer blocks or notes than were sent."""
    for listed, name in _OF_STAFF.items():
        lost = _count(sent, listed) - _count(after, listed)
        if lost > 0:
            words = f"{lost} {name} of the user gone with it: staff must look"
            raise LibraryRefused(f"change: Alma took it, and {words}")


def _count(user: User, listed: str) -> int:
    return len(alma_users.entries(user.get(listed)))
