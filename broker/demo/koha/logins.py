"""Koha's check of a password: by user name, then card number, with its count of wrong tries."""

from enum import Enum, auto
from typing import Any

from broker.demo.koha.patron_schema import PatronRow, schema_error
from broker.demo.koha.patrons import Patrons
from broker.demo.koha.refusals import Refused, broken, unfit


class PasswordCheck(Enum):
    """The outcome of a check."""

    WRONG = auto()
    RIGHT = auto()
    ENDED = auto()  # right, but past its expiration date


class Logins:
    """Checks passwords for REST and SIP2; a try counts wherever it is made.

    Source: docs/reference/koha.md#lock-out.
    """

    def __init__(self, patrons: Patrons) -> None:
        self._patrons = patrons

    def is_locked(self, row: PatronRow) -> bool:
        """Return whether an account is shut by wrong tries, or by staff (a count below 0)."""
        most = self._patrons.administration.preferences.failed_login_attempts
        attempts = row["login_attempts"] or 0
        return attempts < 0 or 0 < most <= attempts

    def check(self, identifier: str, password: str) -> tuple[PasswordCheck, PatronRow | None]:
        """Return whether the password is right, and whose it is.

        The count is that of the patron whose user name it is, then card number. A locked account's
        right password is wrong.
        """
        called: Any = self._patrons.called(identifier)
        if called is None or self.is_locked(called):
            return PasswordCheck.WRONG, None
        number = called["patron_id"]
        proven = self._patrons.proven(identifier, password)
        if proven is None:
            self._patrons.edit(number, login_attempts=(called["login_attempts"] or 0) + 1)
            return PasswordCheck.WRONG, None
        self._patrons.edit(number, login_attempts=0)
        if self._patrons.password_has_ended(number):
            return PasswordCheck.ENDED, proven
        return PasswordCheck.RIGHT, proven

    def validate(self, identifier: str, password: str) -> dict[str, Any]:
        """Return the answer of the password validation of REST; Refused for all but a right one.

        A right password is 500 where it has ended, and where its patron has no card number: the
        answer does not fit Koha's own schema.
        """
        outcome, row = self.check(identifier, password)
        if outcome is PasswordCheck.WRONG or row is None:
            raise Refused(400, error="Validation failed")
        if outcome is PasswordCheck.ENDED:
            raise broken()
        if row["cardnumber"] is None:
            error = schema_error("Expected string - got null.", "/body/cardnumber")
            raise unfit(error, status=500)
        return {name: row[name] for name in ("cardnumber", "patron_id", "userid")}

    def knows_user_name(self, userid: str) -> bool:
        """Return whether a patron has this user name."""
        return self._patrons.called(userid, ("userid",)) is not None
