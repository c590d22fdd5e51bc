"""Join two sites that are compared, and read a login as each of the two does."""

from dataclasses import replace

from broker.core.entities import Assurance, Institution, Names, Service
from broker.core.identity.attribute_properties import AttributeProperties
from broker.core.identity.attribute_values import AFFILIATIONS, is_in_scope
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    Attributes,
    ReadingWithoutCpr,
    find_stated_assurance,
)
from broker.core.identity.rights import find_ground_without_cpr
from broker.core.login.described_login import DescribedLogin
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy_analysis.sources import Site, Source


def join_sites(old: Site, new: Site) -> Site:
    """Return a site whose sources assert what either asserts, and whose services offer both."""
    sources = {(each.upstream, each.institution): each for each in old.sources}
    for source in new.sources:
        key = (source.upstream, source.institution)
        sources[key] = _join(sources[key], source) if key in sources else source
    services = {each.name: each for each in old.services}
    for service in new.services:
        before = services.get(service.name, service)
        methods = tuple(dict.fromkeys((*service.methods, *before.methods)))
        services[service.name] = replace(service, methods=methods)
    return Site(tuple(sources.values()), tuple(services.values()))


def _join(old: Source, new: Source) -> Source:
    if old == new:
        return new
    shapes = None if old.shapes is None or new.shapes is None else {**old.shapes, **new.shapes}
    scopes = None
    if old.scopes is not None and new.scopes is not None:
        scopes = tuple(dict.fromkeys((*new.scopes, *old.scopes)))
    levels = tuple(dict.fromkeys((*new.levels, *old.levels)))
    issuer = _join_institutions(old.issuer, new.issuer)
    asserts_cpr = old.asserts_cpr or new.asserts_cpr
    return replace(
        new, shapes=shapes, scopes=scopes, levels=levels, issuer=issuer, asserts_cpr=asserts_cpr
    )


def _join_institutions(old: Institution | None, new: Institution | None) -> Institution | None:
    if old is None or new is None:
        return None
    return replace(
        new,
        scopes=tuple(dict.fromkeys((*new.scopes, *old.scopes))),
        may_assert=old.may_assert | new.may_assert,
        max_assurance=max(old.max_assurance, new.max_assurance),
        national_eid=old.national_eid or new.national_eid,
    )


def find_source(site: Site, source: Source) -> Source | None:
    """Return the source of ``site`` that is the same institution."""
    key = (source.upstream, source.institution)
    return next((each for each in site.sources if (each.upstream, each.institution) == key), None)


def find_service(site: Site, name: str) -> Service | None:
    """Return the service of ``site`` with a name."""
    return next((each for each in site.services if each.name == name), None)


def read_login(
    login: DescribedLogin, source: Source | None, service: Service | None
) -> DescribedLogin:
    """Return a login as it is read if it comes from ``source`` and goes to ``service``.

    A missing institution or service, and a scope that the source may not assert, become the fault
    of the login.
    """
    if service is None or login.upstream not in service.methods:
        return replace(login, fault=("not_offered", ""))
    if source is None:
        return replace(login, fault=("unknown_institution", ""))
    attributes: dict[str, Names] = {}
    for name, values in login.reading.attributes.items():
        shape = _find_shape(source, name, login.reading.attributes)
        if shape is None:
            continue
        if source.scopes is not None and not all(
            is_in_scope(value, shape.scope, source.scopes) for value in values
        ):
            return replace(login, fault=("scope_mismatch", name))
        attributes[name] = values
    return replace(login, reading=_cap_reading(login.reading, source, attributes))


def _find_shape(source: Source, name: str, attributes: Attributes) -> AttributeProperties | None:
    """Return the properties of an attribute at ``source``; None if it does not assert it.

    The broker itself adds proofs and the stand-in for a CPR number.
    """
    is_ours = name == CPR_ATTRIBUTE or name.endswith(PROOF_DOMAIN)
    if is_ours or f"{name}{PROOF_DOMAIN}" in attributes:
        return AttributeProperties()
    return source.shape(name) if source.shapes is None else source.shapes.get(name)


def _find_level(asserted: Assurance | None, source: Source) -> Assurance | None:
    """Return the level of a login that asserts ``asserted``, as it is read from ``source``."""
    if asserted is None:
        return find_stated_assurance(source.issuer) if source.issuer else None
    return max((each for each in source.levels if each and each <= asserted), default=None)


def _cap_reading(
    reading: ReadingWithoutCpr, source: Source, attributes: dict[str, Names]
) -> ReadingWithoutCpr:
    """Return the reading with the assurance and the CPR number that ``source`` may assert."""
    level = _find_level(reading.assurance, source)
    affiliations = [value for name in AFFILIATIONS for value in attributes.get(name, ())]
    changed = replace(reading, attributes=Attributes(attributes), assurance=level)
    ground = source.find_ground(affiliations, level)
    if reading.cpr == "real" and ground is not None:
        return replace(changed, ground=ground)
    if reading.cpr != "real" and source.asserts_cpr:
        return changed
    attributes.pop(CPR_ATTRIBUTE, None)
    ground = find_ground_without_cpr(
        attributes, is_library_account=source.local, has_persistent_name_id=False
    )
    return replace(changed, attributes=Attributes(attributes), cpr="none", age=None, ground=ground)
