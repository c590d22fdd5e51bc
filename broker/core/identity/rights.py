"""The rules for a usable CPR number, and the rights of a person by the proof of identity.

``RIGHTS`` says what a login permits; a mailed link permits a new PIN without a login. Only a usable
CPR number, or a library number with its PIN, leads to a borrower: never eduPersonPrincipalName,
cprUuid, name or mail address. A CPR number that is not usable counts as absent everywhere, because
institutions let guests type a number.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

from broker.core.entities import Assurance, Institution
from broker.core.identity.attribute_values import is_in_scope, read_role


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

    USE_BORROWER = "use_borrower"  # find the own borrower; log in to services that need one
    WRITE_BORROWER = "write_borrower"  # create a borrower, raise its category, write its fields
    LOWER_CATEGORY = "lower_category"
    CHOOSE_PIN = "choose_pin"
    MANAGE_STORED_DATA = "manage_stored_data"  # see and delete the stored data
    WITHDRAW_CONSENT = "withdraw_consent"


# The national eID or an institution has identified the person. By the other grounds the person may
# have typed the number.
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
# Identifiers that an upstream never reassigns.
LASTING_IDENTIFIERS: Final = ("subject-id", "pairwise-id", "cprUuid")


def has_right(ground: Ground, right: Right) -> bool:
    """Return whether a login on this ground has the right.

    The policies may permit less. Choosing a PIN, managing stored data and withdrawing consent also
    need a login that was made for this purpose a few minutes ago.
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


MAY_ASSERT_CPR: Final = "cpr"
# Some alumni portals let people register themselves, so an administrator states this separately.
MAY_ASSERT_ALUMNI_CPR: Final = "alumni_cpr"

# The affiliations whose people an institution has identified. ``affiliate``, ``library-walk-in``
# and unknown words are not in the list.
IDENTIFIED_ROLES: Final = frozenset({"student", "employee", "staff", "faculty", "member"})
ALUMNI_ROLE: Final = "alum"

# The reason code of a real number that is not usable.
NOT_USABLE: Final = "not_usable"
# The reason codes of numbers that are not real ones, by their kind.
NOT_REAL: Final[Mapping[str, str]] = {
    "replacement": "replacement_number",
    "constructed": "constructed_number",
}


def find_cpr_ground(
    institution: Institution, assurance: Assurance | None, affiliations: Iterable[str]
) -> Ground | None:
    """Return what makes a real CPR number of ``institution`` usable; None if it is not.

    ``affiliations`` are the values that were accepted. A value of another institution's scope does
    not count. A missing assurance is below low.
    """
    if MAY_ASSERT_CPR not in institution.may_assert or assurance is None:
        return None
    if institution.national_eid:
        return Ground.NATIONAL_EID if assurance >= Assurance.SUBSTANTIAL else None
    roles = {read_role(value) for value in affiliations if _is_own(value, institution)}
    return _find_by_roles(roles, assurance, alumni=MAY_ASSERT_ALUMNI_CPR in institution.may_assert)


def assume_cpr_ground(assurance: Assurance | None, affiliations: Iterable[str]) -> Ground | None:
    """Return what makes a real CPR number usable in a described login of no known institution.

    Examples of policies and the analysis describe such logins. The institution is assumed to be
    configured for what the login brings.
    """
    roles = set(map(read_role, affiliations))
    if not roles and assurance is not None and assurance >= Assurance.SUBSTANTIAL:
        return Ground.NATIONAL_EID
    return _find_by_roles(roles, assurance, alumni=True)


def missing_cpr_reason(kind: str) -> str:
    """Return the reason code of a login without a usable number; ``kind`` is the number's kind."""
    return NOT_REAL.get(kind, "cpr_required")


def _find_by_roles(roles: set[str], assurance: Assurance | None, *, alumni: bool) -> Ground | None:
    if assurance is None or assurance < Assurance.LOW:
        return None
    if not roles.isdisjoint(IDENTIFIED_ROLES):
        return Ground.INSTITUTION
    return Ground.ALUMNI if alumni and ALUMNI_ROLE in roles else None


def _is_own(affiliation: str, institution: Institution) -> bool:
    """Return whether an affiliation has no scope, or one of the institution or a part of it."""
    return "@" not in affiliation or is_in_scope(affiliation, "sub", institution.scopes)
