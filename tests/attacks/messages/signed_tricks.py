"""The tricks of known faults in other implementations, each made from one valid signed Response."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

from lxml import etree

from broker.adapters.saml.xml_security import signature
from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, SAML, SAMLP, SIGNATURE
from tests.plugins.saml_parties import HUB, Parties, Party, drop, edit

EVIL: Final = "chief@au.dk"
VALUE: Final = f".//{{{SAML}}}AttributeValue"
Make = Callable[[Parties], bytes]
Spoil = Callable[[Any], object]


def after(spoil: Spoil, **how: Any) -> Make:
    """Change a Response once it has been signed."""

    def make(parties: Parties) -> bytes:
        root = etree.fromstring(parties.sign_response(parties.response(), **how))
        spoil(root)
        return etree.tostring(root)

    return make


def found(path: str) -> Callable[[Any], Any]:
    """Give a finder of an element of the signature's namespace."""
    return lambda root: root.find(f".//{{{DS}}}{path}")


def twin(name: str, *, first: bool) -> Spoil:
    """Put a changed copy of an element of the signature before or after the genuine one."""

    def spoil(root: Any) -> None:
        genuine = found(name)(root)
        copy = deepcopy(genuine)
        for each in copy.iter(f"{{{DS}}}DigestValue"):
            each.text = "AAAA" + each.text[4:]
        (genuine.addprevious if first else genuine.addnext)(copy)

    return spoil


def by(*signers: str) -> Make:
    """Let several parties sign one assertion, the last one nearest to its Issuer."""

    def make(parties: Parties) -> bytes:
        root = parties.response()
        assertion = root.find(ASSERTION)
        for each in signers:
            signature.sign(assertion, getattr(parties, each).key)
        return etree.tostring(root)

    return make


def signed_by(key: Callable[[Parties], Party | signature.SigningKey], *, whole: bool = False) -> Make:
    """Let a party sign that is no upstream's key, its certificate in KeyInfo."""

    def make(parties: Parties) -> bytes:
        signer = key(parties)
        root = parties.response()
        element = root if whole else root.find(ASSERTION)
        signature.sign(element, signer.key if isinstance(signer, Party) else signer)
        return etree.tostring(root)

    return make


def written(path: str, text: str) -> Spoil:
    """Write a text into an element of the signature."""
    return lambda root: setattr(found(path)(root), "text", text)


def without(path: str) -> Spoil:
    """Take an element of the signature out."""

    def spoil(root: Any) -> None:
        each = found(path)(root)
        each.getparent().remove(each)

    return spoil


def smuggled(place: str, xml: str) -> Make:
    """Put something into a place of a Response that a signature of the assertion does not cover."""

    def spoil(root: Any) -> None:
        extra = etree.fromstring(xml)
        if place == "StatusDetail":
            etree.SubElement(root.find(f"{{{SAMLP}}}Status"), f"{{{SAMLP}}}StatusDetail").append(extra)
        elif place == "Extensions":
            holder = etree.Element(f"{{{SAMLP}}}Extensions")
            holder.append(extra)
            root.insert(1, holder)
        else:
            found(place)(root).append(extra)
        root.find(VALUE).text = EVIL

    return after(spoil)


def within(path: str, what: str) -> Make:
    """Cut a text of a signed message in two, by what canonicalisation leaves out or some readers stop at."""

    def make(parties: Parties) -> bytes:
        raw = parties.sign_response(parties.response())
        text = etree.fromstring(raw).findtext(f".//{{*}}{path}") or ""
        written = f">{text}<".encode()
        assert written in raw
        return raw.replace(written, f">{text[:6]}{what}{text[6:]}<".encode())

    return make


