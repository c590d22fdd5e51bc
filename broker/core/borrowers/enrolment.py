"""An enrolment: one durable wish for a borrower, and its state."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Names
from broker.core.errors import PIN_UNUSABLE, MailPutOff

# So many attempts that put a mail off count as failures.
_MOST_PUT_OFF: Final = 2


class EnrolmentState(StrEnum):
    """The state of an enrolment."""

    WANTED = "wanted"
    DONE = "done"
    # staff must look: several_borrowers, different_person, temporary_and_cpr, ...
    CASE = "case"
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
    reason: str | None = None  # library_unavailable, several_borrowers, ...
    # the sentence of the library system or mail server behind ``reason``, without a person's value
    cause: str | None = None
    pin_owed: bool = False
    pin_mailed: datetime | None = None
    pin_given_up: str | None = None  # why no PIN is mailed until staff let it be tried again
    link: str | None = None  # of a case of names and numbers: the borrower known before
    borrowers: Names = ()  # the numbers of the borrowers that a case is about, as they were found
    creates: int = 0
    # when the first PIN mail was tried; a day later only a pointer is mailed
    pin_tried: datetime | None = None
    pin_avoids: Names = ()  # pseudonyms of the PINs that the person's own number suggests
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
            pin_owed=False,
            pin_mailed=self.pin_mailed if same else None,
            pin_given_up=self.pin_given_up if same else None,
            pin_tried=self.pin_tried if same else None,
            pin_avoids=(),
        )

    @property
    def listed_state(self) -> str:
        """Return the state as staff read it: nobody's account is done before its PIN is."""
        if self.pin_given_up:
            return "pin_given_up"
        if self.pin_owed and self.state is EnrolmentState.DONE:
            return "pin_owed"
        return self.state.value

    @property
    def listed_reason(self) -> str | None:
        """Return the reason that staff read beside it."""
        return self.reason or self.pin_given_up

    @property
    def promises_pin(self) -> bool:
        """Return whether a PIN mail is on its way: owed, and nothing is known against it."""
        return self.pin_owed and self.reason not in PIN_UNUSABLE

    @property
    def was_put_off_again(self) -> bool:
        """Return whether the last attempt did nothing but to put a mail off.

        A mail that is put off at once when its account is there is the first attempt at it.
        """
        return self.reason == MailPutOff.reason and self.attempts > 1

    def failures_before(self, reason: str) -> int:
        """Return how many attempts count before one that fails for ``reason``.

        Where mails were put off nothing failed: what fails after that waits for no hours.
        """
        if self.reason == MailPutOff.reason and reason != MailPutOff.reason:
            return min(self.attempts, _MOST_PUT_OFF)
        return self.attempts

    def retried(self, now: datetime) -> "Enrolment":
        """Return the enrolment as staff let it be tried again, a PIN that was given up too."""
        again = replace(self, attempts=0)
        if self.pin_given_up:
            again = replace(again, pin_owed=True, pin_given_up=None, pin_tried=now)
        return again

    def __repr__(self) -> str:
        """Show id, state and reason only."""
        return f"Enrolment({self.id!r}, {self.state.value!r}, {self.reason!r})"
