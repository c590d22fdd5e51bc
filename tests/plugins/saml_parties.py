"""A broker with two upstreams and three services, their keys, metadata and genuine messages."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xmlsec
from lxml import etree

from broker.adapters.saml.idp.identity_provider import IdentityProvider
from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.wanted_entities import WantedIds
from broker.adapters.saml.sp.service_provider import ServiceProvider
from broker.adapters.saml.xml_security import encryption, http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import PREFIXES, RESPONSE
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, Controller, Institution, Service, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, MapRow, WireAttribute
from broker.core.login.transaction import Authentication, AuthnRequest, Issued, Outstanding
from broker.core.saml_ports import PostForm, Received

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BASE = "https://broker.example"
IDP = f"{BASE}/saml/idp/metadata"
SSO = f"{BASE}/saml/idp/sso"
HUB, DIRECT, EID = "https://hub.example", "https://idp.kb.example", "https://saml.eid.example"
AU, AU_ALIAS, KU = "https://idp.au.example", "https://birk.example/idp.au.example", "https://idp.ku.example"
NEMLOGIN = "https://nemlogin.example"
LOANS, OPEN, PRINT = "https://my-loans.example", "https://open.example", "https://print.example"
EPPN, CN = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "urn:oid:2.5.4.3"
WORDS = Text("words", "ord")
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
_URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
Change = Callable[[Any], object]

_RESPONSE = """<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="_r1" Version="2.0" IssueInstant="{now}" InResponseTo="_q1"
 Destination="{acs}"><saml:Issuer>{issuer}</saml:Issuer><samlp:Status>
 <samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
 <saml:Assertion ID="_a1" Version="2.0" IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer><saml:Subject>
 <saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">_t1</saml:NameID>
 <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData
 NotOnOrAfter="{end}" Recipient="{acs}" InResponseTo="_q1"/></saml:SubjectConfirmation></saml:Subject>
 <saml:Conditions NotBefore="{now}" NotOnOrAfter="{end}"><saml:AudienceRestriction>
 <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
 <saml:AuthnStatement AuthnInstant="{now}" SessionIndex="_s1" SessionNotOnOrAfter="{session}"><saml:AuthnContext>
 <saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef>{chain}</saml:AuthnContext></saml:AuthnStatement>
 <saml:AttributeStatement><saml:Attribute Name="{eppn}" NameFormat="{uri}">
 <saml:AttributeValue xsi:type="xs:string">au1@au.dk</saml:AttributeValue></saml:Attribute>
 <saml:Attribute Name="{cn}" NameFormat="{uri}"><saml:AttributeValue>Asta Ravn</saml:AttributeValue></saml:Attribute>
 </saml:AttributeStatement></saml:Assertion></samlp:Response>"""

_REQUEST = """<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_s1" Version="2.0" IssueInstant="2026-11-25T12:00:00Z"
 Destination="{sso}" AssertionConsumerServiceURL="{service}/acs"
 ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"><saml:Issuer>{service}</saml:Issuer></samlp:AuthnRequest>"""

_ENTITY = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"
 xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{entity_id}">
{role}</md:EntityDescriptor>"""

_PROTOCOL = 'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"'
_BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"


@dataclass(frozen=True, repr=False)
class Party:
    """A party with a key."""

    private: bytes
    certificate: bytes
    key: signature.SigningKey

    @property
    def xml(self) -> xmlsec.Key:
        """The key for xmlsec, which signs what the broker would not."""
        return encryption.DecryptionKeys.load([self.private]).private[0]


def key_descriptor(certificate: bytes, use: str | None = None, after: str = "") -> str:
    """Write a KeyDescriptor as peers do."""
    body = "".join(line for line in certificate.decode().splitlines() if "CERTIFICATE" not in line)
    given = f' use="{use}"' if use else ""
    return (
        f"<md:KeyDescriptor{given}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{body}</ds:X509Certificate>"
        f"</ds:X509Data></ds:KeyInfo>{after}</md:KeyDescriptor>"
    )


def idp_entity(entity_id: str, *descriptors: str) -> str:
    """Write an upstream's metadata."""
    endpoint = f'<md:SingleSignOnService Binding="{_BINDINGS}Redirect" Location="{entity_id}/sso"/>'
    role = f"<md:IDPSSODescriptor {_PROTOCOL}>{''.join(descriptors)}{endpoint}</md:IDPSSODescriptor>"
    return _ENTITY.format(entity_id=entity_id, role=role)


