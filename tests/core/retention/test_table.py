"""The table of records: complete, shown in docs/privacy.md, and the only source of ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

import pytest

from broker.core.retention import LIMIT, RECEIPT, TABLE, RecordKind
from tests.plugins import privacy_table
from tests.plugins.privacy_table import spell_span

NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)
# Which argument is the end: of a function by its name, of a call that stores a fact by the number of its arguments.
# Receivers whose methods of these names store no fact with an end.
# Parameters that hand on an end, which is checked where it was made.
# Modules that forward ends or store nothing.


def test_the_document_shows_the_table() -> None:
    """``python -m tests.plugins.privacy_table`` writes the table of docs/privacy.md."""
    assert privacy_table.read_document() == privacy_table.table()


def test_every_kind_of_record_has_a_row() -> None:
    """A new kind is documented before it is stored."""
    assert {row.kind for row in TABLE} == set(get_args(RecordKind))


# Kinds that several modules use for the same purpose: leases, counters, indexes, sessions and what is read for a person.


def test_a_row_has_a_span_or_names_its_end() -> None:
    """Never both, so that no end is mistaken for another."""
    assert RECEIPT.until(NOW) == NOW + timedelta(days=730)
    assert LIMIT.ends(NOW) == NOW
    for misused in (lambda: LIMIT.until(NOW), lambda: RECEIPT.ends(NOW), lambda: replace(LIMIT, lasts=None).span):
        with pytest.raises(ValueError, match=r"kept|ends"):
            misused()
    assert all((row.lasts is None) is bool(row.long) for row in TABLE)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=1), "1 day"),
        (timedelta(days=730), "2 years"),
        (timedelta(days=400), "400 days"),
        (timedelta(minutes=33), "33 minutes"),
        (timedelta(seconds=90), "90 seconds"),
    ],
)
def test_spans_are_described_in_their_largest_whole_unit(span: timedelta, words: str) -> None:
    """Whole numbers only."""
    assert spell_span(span) == words
