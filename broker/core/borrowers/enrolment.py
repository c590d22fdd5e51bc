"""An enrolment: one durable wish for a borrower, and its state."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Names


class EnrolmentState(StrEnum):
    """The state of an enrolment."""

    WANTED = "wanted"
    DONE = "done"
    # staff must look: several_borrowers, different_person, temporary_and_cpr, ...
    CASE = "case"
    NOTICE = "notice"  # staff may look: a name came with another CPR number; nothing waits for it
    GIVEN_UP = "given_up"  # nothing came of it: too late, or borrower_gone
    OBSERVED = "observed"  # library.mode = observe: what would have been written; never carried out


class EnrolmentOutcome(StrEnum):
    """The change that a finished enrolment made."""

    CREATED = "created"
    FILLED_IN = "filled_in"  # fields that were empty, and nothing else
    UPDATED = "updated"  # fields or expiry; the category is as before
    UPGRADED = "upgraded"
    LOWERED = "lowered"
    ADOPTED = "adopted"  # a temporary borrower got its person's CPR
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """One durable wish and its state, keyed by the person (docs/reference/design.md#4c).

    A later wish replaces the earlier. ``id`` is the random mark that every create carries, the same
    under every later wish until the borrower it made is gone, so that our create is known by it;
    ``creates`` counts the creates sent. A finished enrolment keeps number, category, expiry and
    outcome, not the wish; while its PIN is owed, or given up, it keeps the wish without CPR and
    fields.
    """

    id: str
    state: EnrolmentState
    wanted_at: datetime
    wish: Wish | None
    person: str  # pseudonym of the person
    number: str | None = None
    category: str | None = None
    expires: date | None = None
    outcome: EnrolmentOutcome | None = None
    attempts: int = 0
    first_attempt: datetime | None = None
    reason: str | None = None  # library_unavailable, several_borrowers, cpr_changed, ...
    # the sentence of the library system or mail server behind ``reason``, without a person's value
    cause: str | None = None
    pin_mailed: datetime | None = None  # when the welcome mail was queued
    link: str | None = None  # of a case of names and numbers: the borrower known before
    borrowers: Names = ()  # the numbers of the borrowers that a case is about, as they were found
    creates: int = 0
    # keyed hash of the person facts (name, birth date) that agreed with the borrower
    agreed_facts: str | None = None
    carried: str | None = None  # pseudonym of the wish that was carried out
    # when the library system was last asked about the borrower: it was as found then, or not there
    settled: datetime | None = None
    # in observe mode: the names of the fields that would have been written
    would: Names = ()

    def has_just_found_none(self, now: datetime, within: timedelta) -> bool:
        """Return whether the library system has said that there is no borrower.

        ``within`` this time, and with no create sent since.
        """
        if self.number or self.creates or self.settled is None:
            return False
        return now - self.settled < within

    def finished(
        self,
        borrower: Borrower,
        outcome: EnrolmentOutcome,
        carried: str,
        agreed_facts: str,
        now: datetime,
    ) -> "Enrolment":
        """Return the enrolment once the borrower is as wished, with no PIN owed.

        ``carried`` is the pseudonym of the wish. What is known of the PIN of another borrower is
        forgotten.
        """
        same = self.number == borrower.number
        return replace(
            self,
            state=EnrolmentState.DONE,
            wish=None,
            number=borrower.number,
            category=borrower.category,
            expires=borrower.expires,
            outcome=outcome,
            reason=None,
            cause=None,
            borrowers=(),
            attempts=0,
            carried=carried,
            agreed_facts=agreed_facts,
            settled=now,
            pin_mailed=self.pin_mailed if same else None,
        )

    @property
    def listed_state(self) -> str:
        """Return the state as staff read it: nobody's account is done before its PIN is."""
        return self.state.value

    @property
    def listed_reason(self) -> str | None:
        """Return the reason that staff read beside it."""
        return self.reason

    def retried(self) -> "Enrolment":
        """Return the enrolment as staff let it be tried again."""
        return replace(self, attempts=0)

    def __repr__(self) -> str:
        """Show id, state and reason only."""
        return f"Enrolment({self.id!r}, {self.state.value!r}, {self.reason!r})"
