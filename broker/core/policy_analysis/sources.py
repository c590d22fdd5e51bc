"""The sources of logins, and a value of each kind that a source may assert."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from broker.core.entities import Assurance, Institution, Names, Upstream
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.attribute_values import (
    AFFILIATIONS,
    VOCABULARY,
    is_known_affiliation,
    read_role,
)
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    OURS,
    AttributeMap,
    find_value_fault,
)
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import ALUMNI_ROLE, IDENTIFIED_ROLES, MAY_ASSERT_CPR
from broker.core.login.given_facts import assume_scopes
from broker.core.login.site import CATEGORY, Site
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed

# The reader of a complete map derives these names, as ``national_eid`` does.
_COMPLETED: Final = frozenset({"cn", "gn", "sn", "displayName"})
# The likely levels first, so that sample logins are of usual people.
_LEVELS: Final = (
    Assurance.LOW,
    Assurance.SUBSTANTIAL,
    Assurance.HIGH,
    Assurance.SELF_ASSERTED,
    None,
)
_EVERY_VALUE: Final = "*"
# Values that meet the pattern of some attribute, and endings of a value whose beginning is named.
# Policies are unlikely to name them. Several are alike, so that one is unused.
USUAL_VALUES: Final = (
    "something",
    "other@mail.example",
    "x7q",
    "x",
    "7",
    "7777",
    "19700101",
    "da",
    "High",
    "urn:x:x7q",
    "urn:schac:homeOrganizationType:x7q",
    "urn:schac:personalUniqueCode:x7q",
    "00000000-0000-0000-0000-000000000000",
    "7777-7777-7-777777777777",
    "mail.example",
    "other.example",
)
_LABELS: Final = ("dept", "other", "x7q")
_ANYWHERE: Final = "other.example"
_WORDS: Final = tuple(sorted(VOCABULARY))


@dataclass(frozen=True, slots=True)
class Source:
    """One institution behind one upstream, or the library account (no institution).

    ``names`` are the attributes that it may assert; None: any.
    """

    upstream: Upstream
    institution: Institution | None
    names: frozenset[str] | None = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Return the name of the upstream and the institution's entity ID."""
        return self.upstream.name, self.institution.entity_id if self.institution else ""

    @property
    def asserts_cpr(self) -> bool:
        """Return whether a login may bring a CPR number."""
        institution = self.institution
        if institution is None or MAY_ASSERT_CPR not in institution.may_assert:
            return False
        return self.has_attribute(CPR_ATTRIBUTE)

    @property
    def least_level_for_cpr(self) -> Assurance:
        """Return the level from which a CPR number can be usable."""
        is_eid = self.institution is not None and self.institution.national_eid
        return Assurance.SUBSTANTIAL if is_eid else Assurance.LOW

    @property
    def levels(self) -> tuple[Assurance | None, ...]:
        """Return the levels that a login may have, as they are read."""
        if self.institution is None:
            return (None,)
        cap = self.institution.max_assurance
        least = self.upstream.least if self.upstream.profile == "oiosaml3" else None
        return tuple(
            each
            for each in _LEVELS
            if (least is None if each is None else each <= cap and (not least or each >= least))
        )

    @property
    def value_in_scope(self) -> str:
        """Return an affiliation or mail address in its scope that no policy is likely to name."""
        return f"x7q@{_list_domains(self, ())[0]}"

    def split_by_scopes(self, others: Collection["Source"]) -> Iterator["Source"]:
        """Yield the source with the scopes first that another site lacks, then with those alone.

        Sample logins choose their values in these scopes, the first ones first.
        """
        same = [each.institution for each in others if each.key == self.key]
        if self.institution is None or not same:
            yield self
            return
        known = {scope for each in same if each for scope in each.scopes}
        scopes = sorted(self.institution.scopes, key=known.__contains__)
        added = [scope for scope in scopes if scope not in known]
        for chosen in (scopes, added) if added else (scopes,):
            yield replace(self, institution=replace(self.institution, scopes=tuple(chosen)))

    def has_attribute(self, name: str) -> bool:
        """Return whether it may assert an attribute."""
        return name not in OURS and (self.names is None or name in self.names)

    def is_single(self, name: str) -> bool:
        """Return whether a login has at most one value of an attribute, category or proof."""
        is_ours = name == CATEGORY or name.endswith(PROOF_DOMAIN)
        return is_ours or find_properties(name).single

    def has_value(self, name: str, value: str, named_affiliations: Collection[str]) -> bool:
        """Return whether a login may have a value, by the rules of the reader.

        A person without an asserted mail address may have proved one, in any domain.
        """
        if self.institution is None:
            return name == CATEGORY
        if name.endswith(PROOF_DOMAIN):
            return "@" not in value
        if name != MAIL_PROOF and not self.has_attribute(name):
            return False
        if find_value_fault(name, value, assume_scopes(self.institution, (value,))) is not None:
            return False
        return name not in AFFILIATIONS or is_known_affiliation(value, named_affiliations)


