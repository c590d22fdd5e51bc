"""Reads a role descriptor: an upstream's IDPSSODescriptor or a service's SPSSODescriptor.

A service writes its own metadata, so nothing in it grants a service more: a request for subject
identifiers only restricts (core/identity/person_id.py), and categories come from the configuration
or a registrar's feed (docs/reference/saml-profiles.md#48).
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from lxml import etree

from broker.adapters.saml.messages.message_values import read_flag
from broker.adapters.saml.metadata.descriptor_keys import (
    DescriptorKey,
    Remarks,
    find_last_end,
    read_encryption_key,
    read_keys,
)
from broker.adapters.saml.xml_security.algorithm_selection import (
    DEFAULT_ENCRYPTION,
    DEFAULT_SIGNING,
    EncryptionAlgorithms,
    SigningAlgorithms,
)
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.adapters.saml.xml_security.xml_names import (
    ALGORITHM_SUPPORT,
    ATTRIBUTES,
    LANGUAGE,
    MD,
    MDUI,
    POST,
    REDIRECT,
    SAML,
)
from broker.core.entities import Text
from broker.core.identity.person_id import PAIRWISE, SUBJECT

_SSO: Final = f"{{{MD}}}SingleSignOnService"
_ACS: Final = f"{{{MD}}}AssertionConsumerService"
_SLO: Final = f"{{{MD}}}SingleLogoutService"
_METHOD: Final = f"{{{MD}}}EncryptionMethod"
_NAME_ID_FORMAT: Final = f"{{{MD}}}NameIDFormat"
_UIINFO: Final = f"{{{MD}}}Extensions/{{{MDUI}}}UIInfo"
_ENTITY_ATTRIBUTES: Final = (
    f"{{{MD}}}Extensions/{{{ATTRIBUTES}}}EntityAttributes/{{{SAML}}}Attribute"
)
REQ: Final = "urn:oasis:names:tc:SAML:profiles:subject-id:req"
_REQUESTS: Final = frozenset({SUBJECT, PAIRWISE, "any", "none"})
LogoutBinding = Literal["redirect", "post"]
_LOGOUT_BINDINGS: Final[tuple[tuple[LogoutBinding, str], ...]] = (
    ("redirect", REDIRECT),
    ("post", POST),
)


@dataclass(frozen=True, slots=True)
class LogoutEndpoint:
    """A peer's logout endpoint: requests go to ``location``, responses to ``response``."""

    binding: LogoutBinding
    location: str
    response: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An AssertionConsumerService; ``default`` is isDefault, None if it is absent."""

    location: str
    index: int
    default: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDescriptor:
    """A role of a peer: the keys that may sign, its logout endpoint, and its expiry."""

    entity_id: str
    keys: tuple[VerifyKey, ...]
    signing_algorithms: SigningAlgorithms
    until: datetime | None
    logout: LogoutEndpoint | None
    # When the last certificate expires; the keys stay valid after that (SDP-MD06). For a service,
    # the earlier of the times of its signing keys and its encryption key.
    certificates_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamDescriptor(PeerDescriptor):
    """The IdP role of an upstream: where AuthnRequests go."""

    sso: str
    sso_by_post: bool  # it has no SingleSignOnService for HTTP-Redirect
    # A help page for persons whom we refused; may contain placeholders.
    error_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDescriptor(PeerDescriptor):
    """The SP role of a service: its POST ACSs in metadata order, and texts for people."""

    acs: tuple[Endpoint, ...]
    encryption_certificate: bytes | None  # DER
    encryption_algorithms: EncryptionAlgorithms
    signs_requests: bool
    name_id_formats: tuple[str, ...]
    display_name: Text | None
    description: Text | None
    privacy_statement: Text | None
    # From a pinned feed, never from a file.
    categories: frozenset[str] = frozenset()
    # Names of the attributes that it marks as required.
    required: frozenset[str]
    # subject-id, pairwise-id, any or none; None if the metadata does not say.
    subject_id_req: str | None

    @property
    def default_acs(self) -> Endpoint:
        """Return the ACS for a request that names none (saml-metadata 2.2.3).

        This is the ACS with isDefault true, else the first without isDefault, else the first.
        """
        marked = [endpoint for endpoint in self.acs if endpoint.default]
        unmarked = [endpoint for endpoint in self.acs if endpoint.default is None]
        candidates = marked or unmarked or list(self.acs)
        return candidates[0]


def read_upstream(
    element: etree._Element, until: datetime | None, remarks: Remarks
) -> UpstreamDescriptor | None:
    """Read an IDPSSODescriptor that expires at ``until``.

    Return None if it cannot be used; ``remarks`` says why.
    """
    endpoints = list(_list_endpoints(element, _SSO, REDIRECT, remarks))
    by_post = not endpoints
    if by_post:
        endpoints = list(_list_endpoints(element, _SSO, POST, remarks))
    signing = read_keys(element, "signing", remarks)
    if not endpoints:
        what = "has no SingleSignOnService for HTTP-Redirect or HTTP-POST"
        remarks.add_fault(element, what, "that is how we ask")
    if not signing:
        remarks.add_fault(
            element, "has no signing key", "without one, no message of it can be verified"
        )
    signing_algorithms = _read_signing(element, remarks)
    if remarks.faults:
        return None
    return UpstreamDescriptor(
        entity_id=remarks.entity_id,
        sso=endpoints[0].get("Location", ""),
        sso_by_post=by_post,
        keys=tuple(found.key for found in signing),
        signing_algorithms=signing_algorithms,
        until=until,
        error_url=_read_error_url(element),
        logout=_read_logout_endpoint(element),
        certificates_until=find_last_end(signing),
    )


def read_service(
    element: etree._Element, until: datetime | None, remarks: Remarks
) -> ServiceDescriptor | None:
    """Read an SPSSODescriptor that expires at ``until``.

    Return None if it cannot be used; ``remarks`` says why.
    """
    acs = tuple(map(_read_acs, _list_endpoints(element, _ACS, POST, remarks)))
    signs = read_flag(element.get("AuthnRequestsSigned"))
    signing = read_keys(element, "signing", remarks)
    sealing = read_encryption_key(element, remarks)
    if not acs:
        what = "has no AssertionConsumerService for HTTP-POST"
        remarks.add_fault(element, what, "that is how we answer")
    if len({endpoint.index for endpoint in acs}) != len(acs):
        what = "has two AssertionConsumerServices of one index"
        remarks.add_fault(element, what, "a request names them by it")
    if signs and not signing:
        remarks.add_fault(
            element, "signs its requests but has no signing key", "add its certificate"
        )
    descriptor = ServiceDescriptor(
        entity_id=remarks.entity_id,
        acs=acs,
        keys=tuple(found.key for found in signing),
        encryption_certificate=sealing.certificate if sealing else None,
        encryption_algorithms=_read_encryption(sealing, remarks),
        signing_algorithms=_read_signing(element, remarks),
        signs_requests=signs,
        name_id_formats=_read_name_id_formats(element),
        display_name=_read_text(element, "DisplayName"),
        description=_read_text(element, "Description"),
        privacy_statement=_read_privacy_statement(element, remarks),
        until=until,
        subject_id_req=read_subject_id_req(element),
        logout=_read_logout_endpoint(element),
        required=read_required(element),
        certificates_until=_find_service_end(signing, sealing),
    )
    return None if remarks.faults else descriptor


def _read_encryption(sealing: DescriptorKey | None, remarks: Remarks) -> EncryptionAlgorithms:
    if sealing is None:
        return DEFAULT_ENCRYPTION
    methods = sealing.descriptor.iterfind(_METHOD)
    found = EncryptionAlgorithms.select([method.get("Algorithm", "") for method in methods])
    if found is None:
        what = "lists EncryptionMethods without AES-GCM or AES-CBC, or without RSA-OAEP"
        fix = "list aes128-gcm and rsa-oaep-mgf1p, or no EncryptionMethod at all"
        remarks.add_fault(sealing.descriptor, what, fix)
    return found or DEFAULT_ENCRYPTION


def _read_signing(element: etree._Element, remarks: Remarks) -> SigningAlgorithms:
    """Select from the SigningMethods and DigestMethods of a role, or else of its entity."""
    methods = _list_supported(element, "SigningMethod")
    found = SigningAlgorithms.select(methods, _list_supported(element, "DigestMethod"))
    if found is None:
        what = "lists signature algorithms, none of which we write"
        remarks.add_fault(element, what, "list rsa-sha256 and sha256, or no algorithm at all")
    return found or DEFAULT_SIGNING


def _list_supported(role: etree._Element, name: str) -> list[str]:
    """Return the algorithms of kind ``name`` that the role lists, or else its entity."""
    path = f"{{{MD}}}Extensions/{{{ALGORITHM_SUPPORT}}}{name}"
    listed = role.findall(path) or role.findall(f"../{path}")
    return [method.get("Algorithm", "") for method in listed]


def _find_service_end(
    signing: Sequence[DescriptorKey], sealing: DescriptorKey | None
) -> datetime | None:
    ends = [find_last_end(signing), sealing.until if sealing else None]
    return min((end for end in ends if end), default=None)


def _read_error_url(element: etree._Element) -> str | None:
    """Return the errorURL for a link on our pages; an unsafe address is ignored."""
    address = element.get("errorURL", "").strip()
    return address if is_web_address(address, secure=True) else None


def _read_name_id_formats(element: etree._Element) -> tuple[str, ...]:
    written = element.findall(_NAME_ID_FORMAT)
    return tuple((name_id_format.text or "").strip() for name_id_format in written)


def _read_logout_endpoint(element: etree._Element) -> LogoutEndpoint | None:
    """Return the first usable SingleLogoutService by HTTP-Redirect, else by HTTP-POST.

    None if there is none. An unsafe address is ignored: the peer can be used without logout.
    """
    endpoints = element.findall(_SLO)
    for name, binding in _LOGOUT_BINDINGS:
        for endpoint in endpoints:
            if endpoint.get("Binding") != binding:
                continue
            location = endpoint.get("Location", "")
            response = endpoint.get("ResponseLocation", location)
            if is_web_address(location, secure=True) and is_web_address(response, secure=True):
                return LogoutEndpoint(name, location, response)
    return None


def _list_endpoints(
    element: etree._Element, kind: str, binding: str, remarks: Remarks
) -> Iterator[etree._Element]:
    """Yield the endpoints of a binding; add a fault for one with an unsafe Location."""
    for endpoint in element.findall(kind):
        if endpoint.get("Binding") != binding:
            continue
        location = endpoint.get("Location", "")
        if is_web_address(location, secure=True):
            yield endpoint
        else:
            what = f"has the Location {location[:200]!r}"
            remarks.add_fault(endpoint, what, "an endpoint is an https address")


def _read_acs(endpoint: etree._Element) -> Endpoint:
    default = endpoint.get("isDefault")
    return Endpoint(
        location=endpoint.get("Location", ""),
        index=int(endpoint.get("index", "0")),
        default=None if default is None else read_flag(default),
    )


def _read_text(element: etree._Element, name: str) -> Text | None:
    """Return an element of mdui:UIInfo in two languages; one replaces the other if missing."""
    texts: dict[str, str] = {}
    for each in element.iterfind(f"{_UIINFO}/{{{MDUI}}}{name}"):
        texts.setdefault(each.get(LANGUAGE, ""), (each.text or "").strip())
    either = texts.get("en") or texts.get("da")
    if not either:
        return None
    return Text(en=texts.get("en") or either, da=texts.get("da") or either)


def _read_privacy_statement(element: etree._Element, remarks: Remarks) -> Text | None:
    """Return the addresses of the privacy statement; a text that is no address is a fault."""
    name = "PrivacyStatementURL"
    for each in element.iterfind(f"{_UIINFO}/{{{MDUI}}}{name}"):
        written = (each.text or "").strip()
        if not is_web_address(written):
            remarks.add_fault(each, f"has the {name} {written[:200]!r}", "it is a web address")
    return _read_text(element, name)


def is_web_address(location: str, *, secure: bool = False) -> bool:
    """Return whether this is an absolute http or https address without credentials or spaces.

    A ``secure`` address is https or on this machine: assertions and person data go there.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc:
        return False
    if any(character.isspace() for character in location):
        return False
    if parts.scheme == "http":
        return not secure or _is_loopback(parts.hostname)
    return parts.scheme == "https"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def read_entity_attributes(role: etree._Element, name: str) -> Iterator[str]:
    """Yield the values of the entity attribute ``name``, of the role or of the entity around it."""
    for attribute in (
        *role.iterfind(_ENTITY_ATTRIBUTES),
        *role.iterfind(f"../{_ENTITY_ATTRIBUTES}"),
    ):
        if attribute.get("Name") == name:
            for value in attribute:
                yield (value.text or "").strip()


def read_required(role: etree._Element) -> frozenset[str]:
    """Return the Names of the attributes that a service marks as required."""
    asked = role.iterfind(f"{{{MD}}}AttributeConsumingService/{{{MD}}}RequestedAttribute")
    return frozenset(
        attribute.get("Name", "") for attribute in asked if read_flag(attribute.get("isRequired"))
    )


def read_subject_id_req(role: etree._Element) -> str | None:
    """Return which subject identifier a service requests; None if it requests none.

    Two requests, or one that is not in the standard, count as "none".
    """
    requested = set(read_entity_attributes(role, REQ))
    if not requested:
        return None
    if len(requested) > 1 or not requested <= _REQUESTS:
        return "none"
    return requested.pop()