def sp_entity(entity_id: str, *descriptors: str, signs: bool = False, before: str = "", acs: str = "") -> str:
    """Write a service's metadata."""
    endpoints = acs or f'<md:AssertionConsumerService index="1" Binding="{_BINDINGS}POST" Location="{entity_id}/acs"/>'
    flag = ' AuthnRequestsSigned="true"' if signs else ""
    role = f"<md:SPSSODescriptor {_PROTOCOL}{flag}>{before}{''.join(descriptors)}{endpoints}</md:SPSSODescriptor>"
    return _ENTITY.format(entity_id=entity_id, role=role)


def edit(path: str, **attributes: str | None) -> Change:
    """Return a change that sets attributes of the element at ``path``; the value None removes an attribute."""

    def change(root: Any) -> None:
        for name, value in attributes.items():
            element = find_element(root, path)
            if value is None:
                element.attrib.pop(name)
            else:
                element.set(name, value)

    return change


def drop(path: str) -> Change:
    """Return a change that removes the element at ``path``."""

    def change(root: Any) -> None:
        element = find_element(root, path)
        element.getparent().remove(element)

    return change


def say(path: str, words: str) -> Change:
    """Return a change of the text of the element at ``path``."""
    return lambda root: setattr(find_element(root, path), "text", words)


def add(path: str, xml: str, index: int | None = None) -> Change:
    """Return a change that inserts an element into the element at ``path``, last or at ``index``."""

    def change(root: Any) -> None:
        spaces = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in PREFIXES.items())
        made = etree.fromstring(f"<x {spaces}>{xml}</x>")[0]
        parent = find_element(root, path)
        parent.insert(len(parent) if index is None else index, made)

    return change


def find_element(root: Any, path: str) -> Any:
    """Return the only element at an XPath; "." is the root."""
    (found,) = root.xpath(path, namespaces=PREFIXES)
    return found


def redirect_url(leaving: str | PostForm) -> str:
    """Return the URL of an outgoing message; fail if it is a form."""
    assert isinstance(leaving, str)
    return leaving


