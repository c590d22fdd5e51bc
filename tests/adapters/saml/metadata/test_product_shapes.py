"""Metadata in the shapes that products write it in, from public descriptions of them; every name is invented.

Further products are in metadata/examples, which test_shipped_metadata.py reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.adapters.saml.metadata.wanted_entities import WantedIds
from tests.plugins.saml_parties import NOW, Parties

IDP, SP = "https://login.peer.example/saml", "https://app.peer.example/saml"
_SAML2: Final = 'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"'
_BINDING: Final = "urn:oasis:names:tc:SAML:2.0:bindings"
_SPACES: Final = (
    'xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)


@dataclass(frozen=True)
class Certificates:
    """Certificates in base64: a good one, one that has ended, and one of a key that is too short."""

    good: str
    ended: str
    weak: str


def _make_certificate(bits: int, ends: datetime) -> str:
    key, name = rsa.generate_private_key(65537, bits), x509.Name([])
    begins = ends - timedelta(days=365)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends).sign(key, SHA256())
    pem = made.public_bytes(Encoding.PEM).decode()
    return "".join(line for line in pem.splitlines() if "CERTIFICATE" not in line)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """Make them once."""
    year = timedelta(days=365)
    return Certificates(
        _make_certificate(2048, NOW + year), _make_certificate(2048, NOW - year), _make_certificate(1024, NOW + year)
    )


def _key(certificate: str, use: str = "", more: str = "") -> str:
    given = f' use="{use}"' if use else ""
    info = f"<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>"
    return f"<KeyDescriptor{given}><ds:KeyInfo>{more}{info}</ds:KeyInfo></KeyDescriptor>"


def _sts(kind: str, certificate: str) -> str:
    """Give a role of WS-Federation, with WS-Trust and WS-Addressing in it."""
    return f"""<RoleDescriptor xsi:type="fed:{kind}" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706"
 protocolSupportEnumeration="http://docs.oasis-open.org/ws-sx/ws-trust/200512">{_key(certificate, "signing")}
 <fed:TokenTypesOffered><fed:TokenType Uri="urn:oasis:names:tc:SAML:2.0:assertion"/></fed:TokenTypesOffered>
 <fed:ClaimTypesOffered><auth:ClaimType xmlns:auth="http://docs.oasis-open.org/wsfed/authorization/200706"
 Uri="http://claims.peer.example/name" Optional="true"><auth:DisplayName>Name</auth:DisplayName></auth:ClaimType>
 </fed:ClaimTypesOffered><fed:PassiveRequestorEndpoint><wsa:EndpointReference
 xmlns:wsa="http://www.w3.org/2005/08/addressing"><wsa:Address>https://login.peer.example/ws</wsa:Address>
 </wsa:EndpointReference></fed:PassiveRequestorEndpoint></RoleDescriptor>"""


def _sso(*bindings: str) -> str:
    return "".join(f'<SingleSignOnService Binding="{_BINDING}:{each}" Location="{IDP}/sso"/>' for each in bindings)


def _okta(held: Certificates) -> str:
    """Prefixes, no whitespace, POST before Redirect, requests unsigned."""
    xml = f"""<EntityDescriptor entityID="{IDP}" {_SPACES}><IDPSSODescriptor WantAuthnRequestsSigned="false" {_SAML2}>
{_key(held.good, "signing")}<NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</NameIDFormat>
<NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</NameIDFormat>
{_sso("HTTP-POST", "HTTP-Redirect")}</IDPSSODescriptor></EntityDescriptor>"""
    return (
        xml.replace("\n", "")
        .replace('xmlns="', 'xmlns:md="')
        .replace("<", "<md:")
        .replace("<md:/", "</md:")
        .replace("md:ds:", "ds:")
    )


def _google(held: Certificates) -> str:
    """Write an end years ahead, and two keys without use of which the older has ended."""
    until = (NOW + timedelta(days=5 * 365)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<EntityDescriptor entityID="{IDP}" validUntil="{until}" {_SPACES}>
<IDPSSODescriptor WantAuthnRequestsSigned="false" {_SAML2}>{_key(held.ended)}{_key(held.good)}
<NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</NameIDFormat>
{_sso("HTTP-Redirect", "HTTP-POST")}</IDPSSODescriptor></EntityDescriptor>"""


