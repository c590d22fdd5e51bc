"""Which scopes and other names an institution has, where broker.toml leaves them to a pinned feed.

What is written there is in force whole, and no feed widens it. What is not is taken from the feed,
but for what another institution has, or a part of it, or more than it: ``dk`` would be everybody,
``au.dk`` is whose broker.toml says.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from broker.core.entities import Institution, Upstream

# Lower-case domain names of two labels or more; real feeds hold ``adm.aau.dk@aau.dk`` too, which no
# value can match.
_SCOPE: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_MOST: Final = 200  # scopes of one institution; each is held against each of all others
_SCHEME: Final = re.compile("https?://")


@dataclass(frozen=True, slots=True)
class PublishedInstitution:
    """What a feed publishes of an institution: the names it was found under, and its scopes."""

    names: tuple[str, ...]
    scopes: tuple[str, ...]


Published = Mapping[str, PublishedInstitution]
"""What feeds publish of institutions, by entityID."""


def spellings(institution: Institution, prefix: str) -> tuple[str, ...]:
    """Return the entityIDs under which a feed may hold an institution.

    They are its own, and the hub's proxy of it and back: WAYF's BIRK entity of ``https://X`` is
    ``prefix`` and ``X`` (docs/reference/wayf.md#birk).
    """
    written = (institution.entity_id, *institution.aliases)
    if not prefix:
        return tuple(dict.fromkeys(written))
    proxied = [prefix + _SCHEME.sub("", name) for name in written if not name.startswith(prefix)]
    real = ["https://" + name.removeprefix(prefix) for name in written if name.startswith(prefix)]
    return tuple(dict.fromkeys((*written, *proxied, *real)))


def with_published_scopes(
    upstreams: Mapping[str, Upstream], published: Published
) -> tuple[Mapping[str, Upstream], Sequence[str]]:
    """Complete the upstreams by what feeds publish of their institutions.

    Beside them are notices to the administrator. Two institutions never share a scope that only a
    feed gave them, nor a name.
    """
    notices: list[str] = []
    bounded = dict(_bounded(published, notices))
    completed: dict[str, list[Institution]] = {name: [] for name in upstreams}
    listed = _institutions(upstreams)
    for key, institution in listed.items():
        others = [other for other_key, other in listed.items() if other_key != key]
        aliases = _aliases(institution, others, bounded, notices)
        scopes = _scopes(institution, others, bounded, notices)
        upstream_name, _ = key
        completed[upstream_name].append(replace(institution, aliases=aliases, scopes=scopes))
    whole = {
        name: replace(upstream, institutions=tuple(completed[name]))
        for name, upstream in upstreams.items()
    }
    return whole, notices


def _institutions(upstreams: Mapping[str, Upstream]) -> Mapping[tuple[str, str], Institution]:
    """Return the institutions by upstream and entityID.

    By upstream too: the scopes of one upstream's institution are not those of another's of that
    name.
    """
    listed = {}
    for name, upstream in upstreams.items():
        for institution in upstream.institutions:
            listed[name, institution.entity_id] = institution
    return listed


def _bounded(
    published: Published, notices: list[str]
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Take the scopes from an institution that claims too many."""
    for name, institution in published.items():
        count = len(institution.scopes)
        if count <= _MOST:
            yield name, institution
            continue
        notices.append(f"{name} claims {count} scopes in its feed: it has none")
        yield name, replace(institution, scopes=())


def _scopes(
    institution: Institution,
    others: Sequence[Institution],
    published: Published,
    notices: list[str],
) -> tuple[str, ...]:
    """Return the scopes that broker.toml lists, or else those of the feed that nobody else has."""
    name = institution.entity_id
    feed = published.get(name)
    if "scopes" not in institution.unwritten:
        notices += _not_in_feed(institution, feed)
        return institution.scopes
    if feed is None:
        return ()
    owners = dict(_scopes_with_owners(others, published))
    kept = []
    for scope in feed.scopes:
        fault = _scope_fault(name, scope, owners)
        if fault:
            notices.append(fault)
        else:
            kept.append(scope)
    return tuple(kept)


def _not_in_feed(institution: Institution, feed: PublishedInstitution | None) -> Iterator[str]:
    if feed is None:
        return
    for scope in institution.scopes:
        if scope not in feed.scopes:
            name = institution.entity_id
            yield f"{name} has the scope {scope} in broker.toml and not in its feed"


def _scope_fault(
    name: str,
    scope: str,
    owners: Mapping[str, str],
) -> str | None:
    """Return why an institution does not get a scope of its feed, or None.

    ``owners`` are the entityIDs of the other institutions by scope.
    """
    if not _SCOPE.fullmatch(scope):
        what = "which is no scope that a person's value can have"
        return f"{name} has {scope[:80]!r} in its feed, {what}"
    for other_scope, owner in owners.items():
        if _overlap(scope, other_scope):
            both = f"{name} and {owner} both claim {scope} or a part of it"
            return f"{both}: write who has it into broker.toml"
    return None


def _scopes_with_owners(
    others: Sequence[Institution], published: Published
) -> Iterator[tuple[str, str]]:
    """Yield every scope of the other institutions, with the entityID of its institution."""
    for other in others:
        name = other.entity_id
        for scope in other.scopes:
            yield scope, name
        if "scopes" in other.unwritten and name in published:
            for scope in published[name].scopes:
                yield scope, name


def _overlap(one: str, other: str) -> bool:
    """Return whether a value may be in both: affiliations may have any domain below a scope."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _aliases(
    institution: Institution,
    others: Sequence[Institution],
    published: Published,
    notices: list[str],
) -> tuple[str, ...]:
    """Return the aliases that broker.toml lists, or else the names in the feed that are its own."""
    name = institution.entity_id
    feed = published.get(name)
    if "aliases" not in institution.unwritten or feed is None:
        return institution.aliases
    names_of_others = set(_names(others, published))
    kept = []
    for alias in feed.names:
        if alias in names_of_others:
            both = f"{alias} names {name} and another institution"
            notices.append(f"{both}: write whose alias it is into broker.toml")
        elif alias != name:
            kept.append(alias)
    return tuple(kept)


def _names(institutions: Sequence[Institution], published: Published) -> Iterator[str]:
    """Yield every name of the institutions, in broker.toml or a feed."""
    for institution in institutions:
        yield institution.entity_id
        yield from institution.aliases
        feed = published.get(institution.entity_id)
        if feed is not None:
            yield from feed.names
