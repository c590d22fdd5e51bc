"""The worker: one borrower per person, four kinds of cases, and one retry rule."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.borrowers.enrolment import CaseReason, EnrolmentState
from broker.core.borrowers.matching import PersonFacts
from broker.core.errors import LibraryUnavailable
from tests.use_cases.enrolment.conftest import make_wanted_for
from tests.use_cases.memory_library import AASE, AASE_CPR

IDA = PersonFacts("Skov", "Ida", AASE.birth_date)


@pytest.mark.parametrize(
    ("person", "changes", "is_duplicate"),
    [
        (AASE, {}, True),
        (PersonFacts("Proevesen", "Aase Marie"), {"born": AASE.birth_date}, True),
        (PersonFacts("Gift", "Åse", AASE.birth_date), {"email": "ÅSE@post.example"}, True),
        (AASE, {"cpr": "0101990018"}, True),
        (PersonFacts("Prøvesen", "Åse"), {"born": None, "email": "åse@post.example"}, True),
        (PersonFacts("Prøvesen", "Åse"), {"born": date(1980, 1, 1)}, False),
        (PersonFacts("Gift", "Åse", AASE.birth_date), {}, False),
        (IDA, {}, False),
    ],
)
def test_possible_duplicates_are_found_before_every_create(
    world: Any, person: PersonFacts, changes: dict[str, Any], *, is_duplicate: bool
) -> None:
    """Two of name, birth date and mail address agree, in a record without the CPR number or with another one."""
    found = world.library.add(person, **changes)
    world.library.borrowers[found.number] = replace(found, email=changes.get("email", found.email))
    enrolment = world.enrol()
    if is_duplicate:
        assert (enrolment.reason, enrolment.borrowers) == (CaseReason.POSSIBLE_DUPLICATE, (found.number,))
        assert len(world.library.borrowers) == 1
    else:
        assert (enrolment.state, len(world.library.borrowers)) == (EnrolmentState.DONE, 2)


def test_retries_wait_longer_each_time_up_to_an_hour(world: Any) -> None:
    """Jitter keeps the retries apart."""
    world.requests.request("aase", make_wanted_for(AASE, AASE_CPR))
    delays = []
    for _ in range(12):
        world.fail_next(LibraryUnavailable("500"))
        world.work()
        due = world.enrolment().next_attempt
        delays.append(due - world.now)
        world.now = due
    assert delays[0] <= timedelta(seconds=10)
    assert all(delay <= timedelta(hours=1) for delay in delays)
    assert delays[-1] >= timedelta(minutes=20)


def test_a_reload_does_not_start_again(world: Any) -> None:
    """The same request while it is under way changes nothing; after a failure it is due at once."""
    first = world.requests.request("aase", make_wanted_for(AASE, AASE_CPR))
    assert world.requests.request("aase", make_wanted_for(AASE, AASE_CPR)) == first
    world.fail_next(LibraryUnavailable("500"))
    world.work()
    again = world.requests.request("aase", make_wanted_for(AASE, AASE_CPR))
    assert (again.next_attempt, again.id) == (world.now, first.id)


def test_a_request_waits_until_it_is_carried_out_or_fails(world: Any) -> None:
    """Five seconds at most, and not after a failure."""
    world.requests.request("aase", make_wanted_for(AASE, AASE_CPR))
    began = world.now
    assert world.requests.wait("aase", 5).state is EnrolmentState.PENDING
    assert world.now - began == timedelta(seconds=5)
    world.fail_next(LibraryUnavailable("500"))
    world.work()
    assert world.requests.wait("aase", 5).has_failed
    assert world.now - began == timedelta(seconds=5)


def test_retry_of_all_cases_of_one_reason(world: Any) -> None:
    """After staff have corrected something that many cases are about."""
    world.library.add(IDA, AASE_CPR)
    world.enrol()
    world.library.add(AASE)
    world.library.borrowers.popitem()
    assert world.cases.try_all_again("possible_duplicate") == 0
    assert world.cases.try_all_again("different_person") == 1
    assert world.enrolment().state is EnrolmentState.PENDING
