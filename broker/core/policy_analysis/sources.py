"""The sources of logins: institutions behind upstreams, with what each may assert."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from broker.core.entities import Assurance, Controller, Institution, Names, Service, Upstream
from broker.core.identity.attribute_properties import AttributeProperties, find_properties
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, AttributeMap
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import Ground, assume_cpr_ground, find_cpr_ground
from broker.core.login.login_decision import add_required_names
from broker.core.policy.model import PolicySet, ideal_service

CATEGORY: Final = "borrower_category"
# The reader of a complete map derives these names, as ``national_eid`` does.
_COMPLETED: Final = ("cn", "gn", "sn", "displayName")
# The likely levels first, so that a persona is a usual person.
_LEVELS: Final = (
    Assurance.LOW,
    Assurance.SUBSTANTIAL,
    Assurance.HIGH,
    Assurance.SELF_ASSERTED,
    None,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One institution behind one upstream.

    ``shapes`` are the attributes that it may assert, None where any may come; ``scopes`` None: any.
    ``levels`` are those that its logins have.
    """

    upstream: str
    institution: str = ""
    shapes: Mapping[str, AttributeProperties] | None = field(default=None, repr=False)
    scopes: Names | None = None
    levels: tuple[Assurance | None, ...] = _LEVELS
    issuer: Institution | None = None  # None: any
    asserts_cpr: bool = True
    local: bool = False
    giver: Controller | None = None

    def find_ground(self, affiliations: Iterable[str], level: Assurance | None) -> Ground | None:
        """Return what makes a real CPR number from here usable; None if it is not."""
        if not self.asserts_cpr:
            return None
        if self.issuer is None:
            return assume_cpr_ground(level, affiliations)
        return find_cpr_ground(self.issuer, level, affiliations)

    def is_single(self, name: str) -> bool:
        """Return whether a person has one value of the attribute at most."""
        shape = self.shape(name)
        return shape is None or shape.single

    def shape(self, name: str) -> AttributeProperties | None:
        """Return the shape of an attribute; None if no login from this source has it.

        A person without an asserted mail address may have proved one, in any domain.
        """
        if self.shapes is None:
            return AttributeProperties()
        asserted = self.shapes.get(name)
        if name == MAIL_PROOF and not self.local:
            return asserted or AttributeProperties(single=True)
        return asserted


@dataclass(frozen=True, slots=True)
class Site:
    """The sources and services that policies are analysed for."""

    sources: tuple[Source, ...]
    services: tuple[Service, ...]

    @classmethod
    def from_configuration(
        cls,
        services: Mapping[str, Service],
        upstreams: Mapping[str, Upstream],
        maps: Mapping[str, AttributeMap],
    ) -> "Site":
        """Return the site of the configured services and upstreams."""
        every = upstreams.values()
        sources = (source for upstream in every for source in list_sources(upstream, maps))
        known = (add_required_names(service, maps) for service in services.values())
        return cls(tuple(sources), tuple(known))

    @classmethod
    def from_policies(cls, sets: Iterable[PolicySet]) -> "Site":
        """Return a site with all that the policies name, where every upstream asserts everything.

        An upstream that an alternative names with a borrower's category is the library system.
        """
        upstreams: dict[str, bool] = {}
        for alternative in (match for each in sets for of in each.policies for match in of.match):
            values = {each.name: each.values for each in alternative.conditions}
            for name in values.get("upstream", ()):
                upstreams[name] = upstreams.get(name, False) or CATEGORY in values
        methods = tuple(sorted(upstreams))
        shapes = {CATEGORY: AttributeProperties(single=True)}
        sources = (
            Source(name, "", shapes, (), (None,), asserts_cpr=False, local=True)
            if upstreams[name]
            else Source(name)
            for name in methods
        )
        services = (ideal_service(name, methods) for name in sorted(find_named_services(sets)))
        return cls(tuple(sources), tuple(services))

    @property
    def unlimited_by_metadata(self) -> "Site":
        """Return the site with services whose metadata withholds nothing.

        A service may publish other metadata at any time, so policies must hold for all metadata.
        """
        services = (
            replace(each, encrypts=True, required=None, subject_id_req=None)
            for each in self.services
        )
        return replace(self, services=tuple(services))

    @property
    def local(self) -> frozenset[str]:
        """Return the upstreams where the library system itself verifies the person."""
        return frozenset(source.upstream for source in self.sources if source.local)


def list_sources(upstream: Upstream, maps: Mapping[str, AttributeMap]) -> Iterator[Source]:
    """Yield the sources behind an upstream, a source for each of its institutions."""
    if upstream.local:
        shapes = {CATEGORY: AttributeProperties(single=True)}
        yield Source(upstream.name, "", shapes, (), (None,), asserts_cpr=False, local=True)
        return
    attribute_map = maps[upstream.attribute_map]
    shapes = _list_shapes(attribute_map)
    for institution in upstream.institutions:
        yield Source(
            upstream=upstream.name,
            institution=institution.entity_id,
            shapes=shapes,
            scopes=_find_scopes(institution),
            levels=tuple(_iter_levels(upstream, institution)),
            issuer=institution,
            asserts_cpr=CPR_ATTRIBUTE in shapes and CPR_ATTRIBUTE in institution.may_assert,
            giver=Controller(institution.label or upstream.label),
        )


def _find_scopes(institution: Institution) -> Names | None:
    """Return the scopes of an institution; None (any) if its metadata has them and is missing."""
    if not institution.scopes and "scopes" in institution.unwritten:
        return None
    return institution.scopes


def find_named_services(sets: Iterable[PolicySet]) -> set[str]:
    """Return the services and categories that have an entry."""
    return {
        release.service
        for policies in sets
        for policy in policies.policies
        for release in policy.releases
    }


def _list_shapes(attribute_map: AttributeMap) -> dict[str, AttributeProperties]:
    """Return the properties of the attributes of a map, by our names."""
    shapes = {row.name: row.properties for row in attribute_map.rows}
    if attribute_map.complete:
        for name in _COMPLETED:
            shapes.setdefault(name, find_properties(name))
    return shapes


def _iter_levels(upstream: Upstream, institution: Institution) -> Iterator[Assurance | None]:
    """Yield the levels that a login by ``institution`` may have, as they are read."""
    eid = upstream.profile == "oiosaml3"
    for level in _LEVELS:
        if level is None and not eid:
            yield level
        if level is None or level > institution.max_assurance:
            continue
        if not eid or level >= upstream.least:
            yield level
