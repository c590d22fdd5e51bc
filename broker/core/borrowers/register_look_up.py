"""A look-up in the register of persons, and the address that its answer gives a borrower."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.core.borrowers import field_values
from broker.core.borrowers.registered_person import RegisteredAddress
from broker.core.entities import Names
from broker.core.policy.model import RegisterRule

# Every connector that can write an address knows them by these names.
_STREET: Final = "address"
_SECOND_LINE: Final = "address2"
_POSTAL_CODE: Final = "postal_code"
_CITY: Final = "city"
ADDRESS_FIELDS: Final[Names] = (_STREET, _SECOND_LINE, _POSTAL_CODE, _CITY)


def address_fields(address: RegisteredAddress) -> Mapping[str, str] | None:
    """Return every address field with its text, or None if mail would not arrive.

    If there is no street, the place goes into the street line. An address needs a street or place,
    a postal code and a city.
    """
    street = address.street or address.place
    second_line = [f"c/o {address.care_of}"] if address.care_of else []
    if address.street and address.place:
        second_line.append(address.place)
    lines = {
        _STREET: street,
        _SECOND_LINE: ", ".join(second_line),
        _POSTAL_CODE: address.postal_code,
        _CITY: address.city,
    }
    fields = {name: field_values.make_harmless(name, text) or "" for name, text in lines.items()}
    if not (fields[_STREET] and fields[_POSTAL_CODE] and fields[_CITY]):
        return None
    return fields


GIVE_UP_AFTER: Final = timedelta(days=30)
ADDRESS_REFUSED: Final = "address_refused"
REFRESH_AFTER: Final = timedelta(days=90)


class LookUpReason(StrEnum):
    """The task that a look-up serves, because the CPR law (section 31) allows no other look-ups."""

    ENROLMENT = "enrolment"  # a borrower was found or made
    REFRESH = "refresh"  # a login after ``REFRESH_AFTER``


class LookUpOutcome(StrEnum):
    """The result of a look-up, for log, metric and audit log."""

    UNCHANGED = "unchanged"
    WRITTEN = "written"
    PROTECTED = "protected"  # the address stays in the register
    NOT_ACTIVE = "not_active"  # nothing is written, a note is left for staff
    NOT_WRITTEN = "not_written"  # the library system refuses the address
    NO_BORROWER = "no_borrower"  # the CPR number no longer leads to that borrower
    UNREADABLE = "unreadable"  # the register's record of the person cannot be read
    GIVEN_UP = "given_up"  # no answer within ``GIVE_UP_AFTER``


@dataclass(frozen=True, slots=True, repr=False)
class RegisterLookUp:
    """A look-up that is due, with the CPR number that it needs.

    ``borrower_number`` is the borrower that gets the address.
    """

    cpr: str
    borrower_number: str
    reason: LookUpReason
    rule: RegisterRule
    requested_at: datetime
    due_at: datetime
    attempts: int = 0

    def is_too_old(self, now: datetime) -> bool:
        """Return whether the look-up was requested so long ago that it is given up."""
        return now - self.requested_at >= GIVE_UP_AFTER

    def postpone(self, due_at: datetime) -> "RegisterLookUp":
        """Return the look-up after a failed attempt, to be tried again at ``due_at``."""
        return replace(self, due_at=due_at, attempts=self.attempts + 1)


def address_changes(
    address: RegisteredAddress | None, present: Mapping[str, str], rule: RegisterRule
) -> tuple[tuple[str, str], ...]:
    """Return the fields to write into a borrower whose fields are ``present``.

    An address is written as a whole, because the lines of two addresses make a wrong one.
    """
    fields = address_fields(address) if address else None
    if fields is None or rule.address == "never":
        return ()
    if rule.address == "set_if_empty" and any(present.get(name) for name in ADDRESS_FIELDS):
        return ()
    if all(present.get(name, "") == text for name, text in fields.items()):
        return ()
    return tuple((name, text) for name, text in fields.items() if text or present.get(name))
