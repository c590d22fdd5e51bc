"""The affiliations of a person: the words of eduPerson, and values that a policy names."""

from collections.abc import Collection
from typing import Final

SCOPED_AFFILIATION: Final = "eduPersonScopedAffiliation"
AFFILIATIONS: Final = (SCOPED_AFFILIATION, "eduPersonAffiliation", "eduPersonPrimaryAffiliation")
# eduPerson 2.2.1; the values differ by case in no meaning.
VOCABULARY: Final = frozenset(
    {"faculty", "student", "staff", "alum", "member", "affiliate", "employee", "library-walk-in"}
)


def role(value: str) -> str:
    """Return the word of an affiliation, in small letters, without the scope it may have."""
    return value.partition("@")[0].lower()


def is_known(value: str, named: Collection[str]) -> bool:
    """Return whether an affiliation is of the vocabulary, or one of the values ``named``.

    Another word means what its institution likes, and may mean anything to a service.
    """
    return role(value) in VOCABULARY or value in named


def is_never_known(prefix: str) -> bool:
    """Return whether no affiliation that begins with ``prefix`` is of the vocabulary."""
    if "@" in prefix:
        return role(prefix) not in VOCABULARY
    return not any(word.startswith(prefix.lower()) for word in VOCABULARY)
