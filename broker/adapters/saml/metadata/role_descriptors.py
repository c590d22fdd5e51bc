"""Reads a role descriptor: an upstream's IDPSSODescriptor or a service's SPSSODescriptor."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from lxml import etree

from broker.adapters.saml.metadata.descriptor_keys import (
    DescriptorKey,
    Remarks,
    find_last_end,
    read_encryption_key,
    read_keys,
)
from broker.adapters.saml.metadata.entity_attributes import read_required, read_subject_id_req
from broker.adapters.saml.xml_security import algorithm_selection
from broker.adapters.saml.xml_security.algorithm_selection import (
    DEFAULT_ENCRYPTION,
    DEFAULT_SIGNING,
    EncryptionAlgorithms,
    SigningAlgorithms,
)
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.adapters.saml.xml_security.xml_names import MD, POST, REDIRECT
from broker.core.entities import Text

MDUI: Final = "urn:oasis:names:tc:SAML:metadata:ui"
IDP_ROLE: Final = f"{{{MD}}}IDPSSODescriptor"
SP_ROLE: Final = f"{{{MD}}}SPSSODescriptor"
_SSO: Final = f"{{{MD}}}SingleSignOnService"
_ACS: Final = f"{{{MD}}}AssertionConsumerService"
_SLO: Final = f"{{{MD}}}SingleLogoutService"
_NAME_ID_FORMAT: Final = f"{{{MD}}}NameIDFormat"
_UIINFO: Final = f"{{{MD}}}Extensions/{{{MDUI}}}UIInfo"
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_TRUE: Final = frozenset(("true", "1"))
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


@dataclass(frozen=True, slots=True)
class UpstreamDescriptor:
    """The IdP role of an upstream: where AuthnRequests go, and the keys it may sign with."""

    entity_id: str
    sso: str
    keys: tuple[VerifyKey, ...]
    sso_by_post: bool = False  # it has no SingleSignOnService for HTTP-Redirect
    signing_algorithms: SigningAlgorithms = DEFAULT_SIGNING
    until: datetime | None = None
    # A help page for persons whom we refused; may contain placeholders.
    error_url: str | None = None
    logout: LogoutEndpoint | None = None
    # When the last certificate expires; its keys stay valid (SDP-MD06).
    certificates_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """The SP role of a service: its POST ACSs in metadata order, keys, and texts for people."""

    entity_id: str
    acs: tuple[Endpoint, ...]
    keys: tuple[VerifyKey, ...] = ()
    encryption_certificate: bytes | None = None  # DER
    encryption_algorithms: EncryptionAlgorithms = DEFAULT_ENCRYPTION
    signing_algorithms: SigningAlgorithms = DEFAULT_SIGNING
    signs_requests: bool = False
    name_id_formats: tuple[str, ...] = ()
    display_name: Text | None = None
    description: Text | None = None
    privacy_statement: Text | None = None
    until: datetime | None = None
    # From a pinned feed, never from a file.
    categories: frozenset[str] = frozenset()
    # Names of the attributes that it marks as required.
    required: frozenset[str] = frozenset()
    # subject-id, pairwise-id, any or none; None where it does not say.
    subject_id_req: str | None = None
    logout: LogoutEndpoint | None = None
    # As for an upstream; of signing keys or encryption key, whichever is first.
    certificates_until: datetime | None = None

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
    entity_id: str, element: etree._Element, until: datetime | None, remarks: Remarks
) -> UpstreamDescriptor | None:
    """Read an IDPSSODescriptor that expires at ``until``.

    Return None if it cannot be used; ``remarks`` says why.
    """
    role = _RoleReader(element, remarks)
    locations = [location for _, location in role.list_locations(_SSO, REDIRECT)]
    by_post = not locations
    if by_post:
        locations = [location for _, location in role.list_locations(_SSO, POST)]
    signing = read_keys(element, "signing", remarks)
    if not locations:
        what = "has no SingleSignOnService for HTTP-Redirect or HTTP-POST"
        remarks.add_fault(element, what, "that is how we ask")
    if not signing:
        remarks.add_fault(
            element, "has no signing key", "without one nothing it says can be believed"
        )
    signing_algorithms = algorithm_selection.signing_algorithms(element, remarks.faults)
    if remarks.faults:
        return None
    return UpstreamDescriptor(
        entity_id=entity_id,
        sso=locations[0],
        sso_by_post=by_post,
        keys=tuple(found.key for found in signing),
        signing_algorithms=signing_algorithms,
        until=until,
        error_url=_read_error_url(element),
        logout=read_logout_endpoint(element),
        certificates_until=find_last_end(signing),
    )


def read_service(
    entity_id: str, element: etree._Element, until: datetime | None, remarks: Remarks
) -> ServiceDescriptor | None:
    """Read an SPSSODescriptor that expires at ``until``.

    Return None if it cannot be used; ``remarks`` says why.
    """
    role = _RoleReader(element, remarks)
    acs = tuple(role.list_acs())
    signs = role.read_flag("AuthnRequestsSigned")
    signing = read_keys(element, "signing", remarks)
    sealing = read_encryption_key(element, remarks)
    for what, fix in _find_acs_faults(acs):
        remarks.add_fault(element, what, fix)
    if signs and not signing:
        remarks.add_fault(
            element, "signs its requests but has no signing key", "add its certificate"
        )
    descriptor = ServiceDescriptor(
        entity_id=entity_id,
        acs=acs,
        keys=tuple(found.key for found in signing),
        encryption_certificate=sealing.certificate if sealing else None,
        encryption_algorithms=_read_encryption(sealing, remarks),
        signing_algorithms=algorithm_selection.signing_algorithms(element, remarks.faults),
        signs_requests=signs,
        name_id_formats=_read_name_id_formats(element),
        display_name=role.read_text("DisplayName"),
        description=role.read_text("Description"),
        privacy_statement=role.read_text("PrivacyStatementURL", address=True),
        until=until,
        subject_id_req=read_subject_id_req(element),
        logout=read_logout_endpoint(element),
        required=read_required(element),
        certificates_until=_find_service_end(signing, sealing),
    )
    return None if remarks.faults else descriptor


def _read_encryption(sealing: DescriptorKey | None, remarks: Remarks) -> EncryptionAlgorithms:
    if sealing is None:
        return DEFAULT_ENCRYPTION
    return algorithm_selection.encryption_algorithms(sealing.descriptor, remarks.faults)


def _find_service_end(
    signing: Sequence[DescriptorKey], sealing: DescriptorKey | None
) -> datetime | None:
    ends = [find_last_end(signing), sealing.until if sealing else None]
    return min((end for end in ends if end), default=None)


def _find_acs_faults(acs: tuple[Endpoint, ...]) -> Iterator[tuple[str, str]]:
    if not acs:
        yield "has no AssertionConsumerService for HTTP-POST", "that is how we answer"
    indexes = {endpoint.index for endpoint in acs}
    if len(indexes) != len(acs):
        yield "has two AssertionConsumerServices of one index", "a request names them by it"


def _read_error_url(element: etree._Element) -> str | None:
    """Return the errorURL for a link on our pages; an unsafe address is ignored."""
    address = element.get("errorURL", "").strip()
    return address if is_web_address(address, secure=True) else None


def _read_name_id_formats(element: etree._Element) -> tuple[str, ...]:
    written = element.findall(_NAME_ID_FORMAT)
    return tuple((name_id_format.text or "").strip() for name_id_format in written)


def read_logout_endpoint(element: etree._Element) -> LogoutEndpoint | None:
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


class _RoleReader:
    """Reads the parts of a role descriptor; collects faults, so that all are shown at once."""

    def __init__(self, element: etree._Element, remarks: Remarks) -> None:
        self.element = element
        self.remarks = remarks

    def read_flag(self, name: str) -> bool:
        return self.element.get(name, "").strip() in _TRUE

    def list_locations(self, kind: str, binding: str) -> Iterator[tuple[etree._Element, str]]:
        """Yield the endpoints of a binding with their Locations; add a fault for an unsafe one."""
        for endpoint in self.element.findall(kind):
            if endpoint.get("Binding") != binding:
                continue
            location = endpoint.get("Location", "")
            if is_web_address(location, secure=True):
                yield endpoint, location
            else:
                what = f"has the Location {location[:200]!r}"
                self.remarks.add_fault(endpoint, what, "an endpoint is an https address")

    def list_acs(self) -> Iterator[Endpoint]:
        for endpoint, location in self.list_locations(_ACS, POST):
            index = int(endpoint.get("index", "0"))
            yield Endpoint(location, index, _read_optional_flag(endpoint.get("isDefault")))

    def read_text(self, name: str, *, address: bool = False) -> Text | None:
        """Return an element of mdui:UIInfo in two languages; one replaces the other if missing.

        With ``address``, a text that is no web address is a fault.
        """
        texts: dict[str, str] = {}
        for element in self.element.iterfind(f"{_UIINFO}/{{{MDUI}}}{name}"):
            written = (element.text or "").strip()
            if address and not is_web_address(written):
                what = f"has the {name} {written[:200]!r}"
                self.remarks.add_fault(element, what, "it is a web address")
            texts.setdefault(element.get(_LANGUAGE, ""), written)
        either = texts.get("en") or texts.get("da")
        if not either:
            return None
        return Text(en=texts.get("en") or either, da=texts.get("da") or either)


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


def _read_optional_flag(written: str | None) -> bool | None:
    if written is None:
        return None
    return written.strip() in _TRUE
