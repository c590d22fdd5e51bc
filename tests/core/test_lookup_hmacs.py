"""LookupHmacs: keyed, labelled, and unambiguous."""

import hmac
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from broker.core.lookup_hmacs import LookupHmacs

ONE, TWO = LookupHmacs("k1", b"1" * 32), LookupHmacs("k2", b"2" * 32)
PARTS = st.lists(st.text(max_size=5), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_have_different_pseudonyms(first: list[str], second: list[str]) -> None:
    """No two lists of parts share a pseudonym, however they read when joined."""
    assert (ONE.compute("label", *first) == ONE.compute("label", *second)) == (first == second)


def test_label_and_key_separate() -> None:
    """A pseudonym of one use or key tells nothing in another, and names its key."""
    assert ONE.compute("a", "x") != ONE.compute("b", "x")
    assert ONE.compute("a", "x").partition(".")[2] != TWO.compute("a", "x").partition(".")[2]
    assert ONE.compute("a", "x").startswith("k1.")


def test_same_compares() -> None:
    """Only the pseudonym itself is the same."""
    assert ONE.matches(ONE.compute("a", "x"), "a", "x")
    assert not ONE.matches(ONE.compute("a", "y"), "a", "x")
    assert not ONE.matches("", "a", "x")


def compute_by_standard(key: bytes, parts: list[str]) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of parts, each behind its length in four octets."""
    octets = [part.encode() for part in parts]
    return hmac.digest(key, b"".join(len(each).to_bytes(4) + each for each in octets), "sha256").hex()


def test_threads_that_share_a_key_do_not_disturb_each_other() -> None:
    """Every hash depends on its parts only."""
    parts = [str(number) * 400 for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda part: ONE.compute("label", part), parts * 5))
    assert found == [f"k1.{compute_by_standard(ONE.key, ['label', part])}" for part in parts] * 5