def stamp(moment: datetime) -> str:
    """Write a time as SAML does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_NAME_ID = "saml:Assertion/saml:Subject/saml:NameID"
_SUBJECTS = {
    "oiosaml3": (
        edit(_NAME_ID, Format=PERSISTENT),
        say(_NAME_ID, "https://data.gov.dk/model/core/eid/person/uuid/6b1c0a52-77f0-4d0e-9d0e-0c2c6f1d7a10"),
    )
}


@dataclass(frozen=True, repr=False)
class Parties:
    """The parties and the messages that they send and receive."""

    folder: Path
    ring: key_ring.KeyRing
    hub: Party
    direct: Party
    service: Party
    stranger: Party
    upstreams: Mapping[str, Upstream]
    services: Mapping[str, Service]
    metadata: metadata_folder.Metadata
    sp: ServiceProvider
    idp: IdentityProvider
    request: AuthnRequest = field(default=AuthnRequest("_s1", "my-loans", LOANS, f"{LOANS}/acs", "state/1"))

    def acs(self, upstream: str = "wayf") -> str:
        """Return the broker's ACS for an upstream."""
        return f"{BASE}/saml/sp/{upstream}/acs"

    def signer(self, upstream: str) -> Party:
        """Return the party that signs as this upstream."""
        return self.hub if self.upstreams[upstream].entity_id == HUB else self.direct

    def response(self, *changes: Change, upstream: str = "wayf", now: datetime = NOW) -> Any:
        """Return an unsigned Response of ``upstream``, valid except for the changes."""
        party = self.upstreams[upstream]
        chain = {"wayf": (AU,), "nemid": ("https://saml.nemlogin.example", NEMLOGIN)}.get(upstream, ())
        xml = _RESPONSE.format(
            acs=self.acs(upstream),
            issuer=party.entity_id,
            audience=party.sp_entity_id,
            now=stamp(now),
            end=stamp(now + timedelta(minutes=4)),
            session=stamp(now + timedelta(hours=4)),
            context=PASSWORD,
            chain="".join(f"<saml:AuthenticatingAuthority>{each}</saml:AuthenticatingAuthority>" for each in chain),
            eppn=EPPN,
            cn=CN,
            uri=_URI,
        )
        root = etree.fromstring(xml.replace("\n", ""))
        for change in (*_SUBJECTS.get(party.profile, ()), *changes):
            change(root)
        return root

    def sign_response(self, root: Any, party: Party | None = None, *, whole: bool = False, both: bool = False) -> bytes:
        """Sign the Assertion of a Response, the whole Response, or both; return its bytes."""
        key = (party or self.hub).key
        assertion = root.find("{*}Assertion")
        if assertion is not None and (both or not whole):
            signature.sign(assertion, key)
        if both or whole:
            signature.sign(root, key)
        return etree.tostring(root)

    def encrypt_response(self, root: Any, party: Party | None = None, *, sign: bool = True) -> Any:
        """Sign the Assertion of a Response and encrypt it to the broker's current key."""
        assertion = root.find("{*}Assertion")
        if sign:
            signature.sign(assertion, (party or self.hub).key)
        root.replace(assertion, encryption.encrypt(assertion, self.ring.sp.encryption_certificate))
        return root

    def receive(self, xml: bytes, upstream: str = "wayf", *, now: datetime = NOW, **more: Any) -> Received:
        """Receive a Response to the request ``_q1``, which was sent at NOW."""
        expected = more.pop("expected", Outstanding("_q1", upstream, NOW))
        root = safe_parser.parse(xml, RESPONSE)
        return self.sp.receive(upstream, root, expected, now=now, **{"force_authn": False, **more})

    def authn_request(self, *changes: Change, service: str = LOANS) -> Any:
        """Return an unsigned AuthnRequest of a service, valid except for the changes."""
        root = etree.fromstring(_REQUEST.format(sso=SSO, service=service).replace("\n", ""))
        for change in changes:
            change(root)
        return root

    def query(self, root: Any, *, key: signature.SigningKey | None, relay_state: str | None = "state/1") -> str:
        """Return the query string that carries an AuthnRequest by Redirect, signed if a key is given."""
        url = http_bindings.build_redirect_url(SSO, "SAMLRequest", etree.tostring(root), relay_state, key)
        return url.partition("?")[2]

    def ask(self, *changes: Change, service: str = LOANS, now: datetime = NOW) -> AuthnRequest:
        """Read an AuthnRequest by Redirect, signed if the service signs."""
        key = self.service.key if service == LOANS else None
        return self.idp.read_redirect(self.query(self.authn_request(*changes, service=service), key=key), now)

    def make_ids(self) -> Issued:
        """Return the ids of an assertion."""
        return Issued("_resp1", "_assertion1", NOW, "pairwise-1", "c")

    def disclosure(self, *items: Item, service: str = "my-loans", entity: str = LOANS) -> Disclosure:
        """Return a disclosure with these items, or a plain one."""
        listed = items or (Item("borrower_number", ("4711",), WORDS), Item("cn", ("Asta Ravn",), WORDS))
        return Disclosure(service, f"{entity}/acs", PERSISTENT, WORDS, "consent", None, None, listed, "digest")

    def authentication(self, **changes: Any) -> Authentication:
        """Return a verified authentication by the hub."""
        made = Authentication(
            upstream="wayf",
            issuer=HUB,
            institution=AU,
            authorities=(AU,),
            attributes=(WireAttribute(CN, ("Asta Ravn",)),),
            authn_instant=NOW - timedelta(minutes=3),
            authn_context=PASSWORD,
            received=NOW,
            assertion_until=NOW + timedelta(minutes=4),
        )
        return replace(made, **changes)

    def message(self, form: PostForm) -> bytes:
        """Return the Response in a form."""
        return http_bindings.decode_post(form.fields["SAMLResponse"])

    def open_response(self, form: PostForm) -> tuple[Any, Any]:
        """Verify and decrypt a Response as a service does; return it and its Assertion."""
        root = safe_parser.parse(self.message(form), RESPONSE)
        broker_keys = [signature.VerifyKey.load(each) for each in self.ring.idp.signing_certificates]
        signature.verify(root, broker_keys)
        sealed, plain = root.find("{*}EncryptedAssertion"), root.find("{*}Assertion")
        if sealed is not None:
            plain = encryption.decrypt(sealed, encryption.DecryptionKeys.load([self.service.private]), allow_cbc=True)
        if plain is not None:
            signature.verify(plain, broker_keys)
        return root, plain


