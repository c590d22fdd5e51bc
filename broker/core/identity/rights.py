"""The rights of a person, by the proof of identity that their login brings.

``RIGHTS`` is the only place that says who may do what. No other identifier leads to a borrower: no
eduPersonPrincipalName, cprUuid, name or mail address.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class Ground(StrEnum):
    """The strongest proof of identity in a login. Each login has exactly one."""

    NATIONAL_EID = "national_eid"  # a usable CPR number from the national eID
    INSTITUTION = "institution"  # a usable CPR number of a student or an employee
    ALUMNI = "alumni"  # a usable CPR number of a former student
    LIBRARY_ACCOUNT = "library_account"  # number and PIN, checked by the library system
    IDENTIFIER = "identifier"  # no usable CPR number; an identifier that is never reassigned
    NOTHING = "nothing"  # an eduPersonPrincipalName, which may be reassigned, or no identifier


class Right(StrEnum):
    """An action that a login may permit."""

    USE_BORROWER = "use_borrower"  # be led to one's borrower; log in to services that need one
    WRITE_BORROWER = "write_borrower"  # create or raise a borrower, write its fields
    LOWER_CATEGORY = "lower_category"
    CHOOSE_PIN = "choose_pin"
    MANAGE_STORED_DATA = "manage_stored_data"  # see and delete the stored data
    WITHDRAW_CONSENT = "withdraw_consent"


# Institutions identify these people. Another CPR number may have been typed by its sender.
_IDENTIFIED: Final = frozenset({Ground.NATIONAL_EID, Ground.INSTITUTION})
_USABLE_CPR: Final = _IDENTIFIED | {Ground.ALUMNI}

RIGHTS: Final[Mapping[Right, frozenset[Ground]]] = {
    Right.USE_BORROWER: _USABLE_CPR | {Ground.LIBRARY_ACCOUNT},
    Right.WRITE_BORROWER: _IDENTIFIED,
    Right.LOWER_CATEGORY: _USABLE_CPR,
    Right.CHOOSE_PIN: _IDENTIFIED,
    Right.MANAGE_STORED_DATA: _IDENTIFIED | {Ground.IDENTIFIER},
    Right.WITHDRAW_CONSENT: frozenset(Ground),
}
# These rights need a login that was made for this purpose a few minutes ago.
NEEDS_FRESH_LOGIN: Final = frozenset(
    {Right.CHOOSE_PIN, Right.MANAGE_STORED_DATA, Right.WITHDRAW_CONSENT}
)
# Identifiers that an upstream never reassigns.
LASTING_IDENTIFIERS: Final = ("subject-id", "pairwise-id", "cprUuid")


def has_right(ground: Ground, right: Right) -> bool:
    """Return whether a login on this ground has the right.

    The policies may permit less. ``NEEDS_FRESH_LOGIN`` says where the login must be a fresh one.
    """
    return ground in RIGHTS[right]


def has_usable_cpr(ground: Ground) -> bool:
    """Return whether the login brings a usable CPR number."""
    return ground in _USABLE_CPR


def find_ground_without_cpr(
    identifiers: Collection[str], *, is_library_account: bool, has_persistent_name_id: bool
) -> Ground:
    """Return the ground of a login without a usable CPR number.

    ``identifiers`` are the names of the attributes that the login carries.
    """
    if is_library_account:
        return Ground.LIBRARY_ACCOUNT
    if has_persistent_name_id or any(name in identifiers for name in LASTING_IDENTIFIERS):
        return Ground.IDENTIFIER
    return Ground.NOTHING