def _shibboleth(held: Certificates) -> str:
    """Comments all over, SAML 1.1 beside SAML 2.0, scopes, texts, three keys, a query role, ``xml:lang`` and blanks."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- This is example metadata only. Do *NOT* supply it as is. -->
<?xml-stylesheet href="peer.xsl" type="text/xsl"?>
<EntityDescriptor {_SPACES} xmlns:shibmd="urn:mace:shibboleth:metadata:1.0"
 xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui"
 xsi:schemaLocation="urn:oasis:names:tc:SAML:2.0:metadata saml-schema-metadata-2.0.xsd" entityID="{IDP}">
<!-- the roles -->
<IDPSSODescriptor {_SAML2.replace('="', '="urn:mace:shibboleth:1.0 urn:oasis:names:tc:SAML:1.1:protocol ')}>
<Extensions><shibmd:Scope regexp="false">peer.example</shibmd:Scope>
<!-- Fill in <mdui:Logo/> --><mdui:UIInfo><mdui:DisplayName xml:lang="en">Peer</mdui:DisplayName>
<mdui:Keywords xml:lang="en">peer</mdui:Keywords></mdui:UIInfo></Extensions>
<!-- First signing certificate is the back-channel's -->{_key(held.good, "signing")}{_key(held.good, "encryption")}
<ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:1.0:bindings:SOAP-binding" Location="{IDP}/1" index="1"/>
<!--
<SingleLogoutService Binding="{_BINDING}:HTTP-Redirect" Location="{IDP}/out"/>
-->
<SingleSignOnService Binding="urn:mace:shibboleth:1.0:profiles:AuthnRequest" Location="{IDP}/shibboleth"/>
{_sso("HTTP-POST", "HTTP-Redirect")}</IDPSSODescriptor>
<AttributeAuthorityDescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol">
<AttributeService Binding="urn:oasis:names:tc:SAML:1.0:bindings:SOAP-binding" Location="{IDP}/query"/>
</AttributeAuthorityDescriptor></EntityDescriptor>"""


def _dot_net(held: Certificates) -> str:
    """Write a service with dates in a local time zone, requested attributes and its own extensions."""
    return f"""<?xml version="1.0" encoding="utf-16"?>
<EntityDescriptor entityID="{SP}" {_SPACES} xmlns:x="urn:peer:extension" x:Build="7"
 validUntil="2027-01-01T00:00:00+01:00" cacheDuration="PT1H">
<Extensions><x:Tool Version="1"><x:Part/></x:Tool></Extensions>
<SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" {_SAML2}>
<Extensions><x:DiscoveryResponse Binding="urn:x" Location="{SP}/ds" index="0"/></Extensions>{_key(held.good)}
<SingleLogoutService Binding="{_BINDING}:HTTP-Redirect" Location="{SP}/out"/>
<AssertionConsumerService Binding="{_BINDING}:HTTP-POST" Location="{SP}/acs" index="0" isDefault="true"/>
<AttributeConsumingService index="0" isDefault="true"><ServiceName xml:lang="en">App</ServiceName>
<ServiceDescription xml:lang="en">An app</ServiceDescription>
<RequestedAttribute Name="urn:oid:0.9.2342.19200300.100.1.3"
 isRequired="true" FriendlyName="mail"><AttributeValue xmlns="urn:oasis:names:tc:SAML:2.0:assertion"
 xsi:type="xs:string" xmlns:xs="http://www.w3.org/2001/XMLSchema">any</AttributeValue></RequestedAttribute>
</AttributeConsumingService></SPSSODescriptor></EntityDescriptor>"""


SHAPES: Final[dict[str, Callable[[Certificates], str]]] = {
    "Okta": _okta,
    "Google": _google,
    "Shibboleth": _shibboleth,
    ".NET": _dot_net,
}


def _read(folder: Path, octets: bytes) -> metadata_folder.FolderContents:
    (folder / "metadata").mkdir(exist_ok=True)
    (folder / "metadata" / "peer.xml").write_bytes(octets)
    return metadata_folder.read(folder / "metadata", WantedIds(frozenset((IDP,)), frozenset((SP,)), frozenset((IDP,))))


def _sound(idp: UpstreamDescriptor | None, sp: ServiceDescriptor | None) -> bool:
    """Return whether what was read of a shape is all that is needed of it."""
    if sp is not None:
        return (sp.default_acs.location, len(sp.keys), sp.encryption_certificate is not None) == (f"{SP}/acs", 1, True)
    return idp is not None and idp.sso == f"{IDP}/sso" and len(idp.keys) in {1, 2}


