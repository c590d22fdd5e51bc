"""The report of `broker check --party`: what a service or upstream gets, and what it must send."""

from collections.abc import Iterable, Iterator
from typing import Final

from broker.adapters.saml.messages import addresses
from broker.adapters.saml.messages.upstream_profiles import traits_of
from broker.adapters.saml.metadata.role_descriptors import PeerDescriptor, ServiceDescriptor
from broker.app.assembly import Parts, now
from broker.configuration.checked_files import did_you_mean
from broker.core.entities import Institution, Service, Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, find_outgoing_row
from broker.core.policy.model import Release

_MODES: Final = {"gcm": "AES-GCM", "cbc": "AES-GCM, or AES-CBC inside a signed Response"}
_NO_DESCRIPTOR: Final = (
    "No descriptor of it is in force: no login is possible (broker metadata check)."
)
_BINDINGS: Final = {"redirect": "HTTP-Redirect", "post": "HTTP-POST"}


def describe_party(parts: Parts, name: str) -> list[str]:
    """Return sentences about the service or upstream of this name.

    Raises ConfigurationFaults, with the known names, if there is none.
    """
    lines: list[str] = []
    if name in parts.services:
        lines.extend(_describe_service(parts, parts.services[name]))
    if name in parts.upstreams:
        lines.extend(_describe_upstream(parts, parts.upstreams[name]))
    if not lines:
        known = [*parts.services, *parts.upstreams]
        fix = f"{did_you_mean(name, known)} The names are {', '.join(known)}".strip()
        raise ConfigurationFaults([Fault("--party", f"no service or upstream {name}", fix)])
    return lines


def find_releases(parts: Parts, service: Service) -> list[Release]:
    """Return the release entries of the policies that apply to a service."""
    names = {service.name, *service.categories}
    policies = parts.policies.current.policies
    releases = [release for policy in policies for release in policy.releases]
    return [release for release in releases if release.service in names]


def _describe_service(parts: Parts, service: Service) -> Iterator[str]:
    base_url = parts.config.base_url
    yield f"services.{service.name} is a service with the entity ID {service.entity_id}."
    own = f"{base_url}/saml/idp/metadata"
    yield f"It knows us as {parts.config.idp_entity_id}. Our descriptor is at {own}."
    descriptor = parts.metadata.current.service(service.entity_id, now())
    if descriptor is None:
        yield _NO_DESCRIPTOR
        return
    signed = "must be signed" if descriptor.signs_requests else "need no signature"
    sso = addresses.sso_url(base_url)
    yield f"It sends AuthnRequests to {sso} by HTTP-Redirect or HTTP-POST. They {signed}."
    endpoints = _join(endpoint.location for endpoint in descriptor.acs)
    default = descriptor.default_acs.location
    yield f"We answer by HTTP-POST at {endpoints}. The default is {default}."
    yield _describe_logout(descriptor, addresses.idp_logout_url(base_url))
    releases = find_releases(parts, service)
    formats = {shorten(release.name_id_format) for release in releases}
    yield f"The NameID that it gets is {_join(sorted(formats), 'or')}."
    if descriptor.name_id_formats:
        yield f"Its descriptor lists {_join(map(shorten, descriptor.name_id_formats))}."
    method = shorten(descriptor.signing_algorithms.method)
    yield f"Response and Assertion are signed with {method}."
    yield _describe_encryption(service, descriptor)
    yield from _describe_attributes(parts, service, releases)


def _describe_encryption(service: Service, descriptor: ServiceDescriptor) -> str:
    if service.encryption == "none":
        return 'The Assertion is not encrypted, because broker.toml says encryption = "none".'
    if descriptor.encryption_certificate is None:
        return "The Assertion is not encrypted, because its descriptor has no encryption key."
    algorithms = descriptor.encryption_algorithms
    why = "its descriptor lists it" if algorithms.listed else "its descriptor lists no algorithm"
    if service.encryption is not None:
        algorithms = algorithms.select_mode(service.encryption)
        why = f'broker.toml says encryption = "{service.encryption}"'
    content, transport = shorten(algorithms.content), shorten(algorithms.transport)
    return (
        f"The Assertion is encrypted with {content}, because {why}, and its key with {transport}."
    )


