"""A store of a newer release: the sentence that a command prints, with the fix."""

from broker.cli import output
from broker.core.ports import NewerRelease


def test_a_store_of_a_newer_release_is_one_sentence_with_the_fix() -> None:
    """Restoring a key, the fix for a damaged record, would not help."""
    (fault,) = output.describe_error(NewerRelease("PersonRecord record", 3, 2))
    assert str(fault) == (
        "store: this store was written by a newer release: PersonRecord record has version 3, this release reads 2 "
        "(install that release, or restore the backup from before the upgrade)"
    )
