"""The staff view: where staff log in, what their login must prove, and which pages they see."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.core.entities import Assurance
from broker.core.errors import BrokerError
from broker.core.identity.accepted_text import find_scoped_text_fault
from broker.core.identity.attribute_values import is_in_scope, read_role
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    EPPN,
    AttributeReading,
    list_affiliations,
)
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.rights import IDENTIFIED_ROLES


class StaffRole(StrEnum):
    """The role of a member of staff; one person may have both."""

    IDENTITY_ADMIN = "identity-admin"
    SERVICE_DESK = "service-desk"


class StaffPage(StrEnum):
    """The pages of the staff view. The values are their names in the audit log."""

    PERSON = "person"
    TRY = "try"


SUBJECT_ID: Final = "subject-id"
_REAL: Final = "real"

# Borrowers are the work of the service desk, policies the work of identity admins. To an identity
# admin the page of a person shows only why a login was refused.
PAGES: Final[Mapping[StaffRole, tuple[StaffPage, ...]]] = {
    StaffRole.IDENTITY_ADMIN: (StaffPage.PERSON, StaffPage.TRY),
    StaffRole.SERVICE_DESK: (StaffPage.PERSON,),
}


class StaffLoginNeeded(BrokerError):
    """The browser has no session of the staff view, or the session has ended."""

    reason = "staff_login_needed"
    http = 403


class StaffRefused(BrokerError):
    """A login that does not open the staff view; ``str(error)`` is the code of the reason."""

    reason = "staff_refused"
    http = 403


class StaffRoleMissing(BrokerError):
    """A page of the staff view that the person's roles do not include."""

    reason = "staff_role_missing"
    http = 403


@dataclass(frozen=True, slots=True)
class StaffRules:
    """The table ``[admin]``: upstream and institution of staff logins, and the roles by eppn.

    The policies do not matter: no policy set can open or close the staff view.
    """

    upstream: str
    institution: str
    roles: Mapping[str, frozenset[StaffRole]]
    assurance: Assurance = Assurance.SUBSTANTIAL


@dataclass(frozen=True, slots=True, repr=False)
class StaffIdentity:
    """An eppn of ``[admin]``, and the lasting identifier that the first login binds to it."""

    eppn: str
    identifier_type: str
    identifier: str


def identify_staff(reading: AttributeReading, rules: StaffRules) -> StaffIdentity:
    """Return the identity of a listed member of staff.

    Raises StaffRefused with the code of the first condition that the login does not meet. An eppn
    is not enough to open the staff view: institutions reassign it.
    """
    eppn = reading.attributes.one(EPPN)
    if eppn is None:
        raise StaffRefused("no_eppn")
    if not rules.roles.get(eppn):
        raise StaffRefused("not_listed")
    if IDENTIFIED_ROLES.isdisjoint(map(read_role, list_affiliations(reading))):
        raise StaffRefused("affiliation")
    if reading.assurance is None or reading.assurance < rules.assurance:
        raise StaffRefused("assurance_too_low")
    subject_id = reading.attributes.one(SUBJECT_ID)
    if subject_id is not None:
        return StaffIdentity(eppn, SUBJECT_ID, subject_id)
    cpr_number = reading.attributes.one(CPR_ATTRIBUTE)
    if cpr_number is not None and reading.cpr == _REAL:
        return StaffIdentity(eppn, CPR_ATTRIBUTE, cpr_number)
    raise StaffRefused("no_lasting_identifier")


def list_pages(roles: frozenset[StaffRole]) -> tuple[StaffPage, ...]:
    """Return the pages that a person with ``roles`` may see, in the order of the view."""
    return tuple(page for page in StaffPage if any(page in PAGES[role] for role in roles))


def eppn_fault(eppn: str) -> str | None:
    """Return in words why no login can assert this eppn; None if a login can.

    The limits are those of an asserted eppn (docs/reference/attacks.md#21).
    """
    local, _, scope = eppn.partition("@")
    is_plain = is_in_scope(eppn, "exact", (scope,)) and not find_scoped_text_fault(eppn)
    if local and is_plain and not looks_like_cpr(eppn):
        return None
    what = "one name, which is no CPR number, one @ and the institution's scope in small letters"
    return f"is no eppn: {what}, as kirsten@au.dk"
