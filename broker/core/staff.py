"""The people of the staff view: where they log in, and what each of them may see."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.core.errors import BrokerError
from broker.core.identity.accepted_text import scoped_text_fault
from broker.core.identity.attribute_values import carries_cpr


class StaffRole(StrEnum):
    """What somebody of the staff does here; one person may have both."""

    IDENTITY_ADMIN = "identity-admin"
    SERVICE_DESK = "service-desk"


class StaffPage(StrEnum):
    """The pages of the staff view, by the words that the trail has for them."""

    LIVE = "live"
    REPORT = "report"
    TRY = "try"
    EXPLAIN = "explain"
    DESK = "desk"


# The desk answers a caller; whether the policies are right is not its work, and the accounts of
# borrowers are none of the identity admins'.
PAGES: Final[Mapping[StaffRole, tuple[StaffPage, ...]]] = {
    StaffRole.IDENTITY_ADMIN: (StaffPage.LIVE, StaffPage.REPORT, StaffPage.TRY, StaffPage.EXPLAIN),
    StaffRole.SERVICE_DESK: (StaffPage.DESK, StaffPage.EXPLAIN),
}


class StaffLoginNeeded(BrokerError):
    """Nobody of the staff is logged in in this browser, or no longer."""

    reason = "staff_login_needed"
    http = 403


class StaffRefused(BrokerError):
    """Somebody has logged in who is none of the staff; ``str(error)`` is a code of ours."""

    reason = "staff_refused"
    http = 403


class StaffRoleMissing(BrokerError):
    """A page of the staff view that none of the person's roles may see."""

    reason = "staff_role_missing"
    http = 403


@dataclass(frozen=True, slots=True)
class StaffRules:
    """Which upstream and which institution behind it log staff in, and the roles by eppn.

    From broker.toml alone: no set of policies lets anybody in here, or locks anybody out.
    """

    upstream: str
    institution: str
    roles: Mapping[str, frozenset[StaffRole]]


def pages_of(roles: frozenset[StaffRole]) -> tuple[StaffPage, ...]:
    """Return the pages that somebody with ``roles`` may see, in the order of the view."""
    return tuple(page for page in StaffPage if any(page in PAGES[role] for role in roles))


def eppn_fault(eppn: str) -> str | None:
    """Return why no login can bring this eppn, in words; None for one that a login can bring.

    The bounds are those of an asserted eppn (docs/reference/attacks.md#21).
    """
    local, _, scope = eppn.partition("@")
    if not local or not scope or "@" in scope:
        return "is no eppn: one name, one @ and the institution's scope, as kirsten@au.dk"
    if scope != scope.lower():
        return "has a scope in capital letters, which is compared in small ones"
    if scoped_text_fault(eppn):
        return "holds characters that no eppn has, or too many of them"
    if carries_cpr(eppn, opaque=False):
        return "looks like a CPR number, which is nobody's name here"
    return None
