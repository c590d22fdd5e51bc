"""Tricks from known vulnerabilities (CVEs) of other implementations, each applied to one valid signed Response.

The attacker holds a genuine Response and changes it so that the signature still verifies for a careless reader.
"""

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


def change_after_signing(spoil: Spoil, **how: Any) -> Make:
    """Return a maker that signs a Response and then changes it with ``spoil``."""

    def make(parties: Parties) -> bytes:
        root = etree.fromstring(parties.sign_response(parties.response(), **how))
        spoil(root)
        return etree.tostring(root)

    return make


def find_in_signature(path: str) -> Callable[[Any], Any]:
    """Return a function that finds an element of the XML Signature namespace."""
    return lambda root: root.find(f".//{{{DS}}}{path}")


def duplicate_element(name: str, *, first: bool) -> Spoil:
    """Add a changed copy of a signature's element next to the genuine one.

    A careless reader verifies one and uses the other.
    """

    def spoil(root: Any) -> None:
        genuine = find_in_signature(name)(root)
        copy = deepcopy(genuine)
        for each in copy.iter(f"{{{DS}}}DigestValue"):
            each.text = "AAAA" + each.text[4:]
        (genuine.addprevious if first else genuine.addnext)(copy)

    return spoil


def sign_by_parties(*signers: str) -> Make:
    """Let several parties sign one assertion. The last signature is nearest to the Issuer."""

    def make(parties: Parties) -> bytes:
        root = parties.response()
        assertion = root.find(ASSERTION)
        for each in signers:
            signature.sign(assertion, getattr(parties, each).key)
        return etree.tostring(root)

    return make


def sign_with_key(key: Callable[[Parties], Party | signature.SigningKey], *, whole: bool = False) -> Make:
    """Sign with a key that is not the upstream's, and put its certificate in KeyInfo."""

    def make(parties: Parties) -> bytes:
        signer = key(parties)
        root = parties.response()
        element = root if whole else root.find(ASSERTION)
        signature.sign(element, signer.key if isinstance(signer, Party) else signer)
        return etree.tostring(root)

    return make


def set_text(path: str, text: str) -> Spoil:
    """Replace the text of an element of the signature."""
    return lambda root: setattr(find_in_signature(path)(root), "text", text)


def remove_element(path: str) -> Spoil:
    """Remove an element of the signature."""

    def spoil(root: Any) -> None:
        each = find_in_signature(path)(root)
        each.getparent().remove(each)

    return spoil


def insert_xml(place: str, xml: str) -> Make:
    """Insert XML where the assertion's signature does not cover it, and change the signed value."""

    def spoil(root: Any) -> None:
        extra = etree.fromstring(xml)
        if place == "StatusDetail":
            etree.SubElement(root.find(f"{{{SAMLP}}}Status"), f"{{{SAMLP}}}StatusDetail").append(extra)
        elif place == "Extensions":
            holder = etree.Element(f"{{{SAMLP}}}Extensions")
            holder.append(extra)
            root.insert(1, holder)
        else:
            find_in_signature(place)(root).append(extra)
        root.find(VALUE).text = EVIL

    return change_after_signing(spoil)


def split_text(path: str, what: str) -> Make:
    """Split a signed text with ``what``: canonicalisation drops it, and some readers stop reading there."""

    def make(parties: Parties) -> bytes:
        raw = parties.sign_response(parties.response())
        text = etree.fromstring(raw).findtext(f".//{{*}}{path}") or ""
        written = f">{text}<".encode()
        assert written in raw
        return raw.replace(written, f">{text[:6]}{what}{text[6:]}<".encode())

    return make


def reuse_hub_signature(element: Callable[[Parties], Any]) -> Make:
    """Put the hub's genuine signature over another element onto an evil assertion."""

    def make(parties: Parties) -> bytes:
        root, other = parties.response(), element(parties)
        signature.sign(other, parties.hub.key)
        root.find(VALUE).text = EVIL
        root.find(ASSERTION).insert(1, other.find(SIGNATURE))
        return etree.tostring(root)

    return make


def rename_root(tag: str) -> Make:
    """Rename the root element after signing."""

    def spoil(root: Any) -> None:
        root.tag = tag

    return change_after_signing(spoil)


def wrap_message(open_: str, close: str) -> Make:
    """Embed a genuine message in another document."""
    return lambda parties: open_.encode() + parties.sign_response(parties.response()) + close.encode()


def _repeat_id(name: str) -> Spoil:
    return lambda root: root.find(f"{{{SAML}}}Assertion/{{{SAML}}}Subject").set(name, "_a1")


