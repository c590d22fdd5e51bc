"""A value of each kind that a source may assert, to stand for all of its kind."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from broker.core.analysis.sources import AssertedShape, Source
from broker.core.analysis.value_kinds import OTHER, NamedValues, ValueKind
from broker.core.entities import Names
from broker.core.identity.attribute_values import (
    AFFILIATIONS,
    VOCABULARY,
    in_scope,
    is_known,
    matches,
)

# Labels and endings that rules hardly name; several, so that one is free.
_LABELS: Final = ("dept", "other", "x7q")
_ENDINGS: Final = ("", "x", "7", "other", "x7q", "7777", "other@mail.example", "@mail.example")
_ANYWHERE: Final = "other.example"
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")

Witnesses = Mapping[ValueKind, str]


def witnesses(
    named: NamedValues, source: Source, known: Iterable[str] = ()
) -> dict[ValueKind, str]:
    """Return a value for each kind of ``named`` that ``source`` may assert.

    ``known`` are the affiliations that policies name beside eduPerson's own words. A kind whose
    shape no candidate fits is kept all the same, unless a scope rules it out: a class too many
    proves nothing wrong.
    """
    shape = source.shape(named.name)
    if shape is None:
        return {}
    words = frozenset(known)

    def may_assert(value: str) -> bool:
        if named.name in AFFILIATIONS and not is_known(value, words):
            return False
        return _has_shape(value, shape, source)

    found: dict[ValueKind, str] = {}
    for pattern in named.patterns:
        for value in _candidates(pattern, named, shape, source):
            if value and named.pattern_of(value) == pattern and may_assert(value):
                found.setdefault(named.kind_of(value), value)
    fitted = {kind.pattern for kind in found}
    for pattern in named.patterns:
        if pattern not in fitted and _undecided(pattern, named.name, shape):
            found[ValueKind(pattern)] = f"{pattern.removesuffix('*')}x7q"
    return found


def _undecided(pattern: str, name: str, shape: AssertedShape) -> bool:
    """Return whether a syntax alone kept every candidate out: there may be values all the same."""
    if shape.scope is not None or name in AFFILIATIONS:
        return False
    return shape.pattern is not None and pattern.endswith("*")


def _has_shape(value: str, shape: AssertedShape, source: Source) -> bool:
    if not matches(value, shape.pattern):
        return False
    if source.scopes is None or shape.scope is None:
        return True
    return in_scope(value, shape.scope, source.scopes)


def _candidates(
    pattern: str, named: NamedValues, shape: AssertedShape, source: Source
) -> Iterator[str]:
    if pattern != OTHER and not pattern.endswith("*"):
        yield pattern
        return
    beginning = pattern[:-1]
    domains = _domains(named, source)
    if named.name in AFFILIATIONS:
        yield from _affiliations(beginning, domains)
    local, at, fragment = beginning.rpartition("@")
    if at or shape.scope is not None:
        yield from (f"{local}{at}{domain}" for domain in _continued(fragment, domains))
    if not at:
        yield from (f"{beginning}x7q@{domain}" for domain in domains)
    yield from (f"{beginning}{ending}" for ending in _ENDINGS)


def _affiliations(beginning: str, domains: Names) -> Iterator[str]:
    """Yield every word, in small and capital letters, alone and in each domain."""
    local, at, fragment = beginning.partition("@")
    if at:
        yield from (f"{local}@{domain}" for domain in _continued(fragment, domains))
        return
    for word in sorted(VOCABULARY):
        if not word.startswith(beginning.lower()):
            continue
        for spelling in (word, word.upper()):
            text = beginning + spelling[len(beginning) :]
            yield text
            yield from (f"{text}@{domain}" for domain in domains)


def _domains(named: NamedValues, source: Source) -> Names:
    """Return the scopes of the source, and domains below each; where any may come, those named."""
    scopes: Iterable[str] = source.scopes or ()
    if source.scopes is None:
        written = (value.rpartition("@")[2] for value in sorted(named.exact))
        scopes = (*(domain for domain in written if _DOMAIN.fullmatch(domain)), _ANYWHERE)
    below = [f"{label}.{scope}" for scope in scopes for label in _LABELS]
    return (*scopes, *below)


def _continued(fragment: str, domains: Names) -> Iterator[str]:
    """Yield the domains that begin with ``fragment``, made from ``domains``."""
    for domain in domains:
        for cut in range(len(fragment) + 1):
            head, tail = fragment[:cut], fragment[cut:]
            if domain.startswith(tail) and (not head or head.endswith(".")):
                yield head + domain
        for label in _LABELS:
            yield f"{fragment}{label}.{domain}"
