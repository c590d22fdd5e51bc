"""Where logins come from: an institution behind an upstream, and what it may assert of a person."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from broker.core.analysis.value_kinds import Standing
from broker.core.entities import Assurance, Controller, Institution, Names, Upstream
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, AttributeMap
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.rights import ALUMNI_ROLE, Ground, assume_cpr_ground, find_cpr_ground

CATEGORY: Final = "borrower_category"
# One affiliation for each standing.
_ROLES: Final[Mapping[Standing, Names]] = {
    Standing.NONE: (),
    Standing.OUTSIDER: ("affiliate",),
    Standing.ALUMNI: (ALUMNI_ROLE,),
    Standing.IDENTIFIED: ("student",),
}
# What the readers of a complete map make of the other names; as ``national_eid`` does.
_COMPLETED: Final = ("cn", "gn", "sn", "displayName")
# The likely levels first: whoever stands for a class should be a usual person.
_LEVELS: Final = (
    Assurance.LOW,
    Assurance.SUBSTANTIAL,
    Assurance.HIGH,
    Assurance.SELF_ASSERTED,
    None,
)


@dataclass(frozen=True, slots=True)
class AssertedShape:
    """The shape of one attribute's values, as the rows of a map allow them; as in ``MapRow``."""

    single: bool = False
    pattern: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One institution behind one upstream.

    ``shapes`` are the attributes that it may assert, None where any may come; ``scopes`` None: any.
    ``levels`` are those that its logins have.
    """

    upstream: str
    institution: str = ""
    shapes: Mapping[str, AssertedShape] | None = field(default=None, repr=False)
    scopes: Names | None = None
    levels: tuple[Assurance | None, ...] = _LEVELS
    issuer: Institution | None = None  # None: any
    asserts_cpr: bool = True
    local: bool = False
    giver: Controller | None = None

    def find_cpr_ground(self, standing: Standing, level: Assurance | None) -> Ground | None:
        """Return what makes a real CPR number from here usable; None if it is not."""
        if not self.asserts_cpr:
            return None
        affiliations = _ROLES[standing]
        if self.issuer is None:
            return assume_cpr_ground(level, affiliations)
        return find_cpr_ground(self.issuer, level, affiliations)

    @property
    def names_mail(self) -> bool:
        """Return whether its logins may come with a mail address that the person did not prove."""
        return self.shapes is None or MAIL_PROOF in self.shapes

    def shape(self, name: str) -> AssertedShape | None:
        """Return the shape of the attribute ``name``, None where no login from here has it.

        Whoever comes without a mail address may have proved one, in whatever domain.
        """
        if self.shapes is None:
            return AssertedShape()
        asserted = self.shapes.get(name)
        if name == MAIL_PROOF and not self.local:
            return replace(asserted or AssertedShape(single=True), scope=None)
        return asserted


def sources_of(upstream: Upstream, maps: Mapping[str, AttributeMap]) -> Iterator[Source]:
    """Yield the sources behind an upstream, a source for each of its institutions."""
    if upstream.local:
        shapes = {CATEGORY: AssertedShape(single=True)}
        yield Source(upstream.name, "", shapes, (), (None,), asserts_cpr=False, local=True)
        return
    attribute_map = maps[upstream.attribute_map]
    shapes = _shapes(attribute_map)
    for institution in upstream.institutions:
        yield Source(
            upstream=upstream.name,
            institution=institution.entity_id,
            shapes=shapes,
            scopes=_scopes(institution),
            levels=tuple(_levels(upstream, institution)),
            issuer=institution,
            asserts_cpr=CPR_ATTRIBUTE in shapes and CPR_ATTRIBUTE in institution.may_assert,
            giver=Controller(institution.label or upstream.label),
        )


def _scopes(institution: Institution) -> Names | None:
    """Return the scopes of an institution; None, any, where its metadata says them and is away."""
    if not institution.scopes and "scopes" in institution.unwritten:
        return None
    return institution.scopes


def ideal_sources(upstreams: Iterable[str], local: Iterable[str]) -> Iterator[Source]:
    """Yield a source for each name of an upstream, where nothing is known of the site.

    Each may assert everything; ``local`` are those whose people come by a borrower's PIN.
    """
    shapes = {CATEGORY: AssertedShape(single=True)}
    for name in sorted(set(upstreams)):
        if name in local:
            yield Source(name, "", shapes, (), (None,), asserts_cpr=False, local=True)
        else:
            yield Source(name)


def _shapes(attribute_map: AttributeMap) -> dict[str, AssertedShape]:
    """Return the shapes by our names; of two rows of one name the wider of each property."""
    shapes: dict[str, AssertedShape] = {}
    for row in attribute_map.rows:
        shape = AssertedShape(row.single, row.pattern, row.scope)
        other = shapes.get(row.name)
        shapes[row.name] = _wider(shape, other) if other else shape
    if attribute_map.complete:
        for name in _COMPLETED:
            shapes.setdefault(name, AssertedShape(single=True))
    return shapes


def _wider(one: AssertedShape, other: AssertedShape) -> AssertedShape:
    pattern = one.pattern if one.pattern == other.pattern else None
    scope = one.scope if one.scope == other.scope else None
    return AssertedShape(one.single or other.single, pattern, scope)


def _levels(upstream: Upstream, institution: Institution) -> Iterator[Assurance | None]:
    """Yield the levels that a login by ``institution`` may have, as they are read."""
    eid = upstream.profile == "oiosaml3"
    for level in _LEVELS:
        if level is None and not eid:
            yield level
        if level is None or level > institution.max_assurance:
            continue
        if not eid or level >= upstream.least:
            yield level
