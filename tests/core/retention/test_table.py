"""The table of records: complete, shown in docs/privacy.md, and the only source of ends."""

from typing import get_args

from broker.core.retention import TABLE, RecordKind
from tests.plugins import privacy_table

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
