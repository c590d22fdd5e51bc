"""Decides which scopes and names an institution takes from its metadata.

Scopes in broker.toml are final; metadata never adds to them. Otherwise the scopes come from
metadata, except those that overlap a scope of another institution: the administrator decides who
owns ``au.dk``. A scope that no single institution can own (``dk``) is ignored. If two institutions
claim the same scope, the institution keeps it that had it before the other one claimed it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

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
_RECORD: Final = TypeAdapter(dict[str, frozenset[str]])
_SCHEME: Final = re.compile("https?://")


@dataclass(frozen=True, slots=True)
class PublishedInstitution:
    """The names under which an institution is in metadata, and its published scopes."""

    names: tuple[str, ...]
    scopes: tuple[str, ...]


Published = Mapping[str, PublishedInstitution]
"""The names and scopes that institutions publish, by entityID."""
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
    remembered: dict[str, frozenset[str]] = {}
    rows = [
        _Row.collect(name, institution, claims, undisputed)
        for name, upstream in upstreams.items()
        for institution in upstream.institutions
    ]
    for row in rows:
        others = [other for other in rows if other is not row]
        scopes = _choose_scopes(row, others, notices)
        if row.is_open:
            remembered[row.name] = row.had.union(scopes)
        aliases = _choose_aliases(row, others, notices)
        institution = replace(row.institution, aliases=aliases, scopes=scopes)
        completed[row.upstream].append(institution)
    whole = {
        name: replace(upstream, institutions=tuple(completed[name]))
        for name, upstream in upstreams.items()
    }
    return CompletedUpstreams(whole, notices, remembered)


@dataclass(frozen=True, slots=True)
class _Row:
    """An institution of an upstream in broker.toml. Two upstreams may list the same institution.

    ``claim`` are the names and scopes in its present metadata, ``had`` its scopes in the scope
    record.
    """

    upstream: str
    institution: Institution
    claim: PublishedInstitution | None
    had: frozenset[str]

    @classmethod
    def collect(
        cls, upstream: str, institution: Institution, claims: Published, undisputed: Undisputed
    ) -> "_Row":
        """Find the claim and the record of an institution."""
        entity_id = institution.entity_id
        had = undisputed.get(f"{upstream} {entity_id}", frozenset())
        return cls(upstream, institution, claims.get(entity_id), had)

    @property
    def name(self) -> str:
        """Return the name of the row in the scope record."""
        return f"{self.upstream} {self.institution.entity_id}"

    @property
    def is_open(self) -> bool:
        """Return whether broker.toml leaves the scopes to the metadata."""
        return "scopes" in self.institution.unwritten

    @property
    def owned_scopes(self) -> Iterable[str]:
        """Return the scopes that no other institution may claim."""
        return (*self.institution.scopes, *(self.had if self.is_open else ()))

    @property
    def claimed_scopes(self) -> tuple[str, ...]:
        """Return the scopes that the metadata claims now, if they count."""
        return self.claim.scopes if self.claim and self.is_open else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return every name of the institution in broker.toml and metadata."""
        institution = self.institution
        published = self.claim.names if self.claim else ()
        return (institution.entity_id, *institution.aliases, *published)


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


def _choose_scopes(row: _Row, others: Sequence[_Row], notices: list[str]) -> tuple[str, ...]:
    """Return the scopes of broker.toml, else the undisputed ones of the metadata."""
    institution = row.institution
    listed = row.claim.scopes if row.claim else ()
    if not row.is_open:
        for scope in institution.scopes:
            if row.claim and scope not in listed:
                what = f"has the scope {scope} in broker.toml and not in its metadata"
                notices.append(f"{institution.entity_id} {what}")
        return institution.scopes
    faults = {scope: _find_fault(scope, row, others) for scope in listed}
    notices += filter(None, faults.values())
    return tuple(scope for scope in listed if not faults[scope])


def _find_fault(scope: str, row: _Row, others: Sequence[_Row]) -> str | None:
    """Return why an institution does not get a scope of its metadata, or None."""
    name = row.institution.entity_id
    settle = "write who has it into broker.toml"
    for other in others:
        if any(_has_overlap(scope, each) for each in other.owned_scopes):
            owner = other.institution.entity_id
            return f"{name} claims {scope}, and {owner} has it or a part of it: {settle}"
    for other in others if scope not in row.had else ():
        if any(_has_overlap(scope, each) for each in other.claimed_scopes):
            owner = other.institution.entity_id
            return f"{name} and {owner} both claim {scope} or a part of it: {settle}"
    return None


def _has_overlap(one: str, other: str) -> bool:
    """Return whether one scope contains the other: values may have any domain below a scope."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _choose_aliases(row: _Row, others: Sequence[_Row], notices: list[str]) -> tuple[str, ...]:
    """Return the aliases of broker.toml, else the published names that no other has."""
    institution = row.institution
    name = institution.entity_id
    if "aliases" not in institution.unwritten or row.claim is None:
        return institution.aliases
    kept = []
    for alias in row.claim.names:
        if any(alias in other.names for other in others):
            both = f"{alias} names {name} and another institution"
            notices.append(f"{both}: write whose alias it is into broker.toml")
        elif alias != name:
            kept.append(alias)
    return tuple(kept)


class ScopeRecord:
    """The scope record: the scopes that each institution had before another one claimed them.

    The workers of a machine share the file. An attacker who can write it can only choose between
    institutions that both claim a scope. ``broker metadata check`` lists every such dispute.
    """

    def __init__(self, path: Path) -> None:
        """Use the file ``path``, which is created when needed."""
        self._path = path

    def read(self) -> Undisputed:
        """Return the content of the record, empty if the file cannot be read."""
        try:
            with self._path.open("rb") as file:
                return _RECORD.validate_json(file.read(_LARGEST))
        except (OSError, ValueError):
            return {}

    def keep(self, undisputed: Undisputed) -> None:
        """Write the record if it changed; ignore a full disk."""
        known = {name: scopes for name, scopes in undisputed.items() if scopes}
        if known == self.read():
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable_files.replace_file(self._path, _RECORD.dump_json(known))
        except OSError:
            return
