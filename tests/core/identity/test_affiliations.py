"""The affiliations that are believed: eduPerson's words, and those that a policy names in full."""

import pytest

from broker.core.identity.attribute_values import is_known_affiliation, read_role


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("student@au.dk", True),
        ("Student@au.dk", True),
        ("library-walk-in@au.dk", True),
        ("faculty", True),
        ("superuser@au.dk", False),
        ("students@au.dk", False),
        ("student.admin@au.dk", False),
        ("", False),
        ("@au.dk", False),
        ("course-17@stads.au.dk", True),
        ("course-17@au.dk", False),
        ("course-18@stads.au.dk", False),
    ],
)
def test_an_affiliation_is_a_word_of_edupersons_or_named(value: str, known: bool) -> None:
    """A word beyond the vocabulary counts to the letter, with its scope."""
    assert is_known_affiliation(value, {"course-17@stads.au.dk"}) is known


def test_the_word_of_an_affiliation_is_without_case_and_scope() -> None:
    """As eduPerson compares it."""
    assert (read_role("Staff@AU.dk"), read_role("member")) == ("staff", "member")
