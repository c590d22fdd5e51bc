"""Receipts in the store: all of them, the latest first, for two years and for one person and service."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.use_cases.consents.receipts import Receipts, as_on_file

INSTANT, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
TWO_YEARS: Final = timedelta(days=730)


@pytest.fixture
def given(world: Any) -> Receipt:
    """Give the receipt of a consent that is remembered for a year."""
    return Receipt(
        "r1",
        ReceiptEvent.GIVEN,
        world.now,
        "da",
        "p",
        "d",
        "consent",
        ("sn",),
        "m",
        "s",
        world.now + timedelta(days=365),
    )


def test_every_answer_is_on_file_newest_first(world: Any, given: Receipt) -> None:
    """In whatever order they came in; another group has none of them."""
    receipts = Receipts(world.store)
    later = replace(given, record_id="a2", event=ReceiptEvent.WITHDRAWN, event_time=given.event_time + SECOND)
    earlier = replace(given, record_id="z0", event_time=given.event_time - SECOND)
    for made in (given, later, earlier):
        receipts.file("g", made, world.now)
    assert receipts.history("g", world.now) == (later, given, earlier)
    assert receipts.on_file("g", world.now) == (later,)
    assert (receipts.history("h", world.now), receipts.on_file("h", world.now)) == ((), ())


def test_no_answer_is_written_over(world: Any, given: Receipt) -> None:
    """The same record comes in once, as after the first of two submits."""
    receipts = Receipts(world.store)
    receipts.file("g", given, world.now)
    receipts.file("g", replace(given, event=ReceiptEvent.REFUSED), world.now)
    assert receipts.history("g", world.now) == (given,)


def test_an_answer_is_kept_for_two_years_from_its_filing(world: Any, given: Receipt) -> None:
    """Longer than it is remembered, and not a moment more."""
    receipts = Receipts(world.store)
    receipts.file("g", given, world.now)
    assert receipts.history("g", world.now + TWO_YEARS - INSTANT) == (given,)
    assert receipts.history("g", world.now + TWO_YEARS) == ()


def test_an_answer_that_came_too_late_takes_no_other_with_it(world: Any, given: Receipt) -> None:
    """What was filed before it counts again."""
    receipts = Receipts(world.store)
    late = replace(given, record_id="r2", event_time=given.event_time + SECOND)
    for made in (given, late):
        receipts.file("g", made, world.now)
    receipts.take_back("h", given)
    receipts.take_back("g", late)
    assert receipts.history("g", world.now) == (given,)


def test_a_transaction_keeps_the_last_answer_and_what_may_count(given: Receipt) -> None:
    """Each yes that is remembered and that no later no, withdrawal or request to be told again has ended."""
    ended = [
        replace(given, record_id=event, event=event, event_time=given.event_time - SECOND, valid_until=None)
        for event in (ReceiptEvent.REFUSED, ReceiptEvent.WITHDRAWN, ReceiptEvent.FORGOTTEN)
    ]
    before = replace(given, record_id="r0", event_time=given.event_time - 2 * SECOND)
    later = replace(given, record_id="r2", event=ReceiptEvent.INFORMED, event_time=given.event_time + SECOND)
    once = replace(given, record_id="r3", event_time=given.event_time + 2 * SECOND, valid_until=None)
    last = replace(once, record_id="r4", event_time=given.event_time + 3 * SECOND)
    assert as_on_file([]) == ()
    assert as_on_file([before, given]) == (given, before)
    for end in ended:
        assert as_on_file([last, before, once, end, given, later]) == (last, later, given)
        assert as_on_file([before, end]) == (end,)


def test_a_transaction_keeps_the_last_answer_that_left_an_attribute_out(given: Receipt) -> None:
    """For one login only too, for the older yes may have had it ticked; of many such answers one is kept."""
    without = replace(given, names=("sn", "mail"), optional=("mail",), chosen=(), valid_until=None)
    once = [replace(without, record_id=f"o{at}", event_time=given.event_time + at * SECOND) for at in (1, 2)]
    last = replace(once[0], record_id="r3", event_time=given.event_time + 3 * SECOND, names=("sn",), optional=())
    assert as_on_file([given, *once, last]) == (last, once[1], given)
    ticked = replace(once[1], event_time=given.event_time + 3 * SECOND, chosen=("mail",))
    assert as_on_file([given, once[0], ticked]) == (ticked, given)


def test_a_receipt_of_an_earlier_release_is_completed_once(world: Any, given: Receipt) -> None:
    """With its digests and nothing else of it changed, for as long as it was kept; no other is written over."""
    receipts = Receipts(world.store)
    receipts.file("g", given, world.now)
    whole = replace(given, terms="t", parts=("p",))
    for now, made in ((SECOND, replace(whole, language="en")), (2 * SECOND, replace(whole, terms="other"))):
        receipts.complete("g", made, world.now + now)
    receipts.complete("g", replace(whole, record_id="r2"), world.now)
    assert receipts.history("g", world.now) == (whole,)
    assert receipts.history("g", world.now + TWO_YEARS - INSTANT) == (whole,)
    assert receipts.history("g", world.now + TWO_YEARS) == ()
