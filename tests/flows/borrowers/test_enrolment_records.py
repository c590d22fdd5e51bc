"""Enrolments as the store keeps them: one worker at a time, and each record to its own end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.ports import Key
from broker.flows.borrowers.enrolment_records import LEASE, EnrolmentRecords, StoredEnrolment

INSTANT: Final = timedelta(microseconds=1)
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
    """A moment before it nobody else may, at its end anybody."""
    add(records, wanted)
    claimed = records.claim()
    assert claimed
    assert claimed.due == world.now + LEASE
    world.now += LEASE - INSTANT
    assert records.claim() is None
    world.now += INSTANT
    assert records.claim()


def test_the_end_of_one_lease_leaves_another_s_alone(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """A worker whose lease ended while it was busy writes nothing over the one that has it by now."""
    add(records, wanted)
    slow = records.claim()
    assert slow
    world.now += LEASE
    present = records.claim()
    assert present
    assert records.hold(slow, creates=1) is None
    assert records.write(slow, replace(wanted, state=EnrolmentState.DONE), None) is None
    held = records.hold(present, creates=1)
    assert held
    assert records.read(KEY) == held
    assert (held.enrolment.creates, held.due) == (1, world.now + LEASE)


def test_a_lease_is_of_one_enrolment(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """While one is carried out the next is claimed, the one first that has been due longest."""
    add(records, wanted)
    world.now += INSTANT
    add(records, replace(wanted, id="f"), OTHER)
    claimed = [records.claim(), records.claim(), records.claim()]
    assert [each and each.key for each in claimed] == [KEY, OTHER, None]
    first = claimed[0]
    assert first
    done = records.write(first, replace(wanted, state=EnrolmentState.DONE), None)
    assert done
    assert records.claim() is None
    assert {entry.key for entry in records.all()} == {KEY, OTHER}


def test_a_lease_is_renewed_before_each_call(world: Any, records: EnrolmentRecords, wanted: Enrolment) -> None:
    """And the creates about to be sent are counted, none where none is."""
    add(records, wanted)
    entry = records.claim()
    assert entry
    for creates in (0, 1, 1):
        world.now += timedelta(seconds=1)
        held = records.hold(entry, creates=creates)
        assert held
        assert held.enrolment.creates == entry.enrolment.creates + creates
        assert held.due == world.now + LEASE
        entry = held


@pytest.mark.parametrize(
    ("due", "soon"),
    [
        (None, timedelta()),
        (-INSTANT, timedelta()),
        (timedelta(), timedelta()),
        (INSTANT, INSTANT),
        (LEASE, LEASE),
        (LEASE + INSTANT, timedelta()),
    ],
)
def test_none_starts_beside_the_worker_that_has_a_lease(
    world: Any, records: EnrolmentRecords, wanted: Enrolment, due: timedelta | None, soon: timedelta
) -> None:
    """At the end of a lease that runs, else now: what is due later than any lease was only waiting."""
    entry = StoredEnrolment(KEY, wanted, "v", None if due is None else world.now + due)
    assert records.soon(entry) == world.now + soon


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (EnrolmentState.WANTED, 31 * DAY),  # so that it is given up, and listed so, before it is gone
        (EnrolmentState.CASE, 30 * DAY),
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