def list_sources(site: Site) -> Iterator[Source]:
    """Yield the sources of a site: one for each institution of each upstream."""
    for upstream in site.upstreams.values():
        if upstream.local:
            yield Source(upstream, None, frozenset())
            continue
        names = _list_names(site.maps.get(upstream.attribute_map))
        yield from (Source(upstream, each, names) for each in upstream.institutions)


def _list_names(attribute_map: AttributeMap | None) -> frozenset[str] | None:
    """Return the attributes of a map; None: any, without a configuration."""
    if attribute_map is None:
        return None
    names = frozenset(row.name for row in attribute_map.rows)
    return names | _COMPLETED if attribute_map.completes_names else names


def find_rank(name: str, value: str) -> int:
    """Return the rank of a value: 3 identified, 2 alumni, 1 another affiliation, 0 none."""
    if name not in AFFILIATIONS:
        return 0
    word = read_role(value)
    if word in IDENTIFIED_ROLES:
        return 3
    return 2 if word == ALUMNI_ROLE else 1


def choose_values(
    source: Source, name: str, patterns: Collection[str], named_affiliations: Collection[str]
) -> Names:
    """Return a value of each kind that ``source`` may assert; the last meets no pattern, if any.

    Values of one kind meet the same of the ``patterns`` that policies name, and have the same rank.
    """
    found: dict[object, str] = {}
    domains = _list_domains(source, patterns)
    exact_first = sorted(patterns, key=lambda each: (each.endswith("*"), each))
    for pattern in (*exact_first, _EVERY_VALUE):
        for value in _iter_candidates(pattern, domains):
            if not value_allowed(value, (pattern,)):
                continue
            kind = (
                tuple(each for each in patterns if value_allowed(value, (each,))),
                find_rank(name, value),
            )
            if kind not in found and source.has_value(name, value, named_affiliations):
                found[kind] = value
    return tuple(found.values())


def _iter_candidates(pattern: str, domains: Names) -> Iterator[str]:
    """Yield values that may meet a pattern: its beginning with each ending, and affiliations."""
    beginning = pattern.removesuffix("*")
    if beginning == pattern:
        yield pattern
        return
    yield from (f"{beginning}{ending}" for ending in USUAL_VALUES)
    words = (*_WORDS, *map(str.upper, _WORDS), beginning.partition("@")[0] or "someone")
    for domain in domains:
        yield from (f"{word}@{domain}" for word in words)
        yield from (f"{beginning}{joint}{domain}" for joint in ("", ".", "x7q.", "@", "someone@"))
        yield domain
    yield from words


def _list_domains(source: Source, patterns: Collection[str]) -> Names:
    """Return the scopes of the source with subdomains; for any scope, the domains named."""
    scopes = source.institution.scopes if source.institution else ()
    if not scopes:
        named = (pattern.rpartition("@")[2] for pattern in sorted(patterns))
        scopes = (*(domain for domain in named if "*" not in domain and "." in domain), _ANYWHERE)
    below = (f"{label}.{scope}" for scope in scopes for label in _LABELS)
    return (*dict.fromkeys((*scopes, *below)),)
