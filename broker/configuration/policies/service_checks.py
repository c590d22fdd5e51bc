"""Faults and warnings of policies against the configured services and upstreams."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.configuration.policies.consistency_checks import unconfigured
from broker.configuration.policies.upstream_checks import PolicyProblem, named_upstreams
from broker.core.entities import Service
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, AttributeMap, find_outgoing_row
from broker.core.identity.person_id import MINTED
from broker.core.policy.model import Policy, PolicyLine, Release, ReleasedAttribute

# Numbers that an authority or an institution gives a person.
_MAY_CONTAIN_CPR: Final = frozenset({"norEduPersonLIN", "schacPersonalUniqueCode"})


def unknown_services(
    policies: Iterable[Policy], services: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find entries for services that are not configured: nobody can ask for them.

    A name near a configured one is a typo, and a fault of the file instead.
    """
    if services is None:
        return
    for release in _all_releases(policies):
        if not unconfigured(release, services):
            continue
        if not did_you_mean(release.service, services):
            what = f"no service {release.service!r} is configured"
            fix = "add it to broker.toml, or remove the entry"
            yield release.place, what, fix


def misspelt_upstreams(
    policies: Iterable[Policy], upstreams: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find names near that of a configured upstream: as written they match nobody."""
    known = upstreams or ()
    for name, place in chain(_unknown_upstreams(policies, known), _in_examples(policies, known)):
        fix = did_you_mean(name, known)
        if fix:
            yield place, f"unknown upstream {name!r}", fix


def unknown_upstreams(
    policies: Iterable[Policy], upstreams: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find upstreams that are not configured: nobody comes by them."""
    if upstreams is None:
        return
    for name, place in _unknown_upstreams(policies, upstreams):
        if not did_you_mean(name, upstreams):
            fix = "add it to broker.toml, or remove it here"
            yield place, f"no upstream {name!r} is configured", fix


def _unknown_upstreams(
    policies: Iterable[Policy], upstreams: Collection[str]
) -> Iterator[tuple[str, PolicyLine]]:
    for policy in policies:
        for name, place in named_upstreams(policy):
            if name not in upstreams and not name.endswith("*"):
                yield name, place


def _in_examples(
    policies: Iterable[Policy], upstreams: Collection[str]
) -> Iterator[tuple[str, PolicyLine]]:
    """Yield what examples come by; one of an upstream that is not configured tests it all the same.

    So a library without the national eID keeps the shipped files.
    """
    for policy in policies:
        for example in policy.examples:
            if example.login.upstream not in upstreams:
                yield example.login.upstream, example.place


def wire_name_clashes(
    policies: Iterable[Policy],
    services: Mapping[str, Service],
    maps: Mapping[str, AttributeMap],
    attributes: Collection[str] | None = None,
) -> Iterator[PolicyProblem]:
    """Find entries that cannot be written for their service.

    One wire name for two attributes, or none for one. Names that are none of ``attributes`` are
    faults of their own.
    """
    for release, service in _served(policies, services):
        attribute_map = maps.get(service.attribute_map)
        if attribute_map is not None:
            yield from _wire_names(release, service, attribute_map, attributes)


def withheld_attributes(
    policies: Iterable[Policy], services: Mapping[str, Service]
) -> Iterator[PolicyProblem]:
    """Find attributes that are withheld from their service as it is configured.

    A CPR without controller or encryption key (docs/reference/design.md#invariant-4), an identifier
    without a scope.
    """
    for release, service in _served(policies, services):
        for listed in release.attributes:
            if listed.name == CPR_ATTRIBUTE:
                yield from _withheld_cpr(listed, service)
            elif listed.name in _MAY_CONTAIN_CPR and service.encryption == "none":
                what = f"{listed.name} may contain a CPR number, and {_not_encrypted(service)}"
                fix = f"remove the attribute, or services.{service.name}.encryption"
                yield listed.place, what, fix
            if listed.name in MINTED and service.scope is None:
                fix = f"set idp.scope; until then {listed.name} is withheld"
                yield listed.place, "there is no scope to make identifiers under", fix


def _withheld_cpr(listed: ReleasedAttribute, service: Service) -> Iterator[PolicyProblem]:
    if service.controller is None:
        fix = f"set services.{service.name}.controller; until then the CPR is withheld"
        yield listed.place, f"{service.name} states no controller", fix
    if service.encryption == "none":
        fix = f"remove services.{service.name}.encryption; until then the CPR is withheld"
        yield listed.place, _not_encrypted(service), fix
    elif not service.encrypts:
        fix = "until its metadata carries one the CPR is withheld"
        yield listed.place, f"{service.name} publishes no encryption key", fix


def _not_encrypted(service: Service) -> str:
    return f"assertions to {service.name} are not encrypted"


def _served(
    policies: Iterable[Policy], services: Mapping[str, Service]
) -> Iterator[tuple[Release, Service]]:
    for release in _all_releases(policies):
        for service in services.values():
            if service.name == release.service or release.service in service.categories:
                yield release, service


def _wire_names(
    release: Release,
    service: Service,
    attribute_map: AttributeMap,
    attributes: Collection[str] | None,
) -> Iterator[PolicyProblem]:
    first: dict[str, str] = {}
    for listed in release.attributes:
        if attributes is not None and listed.name not in attributes:
            continue
        row = find_outgoing_row(attribute_map, listed.name)
        if row is None:
            what = f"{service.name} has no wire name for {listed.name}"
            fix = f"add a row to attribute_maps/{attribute_map.name}.yaml"
            yield listed.place, what, fix
            continue
        earlier = first.setdefault(row.wire, listed.name)
        if earlier != listed.name:
            what = f"{listed.name} and {earlier} have one wire name at {service.name}"
            fix = "release one of them, or give the service a map of its own"
            yield listed.place, what, fix


def _all_releases(policies: Iterable[Policy]) -> Iterator[Release]:
    for policy in policies:
        yield from policy.releases
