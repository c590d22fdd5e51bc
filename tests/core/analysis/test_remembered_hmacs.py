"""The keyed hashes of played logins."""

from hypothesis import given
from hypothesis import strategies as st

from broker.core.analysis.remembered_hmacs import RememberedHmacs
from broker.core.lookup_hmacs import LookupHmacs

PLAIN = LookupHmacs("id", b"key")
REMEMBERED = RememberedHmacs("id", b"key")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from(["", "a", "ab", "b"]), max_size=3))))
def test_a_remembered_hash_is_the_hash(asked: list[tuple[str, list[str]]]) -> None:
    """Whatever was asked before, a hash is that of a key that remembers nothing."""
    for label, parts in asked:
        assert REMEMBERED.of(label, *parts) == PLAIN.of(label, *parts)
        assert REMEMBERED.same(PLAIN.of(label, *parts), label, *parts)


def test_the_memory_has_an_end() -> None:
    """Of more hashes than one institution's logins need none is kept for ever."""
    hmacs = RememberedHmacs("id", b"key")
    for number in range(5_000):
        hmacs.of("label", str(number))
    assert len(hmacs._known) <= 4_096
    assert "key" not in repr(hmacs)
