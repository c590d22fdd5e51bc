"""The digest of a set of policy files."""

from hypothesis import given
from hypothesis import strategies as st

from broker.configuration.policies.policy_folder import digest

FILES = st.dictionaries(st.text("ab.", min_size=1, max_size=3), st.binary(max_size=4), max_size=3)


@given(FILES, FILES)
def test_two_sets_have_one_digest_only_where_they_are_one(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Also if octets move between a name and a content."""
    assert (digest(one) == digest(other)) is (one == other)
