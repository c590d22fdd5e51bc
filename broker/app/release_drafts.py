"""Drafts of release entries: what a service asks for in its metadata, and who can give it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.saml.metadata.entity_attributes import RequestedAttribute
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor
from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.app.policy_surroundings import PolicySurroundings
from broker.app.policy_trials import NoSuchNameError
from broker.core.analysis.sources import sources_of
from broker.core.entities import PERSISTENT, TRANSIENT, Names, Service
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.event_routes import told_nobody
from broker.core.identity.canonical_attributes import (
    BORROWER_NUMBER,
    CPR_ATTRIBUTE,
    AttributeMap,
    MapRow,
)
from broker.core.identity.subject_ids import MINTED
from broker.core.policy.matching import PROOF_DOMAIN
from broker.files.policies import live_policies
from broker.files.policies.policy_folder import PolicyFolder

_NAME_IDS: Final = {PERSISTENT: "persistent", TRANSIENT: "transient"}


@dataclass(frozen=True, slots=True)
class DraftedAttribute:
    """One attribute of a draft; ``remarks`` are what whoever fills it in should know."""

    name: str
    required: bool
    remarks: Names = ()


@dataclass(frozen=True, slots=True)
class AttributeNotGiven:
    """An attribute that a service asks for and nobody can give, with the reason."""

    asked: RequestedAttribute
    why: str


@dataclass(frozen=True, slots=True)
class ReleaseDraft:
    """What can be said of a release entry by the service's metadata; all else is a question.

    ``name_id`` is None where its metadata leaves the choice.
    """

    service: Service
    attributes: tuple[DraftedAttribute, ...] = ()
    not_given: tuple[AttributeNotGiven, ...] = ()
    name_id: str | None = None
    remarks: Names = ()


def drafted(name: str, moment: datetime) -> ReleaseDraft:
    """Return the draft for a service, by its name in broker.toml or its entityID.

    NoSuchNameError; ConfigurationFaults where it has no metadata in force.
    """
    settings = configuration()
    around = policy_surroundings.load(settings, told_nobody, moment)
    service = _service(name, around)
    if around.faults or around.metadata is None:
        raise ConfigurationFaults(list(around.faults))
    descriptor = around.metadata.current.service(service.entity_id, moment)
    if descriptor is None:
        mend = "put its descriptor into metadata/: broker metadata check"
        raise ConfigurationFaults(
            [Fault(f"services.{service.name}", "has no metadata in force", mend)]
        )
    return _Drafting(service, descriptor, around, settings.policies).draft()


def _service(name: str, around: PolicySurroundings) -> Service:
    for service in around.services.values():
        if name in {service.name, service.entity_id}:
            return service
    raise NoSuchNameError.of("service", name, around.services)


@dataclass(frozen=True, slots=True)
class _Drafting:
    service: Service
    descriptor: ServiceDescriptor
    around: PolicySurroundings
    policies: Path

    @property
    def maps(self) -> dict[str, AttributeMap]:
        """Return the attribute maps by name."""
        return dict(self.around.maps.maps) if self.around.maps else {}

    def draft(self) -> ReleaseDraft:
        """Sort what is asked for into what can be given, and what cannot."""
        attributes: dict[str, DraftedAttribute] = {}
        not_given = []
        for asked in self.descriptor.requested:
            rows = self._rows(asked)
            given = [row for row in rows if self._is_given(row.name)]
            if given:
                first = given[0]
                remarks = tuple(self._remarks(asked, given))
                drafted = DraftedAttribute(first.name, asked.required, remarks)
                attributes.setdefault(first.name, drafted)
            else:
                not_given.append(AttributeNotGiven(asked, self._why_not(rows)))
        return ReleaseDraft(
            service=self.service,
            attributes=tuple(attributes.values()),
            not_given=tuple(not_given),
            name_id=self._name_id(),
            remarks=tuple(self._whole()),
        )

    def _rows(self, asked: RequestedAttribute) -> list[MapRow]:
        """Return the rows of the service's map for an attribute, by its Name, else FriendlyName."""
        rows = self.maps[self.service.attribute_map].rows
        by_name = [row for row in rows if row.wire == asked.name]
        if by_name:
            return by_name
        words = {asked.name, asked.friendly} - {""}
        return [row for row in rows if words & {row.friendly, row.name}]

    def _is_given(self, name: str) -> bool:
        """Return whether some way to log in at the service, or the broker itself, gives it."""
        if name in MINTED:
            return self.service.scope is not None
        if name == BORROWER_NUMBER or name.endswith(PROOF_DOMAIN):
            return True
        return any(name in names for names in self._asserted())

    def _asserted(self) -> Iterator[set[str]]:
        """Yield the attributes of each institution by which one may log in at the service."""
        for upstream in self.around.upstreams.values():
            if upstream.name in self.service.methods and not upstream.local:
                for source in sources_of(upstream, self.maps):
                    names = set(source.shapes or ())
                    yield names if source.asserts_cpr else names - {CPR_ATTRIBUTE}

    def _why_not(self, rows: list[MapRow]) -> str:
        if not rows:
            return f"attribute_maps/{self.service.attribute_map}.yaml has no row for it"
        if rows[0].name in MINTED:
            return f"{rows[0].name} is made under idp.scope, which is not set"
        return f"no way to log in at {self.service.name} gives {rows[0].name}"

    def _remarks(self, asked: RequestedAttribute, rows: list[MapRow]) -> Iterator[str]:
        if not asked.required:
            yield "not required"
        if len(rows) > 1:
            yield f"or {', '.join(row.name for row in rows[1:])}, under the same name on the wire"
        if asked.name != rows[0].wire:
            yield f"leaves as {rows[0].wire}, which is not what was asked for"
        if rows[0].name == CPR_ATTRIBUTE:
            if self.service.controller is None:
                yield f"withheld until services.{self.service.name}.controller is set"
            if not self.service.encrypts:
                yield "withheld until its metadata has an encryption key"

    def _name_id(self) -> str | None:
        """Return the kind of NameID where the metadata names one of those that need no reason."""
        named = {_NAME_IDS[each] for each in self.descriptor.name_id_formats if each in _NAME_IDS}
        return next(iter(named)) if len(named) == 1 else None

    def _whole(self) -> Iterator[str]:
        """Yield remarks on the whole: what is there already, and that nothing is asked for."""
        found = PolicyFolder(self.policies).files()
        for policy in live_policies.well_formed(found.files, found.place):
            for release in policy.releases:
                if release.service == self.service.name:
                    yield f"{release.place} has an entry for it already"
        if not self.descriptor.requested:
            yield "its metadata asks for no attribute: ask whoever runs it what it needs, and why"
