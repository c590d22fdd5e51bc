"""Which scopes and names an institution has, where broker.toml leaves them to its metadata.

What is written there is in force whole, and no metadata widens it. What is not is taken from the
metadata, but for what another institution has, or a part of it, or more than it: ``au.dk`` is whose
broker.toml says. What cannot be a scope of one institution alone (``dk``) takes nothing from
anybody, and of two that claim the same the one keeps it that had it while nobody else claimed it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from broker.configuration import durable_files
from broker.core.entities import Institution, Upstream
from broker.core.identity.attribute_values import lower_scope

# Domain names of two labels or more; real feeds hold ``adm.aau.dk@aau.dk`` too, which no
# value can match.
_SCOPE: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
# ``ac.uk``, ``edu.au``: what a country's registry hands out names below.
_SECOND_LEVEL: Final = re.compile(
    r"(?:ac|co|com|edu|gov|gob|gouv|mil|net|nom|or|org|sch)\.[a-z]{2}"
)
_MOST: Final = 200  # scopes of one institution; each is held against each of all others
_LARGEST: Final = 1024 * 1024  # octets of the record
_SCHEME: Final = re.compile("https?://")


@dataclass(frozen=True, slots=True)
class PublishedInstitution:
    """What metadata publishes of an institution: the names it was found under, and its scopes."""

    names: tuple[str, ...]
    scopes: tuple[str, ...]


Published = Mapping[str, PublishedInstitution]
"""What metadata publishes of institutions, by entityID."""
Undisputed = Mapping[str, frozenset[str]]
"""The scopes that were had while nobody else claimed them, by upstream and institution."""


@dataclass(frozen=True, slots=True)
class CompletedUpstreams:
    """The upstreams by name, with the scopes and names of their institutions.

    ``notices`` are for the administrator. ``undisputed`` is to be remembered.
    """

    upstreams: Mapping[str, Upstream]
    notices: Sequence[str]
    undisputed: Undisputed


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
    upstreams: Mapping[str, Upstream], published: Published, undisputed: Undisputed
) -> CompletedUpstreams:
    """Complete the upstreams by what metadata publishes of their institutions.

    ``undisputed`` is what was remembered. Two institutions never share a scope that only metadata
    gave them, nor a name.
    """
    notices: list[str] = []
    claims = dict(_claims(published, notices))
    completed: dict[str, list[Institution]] = {name: [] for name in upstreams}
    listed = _institutions(upstreams)
    remembered: dict[str, frozenset[str]] = {}
    for key, institution in listed.items():
        others = {other_key: other for other_key, other in listed.items() if other_key != key}
        aliases = _aliases(institution, tuple(others.values()), claims, notices)
        own = undisputed.get(_row(key), frozenset())
        rivals = _Rivals.of(others, claims, undisputed, own)
        scopes = _scopes(institution, rivals, claims, notices)
        if "scopes" in institution.unwritten:
            remembered[_row(key)] = own.union(scopes)
        upstream_name, _ = key
        completed[upstream_name].append(replace(institution, aliases=aliases, scopes=scopes))
    whole = {
        name: replace(upstream, institutions=tuple(completed[name]))
        for name, upstream in upstreams.items()
    }
    return CompletedUpstreams(whole, notices, remembered)


_RowKey = tuple[str, str]


def _row(key: _RowKey) -> str:
    """Return the name under which a row of broker.toml is remembered."""
    return " ".join(key)


def _institutions(upstreams: Mapping[str, Upstream]) -> Mapping[_RowKey, Institution]:
    """Return the institutions by upstream and entityID.

    By upstream too: the scopes of one upstream's institution are not those of another's of that
    name.
    """
    listed = {}
    for name, upstream in upstreams.items():
        for institution in upstream.institutions:
            listed[name, institution.entity_id] = institution
    return listed


def _claims(published: Published, notices: list[str]) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield what is published without what can be nobody's scope, before anything is compared.

    ``test`` or ``dk`` of one would else take from another what it has below
    (docs/reference/attacks.md#21).
    """
    for name, institution in published.items():
        count = len(institution.scopes)
        if count > _MOST:
            notices.append(f"{name} claims {count} scopes in its metadata: it has none")
            yield name, replace(institution, scopes=())
            continue
        possible = []
        for scope in map(lower_scope, institution.scopes):
            if _SCOPE.fullmatch(scope) and not _SECOND_LEVEL.fullmatch(scope):
                possible.append(scope)
            else:
                what = "which is no scope that one institution can have"
                notices.append(f"{name} has {scope[:80]!r} in its metadata, {what}")
        yield name, replace(institution, scopes=tuple(dict.fromkeys(possible)))


