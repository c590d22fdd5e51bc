"""The model of enrolments fails when any rule of docs/reference/design.md#4c is taken away."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers import change_plan
from broker.core.borrowers import enrolment as enrolments
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import find_case_reason
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryError, LibraryRefused, LibraryUnavailable
from broker.use_cases.enrolment import find_borrower, worker
from broker.use_cases.enrolment.ports import EnrolmentPorts, Superseded
from broker.use_cases.library_system import guarded_library
from broker.use_cases.storage.records import Lease
from tests.use_cases.enrolment.test_enrolment_model import SEQUENCES, play
from tests.use_cases.memory_library import Library

Patch = pytest.MonkeyPatch
_Attempt: Final[Any] = worker._Attempt


def _take_one_of_several(patch: Patch) -> None:
    for module in (worker, find_borrower):
        patch.setattr(module, "find_case_reason", lambda found, *facts: find_case_reason(found[:1], *facts))


def _keep(patch: Patch, method: str, **kept: Callable[[Enrolment], Any]) -> None:
    """Let a method of the enrolment leave some of its fields as they were."""
    before = getattr(Enrolment, method)

    def restore_fields(self: Enrolment, *given: Any, **more: Any) -> Enrolment:
        fields: dict[str, Any] = {name: value(self) for name, value in kept.items()}
        after: Enrolment = replace(before(self, *given, **more), **fields)
        return after

    patch.setattr(Enrolment, method, restore_fields)


def _believe_creates(patch: Patch) -> None:
    def count(self: Any, wanted: Any) -> None:
        made = Borrower("999", wanted.category)
        for each in self.ports.library._library.borrowers.values():
            made = each if each.cpr == wanted.cpr else made
        self._finish(made, EnrolmentOutcome.CREATED, wanted, ())

    patch.setattr(_Attempt, "_count_after_create", count)


def _open_case_at_a_conflict(patch: Patch) -> None:
    before = _Attempt._create

    def create(self: Any, wanted: Any) -> bool:
        made: bool = before(self, wanted)
        if not made:
            self._write(self.enrolment.count_conflict())
            self._open_case(CaseReason.LIBRARY_REFUSED, last_error="the unique field is taken")
            raise Superseded
        return made

    patch.setattr(_Attempt, "_create", create)


def _overwrite_requests(patch: Patch) -> None:
    def change(self: Any, made: Any, others: Any = ()) -> None:
        self.ports.persons.change(self.person_id, made, self.ports.now(), others=others)

    patch.setattr(_Attempt, "_change", change)


def _open_cases_for_the_set_up(patch: Patch) -> None:
    def attempt(self: Any, wanted: Any) -> None:
        try:
            self._carry_out(wanted)
        except LibraryRefused as error:
            self._open_case(CaseReason.LIBRARY_REFUSED, last_error=str(error))
        except LibraryUnavailable as error:
            self._postpone(error)

    patch.setattr(_Attempt, "_try", attempt)


def _forget_unique_fields(patch: Patch) -> None:
    before = Library._create

    def create(self: Library, *given: Any) -> Any:
        self.is_unique = False
        return before(self, *given)

    patch.setattr(Library, "_create", create)


def _mail_no_notice(patch: Patch) -> None:
    before = EnrolmentPorts.check_first_match
    patch.setattr(EnrolmentPorts, "check_first_match", lambda *given: (before(*given)[0], ()))


MUTATIONS: Final[dict[str, Callable[[Patch], None]]] = {
    "two of three": lambda patch: patch.setattr(
        change_plan, "is_this_persons", lambda _, borrower, number: borrower.cpr in {None, number}
    ),
    "several borrowers are a case": _take_one_of_several,
    "a possible duplicate is looked for before a create": lambda patch: patch.setattr(
        worker, "is_possible_duplicate", lambda *_: False
    ),
    "candidates by mail address": lambda patch: patch.setattr(WantedBorrower, "email", None),
    "what is ruled out is stored": lambda patch: _keep(patch, "rule_out", ruled_out=lambda each: each.ruled_out),
    "what is ruled out outlasts a retry": lambda patch: _keep(patch, "retry", ruled_out=lambda _: ()),
    "the worker checks the condition of a claim": lambda patch: patch.setattr(
        worker, "can_be_claimed", lambda *_, **__: True
    ),
    "a unique field": _forget_unique_fields,
    "matches are counted after a create": _believe_creates,
    "creates without an effect end": lambda patch: _keep(patch, "count_create", creates=lambda _: 1),
    "a conflict leads to step 1": _open_case_at_a_conflict,
    "a second conflict is a case": lambda patch: _keep(patch, "count_conflict", conflicts=lambda _: 0),
    "a lease": lambda patch: patch.setattr(Lease, "renew", lambda *_: True),
    "the enrolment id says what was created": lambda patch: patch.setattr(
        _Attempt, "_is_created_by_us", lambda *_: True
    ),
    "only silence opens the circuit breaker": lambda patch: patch.setattr(
        guarded_library, "LibrarySilent", LibraryError
    ),
    "an expiry moves to a later day": lambda patch: patch.setattr(
        change_plan, "_expires_soon", lambda present, wanted, _: present != wanted
    ),
    "a stored number counts for a day": lambda patch: patch.setattr(
        find_borrower, "_TRUST_WHILE_SILENT", timedelta.max
    ),
    "a stored number counts for its name": lambda patch: patch.setattr(EnrolmentPorts, "hash_facts", lambda *_: "same"),
    "a later request takes no right away": lambda patch: patch.setattr(
        enrolments, "merge_wanted", lambda _, later: later
    ),
    "a request meanwhile is not lost": _overwrite_requests,
    "a fault of the set-up is no case": _open_cases_for_the_set_up,
    "a failure is retried later": lambda patch: patch.setattr(worker, "retry_delay", lambda _: timedelta()),
    "a finished enrolment drops the number": lambda patch: _keep(patch, "finish", wanted=lambda each: each.wanted),
    "a first match is mailed": _mail_no_notice,
    "a library account is nobody's before a login with the number": lambda patch: patch.setattr(
        find_borrower.BorrowerFinder, "has_borrower", lambda *_: True
    ),
}


@pytest.mark.parametrize("rule", MUTATIONS)
def test_the_model_fails_without(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule is missed in a directed sequence, by the invariant that it serves."""
    MUTATIONS[rule](monkeypatch)
    missed = 0
    for sequence in SEQUENCES.values():
        try:
            play(sequence)
        except AssertionError:
            missed += 1
    assert missed