def _describe_attributes(
    parts: Parts, service: Service, releases: Iterable[Release]
) -> Iterator[str]:
    """Yield the attributes that policies release, each with its name on the wire."""
    attribute_map = parts.maps.maps[service.attribute_map]
    listed = {attribute.name for release in releases for attribute in release.attributes}
    names = []
    for name in sorted(listed):
        row = find_outgoing_row(attribute_map, name)
        names.append(f"{name} (as {row.wire})" if row else f"{name} (has no name on the wire)")
    yield f"Policies release to it: {_join(names)}."
    if CPR_ATTRIBUTE in listed and service.controller is None:
        yield "It gets no CPR number, because it states no controller."
    elif CPR_ATTRIBUTE in listed and not service.encrypts:
        yield "It gets no CPR number, because its assertions are not encrypted."
    if service.requires:
        yield f"Its descriptor requires {_join(sorted(service.requires))}."


def _describe_upstream(parts: Parts, upstream: Upstream) -> Iterator[str]:
    if upstream.local:
        yield f"upstreams.{upstream.name} is the library account. It speaks no SAML."
        return
    base_url = parts.config.base_url
    yield f"upstreams.{upstream.name} is an upstream with the entity ID {upstream.entity_id}."
    own = f"{base_url}/saml/sp/{upstream.name}/metadata"
    yield f"It knows us as {upstream.sp_entity_id}. Our descriptor is at {own}."
    descriptor = parts.metadata.current.upstream(upstream.entity_id, now())
    if descriptor is None:
        yield _NO_DESCRIPTOR
        return
    binding = "HTTP-POST" if descriptor.sso_by_post else "HTTP-Redirect"
    method = shorten(descriptor.signing_algorithms.method)
    yield f"We send AuthnRequests to {descriptor.sso} by {binding}, signed with {method}."
    yield f"It must answer by HTTP-POST at {addresses.acs_url(base_url, upstream.name)}."
    yield _describe_logout(descriptor, addresses.sp_logout_url(base_url, upstream.name))
    strict = traits_of(upstream).strict
    what = "The Assertion" if strict else "The Response or the Assertion"
    yield f"{what} must be signed with RSA-SHA256 or better, by a key of its descriptor."
    yield _describe_our_key(upstream, strict=strict)
    formats = "transient" if upstream.profile == "wayf" else "persistent or transient"
    yield f"Our descriptor asks for a NameID that is {formats}. A mail address is accepted too."
    rows = parts.maps.maps[upstream.attribute_map].rows
    read = _join(sorted({row.name for row in rows}))
    yield f"By attribute_maps/{upstream.attribute_map}.yaml we read {read}."
    for institution in upstream.institutions:
        yield _describe_institution(institution)


def _describe_our_key(upstream: Upstream, *, strict: bool) -> str:
    if upstream.encryption == "none":
        return 'Our descriptor has no encryption key, because broker.toml says encryption = "none".'
    need = "must" if strict else "may"
    mode = "gcm" if strict else upstream.encryption
    return f"It {need} encrypt the Assertion with {_MODES[mode]} and RSA-OAEP."


def _describe_institution(institution: Institution) -> str:
    scopes = _join(institution.scopes)
    cpr = "accepted" if CPR_ATTRIBUTE in institution.may_assert else "ignored"
    most = institution.max_assurance.name.lower()
    missing = institution.assurance.name.lower() if institution.assurance else "none"
    return (
        f"{institution.entity_id}: its scopes are {scopes}; its CPR numbers are {cpr}; its "
        f"assurance is at most {most}, and {missing} if it sends no eduPersonAssurance."
    )


def _describe_logout(descriptor: PeerDescriptor, ours: str) -> str:
    if descriptor.logout is None:
        return "It has no SingleLogoutService, so that a logout does not reach it."
    where = f"{descriptor.logout.location} by {_BINDINGS[descriptor.logout.binding]}"
    return f"Logout messages go to {where}, and to us at {ours}. They must be signed."


def shorten(uri: str) -> str:
    """Return the last part of a URI: the name of an algorithm or of a NameID format."""
    return uri.replace("#", ":").rpartition(":")[2]


def _join(texts: Iterable[str], word: str = "and") -> str:
    """Return the texts as a list in a sentence; "nothing" if there are none."""
    listed = list(texts)
    if len(listed) < 2:
        return "".join(listed) or "nothing"
    return f"{', '.join(listed[:-1])} {word} {listed[-1]}"
