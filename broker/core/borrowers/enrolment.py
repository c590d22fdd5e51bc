"""An enrolment: the stored request to create or change one person's borrower."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from broker.core.borrowers.matching import shares_name
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.entities import Names


class EnrolmentState(StrEnum):
    """The state of an enrolment."""

    PENDING = "pending"
    DONE = "done"
    CASE = "case"  # staff must decide something; its reason is a ``CaseReason``


class CaseReason(StrEnum):
    """The reason why staff must decide something about one person."""

    SEVERAL_BORROWERS = "several_borrowers"  # more than one borrower has the CPR number
    DIFFERENT_PERSON = "different_person"  # the only one has another name and birth date
    POSSIBLE_DUPLICATE = "possible_duplicate"  # one without the CPR number may be the person's
    LIBRARY_REFUSED = "library_refused"  # the library system refused a create or a change


class EnrolmentOutcome(StrEnum):
    """The change that a finished enrolment made."""

    CREATED = "created"
    UPDATED = "updated"  # fields or expiry; the category is as before
    UPGRADED = "upgraded"
    LOWERED = "lowered"
    CLAIMED = "claimed"  # the person proved to own a borrower without a CPR number
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """The borrower that a person has shown to be their own.

    The proof is the code that was mailed to its address, or with ``is_by_card`` its card number
    together with surname, given name and birth date.
    """

    borrower_number: str
    is_by_card: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """One request and its state, kept in the person record.

    ``id`` is in a reserved field of the borrower that this enrolment created. ``wanted`` holds the
    CPR number, so a finished enrolment has none. ``failing_since`` is the time of the first failure
    in a row, ``last_error`` the masked sentence of the last one, and ``setting`` the setting of the
    library system that must be corrected first. ``borrowers`` are the borrowers of a case,
    ``claimed`` the one that the person has shown to be theirs, and ``ruled_out`` those that staff
    know to be other people's. ``creates`` counts the creates that were sent since the last
    decision.
    """

    id: str
    state: EnrolmentState
    requested_at: datetime
    wanted: WantedBorrower | None = None
    attempts: int = 0
    next_attempt: datetime | None = None
    failing_since: datetime | None = None
    reason: str | None = None
    last_error: str | None = None
    setting: str | None = None
    creates: int = 0
    borrowers: Names = ()
    claimed: Claim | None = None
    ruled_out: Names = ()
    outcome: EnrolmentOutcome | None = None

    @property
    def has_failed(self) -> bool:
        """Return whether the last attempt of a pending enrolment failed."""
        return self.state is EnrolmentState.PENDING and self.failing_since is not None

    def add_request(self, wanted: WantedBorrower, now: datetime) -> "Enrolment":
        """Return the enrolment after a login has asked for ``wanted``: pending, and due now.

        A request under another name with the same CPR number is replaced: its values could be
        another person's.
        """
        if self.wanted and shares_name(self.wanted.person, wanted.person):
            wanted = merge_wanted(self.wanted, wanted)
        # A case that the library system has been corrected for is over; otherwise it comes back.
        return replace(self.retry(now), requested_at=now, wanted=wanted)

    def retry(self, now: datetime) -> "Enrolment":
        """Return the enrolment, due now; what staff ruled out stays ruled out."""
        return Enrolment(
            self.id,
            EnrolmentState.PENDING,
            self.requested_at,
            self.wanted,
            next_attempt=now,
            claimed=self.claimed,
            ruled_out=self.ruled_out,
        )

    def rule_out(self, now: datetime) -> "Enrolment":
        """Return the enrolment after staff said that its borrowers are other people's."""
        ruled_out = tuple(dict.fromkeys([*self.ruled_out, *self.borrowers]))
        claimed = self.claimed
        if claimed and claimed.borrower_number in ruled_out:
            claimed = None
        return replace(self.retry(now), ruled_out=ruled_out, claimed=claimed)

    def claim(self, claim: Claim, now: datetime) -> "Enrolment":
        """Return the enrolment after the person has shown that a borrower is theirs.

        A borrower that staff have ruled out is not accepted.
        """
        if claim.borrower_number in self.ruled_out:
            return self
        return replace(self.retry(now), claimed=claim)

    def open_case(
        self, reason: CaseReason, borrowers: Names = (), last_error: str | None = None
    ) -> "Enrolment":
        """Return the enrolment as a case for staff."""
        return replace(
            self,
            state=EnrolmentState.CASE,
            next_attempt=None,
            reason=reason.value,
            borrowers=borrowers,
            last_error=last_error,
            setting=None,
        )

    def postpone(
        self, reason: str, last_error: str, setting: str | None, now: datetime, until: datetime
    ) -> "Enrolment":
        """Return the enrolment after a failed attempt, to be tried again at ``until``."""
        return replace(
            self,
            attempts=self.attempts + 1,
            next_attempt=until,
            failing_since=self.failing_since or now,
            reason=reason,
            last_error=last_error,
            setting=setting,
        )

    def finish(self, outcome: EnrolmentOutcome) -> "Enrolment":
        """Return the enrolment when the borrower is as wanted, without the CPR number."""
        return Enrolment(self.id, EnrolmentState.DONE, self.requested_at, outcome=outcome)


def merge_wanted(pending: WantedBorrower, later: WantedBorrower) -> WantedBorrower:
    """Return the wanted borrower of a pending enrolment after a later request.

    The later request changes it as the change plan would change a real borrower. It takes away no
    right to create, no category that the plan would keep, and no mail address.
    """
    if pending.creates and not later.moves(pending.category):
        # The category stays, with all that belongs to it; of the same one the later expiry counts.
        is_same = later.category == pending.category
        kept = replace(
            later,
            category=pending.category,
            upgrades=pending.upgrades,
            lowers=pending.lowers,
            expires=max(pending.expires, later.expires) if is_same else pending.expires,
            upgrade=pending.upgrade or (is_same and later.upgrade),
        )
    else:
        kept = later
    return replace(
        kept,
        creates=pending.creates or later.creates,
        fields=_merge_fields(pending.fields, later.fields),
        pin_to=later.pin_to or pending.pin_to,
        register=later.register or pending.register,
    )


def _merge_fields(
    pending: tuple[WantedField, ...], later: tuple[WantedField, ...]
) -> tuple[WantedField, ...]:
    merged = {field.name: field for field in pending}
    for field in later:
        if field.name not in merged or field.set == "always":
            merged[field.name] = field
    return tuple(merged.values())