@dataclass(frozen=True, slots=True)
class _Rivals:
    """The scopes of all other institutions, each with the entityID of its institution.

    ``written`` are those of broker.toml, ``had`` those had undisputed, ``claimed`` the claims of
    the moment. ``own`` are the scopes that this institution itself had undisputed.
    """

    written: Mapping[str, str]
    had: Mapping[str, str]
    claimed: Mapping[str, str]
    own: frozenset[str]

    @classmethod
    def of(
        cls,
        others: Mapping[_RowKey, Institution],
        claims: Published,
        undisputed: Undisputed,
        own: frozenset[str],
    ) -> "_Rivals":
        written: dict[str, str] = {}
        had: dict[str, str] = {}
        claimed: dict[str, str] = {}
        for key, other in others.items():
            name = other.entity_id
            written |= dict.fromkeys(other.scopes, name)
            if "scopes" not in other.unwritten:
                continue
            had |= dict.fromkeys(undisputed.get(_row(key), ()), name)
            if name in claims:
                claimed |= dict.fromkeys(claims[name].scopes, name)
        return cls(written, had, claimed, own)

    def fault(self, name: str, scope: str) -> str | None:
        """Return why an institution does not get a scope of its metadata, or None."""
        settle = "write who has it into broker.toml"
        for owners in (self.written, self.had):
            for other_scope, owner in owners.items():
                if _overlap(scope, other_scope):
                    return f"{name} claims {scope}, and {owner} has it or a part of it: {settle}"
        for other_scope, owner in self.claimed.items():
            if _overlap(scope, other_scope) and scope not in self.own:
                return f"{name} and {owner} both claim {scope} or a part of it: {settle}"
        return None


def _scopes(
    institution: Institution, rivals: _Rivals, claims: Published, notices: list[str]
) -> tuple[str, ...]:
    """Return the scopes that broker.toml lists, or else those of its metadata that are its own."""
    name = institution.entity_id
    found = claims.get(name)
    if "scopes" not in institution.unwritten:
        notices += _not_published(institution, found)
        return institution.scopes
    if found is None:
        return ()
    kept = []
    for scope in found.scopes:
        fault = rivals.fault(name, scope)
        if fault:
            notices.append(fault)
        else:
            kept.append(scope)
    return tuple(kept)


def _not_published(institution: Institution, found: PublishedInstitution | None) -> Iterator[str]:
    if found is None:
        return
    for scope in institution.scopes:
        if scope not in found.scopes:
            name = institution.entity_id
            yield f"{name} has the scope {scope} in broker.toml and not in its metadata"


def _overlap(one: str, other: str) -> bool:
    """Return whether a value may be in both: affiliations may have any domain below a scope."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _aliases(
    institution: Institution,
    others: Sequence[Institution],
    published: Published,
    notices: list[str],
) -> tuple[str, ...]:
    """Return the aliases that broker.toml lists, or else the names published that are its own."""
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


class ScopeRecord:
    """The record, one file for all workers of a machine."""

    def __init__(self, path: Path) -> None:
        """Take the file, which is made when there is something to remember."""
        self._path = path

    def read(self) -> Undisputed:
        """Return what is remembered; nothing where the file is none of ours."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_LARGEST))
            return {str(name): frozenset(map(str, scopes)) for name, scopes in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def keep(self, undisputed: Undisputed) -> None:
        """Remember, if it is news; a disk that is full costs the memory only."""
        known = {name: scopes for name, scopes in undisputed.items() if scopes}
        if known == self.read():
            return
        written = {name: sorted(scopes) for name, scopes in sorted(known.items())}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable_files.put(self._path, json.dumps(written).encode())
        except OSError:
            return
