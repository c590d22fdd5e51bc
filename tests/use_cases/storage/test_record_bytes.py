"""Records of the store: read by the release that wrote them, and never quoted."""

import pytest

from broker.core.errors import StoreUnavailable
from broker.core.login.transaction import Account, AccountState, Transaction
from broker.core.ports import NewerRelease, RecordUnreadable
from broker.use_cases.storage.records import WRITES, dump, load

WRITTEN = dump(Account("7", AccountState.DONE))


@pytest.mark.parametrize(
    "octets", [b"", b"\x09" + WRITTEN[1:], WRITTEN[:-3], WRITTEN[:1] + b"[]", WRITTEN[:1] + b'{"number":"1403044004"}']
)
def test_an_unreadable_record_is_503_and_quotes_nothing(octets: bytes) -> None:
    """A record of a newer release, cut short or of another shape raises StoreUnavailable without its text."""
    with pytest.raises(StoreUnavailable) as refused:
        load(Account, octets)
    assert "1403044004" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_record_of_a_newer_release_says_so() -> None:
    """It is no unreadable record, which some callers drop."""
    with pytest.raises(NewerRelease, match="this store was written by a newer release: Account record has version 3"):
        load(Account, bytes([WRITES + 1]) + b'{"a": "shape that this release does not know"}')
    assert not issubclass(NewerRelease, RecordUnreadable)


def test_a_record_of_another_kind_does_not_read() -> None:
    """One kind's bytes are no other kind's."""
    with pytest.raises(StoreUnavailable):
        load(Transaction, WRITTEN)


def test_a_dumped_record_is_loaded_again() -> None:
    """Dump and load are each other's inverse."""
    assert load(Account, WRITTEN) == Account("7", AccountState.DONE)
