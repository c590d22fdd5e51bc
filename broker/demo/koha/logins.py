"""Koha's password check by user name or card number, with the lock-out after wrong tries."""

from enum import Enum, auto
from typing import Any

from broker.demo.koha.database.patron_schema import PatronRow, schema_error
from broker.demo.koha.database.patrons import Patrons
from broker.demo.koha.database.refusals import Refused, internal_error, schema_violation


class PasswordCheck(Enum):
    """The outcome of a check."""

    WRONG = auto()
    RIGHT = auto()
    EXPIRED = auto()  # right, but expired


class Logins:
    """Checks passwords for REST and SIP2, which share the count of wrong tries.

    Source: docs/reference/koha.md#lock-out.
    """

    def __init__(self, patrons: Patrons) -> None:
        self._patrons = patrons

    def is_locked(self, row: PatronRow) -> bool:
        """Return whether wrong tries, or staff (a count below 0), have locked the account."""
        most = self._patrons.administration.preferences.failed_login_attempts
        attempts = row["login_attempts"] or 0
        return attempts < 0 or 0 < most <= attempts

    def check(self, identifier: str, password: str) -> tuple[PasswordCheck, PatronRow | None]:
        """Check the password. Return the outcome and the patron it belongs to.

        Wrong tries count for the patron with this user name, else this card number. For a locked
        account every password is wrong.
        """
        patron: Any = self._patrons.find_patron(identifier)
        if patron is None or self.is_locked(patron):
            return PasswordCheck.WRONG, None
        number = patron["patron_id"]
        proven = self._patrons.find_by_password(identifier, password)
        if proven is None:
            self._patrons.edit(number, login_attempts=(patron["login_attempts"] or 0) + 1)
            return PasswordCheck.WRONG, None
        self._patrons.edit(number, login_attempts=0)
        if self._patrons.password_has_ended(number):
            return PasswordCheck.EXPIRED, proven
        return PasswordCheck.RIGHT, proven

    def validate(self, identifier: str, password: str) -> dict[str, Any]:
        """Return the answer of REST password validation. Raise Refused for a wrong password.

        The answer is 500 if the right password has expired, or if the patron has no card number:
        that answer breaks Koha's own schema.
        """
        outcome, row = self.check(identifier, password)
        if outcome is PasswordCheck.WRONG or row is None:
            raise Refused(400, error="Validation failed")
        if outcome is PasswordCheck.EXPIRED:
            raise internal_error()
        if row["cardnumber"] is None:
            error = schema_error("Expected string - got null.", "/body/cardnumber")
            raise schema_violation(error, status=500)
        return {name: row[name] for name in ("cardnumber", "patron_id", "userid")}

    def knows_user_name(self, userid: str) -> bool:
        """Return whether a patron has this user name."""
        return self._patrons.find_patron(userid, ("userid",)) is not None
