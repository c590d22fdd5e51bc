"""Choose one attribute value of each kind that a source may assert and policies tell apart."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from broker.core.entities import Names
from broker.core.identity.attribute_properties import AttributeProperties
from broker.core.identity.attribute_values import (
    AFFILIATIONS,
    VOCABULARY,
    is_in_scope,
    is_known_affiliation,
    is_match,
    read_role,
)
from broker.core.identity.rights import ALUMNI_ROLE, IDENTIFIED_ROLES
from broker.core.policy_analysis.sources import Source

_OTHER: Final = "*"  # the pattern of every value that no policy names
# Labels and endings that policies are unlikely to name. Several, so that one is unused.
_LABELS: Final = ("dept", "other", "x7q")
_ENDINGS: Final = (
    "",
    "something",
    "x",
    "7",
    "other",
    "x7q",
    "7777",
    "other@mail.example",
    "@mail.example",
)
_ANYWHERE: Final = "other.example"
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def find_rank(name: str, value: str) -> int:
    """Return the rank of a value: 3 identified, 2 alumni, 1 another affiliation, 0 none."""
    if name not in AFFILIATIONS:
        return 0
    word = read_role(value)
    if word in IDENTIFIED_ROLES:
        return 3
    return 2 if word == ALUMNI_ROLE else 1


@dataclass(frozen=True, slots=True)
class NamedPatterns:
    """The values of one attribute that policies name: exact ones, and those that end in ``*``."""

    name: str
    exact: frozenset[str]
    beginnings: Names  # the longest first

    @classmethod
    def from_values(cls, name: str, written: Iterable[str]) -> "NamedPatterns":
        """Return the patterns of all values ``written`` for the attribute ``name``."""
        every = set(written)
        exact = frozenset(value for value in every if not value.endswith("*"))
        beginnings = (value[:-1] for value in every - exact)
        return cls(name, exact, tuple(sorted(beginnings, key=lambda text: (-len(text), text))))

    def find_pattern(self, value: str) -> str:
        """Return the exact value, or the longest beginning, that a policy names; else ``*``."""
        if value in self.exact:
            return value
        longest = next((each for each in self.beginnings if value.startswith(each)), "")
        return f"{longest}*"


def choose_values(source: Source, named: NamedPatterns, known: Collection[str]) -> Names:
    """Return a value of each kind that ``source`` may assert.

    Values of one kind have the same pattern and the same rank. ``known`` are the affiliations that
    policies name in addition to the words of eduPerson. A pattern whose syntax fits no candidate
    gets a made-up value.
    """
    shape = source.shape(named.name)
    if shape is None:
        return ()
    found: dict[tuple[str, int], str] = {}
    patterns = (*sorted(named.exact), *(f"{each}*" for each in sorted(named.beginnings)), _OTHER)
    for pattern in patterns:
        fitted = False
        for value in _iter_candidates(pattern, named, shape, source):
            if not value or named.find_pattern(value) != pattern:
                continue
            if _may_assert(named.name, value, shape, source, known):
                found.setdefault((pattern, find_rank(named.name, value)), value)
                fitted = True
        if not fitted and _is_undecided(pattern, named.name, shape):
            found[pattern, 0] = f"{pattern[:-1]}x7q"
    return tuple(found.values())


def _is_undecided(pattern: str, name: str, shape: AttributeProperties) -> bool:
    """Return whether only the syntax excluded all candidates, so that other values may fit."""
    if shape.scope is not None or name in AFFILIATIONS:
        return False
    return shape.pattern is not None and pattern.endswith("*")


def _may_assert(
    name: str, value: str, shape: AttributeProperties, source: Source, known: Collection[str]
) -> bool:
    if name in AFFILIATIONS and not is_known_affiliation(value, known):
        return False
    if not is_match(value, shape.pattern):
        return False
    if source.scopes is None or shape.scope is None:
        return True
    return is_in_scope(value, shape.scope, source.scopes)


def _iter_candidates(
    pattern: str, named: NamedPatterns, shape: AttributeProperties, source: Source
) -> Iterator[str]:
    if not pattern.endswith("*"):
        yield pattern
        return
    beginning = pattern[:-1]
    domains = _list_domains(named, source)
    if named.name in AFFILIATIONS:
        yield from _iter_affiliations(beginning, domains)
    local, at, fragment = beginning.rpartition("@")
    if at or shape.scope is not None:
        yield from (f"{local}{at}{domain}" for domain in _continue_domain(fragment, domains))
    yield from (f"{beginning}{ending}" for ending in _ENDINGS)
    if not at:
        yield from (f"{beginning}someone@{domain}" for domain in domains)


def _iter_affiliations(beginning: str, domains: Names) -> Iterator[str]:
    """Yield every affiliation word in lower and upper case, without scope and in each domain."""
    local, at, fragment = beginning.partition("@")
    if at:
        yield from (f"{local}@{domain}" for domain in _continue_domain(fragment, domains))
        return
    for word in sorted(VOCABULARY):
        if not word.startswith(beginning.lower()):
            continue
        for spelling in (word, word.upper()):
            text = beginning + spelling[len(beginning) :]
            yield from (f"{text}@{domain}" for domain in domains)
            yield text


def _list_domains(named: NamedPatterns, source: Source) -> Names:
    """Return the scopes of the source with subdomains; for any scope, the domains named."""
    scopes: Iterable[str] = source.scopes or ()
    if source.scopes is None:
        written = (value.rpartition("@")[2] for value in sorted(named.exact))
        scopes = (*(domain for domain in written if _DOMAIN.fullmatch(domain)), _ANYWHERE)
    scopes = tuple(dict.fromkeys(scopes))
    below = (f"{label}.{scope}" for scope in scopes for label in _LABELS)
    return (*scopes, *below)


def _continue_domain(fragment: str, domains: Names) -> Iterator[str]:
    """Yield domains that begin with ``fragment``, made from ``domains``."""
    for domain in domains:
        for cut in range(len(fragment) + 1):
            head, tail = fragment[:cut], fragment[cut:]
            if domain.startswith(tail) and (not head or head.endswith(".")):
                yield head + domain
        for label in _LABELS:
            yield f"{fragment}{label}.{domain}"