def _make_message(name: str) -> Callable[[Parties], Any]:
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
        change_after_signing(duplicate_element("SignedInfo", first=True)), "xml.signed_infos"
    ),
    "2 two SignedInfos, the changed one last": (change_after_signing(duplicate_element("SignedInfo", first=False)), "xml.signed_infos"),
    "2 two References to one ID, the changed one first (CVE-2026-33487)": (
        change_after_signing(duplicate_element("Reference", first=True)), "xml.references"
    ),
    "2 two References to one ID, the changed one last": (change_after_signing(duplicate_element("Reference", first=False)), "xml.references"),
    "2 two SignatureValues": (change_after_signing(duplicate_element("SignatureValue", first=False)), "xml.schema"),
    "2 two DigestValues, the changed one first": (change_after_signing(duplicate_element("DigestValue", first=True)), "xml.schema"),
    "2 two DigestValues, the changed one last": (change_after_signing(duplicate_element("DigestValue", first=False)), "xml.schema"),
    "2 a stranger's signature before the hub's": (sign_by_parties("hub", "stranger"), "xml.signatures"),
    "2 a stranger's signature after the hub's": (sign_by_parties("stranger", "hub"), "xml.signatures"),
    "2 a digest in StatusDetail (CVE-2024-45409)": (insert_xml("StatusDetail", DIGEST), "xml.signature"),
    "2 a digest in Extensions": (insert_xml("Extensions", DIGEST), "xml.signature"),
    "2 a digest in KeyInfo": (insert_xml("KeyInfo", DIGEST), "xml.schema"),
    "2 a Signature in KeyInfo": (insert_xml("KeyInfo", EMPTY), "xml.signature_place"),
    "2 a Signature in StatusDetail": (insert_xml("StatusDetail", EMPTY), "xml.signature_place"),
    "2 a Signature in Extensions": (insert_xml("Extensions", EMPTY), "xml.signature_place"),
    "2 a Signature of no namespace": (insert_xml("Extensions", "<Signature/>"), "xml.signature_namespace"),
    "2 a Manifest in an Object": (
        insert_xml("Signature", f'<ds:Object xmlns:ds="{DS}"><ds:Manifest/></ds:Object>'), "xml.object"
    ),
    "3 another element with the assertion's ID": (change_after_signing(_repeat_id("ID")), "xml.duplicate_id"),
    "3 another with its id": (change_after_signing(_repeat_id("id")), "xml.id_attribute"),
    "3 another with its iD": (change_after_signing(_repeat_id("iD")), "xml.id_attribute"),
    "3 another with its Id": (change_after_signing(_repeat_id("Id")), "xml.id_attribute"),
    "3 another with its xml:id": (change_after_signing(_repeat_id("{http://www.w3.org/XML/1998/namespace}id")), "xml.id_attribute"),
    "3 another with its wsu:Id": (change_after_signing(_repeat_id("{urn:wsu}Id")), "xml.id_attribute"),
    "3 the Response with the assertion's ID": (change_after_signing(lambda root: root.set("ID", "_a1")), "xml.duplicate_id"),
    "4 a LogoutResponse (CVE-2026-49283)": (rename_root(f"{{{SAMLP}}}LogoutResponse"), "xml.root"),
    "4 a StatusResponse": (rename_root(f"{{{SAMLP}}}StatusResponse"), "xml.root"),
    "4 a Response of no namespace": (rename_root("Response"), "xml.root"),
    "4 a Response of the assertions' namespace": (rename_root(f"{{{SAML}}}Response"), "xml.root"),
    "4 a Response in SOAP": (wrap_message(*SOAP), "xml.root"),
    "4 a Response in an ArtifactResponse": (wrap_message(*ARTIFACT), "xml.root"),
    "5 an empty SignatureValue": (change_after_signing(set_text("SignatureValue", "")), "xml.signature"),
    "5 an empty DigestValue": (change_after_signing(set_text("DigestValue", "")), "xml.signature"),
    "5 a SignatureValue that is no base64": (change_after_signing(set_text("SignatureValue", "!")), "xml.signature"),
    "5 no SignatureValue": (change_after_signing(remove_element("SignatureValue")), "xml.schema"),
    "5 no Reference": (change_after_signing(remove_element("Reference")), "xml.references"),
    "5 no DigestValue": (change_after_signing(remove_element("DigestValue")), "xml.schema"),
    "5 no SignedInfo": (change_after_signing(remove_element("SignedInfo")), "xml.signed_infos"),
    "5 no Transforms": (change_after_signing(remove_element("Transforms")), "xml.transforms"),
    "5 the assertion's signature taken off a Response that has one": (
        change_after_signing(lambda root: root.remove(root.find(SIGNATURE)), whole=True), "response.unsigned"
    ),
    "6 a stranger's key, the whole": (sign_with_key(lambda parties: parties.stranger, whole=True), "xml.signature"),
    "6 a service's key, the whole": (sign_with_key(lambda parties: parties.service, whole=True), "xml.signature"),
    "6 another upstream's key": (sign_with_key(lambda parties: parties.direct), "xml.signature"),
    "6 another upstream's key, the whole": (sign_with_key(lambda parties: parties.direct, whole=True), "xml.signature"),
    "6 our own key as a service provider": (sign_with_key(lambda parties: parties.sp.key), "xml.signature"),
    "6 our own key as an identity provider": (sign_with_key(lambda parties: parties.idp.key), "xml.signature"),
    "10 the signature over a LogoutResponse of the same ID": (reuse_hub_signature(_make_message("LogoutResponse")), "xml.signature"),
    "10 the signature over an AuthnRequest of the same ID": (reuse_hub_signature(_make_message("AuthnRequest")), "xml.signature"),
    "10 the signature over another person's assertion": (reuse_hub_signature(_other_person), "xml.reference"),
    "10 the signature over an error": (
        reuse_hub_signature(lambda parties: parties.response(drop("saml:Assertion"))), "xml.reference"
    ),
    **{
        f"11 a {kind} in {path}": (split_text(path, cut), f"xml.{cause}")
        for path in CUT
        for kind, cut, cause in (("comment", "<!---->", "comment"), ("instruction", "<?x y?>", "instruction"))
    },
    "11 an element in an Audience": (split_text("Audience", "<x/>"), "xml.schema"),
    "11 an element in an Issuer": (split_text("Issuer", "<x/>"), "xml.schema"),
}  # fmt: skip
