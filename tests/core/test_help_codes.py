"""A stranger's reference says minute, step and reason by itself, and nothing that was not written by us."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.core.help_codes import LENGTH, REASONS, SPEAKABLE, STEPS, ShownPage, StatelessReferences
from broker.core.lookup_hmacs import LookupHmacs

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)
MINUTE = NOW.replace(second=0)
REFERENCES = StatelessReferences(LookupHmacs("index", b"k" * 32))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("reason", ["message_refused", "transaction_gone", REASONS[-1], ""])
def test_minute_step_and_reason_come_back(step: str, reason: str) -> None:
    """As they were, in any case and spacing, for as long as traces are kept and longer."""
    reference = REFERENCES.encode(step, reason, NOW)
    assert len(reference) == LENGTH
    assert set(reference) <= set(SPEAKABLE)
    spoken = f" {reference[:4].lower()} {reference[4:]}"
    for later in (timedelta(0), timedelta(days=30), timedelta(days=45)):
        assert REFERENCES.read(spoken, NOW + later) == ShownPage(MINUTE, step, reason, is_visitor=True)


def test_a_mistyped_or_invented_reference_says_nothing() -> None:
    """A wrong letter, another broker's key or a guess leads to no page."""
    reference = REFERENCES.encode("/pin", "form_refused", NOW)
    for place in range(LENGTH):
        for letter in SPEAKABLE:
            wrong = reference[:place] + letter + reference[place + 1 :]
            if wrong != reference:
                assert REFERENCES.read(wrong, NOW) is None
    assert StatelessReferences(LookupHmacs("index", b"o" * 32)).read(reference, NOW) is None


@pytest.mark.parametrize("spoken", ["", "BCDFGHJK", "B" * 13, "A" * 12, "Z" * 12, "æ" * 12, "0" * 12])
def test_other_texts_are_no_help_code(spoken: str) -> None:
    """The eight letters of a login are looked up in the store instead; no text is a fault."""
    assert REFERENCES.read(spoken, NOW) is None


def test_a_number_is_one_entry_for_good() -> None:
    """References that were read out last month are decoded by the table of today."""
    assert (len(set(STEPS)), len(set(REASONS))) == (len(STEPS), len(REASONS))
    assert (STEPS[0], REASONS[0]) == ("", "")
    assert (STEPS.index("/login/<name>"), STEPS.index("/static/<path:filename>")) == (7, 31)
    assert (REASONS.index("transaction_gone"), REASONS.index("finished")) == (2, 40)
    assert len(STEPS) <= 64
    assert len(REASONS) <= 256