def borrowed(element: Callable[[Parties], Any]) -> Make:
    """Put the hub's genuine signature over another message onto an evil assertion."""

    def make(parties: Parties) -> bytes:
        root, other = parties.response(), element(parties)
        signature.sign(other, parties.hub.key)
        root.find(VALUE).text = EVIL
        root.find(ASSERTION).insert(1, other.find(SIGNATURE))
        return etree.tostring(root)

    return make


def renamed(tag: str) -> Make:
    """Give the root another name, all else as it was signed."""

    def spoil(root: Any) -> None:
        root.tag = tag

    return after(spoil)


def around(open_: str, close: str) -> Make:
    """Put a genuine message into another."""
    return lambda parties: open_.encode() + parties.sign_response(parties.response()) + close.encode()


def _id(name: str) -> Spoil:
    return lambda root: root.find(f"{{{SAML}}}Assertion/{{{SAML}}}Subject").set(name, "_a1")


def _message(name: str) -> Callable[[Parties], Any]:
    xml = f'<p:{name} xmlns:p="{SAMLP}" xmlns:s="{SAML}" ID="_a1"><s:Issuer>{HUB}</s:Issuer></p:{name}>'
    return lambda _parties: etree.fromstring(xml)


def _other_person(parties: Parties) -> Any:
    return parties.response(edit(ASSERTION.replace(f"{{{SAML}}}", "saml:"), ID="_a2")).find(ASSERTION)


