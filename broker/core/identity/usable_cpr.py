"""What makes a CPR number usable. A number that is not usable counts as absent, everywhere.

Institutions let guests type a number, so the list names the people whose number counts.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from broker.core.entities import Assurance, Institution
from broker.core.identity.affiliations import role
from broker.core.identity.attribute_values import in_scope
from broker.core.identity.rights import Ground

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
    roles = {role(value) for value in affiliations if _is_own(value, institution)}
    return _find_by_roles(roles, assurance, alumni=MAY_ASSERT_ALUMNI_CPR in institution.may_assert)


def assume_cpr_ground(assurance: Assurance | None, affiliations: Iterable[str]) -> Ground | None:
    """Return what makes a real CPR number usable in a described login of no known institution.

    Examples of policies and the analysis describe such logins. The institution is assumed to be
    configured for what the login brings.
    """
    roles = set(map(role, affiliations))
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
    return "@" not in affiliation or in_scope(affiliation, "sub", institution.scopes)
