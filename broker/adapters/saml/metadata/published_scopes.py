"""Decides which scopes and names an institution takes from its metadata.

Scopes in broker.toml are final; metadata never adds to them. Otherwise the scopes come from
metadata, except those that overlap a scope of another institution: the administrator decides who
owns ``au.dk``. A scope that no single institution can own (``dk``) is ignored. If two institutions
claim the same scope, the institution keeps it that had it before the other one claimed it.
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

# Domain names of two labels or more. Real feeds contain ``adm.aau.dk@aau.dk``, which matches no
# value.
_SCOPE: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
# ``ac.uk``, ``edu.au``: second-level domains under which registries assign names.
_SECOND_LEVEL: Final = re.compile(
    r"(?:ac|co|com|edu|gov|gob|gouv|mil|net|nom|or|org|sch)\.[a-z]{2}"
)
_MOST: Final = 200  # scopes of one institution; each is compared with all others
_LARGEST: Final = 1024 * 1024  # octets of the record
_SCHEME: Final = re.compile("https?://")


@dataclass(frozen=True, slots=True)
class PublishedInstitution:
    """The names under which an institution is in metadata, and its published scopes."""

    names: tuple[str, ...]
    scopes: tuple[str, ...]


Published = Mapping[str, PublishedInstitution]
"""The published names and scopes of institutions, by entityID."""
Undisputed = Mapping[str, frozenset[str]]
"""Scopes that an institution had before another claimed them, by upstream and institution."""


@dataclass(frozen=True, slots=True)
class CompletedUpstreams:
    """The upstreams by name, with the scopes and names of their institutions.

    ``notices`` is for the administrator, ``undisputed`` for the scope record.
    """

    upstreams: Mapping[str, Upstream]
    notices: Sequence[str]
    undisputed: Undisputed


def list_spellings(institution: Institution, prefix: str) -> tuple[str, ...]:
    """Return the entityIDs under which a feed may list an institution.

    These are its own, and those of the hub's proxy for it: WAYF's BIRK entity of ``https://X`` is
    ``prefix`` and ``X`` (docs/reference/wayf.md#birk).
    """
    written = (institution.entity_id, *institution.aliases)
    if not prefix:
        return tuple(dict.fromkeys(written))
    proxied = [prefix + _SCHEME.sub("", name) for name in written if not name.startswith(prefix)]
    real = ["https://" + name.removeprefix(prefix) for name in written if name.startswith(prefix)]
    return tuple(dict.fromkeys((*written, *proxied, *real)))


def complete_upstreams(
    upstreams: Mapping[str, Upstream], published: Published, undisputed: Undisputed
) -> CompletedUpstreams:
    """Add published names and scopes to the institutions of the upstreams.

    ``undisputed`` is the content of the scope record. Two institutions never share a name, or a
    scope that comes from metadata.
    """
    notices: list[str] = []
    claims = dict(_list_claims(published, notices))
    completed: dict[str, list[Institution]] = {name: [] for name in upstreams}
    listed = _list_institutions(upstreams)
    remembered: dict[str, frozenset[str]] = {}
    for key, institution in listed.items():
        others = {other_key: other for other_key, other in listed.items() if other_key != key}
        aliases = _choose_aliases(institution, tuple(others.values()), claims, notices)
        own = undisputed.get(_row_name(key), frozenset())
        rivals = _Rivals.collect(others, claims, undisputed, own)
        scopes = _choose_scopes(institution, rivals, claims, notices)
        if "scopes" in institution.unwritten:
            remembered[_row_name(key)] = own.union(scopes)
        upstream_name, _ = key
        completed[upstream_name].append(replace(institution, aliases=aliases, scopes=scopes))
    whole = {
        name: replace(upstream, institutions=tuple(completed[name]))
        for name, upstream in upstreams.items()
    }
    return CompletedUpstreams(whole, notices, remembered)


_RowKey = tuple[str, str]


def _row_name(key: _RowKey) -> str:
    """Return the name of a row of broker.toml in the scope record."""
    return " ".join(key)


def _list_institutions(upstreams: Mapping[str, Upstream]) -> Mapping[_RowKey, Institution]:
    """Return the institutions by upstream and entityID: two upstreams may list the same one."""
    listed = {}
    for name, upstream in upstreams.items():
        for institution in upstream.institutions:
            listed[name, institution.entity_id] = institution
    return listed


def _list_claims(
    published: Published, notices: list[str]
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield the published names and scopes without those that no institution can own.

    Otherwise a claim on ``dk`` would block the scopes of all others below it
    (docs/reference/attacks.md#21).
    """
    for name, institution in published.items():
        count = len(institution.scopes)
        if count > _MOST:
            notices.append(f"{name} claims {count} scopes in its metadata: all are ignored")
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

    ``written`` is from broker.toml, ``had`` from the scope record, ``claimed`` from metadata now.
    ``own`` is the scopes of this institution in the scope record.
    """

    written: Mapping[str, str]
    had: Mapping[str, str]
    claimed: Mapping[str, str]
    own: frozenset[str]

    @classmethod
    def collect(
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
            had |= dict.fromkeys(undisputed.get(_row_name(key), ()), name)
            if name in claims:
                claimed |= dict.fromkeys(claims[name].scopes, name)
        return cls(written, had, claimed, own)

    def find_fault(self, name: str, scope: str) -> str | None:
        """Return why an institution does not get a scope of its metadata, or None."""
        settle = "write who has it into broker.toml"
        for owners in (self.written, self.had):
            for other_scope, owner in owners.items():
                if _has_overlap(scope, other_scope):
                    return f"{name} claims {scope}, and {owner} has it or a part of it: {settle}"
        for other_scope, owner in self.claimed.items():
            if _has_overlap(scope, other_scope) and scope not in self.own:
                return f"{name} and {owner} both claim {scope} or a part of it: {settle}"
        return None


def _choose_scopes(
    institution: Institution, rivals: _Rivals, claims: Published, notices: list[str]
) -> tuple[str, ...]:
    """Return the scopes of broker.toml, else the undisputed ones of the metadata."""
    name = institution.entity_id
    found = claims.get(name)
    if "scopes" not in institution.unwritten:
        notices += _describe_unpublished(institution, found)
        return institution.scopes
    if found is None:
        return ()
    kept = []
    for scope in found.scopes:
        fault = rivals.find_fault(name, scope)
        if fault:
            notices.append(fault)
        else:
            kept.append(scope)
    return tuple(kept)


def _describe_unpublished(
    institution: Institution, found: PublishedInstitution | None
) -> Iterator[str]:
    if found is None:
        return
    for scope in institution.scopes:
        if scope not in found.scopes:
            name = institution.entity_id
            yield f"{name} has the scope {scope} in broker.toml and not in its metadata"


def _has_overlap(one: str, other: str) -> bool:
    """Return whether one scope contains the other: values may have any domain below a scope."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _choose_aliases(
    institution: Institution,
    others: Sequence[Institution],
    published: Published,
    notices: list[str],
) -> tuple[str, ...]:
    """Return the aliases of broker.toml, else the published names that no other has."""
    name = institution.entity_id
    feed = published.get(name)
    if "aliases" not in institution.unwritten or feed is None:
        return institution.aliases
    names_of_others = set(_list_names(others, published))
    kept = []
    for alias in feed.names:
        if alias in names_of_others:
            both = f"{alias} names {name} and another institution"
            notices.append(f"{both}: write whose alias it is into broker.toml")
        elif alias != name:
            kept.append(alias)
    return tuple(kept)


def _list_names(institutions: Sequence[Institution], published: Published) -> Iterator[str]:
    """Yield every name of the institutions in broker.toml and metadata."""
    for institution in institutions:
        yield institution.entity_id
        yield from institution.aliases
        feed = published.get(institution.entity_id)
        if feed is not None:
            yield from feed.names


class ScopeRecord:
    """The scope record: which scopes institutions had before another claimed them.

    The workers of a machine share the file. An attacker who can write it can only choose between
    institutions that both claim a scope; ``broker metadata check`` lists every such dispute.
    """

    def __init__(self, path: Path) -> None:
        """Take the file, which is created when needed."""
        self._path = path

    def read(self) -> Undisputed:
        """Return the content of the record, empty if the file cannot be read."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_LARGEST))
            return {str(name): frozenset(map(str, scopes)) for name, scopes in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def keep(self, undisputed: Undisputed) -> None:
        """Write the record if it changed; ignore a full disk."""
        known = {name: scopes for name, scopes in undisputed.items() if scopes}
        if known == self.read():
            return
        written = {name: sorted(scopes) for name, scopes in sorted(known.items())}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable_files.replace_file(self._path, json.dumps(written).encode())
        except OSError:
            return
