"""A site: the services, upstreams and attribute maps that described logins are tried at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from broker.core.entities import Controller, Institution, Service, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.login.decision_input import add_required_names
from broker.core.policy.model import PolicySet, ideal_service

_ANY: Final = "any"
CATEGORY: Final = "borrower_category"
_EID: Final = "nemid"


@dataclass(frozen=True, slots=True)
class Site:
    """The services and upstreams that logins are tried at, with the attribute maps.

    Without a configuration (``configured`` is False) every service and upstream that a policy names
    exists, and withholds nothing.
    """

    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: Mapping[str, AttributeMap] = field(repr=False)
    configured: bool = True

    @classmethod
    def from_configuration(
        cls,
        services: Mapping[str, Service],
        upstreams: Mapping[str, Upstream],
        maps: Mapping[str, AttributeMap],
    ) -> "Site":
        """Return the site of the configured services and upstreams."""
        known = {name: add_required_names(each, maps) for name, each in services.items()}
        return cls(known, dict(upstreams), maps)

    @classmethod
    def from_policies(cls, sets: Sequence[PolicySet]) -> "Site":
        """Return the site without a configuration, with all that the policies name.

        An upstream that an alternative names with a borrower's category is the library system.
        """
        local: dict[str, bool] = {}
        matches = (each.match for policies in sets for each in policies.policies)
        for alternative in chain.from_iterable(matches):
            values = alternative.values
            for name in values.get("upstream", ()):
                local[name] = local.get(name, False) or CATEGORY in values
        upstreams = {name: _make_ideal_upstream(name, is_local=local[name]) for name in local}
        methods = tuple(upstreams)
        services = {
            name: ideal_service(name, methods) for name in sorted(find_named_services(sets))
        }
        return cls(services, upstreams, {}, configured=False)

    @property
    def unlimited_by_metadata(self) -> "Site":
        """Return the site with services whose metadata withholds nothing.

        A service may publish other metadata at any time, so policies must hold for all metadata.
        """
        services = {
            name: replace(each, encrypts=True, required=None, subject_id_req=None)
            for name, each in self.services.items()
        }
        return replace(self, services=services)

    @property
    def local(self) -> frozenset[str]:
        """Return the upstreams where the library system verifies the person."""
        return frozenset(name for name, each in self.upstreams.items() if each.local)

    def find_giver(self, upstream: str, institution: str) -> Controller | None:
        """Return the party that asserts a login; None if the site lacks the upstream."""
        there = self.upstreams.get(upstream)
        if there is None:
            return None
        giver = there.institution(institution)
        label = giver.label if giver else None
        return Controller(label or there.label)


def find_named_services(sets: Iterable[PolicySet]) -> set[str]:
    """Return the services and categories that have an entry."""
    return {release.service for policies in sets for release in policies.releases}


def _make_ideal_upstream(name: str, *, is_local: bool) -> Upstream:
    """Return an upstream whose institution may assert everything, in every scope."""
    institution = Institution(
        _ANY,
        may_assert=frozenset({"cpr", "alumni_cpr"}),
        national_eid=name == _EID,
        unwritten=frozenset({"scopes"}),
    )
    return Upstream(
        name=name,
        profile="library" if is_local else "wayf",
        entity_id=_ANY,
        sp_entity_id=_ANY,
        attribute_map=_ANY,
        label=Text(name, name),
        institutions=() if is_local else (institution,),
    )
