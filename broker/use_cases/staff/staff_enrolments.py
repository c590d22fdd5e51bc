"""Enrolments and cases as staff see them: list, find and try again."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.entities import Names
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import Store
from broker.core.staff_sentences import StaffSentence, sentence_for
from broker.use_cases.enrolment.cases import EnrolmentCases
from broker.use_cases.enrolment.figures import FAILED_AFTER
from broker.use_cases.rate_limits import Limit, Limits

TRIES: Final = Limit("staff-retries", 6, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class StaffEnrolment:
    """One enrolment or case. ``state`` is pending, case, done, given_up or observed.

    ``library_answer`` is the sentence of the library system behind the last error. ``number`` is
    the person's own borrower, ``borrower_numbers`` all that the enrolment concerns, and
    ``case_borrowers`` those of its case.
    """

    id: str
    person_id: str
    state: str
    reason: str | None
    since: datetime
    library_answer: str | None
    number: str | None
    borrower_numbers: Names
    case_borrowers: Names
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
    """The enrolments in the person records."""

    cases: EnrolmentCases
    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def list_open(self) -> tuple[StaffEnrolment, ...]:
        """Return open cases and enrolments that have failed for 15 minutes, oldest first."""
        latest = self.now() - FAILED_AFTER
        shown = [
            _show(person_id, record)
            for person_id, record in self._list()
            if record.has_open_case or _has_failed_since(record, latest)
        ]
        return tuple(sorted(shown, key=_since))

    def find(self, enrolment_id: str) -> StaffEnrolment | None:
        """Return the enrolment of an id, or None."""
        for person_id, record in self._list():
            if record.enrolment and record.enrolment.id == enrolment_id:
                return _show(person_id, record)
        return None

    def find_by_person(self, person_id: str) -> StaffEnrolment | None:
        """Return the enrolment of a person, or None."""
        record = self.cases.ports.persons.read(person_id, self.now())
        return _show(person_id, record.value) if record else None

    def find_by_borrower(self, number: str) -> StaffEnrolment | None:
        """Return the enrolment that concerns a borrower, an open one first; None without one."""
        found = [_show(*each) for each in self._list() if number in _numbers(each[1])]
        return min(found, key=_is_finished, default=None)

    def try_again(self, enrolment_id: str) -> bool:
        """Make an enrolment due now; False where nothing is left to try.

        TooMany after six an hour of one enrolment: each asks the library system.
        """
        Limits(self.store, self.hmacs, self.now).take(TRIES, enrolment_id)
        found = self.find(enrolment_id)
        return found is not None and self.cases.try_again(found.person_id)

    def rule_out(self, enrolment_id: str, borrowers: Names) -> bool:
        """Say that the borrowers of a possible duplicate are other people's, and try again.

        False for any other enrolment, and where ``borrowers``, which staff have seen, are not
        those of the case.
        """
        Limits(self.store, self.hmacs, self.now).take(TRIES, enrolment_id)
        found = self.find(enrolment_id)
        if found is None or not found.can_rule_out:
            return False
        return self.cases.rule_out(found.person_id, borrowers)

    def try_all_again(self, reason: str) -> int:
        """Make every open enrolment of a reason due now, and return how many."""
        wanted = [
            person_id
            for person_id, record in self._list()
            if record.enrolment and record.enrolment.reason == reason
        ]
        return sum(self.cases.try_again(person_id) for person_id in wanted)

    def _list(self) -> Iterator[tuple[str, PersonRecord]]:
        for record in self.cases.ports.persons.list_all(self.now()):
            if record.value.enrolment or record.value.borrower_number:
                yield record.key.group, record.value


def _show(person_id: str, record: PersonRecord) -> StaffEnrolment:
    enrolment = record.enrolment or Enrolment("", EnrolmentState.DONE, record.last_seen)
    is_done = enrolment.state is EnrolmentState.DONE
    return StaffEnrolment(
        id=enrolment.id,
        person_id=person_id,
        state=enrolment.state.value,
        reason=enrolment.reason,
        since=enrolment.failing_since or enrolment.requested_at,
        library_answer=enrolment.last_error,
        number=record.borrower_number if is_done else None,
        borrower_numbers=_numbers(record),
        case_borrowers=enrolment.borrowers,
        can_try_again=not is_done,
    )


def _numbers(record: PersonRecord) -> Names:
    borrowers = record.enrolment.borrowers if record.enrolment else ()
    numbers = (record.borrower_number, *borrowers)
    return tuple(dict.fromkeys(number for number in numbers if number))


def _has_failed_since(record: PersonRecord, latest: datetime) -> bool:
    enrolment = record.enrolment
    if enrolment is None or not enrolment.has_failed or enrolment.failing_since is None:
        return False
    return enrolment.failing_since <= latest


def _since(shown: StaffEnrolment) -> datetime:
    return shown.since


def _is_finished(shown: StaffEnrolment) -> bool:
    return shown.state not in {"case", "pending"}
