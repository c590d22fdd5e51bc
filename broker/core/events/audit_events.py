"""The events of the audit log, and the facts that they may carry, none of them personal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from broker.core.policy.model import Decision


class AuditEventKind(StrEnum):
    """Every kind of event in the audit log; docs/audit.md says when each occurs."""

    DECIDED = "decided"
    RELEASED = "released"
    NOT_RELEASED = "not_released"  # a release that was recorded, and then not sent
    REFUSED = "refused"
    CONSENT_GIVEN = "consent_given"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    NOTICE_SEEN = "notice_seen"
    NOTICE_FORGOTTEN = "notice_forgotten"
    UPGRADE_ACCEPTED = "upgrade_accepted"
    UPGRADE_DECLINED = "upgrade_declined"
    CPR_REVEALED = "cpr_revealed"
    RECORDS_SHOWN = "records_shown"  # to their person
    FORGET_ASKED = "forget_asked"  # by the person themselves
    PROVED = "proved"
    PIN_VERIFIED = "pin_verified"
    PIN_CHOSEN = "pin_chosen"
    ENROLMENT_WANTED = "enrolment_wanted"
    ENROLMENT_DONE = "enrolment_done"  # its reason is the ``EnrolmentOutcome``
    ENROLMENT_CASE = "enrolment_case"
    ENROLMENT_RETRIED = "enrolment_retried"
    REGISTER_ASKED = "register_asked"  # the register of persons, by a CPR number
    REGISTER_ANSWERED = "register_answered"
    LOGOUT_ASKED = "logout_asked"
    LOGOUT_DONE = "logout_done"
    LOGOUT_PARTIAL = "logout_partial"
    POLICIES_LOADED = "policies_loaded"
    STAFF_LOGGED_IN = "staff_logged_in"
    STAFF_LOGGED_OUT = "staff_logged_out"
    STAFF_LOOKED = "staff_looked"
    STAFF_ACTED = "staff_acted"
    # Of the audit log itself:
    ACCEPTED = "accepted"
    MONTH_DELETED = "month_deleted"
    PERSON_ERASED = "person_erased"


# These events are on the disk before their action happens: a release, an account, a new set of
# policies, and every look of staff at another person.
REQUIRED: Final = frozenset(
    {
        AuditEventKind.RELEASED,
        AuditEventKind.ENROLMENT_WANTED,
        AuditEventKind.REGISTER_ASKED,
        AuditEventKind.POLICIES_LOADED,
        AuditEventKind.STAFF_LOGGED_IN,
        AuditEventKind.STAFF_LOOKED,
        AuditEventKind.STAFF_ACTED,
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class AuditEvent:
    """One event. Every fact is a code, a name of the configuration, a reference or a count.

    ``person`` is a person id and ``borrower`` a borrower number. The audit log stores neither, but
    a pseudonym, encrypted with a key of this person (with ``reference``, if set). ``policy`` is
    file and line of the rule that decided, ``attributes`` the canonical names of what is sent, and
    ``about`` the id of the receipt, enrolment or logout. ``near_misses`` are the lines that came
    nearest when no file matched, each with the code of what did not hold. When policies are loaded,
    ``digest`` is their digest and ``base`` that of the set before. For actions of staff ``person``
    is the pseudonym of the member of staff, ``by`` the roles, ``reason`` the page or the button,
    and ``about`` the help code that was typed: as ``reference`` it would make the member the person
    of that page.
    """

    kind: AuditEventKind
    at: datetime
    reference: str | None = None
    person: str | None = None
    borrower: str | None = None
    service: str | None = None
    upstream: str | None = None
    institution: str | None = None
    affiliation: str | None = None
    policy: str | None = None
    digest: str | None = None
    reason: str | None = None
    attributes: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()
    about: str | None = None
    count: int | None = None
    by: str | None = None
    base: str | None = None


def make_login_event(
    kind: AuditEventKind,
    at: datetime,
    login: Mapping[str, str | None],
    decision: Decision | None = None,
    **more: Any,
) -> AuditEvent:
    """Return the event of a login.

    ``login`` are the names of the login (``Transaction.names``) and ``more`` other facts, both by
    the fields of ``AuditEvent``.
    """
    facts: dict[str, Any] = {**login}
    if decision is not None:
        facts["affiliation"] = decision.affiliation
        facts["policy"] = deciding_line(decision)
        facts["near_misses"] = near_misses(decision)
        facts["digest"] = decision.digest[:12] or None
    return AuditEvent(kind, at, **{**facts, **more})


def deciding_line(decision: Decision) -> str | None:
    """Return file and line of the rule that decided, or None if no rule did."""
    line = decision.deciding_line
    return str(line) if line else None


def near_misses(decision: Decision) -> tuple[str, ...]:
    """Return the lines that came nearest, each with the code of what did not hold."""
    return tuple(f"{reason.place} {reason.code}" for reason in decision.near_misses)
