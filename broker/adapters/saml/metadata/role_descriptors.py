"""Reads one role descriptor of metadata: what an upstream's IDPSSODescriptor or a service's SPSSODescriptor says.

Which address a message may be sent to.

Reads the SingleLogoutService of a role descriptor: where a peer takes LogoutRequests, and where their answers.
"""

import base64
import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from broker.adapters.saml.gate import algorithms
from broker.adapters.saml.gate.algorithms import (
    SEALED,
    SIGNED,
    EncryptionAlgorithms,
    SigningAlgorithms,
)
from broker.adapters.saml.gate.signature import VerifyKey
from broker.adapters.saml.gate.xml_names import DS, MD, POST, REDIRECT
from broker.adapters.saml.metadata.entity_descriptors import required, subject_id_req
from broker.core.entities import Text
from broker.core.errors import MessageRefused


def web_address(location: str, *, secure: bool = False) -> bool:
    """Say whether this is an absolute http or https address without credentials or white space.

    A ``secure`` one is https, or never leaves the machine: assertions and person data go there.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    plain = not any(each.isspace() for each in location) and "@" not in parts.netloc
    kept = parts.scheme == "https" or (
        parts.scheme == "http" and (not secure or _loopback(parts.hostname or ""))
    )
    return kept and bool(parts.hostname) and plain


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_SLO: Final = f"{{{MD}}}SingleLogoutService"


@dataclass(frozen=True, slots=True)
class LogoutEndpoint:
    """The endpoint that is used of a peer: requests go to ``location``, responses to ``response``."""

    binding: Literal["redirect", "post"]
    location: str
    response: str


def single_logout(element: etree._Element) -> LogoutEndpoint | None:
    """Give the first endpoint by HTTP-Redirect, or else by HTTP-POST; None where there is no sound one.

    One that could run as script or be read on the way is passed over: a peer is worth having
    without logout too.
    """
    found = element.findall(_SLO)
    wanted: tuple[tuple[Literal["redirect", "post"], str], ...] = (
        ("redirect", REDIRECT),
        ("post", POST),
    )
    for name, binding in wanted:
        for each in found:
            location = each.get("Location", "")
            response = each.get("ResponseLocation", location)
            sound = web_address(location, secure=True) and web_address(response, secure=True)
            if each.get("Binding") == binding and sound:
                return LogoutEndpoint(name, location, response)
    return None


MDUI: Final = "urn:oasis:names:tc:SAML:metadata:ui"
IDP_ROLE: Final = f"{{{MD}}}IDPSSODescriptor"
SP_ROLE: Final = f"{{{MD}}}SPSSODescriptor"
_SSO: Final = f"{{{MD}}}SingleSignOnService"
_ACS: Final = f"{{{MD}}}AssertionConsumerService"
_KEY: Final = f"{{{MD}}}KeyDescriptor"
_CERTIFICATE: Final = f".//{{{DS}}}X509Certificate"
_UIINFO: Final = f"{{{MD}}}Extensions/{{{MDUI}}}UIInfo"
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_TRUE: Final = frozenset(("true", "1"))


DescriptorFaults = list[tuple[str, str]]  # what is wrong and how to mend it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an assertion may be posted; ``default`` is isDefault as written, None where it is not."""

    location: str
    index: int
    default: bool | None = None


@dataclass(frozen=True, slots=True)
class UpstreamDescriptor:
    """An upstream as identity provider: where its AuthnRequests go and every key it may sign with."""

    entity_id: str
    sso: str
    keys: tuple[VerifyKey, ...]
    wants_signed: bool = False
    signing: SigningAlgorithms = SIGNED
    until: datetime | None = None
    error_url: str | None = (
        None  # where it helps a person whom we could not let in; may hold placeholders
    )
    logout: LogoutEndpoint | None = None


@dataclass(frozen=True, slots=True)
class ServiceDescriptor:
    """A service: its POST ACSs in metadata order, keys, and how it presents itself to people."""

    entity_id: str
    acs: tuple[Endpoint, ...]
    keys: tuple[VerifyKey, ...] = ()
    encryption: bytes | None = None  # a certificate, DER
    sealing: EncryptionAlgorithms = SEALED
    signing: SigningAlgorithms = SIGNED
    signs_requests: bool = False
    name_id_formats: tuple[str, ...] = ()
    display_name: Text | None = None
    description: Text | None = None
    privacy_statement: Text | None = None
    until: datetime | None = None
    categories: frozenset[str] = frozenset()  # as a pinned feed has them, never as a file says
    required: frozenset[str] = (
        frozenset()
    )  # Names of the attributes that it says it cannot do without
    subject_id_req: str | None = (
        None  # subject-id, pairwise-id, any or none; None where it does not say
    )
    logout: LogoutEndpoint | None = None

    @property
    def default_acs(self) -> Endpoint:
        """Give the ACS for a request that names none: isDefault, else the first not marked false (metadata 2.2.3)."""
        marked = [each for each in self.acs if each.default]
        unmarked = [each for each in self.acs if each.default is None]
        return (marked or unmarked or list(self.acs))[0]


