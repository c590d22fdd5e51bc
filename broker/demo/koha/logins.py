"""Koha's password check by user name or card number, with the lock-out after wrong tries."""

from typing import Any

from broker.demo.koha.database.patron_schema import PatronRow, schema_error
from broker.demo.koha.database.patrons import Patrons
from broker.demo.koha.database.refusals import Refused, internal_error, schema_violation


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

    def check(self, identifier: str, password: str) -> PatronRow | None:
        """Return the patron with this number or name and this password, expired or not, or None.

        Wrong tries count for the patron with this user name, else this card number. For a locked
        account every password is wrong.
        """
        patron: Any = self._patrons.find_patron(identifier)
        if patron is None or self.is_locked(patron):
            return None
        proven = self._patrons.find_by_password(identifier, password)
        tries = 0 if proven else (patron["login_attempts"] or 0) + 1
        self._patrons.edit(patron["patron_id"], login_attempts=tries)
        return proven

    def validate(self, identifier: str, password: str) -> dict[str, Any]:
        """Return the answer of REST password validation. Raise Refused for a wrong password.

        The answer is 500 if the right password has expired, or if the patron has no card number:
        that answer breaks Koha's own schema.
        """
        row = self.check(identifier, password)
        if row is None:
            raise Refused(400, error="Validation failed")
        if self._patrons.passwords.has_expired(row["patron_id"]):
            raise internal_error()
        if row["cardnumber"] is None:
            error = schema_error("Expected string - got null.", "/body/cardnumber")
            raise schema_violation(error, status=500)
        return {name: row[name] for name in ("cardnumber", "patron_id", "userid")}
