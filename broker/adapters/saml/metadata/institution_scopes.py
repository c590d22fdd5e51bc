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
    """What a feed says of an institution: the names it found it under, and its scopes."""

    names: tuple[str, ...]
    scopes: tuple[str, ...]


def spellings(institution: Institution, prefix: str) -> tuple[str, ...]:
    """Give the entityIDs under which a feed may hold an institution: its own, and the hub's proxy of it and back.

    WAYF's BIRK entity of ``https://X`` is ``prefix`` and ``X`` (wayf.md 2).
    """
    written = (institution.entity_id, *institution.aliases)
    proxied = [
        prefix + _SCHEME.sub("", each) for each in written if prefix and not each.startswith(prefix)
    ]
    real = [
        "https://" + each.removeprefix(prefix)
        for each in written
        if prefix and each.startswith(prefix)
    ]
    return tuple(dict.fromkeys((*written, *proxied, *real)))


def with_published_scopes(
    upstreams: Mapping[str, Upstream], said: Mapping[str, PublishedInstitution]
) -> tuple[Mapping[str, Upstream], Sequence[str]]:
    """Give the upstreams with what feeds say of their institutions, by entityID, and what an administrator should know.

    Two institutions never share a scope that only a feed gave them, nor a name.
    """
    # By upstream too: what one upstream's institution may say is not what another's of that name
    # may.
    listed = {
        (name, each.entity_id): each
        for name, party in upstreams.items()
        for each in party.institutions
    }
    told = [
        f"{name} claims {len(each.scopes)} scopes in its feed: it has none"
        for name, each in said.items()
        if _many(each)
    ]
    said = {name: replace(each, scopes=()) if _many(each) else each for name, each in said.items()}
    whole: dict[str, tuple[Institution, ...]] = dict.fromkeys(upstreams, ())
    for key, each in listed.items():
        others = [another for other, another in listed.items() if other != key]
        aliases, scopes = _aliases(each, others, said, told), _scopes(each, others, said, told)
        whole[key[0]] += (replace(each, aliases=aliases, scopes=scopes),)
    return {
        name: replace(party, institutions=whole[name]) for name, party in upstreams.items()
    }, told


def _many(said: PublishedInstitution) -> bool:
    return len(said.scopes) > _MOST


def _scopes(
    institution: Institution,
    others: Sequence[Institution],
    said: Mapping[str, PublishedInstitution],
    told: list[str],
) -> tuple[str, ...]:
    name = institution.entity_id
    feed = said.get(name)
    if "scopes" not in institution.unwritten:
        unknown = [each for each in institution.scopes if feed and each not in feed.scopes]
        told += [
            f"{name} has the scope {each} in broker.toml and not in its feed" for each in unknown
        ]
        return institution.scopes
    taken = dict(_taken(others, said))
    kept = []
    for scope in feed.scopes if feed else ():
        if not _SCOPE.fullmatch(scope):
            told.append(
                f"{name} has {scope[:80]!r} in its feed, which is no scope that a person's value can have"
            )
        elif other := next((taken[each] for each in taken if _overlap(scope, each)), None):
            told.append(
                f"{name} and {other} both claim {scope} or a part of it: write who has it into broker.toml"
            )
        else:
            kept.append(scope)
    return tuple(kept)


def _taken(
    others: Sequence[Institution], said: Mapping[str, PublishedInstitution]
) -> Iterator[tuple[str, str]]:
    """Give every scope of the other institutions, with whose it is."""
    for each in others:
        feed = (
            said[each.entity_id].scopes
            if "scopes" in each.unwritten and each.entity_id in said
            else ()
        )
        yield from ((scope, each.entity_id) for scope in (*each.scopes, *feed))


def _overlap(one: str, other: str) -> bool:
    """Say whether a value may be in both: scoped affiliations may have any domain below a scope."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _aliases(
    institution: Institution,
    others: Sequence[Institution],
    said: Mapping[str, PublishedInstitution],
    told: list[str],
) -> tuple[str, ...]:
    name = institution.entity_id
    feed = said.get(name)
    if "aliases" not in institution.unwritten or feed is None:
        return institution.aliases
    theirs = {
        each
        for other in others
        for names in (
            (other.entity_id, *other.aliases),
            said[other.entity_id].names if other.entity_id in said else (),
        )
        for each in names
    }
    kept = []
    for each in feed.names:
        if each in theirs:
            told.append(
                f"{each} names {name} and another institution: write whose alias it is into broker.toml"
            )
        elif each != name:
            kept.append(each)
    return tuple(kept)