def party(folder: Path, size: int = 2048) -> Party:
    """Make a party with a key."""
    folder.mkdir(exist_ok=True)
    made = key_ring.make_pair(folder.name, NOW, size)
    private, certificate = made.private, made.certificate
    (folder / "key.pem").write_bytes(private)
    (folder / "key.crt").write_bytes(certificate)
    return Party(private, certificate, signature.SigningKey.load(private, certificate))


def _upstreams() -> dict[str, Upstream]:
    hub = Upstream(
        "wayf",
        "wayf",
        HUB,
        f"{BASE}/saml/sp/wayf/metadata",
        "wayf",
        WORDS,
        (Institution(AU, (AU_ALIAS,), ("au.dk", "clin.au.dk")), Institution(KU, (), ("ku.dk",))),
    )
    own = f"{BASE}/saml/sp/%s/metadata"
    nemid = replace(hub, name="nemid", sp_entity_id=own % "nemid", institutions=(Institution(NEMLOGIN),))
    direct = Upstream("kb", "saml", DIRECT, own % "kb", "wayf", WORDS, (Institution(DIRECT),), encryption="cbc")
    eid = replace(direct, name="eid", profile="oiosaml3", entity_id=EID, sp_entity_id=own % "eid")
    eid = replace(eid, institutions=(Institution(EID),), encryption="cbc", requester_id=False)
    return {each.name: each for each in (hub, nemid, direct, eid)}


def _services() -> dict[str, Service]:
    loans = Service("my-loans", LOANS, WORDS, ("wayf", "nemid"), Controller(WORDS), encrypts=True)
    made = (loans, Service("open", OPEN, WORDS, ("wayf",)), Service("print", PRINT, WORDS, ("wayf",)))
    return {each.name: each for each in made}


OUTGOING = AttributeMap(
    "library",
    (
        MapRow("urn:oid:0.9.2342.19200300.100.1.1", "borrower_number"),
        MapRow("urn:oid:1.3.6.1.4.1.25178.1.2.15", "cpr"),
        MapRow(CN, "cn"),
        MapRow("mail", "mail"),
    ),
    outgoing=True,
)


def write_metadata(folder: Path, hub: Party, direct: Party, service: Party) -> None:
    """Write the metadata of all parties into ``folder``."""
    folder.mkdir()
    location = f'<md:AssertionConsumerService index="%d" Binding="{_BINDINGS}POST" Location="{OPEN}/%s"%s/>'
    several = location % (1, "acs", "") + location % (2, "other", "") + location % (7, "main", ' isDefault="true"')
    files = {
        "hub": idp_entity(HUB, key_descriptor(hub.certificate)),
        "direct": idp_entity(DIRECT, key_descriptor(direct.certificate, "signing")),
        "eid": idp_entity(EID, key_descriptor(direct.certificate, "signing")),
        "loans": sp_entity(LOANS, key_descriptor(service.certificate), signs=True),
        "open": sp_entity(OPEN, acs=several),
        "print": sp_entity(PRINT, key_descriptor(service.certificate, "signing")),
    }
    for name, xml in files.items():
        (folder / f"{name}.xml").write_text(xml)


def read_folder(folder: Path, upstreams: Iterable[str], services: Iterable[str]) -> metadata_folder.Metadata:
    """Read the metadata of these entityIDs from a folder."""
    return metadata_folder.read(folder, WantedIds(frozenset(upstreams), frozenset(services))).metadata


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """Return all parties, with keys that are made once a run."""
    folder = tmp_path_factory.mktemp("parties")
    key_ring.generate(folder / "keys", NOW, 2048)
    ring = key_ring.load(folder / "keys")
    hub, direct, service, stranger = (party(folder / name) for name in ("hub", "direct", "service", "stranger"))
    write_metadata(folder / "metadata", hub, direct, service)
    upstreams, services = _upstreams(), _services()
    ids = {each.entity_id for each in upstreams.values()}
    read = read_folder(folder / "metadata", ids, {LOANS, OPEN, PRINT})
    own = frozenset((IDP, *(each.sp_entity_id for each in upstreams.values())))
    key, decryption = ring.sp.load_signing_key(), ring.sp.load_decryption_keys()
    role = ServiceProvider(BASE, key, decryption, read, upstreams=upstreams, own_entity_ids=own)
    known = {each.entity_id: each for each in services.values()}
    idp = IdentityProvider(BASE, IDP, ring.idp.load_signing_key(), read, known, {"library": OUTGOING}, own)
    return Parties(folder, ring, hub, direct, service, stranger, upstreams, services, read, role, idp)
