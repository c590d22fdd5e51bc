"""What the audit trail is told: which events there are, and the facts one may carry, none of them a person's own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from broker.core.borrowers.borrower import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.login.transaction import Transaction
from broker.core.policy.model import Decision


class AuditEventKind(StrEnum):
    """Every event there is; docs/audit.md says when each comes and what it carries."""

    DECIDED = "decided"
    RELEASED = "released"
    NOT_RELEASED = "not_released"  # ends a release that was written down and then overtaken
    REFUSED = "refused"
    REFUSED_UNTOLD = "refused_untold"  # how many refusals of strangers went beyond the quota
    CONSENT_GIVEN = "consent_given"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    NOTICE_SEEN = "notice_seen"
    NOTICE_FORGOTTEN = "notice_forgotten"
    UPGRADE_ACCEPTED = "upgrade_accepted"
    UPGRADE_DECLINED = "upgrade_declined"
    CPR_REVEALED = "cpr_revealed"
    PROVED = "proved"
    PIN_VERIFIED = "pin_verified"
    PIN_CHOSEN = "pin_chosen"
    PIN_MAILED = "pin_mailed"
    ENROLMENT_WANTED = "enrolment_wanted"
    ENROLMENT_MADE = "enrolment_made"
    ENROLMENT_FOUND = "enrolment_found"
    ENROLMENT_UPGRADED = "enrolment_upgraded"
    ENROLMENT_LOWERED = "enrolment_lowered"
    ENROLMENT_ADOPTED = "enrolment_adopted"
    ENROLMENT_CASE = "enrolment_case"
    ENROLMENT_GIVEN_UP = "enrolment_given_up"
    ENROLMENT_RETRIED = "enrolment_retried"
    LOGOUT_ASKED = "logout_asked"
    LOGOUT_DONE = "logout_done"
    LOGOUT_PARTIAL = "logout_partial"
    # Of the trail itself:
    OPENED = "opened"
    TORN = "torn"
    LOST = "lost"
    ACCEPTED = "accepted"
    MONTH_DELETED = "month_deleted"
    PERSON_ERASED = "person_erased"


# What lets something leave or be made: it is written down, through to the disk, or it does not
# happen.
REQUIRED: Final = frozenset({AuditEventKind.RELEASED, AuditEventKind.ENROLMENT_WANTED})


_OUTCOMES: Final = {
    EnrolmentOutcome.CREATED: AuditEventKind.ENROLMENT_MADE,
    EnrolmentOutcome.UNCHANGED: AuditEventKind.ENROLMENT_FOUND,
    EnrolmentOutcome.UPGRADED: AuditEventKind.ENROLMENT_UPGRADED,
    EnrolmentOutcome.LOWERED: AuditEventKind.ENROLMENT_LOWERED,
}
_ENDS: Final = {
    EnrolmentState.CASE: AuditEventKind.ENROLMENT_CASE,
    EnrolmentState.GIVEN_UP: AuditEventKind.ENROLMENT_GIVEN_UP,
}


@dataclass(frozen=True, slots=True, repr=False)
class AuditEvent:
    """One event; every fact is a code, a name of configuration, a reference or a count.

    ``person`` is the random id of ``Person`` and ``borrower`` a borrower number: the trail keeps
    neither, but a pseudonym, sealed under a key of this person's (with ``reference``, where there
    is one of them). ``policy`` is file and line of the rule that decided, ``attributes`` the
    canonical names of what leaves, ``about`` an id of ours: of the receipt, the enrolment or the
    logout.
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
    about: str | None = None
    count: int | None = None

    def __repr__(self) -> str:
        """Name the kind only."""
        return f"Event({self.kind!s})"


class NoTrail:
    """The trail of a broker that keeps none."""

    def add(self, event: AuditEvent) -> None:
        """Write nothing."""

    def faults(self) -> Sequence[str]:
        """Find nothing."""
        return ()

    def lost(self) -> int:
        """Give nought: nothing is expected of it."""
        return 0


NO_TRAIL: Final = NoTrail()


def of_login(
    kind: AuditEventKind,
    at: datetime,
    transaction: Transaction,
    decision: Decision | None = None,
    **more: Any,
) -> AuditEvent:
    """Give the event with what is known of a login; ``more`` are further facts of ``AuditEvent``."""
    authentication = transaction.authentication
    event = AuditEvent(
        kind,
        at,
        reference=transaction.reference,
        person=transaction.person.id if transaction.person else None,
        service=transaction.request.service,
        upstream=transaction.upstream,
        institution=authentication.institution if authentication else None,
    )
    if decision is not None:
        event = replace(
            event,
            affiliation=decision.affiliation,
            policy=_place(decision),
            digest=decision.digest[:12] or None,
        )
    return replace(event, **more)


def of_enrolment(
    before: Enrolment, after: Enrolment, person: str, at: datetime
) -> tuple[AuditEvent, ...]:
    """Give what an attempt at an enrolment came to: done, a case, given up, and whether a PIN was mailed."""
    plain = AuditEvent(AuditEventKind.PIN_MAILED, at, person=person, about=after.id)
    found = []
    if after.state is EnrolmentState.DONE and before.state is not EnrolmentState.DONE:
        outcome = (
            _OUTCOMES.get(after.outcome, AuditEventKind.ENROLMENT_ADOPTED)
            if after.outcome
            else AuditEventKind.ENROLMENT_ADOPTED
        )
        found.append(replace(plain, kind=outcome))
    if after.state in _ENDS and before.state is not after.state:
        found.append(replace(plain, kind=_ENDS[after.state], reason=after.reason))
    if after.pin_mailed and after.pin_mailed != before.pin_mailed:
        found.append(plain)
    return tuple(found)


def _place(decision: Decision) -> str | None:
    """Give file and line of the release entry that decided, else of the first reason that has a place."""
    if decision.release is not None:
        return str(decision.release.place)
    return next((str(each.place) for each in decision.reasons if each.place), None)
