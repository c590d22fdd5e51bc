"""Enrolments and cases as staff see them: list, find and try again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.entities import Names
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.core.staff_sentences import StaffSentence, sentence_for
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.borrowers.staff_cases import StaffCases
from broker.use_cases.proofs.rate_limits import Limit, Limits

# An enrolment that fails for less is of no interest: the next attempt may succeed.
FAILS_FOR: Final = timedelta(minutes=15)
TRIES: Final = Limit("staff-retries", 6, timedelta(hours=1))
_PENDING: Final = frozenset({"wanted", "pin_owed"})


@dataclass(frozen=True, slots=True)
class StaffEnrolment:
    """One enrolment or case. ``state`` is pending, case, done, given_up or observed.

    ``library_answer`` is the sentence of the library system behind the last error. ``number`` is
    the person's own borrower, ``borrower_numbers`` all that the enrolment concerns.
    """

    id: str
    person_id: str
    state: str
    reason: str | None
    since: datetime
    library_answer: str | None
    number: str | None
    borrower_numbers: Names
    can_try_again: bool

    @property
    def sentence(self) -> StaffSentence:
        """Return what is the matter, and what staff do."""
        return sentence_for(self.state, self.reason)

    @property
    def can_rule_out(self) -> bool:
        """Return whether staff may say that the borrowers are another person's."""
        return self.state == "case" and self.reason == "possible_duplicate"

    def as_row(self) -> Mapping[str, Any]:
        """Return the values that the command line shows."""
        return {
            "id": self.id,
            "state": self.state,
            "reason": self.reason,
            "since": self.since.isoformat(timespec="minutes"),
            "borrowers": self.borrower_numbers,
            "situation": self.sentence.situation,
            "action": self.sentence.action,
            "library_answer": self.library_answer,
        }


@dataclass(frozen=True, slots=True)
class StaffEnrolments:
    """The enrolments over their store."""

    cases: StaffCases
    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def list_open(self) -> tuple[StaffEnrolment, ...]:
        """Return open cases and enrolments that have failed for 15 minutes, oldest first."""
        latest = self.now() - FAILS_FOR
        shown = [
            self._show(entry)
            for entry in self.cases.records.all()
            if _is_case(entry) or _has_failed_since(entry, latest)
        ]
        return tuple(sorted(shown, key=_since))

    def find(self, enrolment_id: str) -> StaffEnrolment | None:
        """Return the enrolment of an id, or None."""
        entry = self.cases.find(enrolment_id)
        return self._show(entry) if entry else None

    def find_by_borrower(self, number: str) -> StaffEnrolment | None:
        """Return the enrolment that concerns a borrower, an open one first; None without one."""
        concerned = [each for each in self.cases.records.all() if number in _numbers(each)]
        found = [self._show(entry) for entry in concerned]
        return min(found, key=_is_finished, default=None)

    def try_again(self, enrolment_id: str) -> bool:
        """Make an enrolment due now; False where nothing is left to try.

        TooMany after six an hour of one enrolment: each asks the library system.
        """
        Limits(self.store, self.hmacs, self.now).take((TRIES, enrolment_id))
        return self.cases.retry(enrolment_id)

    def rule_out(self, enrolment_id: str) -> bool:
        """Say that the borrowers of a possible duplicate are other people's, and try again."""
        found = self.find(enrolment_id)
        if found is None or not found.can_rule_out:
            return False
        return self.try_again(enrolment_id)

    def try_all_again(self, reason: str) -> int:
        """Make every open enrolment of a reason due now, and return how many."""
        wanted = [
            entry
            for entry in self.cases.records.all()
            if entry.enrolment.listed_reason == reason and _can_try_again(entry)
        ]
        return sum(self.cases.retry(entry.enrolment.id) for entry in wanted)

    def _show(self, entry: StoredEnrolment) -> StaffEnrolment:
        enrolment = entry.enrolment
        state = enrolment.listed_state
        if state in _PENDING:
            state = "pending"
        elif state == "pin_given_up":
            state = "done"
        is_done = enrolment.state is EnrolmentState.DONE and not entry.key.name
        return StaffEnrolment(
            id=enrolment.id,
            person_id=entry.key.group,
            state=state,
            reason=enrolment.listed_reason,
            since=enrolment.wanted_at,
            library_answer=enrolment.cause,
            number=enrolment.number if is_done else None,
            borrower_numbers=_numbers(entry),
            can_try_again=_can_try_again(entry),
        )


def _numbers(entry: StoredEnrolment) -> Names:
    enrolment = entry.enrolment
    temporary = enrolment.wish.temporary if enrolment.wish else None
    numbers = (enrolment.number, *enrolment.borrowers, temporary)
    return tuple(dict.fromkeys(number for number in numbers if number))


def _can_try_again(entry: StoredEnrolment) -> bool:
    """Return whether something is left to try: a separate case, or a wanted borrower."""
    return bool(entry.key.name) or entry.enrolment.wish is not None


def _is_case(entry: StoredEnrolment) -> bool:
    return entry.enrolment.listed_state == "case"


def _has_failed_since(entry: StoredEnrolment, latest: datetime) -> bool:
    enrolment = entry.enrolment
    if enrolment.pin_given_up:
        return True
    began = enrolment.first_attempt or enrolment.wanted_at
    has_failed = enrolment.listed_reason is not None and enrolment.listed_state in _PENDING
    return has_failed and began <= latest


def _since(shown: StaffEnrolment) -> datetime:
    return shown.since


def _is_finished(shown: StaffEnrolment) -> bool:
    return shown.state not in {"case", "pending"}
