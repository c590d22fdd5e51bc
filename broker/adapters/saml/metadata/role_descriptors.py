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
    encryption_key,
    last_end,
    sound_keys,
)
from broker.adapters.saml.metadata.entity_attributes import required, subject_id_req
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
    """The endpoint used of a peer: requests go to ``location``, responses to ``response``."""

    binding: LogoutBinding
    location: str
    response: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an assertion may be posted; ``default`` is isDefault, None where it is absent."""

    location: str
    index: int
    default: bool | None = None


@dataclass(frozen=True, slots=True)
class UpstreamDescriptor:
    """An upstream as identity provider: where AuthnRequests go, and every key it may sign with."""

    entity_id: str
    sso: str
    keys: tuple[VerifyKey, ...]
    sso_by_post: bool = False  # it has no SingleSignOnService for HTTP-Redirect
    wants_signed: bool = False
    signing_algorithms: SigningAlgorithms = DEFAULT_SIGNING
    until: datetime | None = None
    # Where it helps a person whom we could not let in; may hold placeholders.
    error_url: str | None = None
    logout: LogoutEndpoint | None = None
    # When the last certificate of its keys ends, which is no end of its keys (SDP-MD06).
    certificates_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """A service: its POST ACSs in metadata order, keys, and how it presents itself to people."""

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
    # As a pinned feed has them, never as a file says.
    categories: frozenset[str] = frozenset()
    # Names of the attributes that it marks as required, and all that it asks for.
    required: frozenset[str] = frozenset()
    # subject-id, pairwise-id, any or none; None where it does not say.
    subject_id_req: str | None = None
    logout: LogoutEndpoint | None = None
    # As of an upstream's; of the signing keys or the encryption key, whichever is first.
    certificates_until: datetime | None = None

    @property
    def default_acs(self) -> Endpoint:
        """Return the ACS for a request that names none (saml-metadata 2.2.3).

        It is the one marked isDefault, else the first that is not marked false.
        """
        marked = [endpoint for endpoint in self.acs if endpoint.default]
        unmarked = [endpoint for endpoint in self.acs if endpoint.default is None]
        candidates = marked or unmarked or list(self.acs)
        return candidates[0]


def upstream(
    entity_id: str, element: etree._Element, until: datetime | None, remarks: Remarks
) -> UpstreamDescriptor | None:
    """Read an IDPSSODescriptor, until when it may be used beside it.

    None where it cannot be used; why is put into ``remarks``.
    """
    role = _RoleReader(element, remarks)
    locations = [location for _, location in role.locations(_SSO, REDIRECT)]
    by_post = not locations
    if by_post:
        locations = [location for _, location in role.locations(_SSO, POST)]
    signing = sound_keys(element, "signing", remarks)
    if not locations:
        what = "has no SingleSignOnService for HTTP-Redirect or HTTP-POST"
        remarks.fault(element, what, "that is how we ask")
    if not signing:
        remarks.fault(element, "has no signing key", "without one nothing it says can be believed")
    signing_algorithms = algorithm_selection.signing_algorithms(element, remarks.faults)
    if remarks.faults:
        return None
    return UpstreamDescriptor(
        entity_id=entity_id,
        sso=locations[0],
        sso_by_post=by_post,
        keys=tuple(found.key for found in signing),
        wants_signed=role.flag("WantAuthnRequestsSigned"),
        signing_algorithms=signing_algorithms,
        until=until,
        error_url=_error_url(element),
        logout=single_logout(element),
        certificates_until=last_end(signing),
    )


def service(
    entity_id: str, element: etree._Element, until: datetime | None, remarks: Remarks
) -> ServiceDescriptor | None:
    """Read an SPSSODescriptor, until when it may be used beside it.

    None where it cannot be used; why is put into ``remarks``.
    """
    role = _RoleReader(element, remarks)
    acs = tuple(role.acs_endpoints())
    signs = role.flag("AuthnRequestsSigned")
    signing = sound_keys(element, "signing", remarks)
    sealing = encryption_key(element, remarks)
    for what, fix in _acs_faults(acs):
        remarks.fault(element, what, fix)
    if signs and not signing:
        remarks.fault(element, "signs its requests but has no signing key", "add its certificate")
    descriptor = ServiceDescriptor(
        entity_id=entity_id,
        acs=acs,
        keys=tuple(found.key for found in signing),
        encryption_certificate=sealing.certificate if sealing else None,
        encryption_algorithms=_encryption(sealing, remarks),
        signing_algorithms=algorithm_selection.signing_algorithms(element, remarks.faults),
        signs_requests=signs,
        name_id_formats=_name_id_formats(element),
        display_name=role.text("DisplayName"),
        description=role.text("Description"),
        privacy_statement=role.text("PrivacyStatementURL", address=True),
        until=until,
        subject_id_req=subject_id_req(element),
        logout=single_logout(element),
        required=required(element),
        certificates_until=_service_end(signing, sealing),
    )
    return None if remarks.faults else descriptor


def _encryption(sealing: DescriptorKey | None, remarks: Remarks) -> EncryptionAlgorithms:
    if sealing is None:
        return DEFAULT_ENCRYPTION
    return algorithm_selection.encryption_algorithms(sealing.descriptor, remarks.faults)


def _service_end(
    signing: Sequence[DescriptorKey], sealing: DescriptorKey | None
) -> datetime | None:
    ends = [last_end(signing), sealing.until if sealing else None]
    return min((end for end in ends if end), default=None)


def _acs_faults(acs: tuple[Endpoint, ...]) -> Iterator[tuple[str, str]]:
    if not acs:
        yield "has no AssertionConsumerService for HTTP-POST", "that is how we answer"
    indexes = {endpoint.index for endpoint in acs}
    if len(indexes) != len(acs):
        yield "has two AssertionConsumerServices of one index", "a request names them by it"


def _error_url(element: etree._Element) -> str | None:
    """Return the errorURL, for a link on a page of ours.

    One that would run as script, or is read in clear on the way, is left out.
    """
    address = element.get("errorURL", "").strip()
    return address if web_address(address, secure=True) else None


def _name_id_formats(element: etree._Element) -> tuple[str, ...]:
    written = element.findall(_NAME_ID_FORMAT)
    return tuple((name_id_format.text or "").strip() for name_id_format in written)


def single_logout(element: etree._Element) -> LogoutEndpoint | None:
    """Return the first SingleLogoutService by HTTP-Redirect, or else by HTTP-POST.

    None where there is no sound one. One that could run as script or be read on the way is passed
    over: a peer is worth having without logout too.
    """
    endpoints = element.findall(_SLO)
    for name, binding in _LOGOUT_BINDINGS:
        for endpoint in endpoints:
            if endpoint.get("Binding") != binding:
                continue
            location = endpoint.get("Location", "")
            response = endpoint.get("ResponseLocation", location)
            if web_address(location, secure=True) and web_address(response, secure=True):
                return LogoutEndpoint(name, location, response)
    return None


class _RoleReader:
    """A role descriptor while it is read; faults are gathered, so that all are shown at once."""

    def __init__(self, element: etree._Element, remarks: Remarks) -> None:
        self.element = element
        self.remarks = remarks

    def flag(self, name: str) -> bool:
        return self.element.get(name, "").strip() in _TRUE

    def locations(self, kind: str, binding: str) -> Iterator[tuple[etree._Element, str]]:
        """Yield the endpoints of a binding with their sound Locations.

        Another Location would run as script, and plain http be read on the way.
        """
        for endpoint in self.element.findall(kind):
            if endpoint.get("Binding") != binding:
                continue
            location = endpoint.get("Location", "")
            if web_address(location, secure=True):
                yield endpoint, location
            else:
                what = f"has the Location {location[:200]!r}"
                self.remarks.fault(endpoint, what, "an endpoint is an https address")

    def acs_endpoints(self) -> Iterator[Endpoint]:
        for endpoint, location in self.locations(_ACS, POST):
            index = int(endpoint.get("index", "0"))
            yield Endpoint(location, index, _optional_flag(endpoint.get("isDefault")))

    def text(self, name: str, *, address: bool = False) -> Text | None:
        """Return an element of mdui:UIInfo in our two languages, one in place of a missing other.

        With ``address`` a text that is no web address is a fault.
        """
        texts: dict[str, str] = {}
        for element in self.element.iterfind(f"{_UIINFO}/{{{MDUI}}}{name}"):
            written = (element.text or "").strip()
            if address and not web_address(written):
                what = f"has the {name} {written[:200]!r}"
                self.remarks.fault(element, what, "it is a web address")
            texts.setdefault(element.get(_LANGUAGE, ""), written)
        either = texts.get("en") or texts.get("da")
        if not either:
            return None
        return Text(en=texts.get("en") or either, da=texts.get("da") or either)


def web_address(location: str, *, secure: bool = False) -> bool:
    """Return whether this is an absolute http or https address without credentials or white space.

    A ``secure`` one is https, or never leaves the machine: assertions and person data go there.
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
        return not secure or _loopback(parts.hostname)
    return parts.scheme == "https"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _optional_flag(written: str | None) -> bool | None:
    if written is None:
        return None
    return written.strip() in _TRUE
