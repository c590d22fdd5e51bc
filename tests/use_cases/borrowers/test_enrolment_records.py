"""Enrolments as the store keeps them: one worker at a time, and each record to its own end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.ports import Key
from broker.use_cases.borrowers.enrolment_records import CALL, EnrolmentRecords, StoredEnrolment

INSTANT: Final = timedelta(microseconds=1)
FIRST: Final = CALL + timedelta(seconds=5)
DAY: Final = timedelta(days=1)
KEY, OTHER = Key("enrolment", "p"), Key("enrolment", "q")


@pytest.fixture
def records(world: Any) -> EnrolmentRecords:
    """Give the enrolments of a worker, none of them there."""
    found: EnrolmentRecords = world.records
    return found


@pytest.fixture
def wanted(world: Any) -> Enrolment:
    """Give an enrolment that is to be carried out."""
    return Enrolment("e", EnrolmentState.WANTED, world.now, world.wish(), "p")


def add(records: EnrolmentRecords, enrolment: Enrolment, key: Key = KEY) -> StoredEnrolment:
    """Write the first enrolment of a key, due now."""
    added = records.write(StoredEnrolment(key, enrolment, None, None), enrolment, records.now())
    assert added
    return added


def test_one_worker_has_an_enrolment_until_its_lease_ends(
    world: Any, records: EnrolmentRecords, wanted: Enrolment
) -> None:
    """A moment before it nobody else may, at its end anybody; the enrolment is due as it was, and unchanged."""
    added = add(records, wanted)
    claimed = records.claim()
    assert claimed
    assert claimed[0] == records.read(KEY) == added
    world.now += FIRST - INSTANT
    assert records.claim() is None
    world.now += INSTANT
    assert records.claim()


def test_the_end_of_one_lease_leaves_another_s_alone(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """A worker whose lease ran out neither renews nor ends that of the worker that has it by now."""
    add(records, wanted)
    slow = records.claim()
    assert slow
    world.now += FIRST
    assert records.claim()
    assert not slow[1].renew(world.now + CALL, world.now)
    slow[1].end(world.now)
    assert records.claim() is None
    world.now += FIRST - INSTANT
    assert records.claim() is None
    world.now += INSTANT
    assert records.claim()


def test_a_lease_is_of_one_enrolment(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """While one is carried out the next is claimed, the one first that has been due longest."""
    add(records, wanted)
    world.now += INSTANT
    add(records, replace(wanted, id="f"), OTHER)
    first, second, third = records.claim(), records.claim(), records.claim()
    assert first
    assert second
    assert (first[0].key, second[0].key, third) == (KEY, OTHER, None)
    assert records.write(first[0], replace(wanted, state=EnrolmentState.DONE), None)
    first[1].end(world.now)
    assert records.claim() is None
    second[1].end(world.now)
    assert records.claim()
    assert {entry.key for entry in records.all()} == {KEY, OTHER}


def test_a_lease_is_renewed_beyond_each_call(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """To five seconds past its deadline, whatever is written to the enrolment meanwhile."""
    entry = add(records, wanted)
    claimed = records.claim()
    assert claimed
    lease = claimed[1]
    for seconds in (15, 45, 3):
        assert lease.renew(world.now + timedelta(seconds=seconds), world.now)
        rewritten = records.write(entry, replace(wanted, attempts=seconds), world.now)
        assert rewritten
        entry = rewritten
        world.now += timedelta(seconds=seconds + 5) - INSTANT
        assert records.claim() is None
    world.now += INSTANT
    assert not lease.renew(world.now + CALL, world.now)
    assert records.claim()


def test_what_was_written_under_a_lease_is_claimed_the_moment_it_ends(
    world: Any, records: EnrolmentRecords, wanted: Enrolment
) -> None:
    """Nobody waits for a lease whose work is done."""
    entry = add(records, wanted)
    claimed = records.claim()
    assert claimed
    later = records.write(entry, replace(wanted, attempts=9), world.now)
    assert records.claim() is None
    claimed[1].end(world.now)
    again = records.claim()
    assert again
    assert again[0] == later


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (EnrolmentState.WANTED, 31 * DAY),  # so that it is given up, and listed so, before it is gone
        (EnrolmentState.CASE, 37 * DAY),  # so that the loop drops its wish before it is gone
        (EnrolmentState.OBSERVED, 30 * DAY),
        (EnrolmentState.DONE, 405 * DAY),
        (EnrolmentState.GIVEN_UP, 405 * DAY),
    ],
)
def test_what_still_holds_a_cpr_ends_a_month_after_it_was_wanted(
    world: Any, records: EnrolmentRecords, wanted: Enrolment, state: EnrolmentState, kept: timedelta
) -> None:
    """However often it is written; a finished one, which holds none, is remembered from when it was finished."""
    begun = world.now
    entry = add(records, wanted)
    world.now += 5 * DAY
    assert records.write(entry, replace(wanted, state=state), None)
    world.now = begun + kept - INSTANT
    assert records.enrolment(KEY)
    world.now += INSTANT
    assert records.enrolment(KEY) is None
    assert records.read(KEY) is None


def test_a_change_is_made_of_what_is_there(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """None where there is none, nor where the change wants none; what another wrote meanwhile is not lost."""
    records.amend(KEY, lambda entry: (entry.enrolment, None))
    assert records.enrolment(KEY) is None
    add(records, wanted)
    records.amend(KEY, lambda _: None)
    assert records.enrolment(KEY) == wanted

    def interfere() -> None:
        entry = records.read(KEY)
        assert entry
        records.write(entry, replace(entry.enrolment, reason="case"), None)

    world.hooks.before["put"] = interfere
    records.amend(KEY, lambda entry: (replace(entry.enrolment, attempts=entry.enrolment.attempts + 1), world.now))
    found = records.read(KEY)
    assert found
    assert (found.enrolment.reason, found.enrolment.attempts, found.due) == ("case", 1, world.now)