class _Role:
    """A role descriptor while it is read; faults are gathered, so that all are told at once."""

    def __init__(self, element: etree._Element, faults: DescriptorFaults) -> None:
        self.element, self.faults = element, faults

    def flag(self, name: str) -> bool:
        return self.element.get(name, "").strip() in _TRUE

    def locations(self, kind: str, binding: str) -> list[tuple[etree._Element, str]]:
        """Give the endpoints of a binding; a Location that is none would run as script, plain http be read."""
        found = []
        for each in self.element.findall(kind):
            location = each.get("Location", "")
            if each.get("Binding") != binding:
                continue
            if web_address(location, secure=True):
                found.append((each, location))
            else:
                self.faults.append(
                    (f"has the Location {location[:200]!r}", "an endpoint is an https address")
                )
        return found

    def certificates(self, use: str) -> list[tuple[etree._Element, bytes]]:
        """Give the certificates for ``use``; a KeyDescriptor without use is for both (metadata 2.4.1.1)."""
        found = []
        for descriptor in self.element.findall(_KEY):
            if descriptor.get("use", use) != use:
                continue
            listed = [_octets(each) for each in descriptor.iterfind(_CERTIFICATE)]
            if len(set(listed)) != 1:
                mend = "write one X509Certificate a KeyDescriptor: the others of a chain are not its key"
                self.faults.append(
                    (f"has a KeyDescriptor of {len(set(listed))} certificates", mend)
                )
            else:
                found.append((descriptor, listed[0]))
        return found

    def key(self, certificate: bytes) -> VerifyKey | None:
        try:
            return VerifyKey.of(certificate)
        except MessageRefused as refused:
            weak = refused.cause == "gate.weak_key"
            what = (
                "holds a key below RSA 2048 or EC 256 bits"
                if weak
                else "holds a certificate that is none"
            )
            self.faults.append((what, "ask for metadata with a sound key"))
            return None

    def signing_keys(self) -> tuple[VerifyKey, ...]:
        keys = [self.key(each) for _, each in self.certificates("signing")]
        return tuple(each for each in keys if each)

    def encryption(self) -> tuple[bytes | None, EncryptionAlgorithms]:
        """Give the first certificate to encrypt to, and how: what we write is AES-GCM and RSA-OAEP."""
        listed = self.certificates("encryption")
        if not listed:
            return None, SEALED
        descriptor, certificate = listed[0]
        key = self.key(certificate)
        if key and not isinstance(key.public, rsa.RSAPublicKey):
            self.faults.append(("has an encryption key that is not RSA", "ask for an RSA key"))
        return certificate, algorithms.sealing(descriptor, self.faults)

    def text(self, name: str, *, address: bool = False) -> Text | None:
        """Give an element of mdui:UIInfo in our two languages, one standing in for the other."""
        texts: dict[str, str] = {}
        for each in self.element.iterfind(f"{_UIINFO}/{{{MDUI}}}{name}"):
            written = (each.text or "").strip()
            if address and not web_address(written):
                self.faults.append((f"has the {name} {written!r}", "it is a web address"))
            texts.setdefault(each.get(_LANGUAGE, ""), written)
        either = texts.get("en") or texts.get("da")
        return Text(en=texts.get("en") or either, da=texts.get("da") or either) if either else None


def upstream(
    entity_id: str, element: etree._Element, until: datetime | None, faults: DescriptorFaults
) -> UpstreamDescriptor | None:
    """Read an IDPSSODescriptor; None where it cannot be used, and all that keeps it from use put into ``faults``."""
    role = _Role(element, faults)
    locations = [location for _, location in role.locations(_SSO, REDIRECT)]
    keys = role.signing_keys()
    if not locations:
        role.faults.append(("has no SingleSignOnService for HTTP-Redirect", "that is how we ask"))
    if not keys:
        role.faults.append(("has no signing key", "without one nothing it says can be believed"))
    help_page, written = element.get("errorURL", "").strip(), algorithms.signing(element, faults)
    if faults:
        return None
    return UpstreamDescriptor(
        entity_id,
        locations[0],
        keys,
        wants_signed=role.flag("WantAuthnRequestsSigned"),
        signing=written,
        until=until,
        # A link on a page of ours: one that would run as script, or is read in clear on the way, is
        # left out.
        error_url=help_page if web_address(help_page, secure=True) else None,
        logout=single_logout(element),
    )


def service(
    entity_id: str, element: etree._Element, until: datetime | None, faults: DescriptorFaults
) -> ServiceDescriptor | None:
    """Read an SPSSODescriptor; None where it cannot be used, and all that keeps it from use put into ``faults``."""
    role = _Role(element, faults)
    acs = tuple(
        Endpoint(location, int(each.get("index", "0")), _optional(each.get("isDefault")))
        for each, location in role.locations(_ACS, POST)
    )
    signs, keys = role.flag("AuthnRequestsSigned"), role.signing_keys()
    certificate, sealing = role.encryption()
    if not acs:
        role.faults.append(
            ("has no AssertionConsumerService for HTTP-POST", "that is how we answer")
        )
    if len({each.index for each in acs}) != len(acs):
        role.faults.append(
            ("has two AssertionConsumerServices of one index", "a request names them by it")
        )
    if signs and not keys:
        role.faults.append(("signs its requests but has no signing key", "add its certificate"))
    descriptor = ServiceDescriptor(
        entity_id=entity_id,
        acs=acs,
        keys=keys,
        encryption=certificate,
        sealing=sealing,
        signing=algorithms.signing(element, faults),
        signs_requests=signs,
        name_id_formats=tuple(
            (each.text or "").strip() for each in element.findall(f"{{{MD}}}NameIDFormat")
        ),
        display_name=role.text("DisplayName"),
        description=role.text("Description"),
        privacy_statement=role.text("PrivacyStatementURL", address=True),
        until=until,
        subject_id_req=subject_id_req(element),
        logout=single_logout(element),
        required=required(element),
    )
    return None if faults else descriptor


def _octets(certificate: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join((certificate.text or "").split()), validate=True)
    except ValueError:
        return b""


def _optional(flag: str | None) -> bool | None:
    return None if flag is None else flag.strip() in _TRUE
