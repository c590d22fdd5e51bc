"""The PIN that a borrower is being given: how long it holds, and who waits for it."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from broker.core.borrowers.pin_record import LATE, POINTER_AFTER, PinCall, PinRecord, record_to_set
from broker.core.errors import PinUnderWay

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
INSTANT: Final = timedelta(microseconds=1)
CALL: Final = PinCall("a", NOW + timedelta(seconds=15))
OTHER: Final = PinCall("b", NOW + timedelta(seconds=20))
MAILED: Final = PinRecord("4071", NOW)
OFFERED: Final = PinRecord("5838", NOW)
CHOSEN: Final = PinRecord("4071", NOW, chosen=True)


@pytest.mark.parametrize("calls", [(), (CALL,)])
def test_a_pin_that_is_owed_holds_for_a_day(calls: tuple[PinCall, ...]) -> None:
    """Whether its calls have an end or not; a day after it was begun nobody waits for it."""
    record = PinRecord("4071", NOW, calls=calls)
    assert record.until == NOW + POINTER_AFTER
    assert record.holds(record.until - INSTANT)
    assert not record.holds(record.until)


def test_a_call_without_an_end_holds_for_ten_minutes() -> None:
    """From the moment by which it was sent, though its PIN is mailed; the one that may come last counts."""
    record = PinRecord("4071", NOW, calls=(CALL, OTHER), done=True)
    assert record.holds(OTHER.by + LATE - INSTANT)
    assert not record.holds(OTHER.by + LATE)
    late = PinRecord("4071", NOW - POINTER_AFTER, calls=(OTHER,))
    assert late.until == OTHER.by + LATE
    assert late.holds(late.until - INSTANT)


def test_what_is_done_and_has_no_call_left_holds_no_more() -> None:
    """The next PIN is drawn anew."""
    noted = MAILED.noted(CALL).noted(OTHER)
    half = noted.ended("a", NOW, done=True)
    assert half.holds(NOW)
    assert not half.ended("b", NOW, done=False).holds(NOW)
    assert MAILED.noted(CALL).ended("a", NOW, done=False).holds(NOW)


def test_a_pin_is_untried_while_no_call_of_it_was_made() -> None:
    """One that may still come, or has an answer, may have set it; one that was not made has done nothing."""
    fresh = PinRecord("4071", NOW, untried=True)
    assert not fresh.may_be_set
    assert fresh.noted(CALL).may_be_set
    assert not fresh.noted(CALL).not_made("a").may_be_set
    assert fresh.noted(CALL).noted(OTHER).not_made("a").may_be_set
    assert fresh.noted(CALL).ended("a", NOW, done=False).may_be_set
    assert PinRecord("4071", NOW).may_be_set  # as an older release wrote it


def test_the_end_of_a_call_is_of_its_own_record() -> None:
    """Who was asleep does not end the PIN that another is giving by now."""
    assert MAILED.noted(CALL).ended("z", NOW, done=True) == MAILED.noted(CALL)


def test_every_mail_holds_the_pin_under_way() -> None:
    """A new one is drawn only where none holds."""
    assert record_to_set(None, OFFERED, NOW) == OFFERED
    assert record_to_set(MAILED, OFFERED, NOW) == MAILED
    assert record_to_set(MAILED, OFFERED, MAILED.until) == OFFERED


@pytest.mark.parametrize(
    ("before", "offered"), [(MAILED, CHOSEN), (CHOSEN, OFFERED), (CHOSEN, PinRecord("5838", NOW, chosen=True))]
)
def test_who_chooses_waits_and_is_waited_for(before: PinRecord, offered: PinRecord) -> None:
    """A choice for a mail, a mail for a choice, and a choice for another, as long as it holds."""
    with pytest.raises(PinUnderWay):
        record_to_set(before, offered, before.until - INSTANT)
    assert record_to_set(before, offered, before.until) == offered


def test_the_same_choice_goes_on() -> None:
    """Who sends the form again waits for nobody."""
    noted = CHOSEN.noted(CALL)
    assert record_to_set(noted, PinRecord("4071", NOW + INSTANT, chosen=True), NOW) == noted


def test_no_repr_shows_a_pin() -> None:
    """A record must not reach a log."""
    assert "4071" not in repr(MAILED)


def test_a_refused_choice_is_owed_while_another_call_may_come() -> None:
    """That call would make it work; once none may come the refusal is the end."""
    record = CHOSEN.noted(CALL).noted(OTHER)
    assert record.ended("b", NOW, done=True).is_owed("")
    assert not record.ended("b", CALL.until, done=True).is_owed("")


def test_a_choice_that_is_made_again_is_owed_again() -> None:
    """To whoever makes it, by the last notice only."""
    before = PinRecord("4071", NOW, chosen=True, calls=(CALL,), done=True, notice="one")
    again = record_to_set(before, PinRecord("4071", NOW, chosen=True, notice="two"), NOW)
    assert again.is_owed("two")
    assert not again.is_owed("one")
