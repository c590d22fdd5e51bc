"""How an answer is taken back, what that leaves on file, and what the next screen says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.consent.consent import (
    REMEMBERED_FOR,
    Question,
    Receipt,
    ReceiptEvent,
    find_question,
    make_receipt,
    make_withdrawal,
)
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import Text
from broker.core.lookup_hmacs import LookupHmacs

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ENDS = {ReceiptEvent.GIVEN: ReceiptEvent.WITHDRAWN, ReceiptEvent.INFORMED: ReceiptEvent.FORGOTTEN}
PLAIN = Receipt("r", ReceiptEvent.GIVEN, NOW, "da", "p", "d", "consent", ("sn",), "s", NOW + timedelta(days=365))


@pytest.fixture
def answer(disclosure: Disclosure, hmacs: LookupHmacs) -> Any:
    """Give a maker of receipts for a disclosure."""

    def make(shown: Disclosure = disclosure, *, yes: bool = True, **how: Any) -> Receipt:
        asked = Question(shown)
        facts = {"remembered_for": REMEMBERED_FOR, "person": "p", "language": "da", "hmacs": hmacs, "now": NOW, **how}
        return make_receipt("r1", asked, yes, **facts)

    return make


@pytest.mark.parametrize("how", [{"remembered_for": None}, {"yes": False}])
def test_a_question_repeated_is_not_called_changed(
    disclosure: Disclosure, hmacs: LookupHmacs, now: datetime, answer: Any, how: dict[str, bool]
) -> None:
    """A person who did not tick the box, or said no, sees the same page without "changed"."""
    asked = find_question(disclosure, [answer(**how)], None, hmacs, now)
    assert asked is not None
    assert not asked.changed


def test_a_receipt_tells_what_was_agreed_to(disclosure: Disclosure, answer: Any) -> None:
    """A receipt names the ticked attributes and not those that were offered and left out."""
    more = replace(
        disclosure,
        items=(disclosure.items[0], *(Item(name, ("v",), Text("x", "x"), optional=True) for name in ("mail", "title"))),
    )
    assert answer(more, chosen=("mail",)).agreed_names == ("sn", "mail")
    assert answer(more).agreed_names == ("sn",)
    assert answer(more).names == ("sn", "mail", "title")


@given(event=st.sampled_from(ReceiptEvent), ahead=st.integers(-(10**9), 10**9))
def test_only_a_yes_can_be_taken_back_and_its_end_is_the_last_word(event: ReceiptEvent, ahead: int) -> None:
    """A consent is withdrawn, a notice forgotten, nothing else ends; the end is later, whatever the clocks say."""
    before = replace(PLAIN, event=event)
    end = make_withdrawal(before, "r2", "en", NOW + timedelta(microseconds=ahead))
    assert (end and end.event) == ENDS.get(event)
    if end is not None:
        assert end.event_time > before.event_time
        assert end.valid_until is None
        assert replace(end, event=event, event_time=before.event_time, record_id="r", language="da") == replace(
            before, valid_until=None
        )