DIGEST: Final = f'<ds:DigestValue xmlns:ds="{DS}">AAAA</ds:DigestValue>'
EMPTY: Final = f'<ds:Signature xmlns:ds="{DS}"/>'
SOAP: Final = ('<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>', "</s:Body></s:Envelope>")
ARTIFACT: Final = (f'<p:ArtifactResponse xmlns:p="{SAMLP}" ID="_x" Version="2.0">', "</p:ArtifactResponse>")
CUT: Final = (
    "Issuer",
    "NameID",
    "Audience",
    "AuthenticatingAuthority",
    "AttributeValue",
    "DigestValue",
    "SignatureValue",
)
TRICKS: Final[dict[str, tuple[Make, str]]] = {
    "2 two SignedInfos, the changed one first (CVE-2025-29774)": (
        after(twin("SignedInfo", first=True)), "xml.signed_infos"
    ),
    "2 two SignedInfos, the changed one last": (after(twin("SignedInfo", first=False)), "xml.signed_infos"),
    "2 two References to one ID, the changed one first (CVE-2026-33487)": (
        after(twin("Reference", first=True)), "xml.references"
    ),
    "2 two References to one ID, the changed one last": (after(twin("Reference", first=False)), "xml.references"),
    "2 two SignatureValues": (after(twin("SignatureValue", first=False)), "xml.schema"),
    "2 two DigestValues, the changed one first": (after(twin("DigestValue", first=True)), "xml.schema"),
    "2 two DigestValues, the changed one last": (after(twin("DigestValue", first=False)), "xml.schema"),
    "2 a stranger's signature before the hub's": (by("hub", "stranger"), "xml.signatures"),
    "2 a stranger's signature after the hub's": (by("stranger", "hub"), "xml.signatures"),
    "2 a digest in StatusDetail (CVE-2024-45409)": (smuggled("StatusDetail", DIGEST), "xml.signature"),
    "2 a digest in Extensions": (smuggled("Extensions", DIGEST), "xml.signature"),
    "2 a digest in KeyInfo": (smuggled("KeyInfo", DIGEST), "xml.schema"),
    "2 a Signature in KeyInfo": (smuggled("KeyInfo", EMPTY), "xml.signature_place"),
    "2 a Signature in StatusDetail": (smuggled("StatusDetail", EMPTY), "xml.signature_place"),
    "2 a Signature in Extensions": (smuggled("Extensions", EMPTY), "xml.signature_place"),
    "2 a Signature of no namespace": (smuggled("Extensions", "<Signature/>"), "xml.signature_namespace"),
    "2 a Manifest in an Object": (
        smuggled("Signature", f'<ds:Object xmlns:ds="{DS}"><ds:Manifest/></ds:Object>'), "xml.object"
    ),
    "3 another element with the assertion's ID": (after(_id("ID")), "xml.duplicate_id"),
    "3 another with its id": (after(_id("id")), "xml.id_attribute"),
    "3 another with its iD": (after(_id("iD")), "xml.id_attribute"),
    "3 another with its Id": (after(_id("Id")), "xml.id_attribute"),
    "3 another with its xml:id": (after(_id("{http://www.w3.org/XML/1998/namespace}id")), "xml.id_attribute"),
    "3 another with its wsu:Id": (after(_id("{urn:wsu}Id")), "xml.id_attribute"),
    "3 the Response with the assertion's ID": (after(lambda root: root.set("ID", "_a1")), "xml.duplicate_id"),
    "4 a LogoutResponse (CVE-2026-49283)": (renamed(f"{{{SAMLP}}}LogoutResponse"), "xml.root"),
    "4 a StatusResponse": (renamed(f"{{{SAMLP}}}StatusResponse"), "xml.root"),
    "4 a Response of no namespace": (renamed("Response"), "xml.root"),
    "4 a Response of the assertions' namespace": (renamed(f"{{{SAML}}}Response"), "xml.root"),
    "4 a Response in SOAP": (around(*SOAP), "xml.root"),
    "4 a Response in an ArtifactResponse": (around(*ARTIFACT), "xml.root"),
    "5 an empty SignatureValue": (after(written("SignatureValue", "")), "xml.signature"),
    "5 an empty DigestValue": (after(written("DigestValue", "")), "xml.signature"),
    "5 a SignatureValue that is no base64": (after(written("SignatureValue", "!")), "xml.signature"),
    "5 no SignatureValue": (after(without("SignatureValue")), "xml.schema"),
    "5 no Reference": (after(without("Reference")), "xml.references"),
    "5 no DigestValue": (after(without("DigestValue")), "xml.schema"),
    "5 no SignedInfo": (after(without("SignedInfo")), "xml.signed_infos"),
    "5 no Transforms": (after(without("Transforms")), "xml.transforms"),
    "5 the assertion's signature taken off a Response that has one": (
        after(lambda root: root.remove(root.find(SIGNATURE)), whole=True), "response.unsigned"
    ),
    "6 a stranger's key, the whole": (signed_by(lambda parties: parties.stranger, whole=True), "xml.signature"),
    "6 a service's key, the whole": (signed_by(lambda parties: parties.service, whole=True), "xml.signature"),
    "6 another upstream's key": (signed_by(lambda parties: parties.direct), "xml.signature"),
    "6 another upstream's key, the whole": (signed_by(lambda parties: parties.direct, whole=True), "xml.signature"),
    "6 our own key as a service provider": (signed_by(lambda parties: parties.sp.key), "xml.signature"),
    "6 our own key as an identity provider": (signed_by(lambda parties: parties.idp.key), "xml.signature"),
    "10 the signature over a LogoutResponse of the same ID": (borrowed(_message("LogoutResponse")), "xml.signature"),
    "10 the signature over an AuthnRequest of the same ID": (borrowed(_message("AuthnRequest")), "xml.signature"),
    "10 the signature over another person's assertion": (borrowed(_other_person), "xml.reference"),
    "10 the signature over an error": (
        borrowed(lambda parties: parties.response(drop("saml:Assertion"))), "xml.reference"
    ),
    **{
        f"11 a {kind} in {path}": (within(path, cut), f"xml.{cause}")
        for path in CUT
        for kind, cut, cause in (("comment", "<!---->", "comment"), ("instruction", "<?x y?>", "instruction"))
    },
    "11 an element in an Audience": (within("Audience", "<x/>"), "xml.schema"),
    "11 an element in an Issuer": (within("Issuer", "<x/>"), "xml.schema"),
}  # fmt: skip
