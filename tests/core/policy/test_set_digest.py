"""The digest of a set of policy files, and what differs between two sets, in words."""

from hypothesis import given
from hypothesis import strategies as st

from broker.core.policy.set_digest import changes, digest

FILES = st.dictionaries(st.text("ab.", min_size=1, max_size=3), st.binary(max_size=4), max_size=3)


@given(FILES, FILES)
def test_two_sets_have_one_digest_only_where_they_are_one(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Whatever is moved between names and octets; and the changes between them are none exactly then."""
    assert (digest(one) == digest(other)) is (one == other)
    assert (changes(one, other) == ()) is (one == other)


def test_what_differs_is_told_by_name() -> None:
    """A file that came, one that went and one that changed; the rest is not told."""
    before = {"a": b"1", "b": b"1", "c": b"1"}
    after = {"b": b"2", "c": b"1", "d": b"1"}
    assert changes(before, after) == ("a removed", "b changed", "d added")