@pytest.mark.parametrize("product", SHAPES)
def test_a_products_file_is_read(product: str, certificates: Certificates, tmp_path: Path) -> None:
    """Foreign roles, comments, instructions and schema locations stand in nobody's way."""
    found = _read(tmp_path, SHAPES[product](certificates).encode())
    assert (found.faults, found.broken, found.notices) == ({}, (), ())
    assert _sound(found.metadata.upstreams.get(IDP), found.metadata.services.get(SP))
    scopes = found.scopes[IDP].scopes if IDP in found.scopes else ()
    assert scopes == (("peer.example",) if product == "Shibboleth" else ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_in_another_encoding_is_read(encoding: str, certificates: Certificates, tmp_path: Path) -> None:
    """UTF-8 and UTF-16 with a byte order mark, as Windows programs write them."""
    found = _read(tmp_path, _dot_net(certificates).encode(encoding))
    assert set(found.metadata.services) == {SP}


def _remove_prefix(xml: str) -> str:
    return xml.replace("md:", "").replace(":md=", "=")


BAD_KEYS: Final[dict[str, tuple[Callable[[Certificates], str], str]]] = {
    "too short": (lambda held: _key(held.weak, "signing"), "holds a key below RSA 2048 or EC 256 bits"),
    "no certificate": (lambda _: _key("AAAA", "signing"), "contains no readable certificate"),
    "no base64": (lambda _: _key("not base64!", "signing"), "contains no readable certificate"),
    "a name only": (
        lambda _: '<KeyDescriptor use="signing"><ds:KeyInfo><ds:KeyName>k</ds:KeyName></ds:KeyInfo></KeyDescriptor>',
        "contains no readable certificate",
    ),
    "several of a chain": (
        lambda held: _key(f"{held.good}</ds:X509Certificate><ds:X509Certificate>{held.ended}", "signing"),
        "has a KeyDescriptor of several certificates",
    ),
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_bad_key_is_passed_over_beside_a_good_one(case: str, certificates: Certificates, tmp_path: Path) -> None:
    """A notice names file, element and line; alone it leaves the party out, for the same reason."""
    make, what = BAD_KEYS[case]
    bad, good = make(certificates), _key(certificates.good)
    xml = _remove_prefix(_okta(certificates))
    start, end = xml.index("<KeyDescriptor"), xml.index("<NameIDFormat>")
    found = _read(tmp_path, f"{xml[:start]}\n{bad}\n{good}{xml[end:]}".encode())
    assert len(found.metadata.upstreams[IDP].keys) == 1
    assert found.notices == (f"metadata/peer.xml: {IDP} {what} (KeyDescriptor, line 2), which is ignored",)
    alone = _read(tmp_path, f"{xml[:start]}\n{bad}{xml[end:]}".encode())
    assert alone.metadata.upstreams == {}
    (first, *_) = alone.faults[IDP]
    assert str(first).startswith(f"metadata/peer.xml: {IDP} {what} (KeyDescriptor, line 2)")


def test_when_a_certificate_ended_is_noted(certificates: Certificates, tmp_path: Path) -> None:
    """Its key counts on (SDP-MD06); of two that roll over the later end is the end."""
    read = _read(tmp_path, _google(certificates).encode()).metadata.upstreams[IDP]
    assert (len(read.keys), read.certificates_until) == (2, NOW + timedelta(days=365))


@pytest.mark.attack(33)
@pytest.mark.parametrize(
    "cut", ["peer.<!-- x -->example", "peer.<?x y?>example", "<![CDATA[peer.example]]>", "peer.<x>x</x>example"]
)
def test_no_value_is_cut_in_two(cut: str, certificates: Certificates, tmp_path: Path) -> None:
    """A value with a comment in it is read whole; one with an element in it not at all."""
    xml = _shibboleth(certificates).replace(">peer.example<", f">{cut}<")
    scopes = _read(tmp_path, xml.encode()).scopes[IDP].scopes
    assert scopes == (("",) if "<x>" in cut else ("peer.example",))


def test_unused_parts_of_metadata_are_ignored(certificates: Certificates, parties: Parties, tmp_path: Path) -> None:
    """Foreign roles, extensions and contacts are ignored, with their keys."""
    stranger = "".join(line for line in parties.stranger.certificate.decode().splitlines() if "CERT" not in line)
    hidden = f'<x:x xmlns:x="urn:x">{_key(stranger, "signing")}</x:x>'
    xml = _remove_prefix(_okta(certificates))
    xml = xml.replace("<KeyDescriptor", f"<Extensions>{hidden}</Extensions><KeyDescriptor", 1)
    xml = xml.replace("<IDPSSODescriptor", f"{_sts('SecurityTokenServiceType', stranger)}<IDPSSODescriptor", 1)
    (key,) = _read(tmp_path, xml.encode()).metadata.upstreams[IDP].keys
    assert key.public != parties.stranger.key.private.public_key()


def test_ids_and_roles_of_saml_1_are_dropped(certificates: Certificates, tmp_path: Path) -> None:
    """No signature in there is read, so that nothing refers to an ID; a role of another protocol is no second role."""
    xml = _remove_prefix(_okta(certificates))
    role = xml[xml.index("<IDPSSODescriptor") : xml.index("</EntityDescriptor>")]
    older = role.replace("SAML:2.0:protocol", "SAML:1.1:protocol")
    marked = xml.replace(
        role, older + role.replace("<IDPSSODescriptor", '<IDPSSODescriptor ID="_1" id="_1" xml:id="_1"')
    )
    found = _read(tmp_path, marked.encode())
    assert (found.faults, set(found.metadata.upstreams)) == ({}, {IDP})
    twice = _read(tmp_path, xml.replace(role, role + role).encode())
    assert str(twice.faults[IDP][0]) == f"metadata/peer.xml: {IDP} has several IDPSSODescriptors (keep one)"
