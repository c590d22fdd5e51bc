"""LookupHmacs: keyed, labelled, and unambiguous."""

from hypothesis import given
from hypothesis import strategies as st

from broker.core.lookup_hmacs import LookupHmacs

ONE, TWO = LookupHmacs("k1", b"1" * 32), LookupHmacs("k2", b"2" * 32)
PARTS = st.lists(st.text(max_size=5), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_have_different_pseudonyms(first: list[str], second: list[str]) -> None:
    """No two lists of parts share a pseudonym, however they read when joined."""
    assert (ONE.of("label", *first) == ONE.of("label", *second)) == (first == second)


def test_label_and_key_separate() -> None:
    """A pseudonym of one use or key tells nothing in another, and names its key."""
    assert ONE.of("a", "x") != ONE.of("b", "x")
    assert ONE.of("a", "x").partition(".")[2] != TWO.of("a", "x").partition(".")[2]
    assert ONE.of("a", "x").startswith("k1.")


def test_same_compares() -> None:
    """Only the pseudonym itself is the same."""
    assert ONE.same(ONE.of("a", "x"), "a", "x")
    assert not ONE.same(ONE.of("a", "y"), "a", "x")
    assert not ONE.same("", "a", "x")


def test_the_key_is_not_shown() -> None:
    """A repr names the key's id only."""
    assert "1111" not in repr(ONE)
