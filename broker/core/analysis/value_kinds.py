"""Kinds of attribute values: what no rule of any compared policy set tells apart."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from broker.core.entities import Names
from broker.core.identity.attribute_values import AFFILIATIONS, role
from broker.core.identity.rights import ALUMNI_ROLE, IDENTIFIED_ROLES

OTHER: Final = "*"  # the pattern of every value that no rule names
_ANY_END: Final = "*"


class Standing(IntEnum):
    """What affiliations say of a person: the highest of all values counts."""

    NONE = 0
    OUTSIDER = 1
    ALUMNI = 2
    IDENTIFIED = 3


def standing_of(name: str, value: str) -> Standing:
    """Return what a value of the attribute ``name`` says of the person; NONE of no affiliation."""
    if name not in AFFILIATIONS:
        return Standing.NONE
    word = role(value)
    if word in IDENTIFIED_ROLES:
        return Standing.IDENTIFIED
    return Standing.ALUMNI if word == ALUMNI_ROLE else Standing.OUTSIDER


@dataclass(frozen=True, slots=True, order=True)
class ValueKind:
    """Values of one attribute that nothing tells apart.

    ``pattern`` is an exact value, a beginning with ``*`` (and no longer one that a rule names), or
    ``OTHER``.
    """

    pattern: str
    standing: Standing = Standing.NONE

    def meets(self, written: str) -> bool:
        """Return whether all these values are ``written``, which may end in ``*``; else none is."""
        if not written.endswith(_ANY_END):
            return self.pattern == written
        return self.pattern.removesuffix(_ANY_END).startswith(written[:-1])

    def meets_any(self, written: Iterable[str]) -> bool:
        """Return whether all these values are one of those ``written``."""
        return any(map(self.meets, written))


@dataclass(frozen=True, slots=True)
class NamedValues:
    """The values of one attribute that rules name, to sort any value by."""

    name: str
    exact: frozenset[str]
    beginnings: Names  # the longest first
    _known: dict[str, ValueKind] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, name: str, written: Iterable[str]) -> "NamedValues":
        """Return the sorter for all values ``written`` for the attribute ``name``."""
        exact = set()
        beginnings = set()
        for value in written:
            if value.endswith(_ANY_END):
                beginnings.add(value[:-1])
            else:
                exact.add(value)
        return cls(name, frozenset(exact), tuple(sorted(beginnings, key=lambda text: -len(text))))

    def kind_of(self, value: str) -> ValueKind:
        """Return the kind of any value."""
        return ValueKind(self.pattern_of(value), standing_of(self.name, value))

    def pattern_of(self, value: str) -> str:
        """Return the exact value, or the longest beginning, that a rule names; else OTHER."""
        if value in self.exact:
            return value
        for beginning in self.beginnings:
            if value.startswith(beginning):
                return f"{beginning}{_ANY_END}"
        return OTHER

    @property
    def patterns(self) -> Names:
        """Return the patterns of all kinds, those that rules name first, sorted."""
        beginnings = (f"{beginning}{_ANY_END}" for beginning in self.beginnings)
        return (*sorted(self.exact), *sorted(beginnings), OTHER)
