"""Attack: hostile metadata feeds. The tests change one thing in a valid, signed feed.

A feed decides whose keys the broker trusts, so an accepted forgery would give the attacker every login. Source:
docs/reference/attacks.md#33.
"""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any, Final

import pytest
import xmlsec
from lxml import etree

from broker.adapters.saml.xml_security import signature, signature_profile
from broker.adapters.saml.xml_security.xml_names import DS, ENTITIES, ENTITY, EXCLUSIVE, MD, SIGNATURE
from broker.core.errors import MessageRefused
from tests.plugins import metadata_feeds
from tests.plugins.saml_messages import MORE, NOW, Forge

ONE, EVIL = "https://one.example", "https://evil.example"
SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"
ENTITY_XML: Final = f'<md:EntityDescriptor entityID="{ONE}"><md:Organization/></md:EntityDescriptor>'
FEED: Final = metadata_feeds.build_feed(ENTITY_XML, more=f' Name="{ONE}"')
FORGED: Final = f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{EVIL}"/>'
_ds: Final = f"{{{DS}}}"

Make = Callable[[Forge], bytes]


def _plain(_: Forge) -> bytes:
    return FEED.encode()


def _sign_with_change(change: Callable[[Any], object], xml: str = FEED) -> Make:
    return lambda forge: metadata_feeds.sign_feed_with(xml, forge.upstream.xml, change=change)


def _sign_with(xml: str = FEED, **how: Any) -> Make:
    return lambda forge: metadata_feeds.sign_feed_with(xml, forge.upstream.xml, **how)


def _change_octets(change: Callable[[bytes], bytes]) -> Make:
    return lambda forge: change(metadata_feeds.sign_feed_with(FEED, forge.upstream.xml))


def _set_valid_until(**delta: float) -> Make:
    return lambda forge: metadata_feeds.sign_feed(
        metadata_feeds.build_feed(ENTITY_XML, until=NOW + timedelta(**delta)), forge.upstream.key
    )


def _insert(place: int, xml: str = FORGED) -> Callable[[Any], object]:
    return lambda root: root.insert(place, etree.fromstring(xml))


def _wrap_feed(place: str) -> Make:
    """Put a forged root around the genuine signed one.

    A careless verifier looks up the Reference and finds the genuine one.
    """

    def make(forge: Forge) -> bytes:
        genuine: Any = etree.fromstring(metadata_feeds.sign_feed_with(FEED, forge.upstream.xml))
        found = genuine.find(SIGNATURE)
        outer = etree.fromstring(metadata_feeds.build_feed(FORGED).replace('"_f1"', '"_f2"'))
        if place == "child":
            outer.append(genuine)
        elif place == "signature moved":
            genuine.remove(found)
            outer.insert(0, found)
            outer.append(genuine)
        elif place == "in an Object":
            genuine.remove(found)
            outer.insert(0, found)
            held = etree.SubElement(found, f"{_ds}Object")
            held.append(genuine)
        elif place == "same ID":
            outer.set("ID", "_f1")
            genuine.remove(found)
            outer.insert(0, found)
            outer.append(genuine)
        elif place == "in Extensions":
            outer.insert(0, etree.Element(f"{{{MD}}}Extensions"))
            outer[0].append(genuine)
        return etree.tostring(outer)

    return make


def _algorithm(path: str, value: str) -> Callable[[Any], object]:
    return lambda root: root.find(f".//{_ds}{path}").set("Algorithm", value)


def _drop(path: str) -> Callable[[Any], object]:
    def change(root: Any) -> None:
        found = root.find(f".//{_ds}{path}")
        found.getparent().remove(found)

    return change


def _twice(path: str) -> Callable[[Any], object]:
    def change(root: Any) -> None:
        found = root.find(f".//{_ds}{path}")
        found.addnext(deepcopy(found))

    return change


def _send_own_certificate(forge: Forge) -> bytes:
    """Sign with a stranger's key and include the stranger's certificate."""
    return metadata_feeds.sign_feed(FEED, forge.stranger.key)


def _send_pinned_certificate(forge: Forge) -> bytes:
    """Sign with a stranger's key and include the pinned certificate."""
    signed = etree.fromstring(metadata_feeds.sign_feed(FEED, forge.stranger.key))
    found = signed.find(f".//{_ds}X509Certificate")
    assert found is not None
    found.text = forge.upstream.key.certificate
    return etree.tostring(signed)


def _hmac(forge: Forge) -> bytes:
    """Use the pinned public key as an HMAC secret."""
    pem = forge.upstream.certificate
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, pem)
    return metadata_feeds.sign_feed_with(FEED, key, method=MORE + "hmac-sha256")


def _sign_entity_only(change: Callable[[Any], object]) -> Make:
    """Sign the only entity of the feed with the right key, but not the feed."""

    def make(forge: Forge) -> bytes:
        root: Any = etree.fromstring(FEED)
        root.find(ENTITY).set("ID", "_e1")
        signature.sign(root.find(ENTITY), forge.upstream.key)
        change(root)
        return etree.tostring(root)

    return make


def _lift_signature(root: Any) -> None:
    root.insert(0, root.find(ENTITY).find(SIGNATURE))


XPATH: Final = f"""<ds:Transform xmlns:ds="{DS}" Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">\
<ds:XPath>not(ancestor-or-self::*[@entityID])</ds:XPath></ds:Transform>"""
BOMB: Final = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
XXE: Final = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
HOSTILE: Final[dict[str, tuple[Make, str]]] = {
    # no signature, or the signature of another party
    "unsigned": (_plain, "feed.unsigned"),
    "the signature cut out": (_sign_with_change(lambda root: root.remove(root[0])), "feed.unsigned"),
    "an empty signature": (_sign_with_change(lambda root: root[0].clear()), "xml.signed_infos"),
    "no value": (_sign_with_change(_drop("SignatureValue")), "feed.signature"),
    "an empty value": (
        _sign_with_change(lambda root: setattr(root.find(f".//{_ds}SignatureValue"), "text", "")),
        "feed.signature",
    ),
    "a value that is no base64": (
        _sign_with_change(lambda root: setattr(root.find(f".//{_ds}SignatureValue"), "text", "!")),
        "feed.unreadable",
    ),
    "no digest": (_sign_with_change(_drop("DigestValue")), "feed.signature"),
    "a stranger's key": (_send_own_certificate, "feed.signature"),
    "a stranger's key, the pinned certificate": (_send_pinned_certificate, "feed.signature"),
    "an HMAC of the public key": (_hmac, "xml.signature_method"),
    "the entity signed, not the feed": (_sign_entity_only(lambda _: None), "feed.unsigned"),
    "the entity's signature lifted to the feed": (_sign_entity_only(_lift_signature), "xml.reference"),
    # changes after signing
    "an entity added": (_sign_with_change(_insert(1)), "feed.digest"),
    "an entity added last": (_sign_with_change(_insert(99)), "feed.digest"),
    "an entity taken out": (
        _sign_with_change(lambda root: root.remove(root[2]), FEED.replace(ENTITY_XML, ENTITY_XML * 2)),
        "feed.digest",
    ),
    "an entity renamed": (_sign_with_change(lambda root: root[1].set("entityID", EVIL)), "feed.digest"),
    "text added": (_sign_with_change(lambda root: setattr(root[1], "tail", "x")), "feed.digest"),
    "a space added": (
        _sign_with_change(lambda root: setattr(root[1], "tail", (root[1].tail or "") + " ")),
        "feed.digest",
    ),
    "a longer life": (_sign_with_change(lambda root: root.set("validUntil", "2026-12-05T00:00:00Z")), "feed.digest"),
    "a shorter life": (_sign_with_change(lambda root: root.set("validUntil", "2026-11-26T00:00:00Z")), "feed.digest"),
    "an attribute more": (_sign_with_change(lambda root: root.set("Name", "x")), "feed.digest"),
    "an attribute less": (_sign_with_change(lambda root: root.attrib.pop("Name")), "feed.digest"),
    "the digest of the change": (
        _sign_with_change(lambda root: setattr(root.find(f".//{_ds}DigestValue"), "text", "AAAA")),
        "feed.signature",
    ),
    # wrapping
    "wrapped as a child": (_wrap_feed("child"), "feed.unsigned"),
    "wrapped, signature moved": (_wrap_feed("signature moved"), "xml.reference"),
    "wrapped in an Object": (_wrap_feed("in an Object"), "xml.object"),
    "wrapped, both of one ID": (_wrap_feed("same ID"), "feed.digest"),
    "wrapped in Extensions": (_wrap_feed("in Extensions"), "feed.unsigned"),
    "the signature behind an entity": (_sign_with(at=1), "feed.unsigned"),
    "the signature last": (_sign_with(at=99), "feed.unsigned"),
    "two signatures": (_sign_with_change(lambda root: root.insert(1, deepcopy(root[0]))), "feed.signatures"),
    "a second signature last": (_sign_with_change(lambda root: root.append(deepcopy(root[0]))), "feed.signatures"),
    "two SignedInfos": (_sign_with_change(_twice("SignedInfo")), "xml.signed_infos"),
    "two References": (_sign_with_change(_twice("Reference")), "xml.references"),
    "a Reference to nothing": (_sign_with(uri=""), "xml.reference"),
    "a Reference elsewhere": (
        _sign_with_change(lambda root: root.find(f".//{_ds}Reference").set("URI", "#_e1")),
        "xml.reference",
    ),
    "the root's ID taken away": (_sign_with_change(lambda root: root.attrib.pop("ID")), "xml.reference"),
    # algorithms
    "signed by SHA-1": (_sign_with(method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"), "xml.signature_method"),
    "digested by SHA-1": (_sign_with(digest=SHA1), "xml.digest"),
    "MD5": (_sign_with_change(_algorithm("DigestMethod", MORE + "md5")), "xml.digest"),
    "another canonicalisation": (
        _sign_with(c14n="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        "xml.canonicalization",
    ),
    "inclusive canonicalisation of the whole": (
        _sign_with(transforms=(signature_profile.ENVELOPED, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")),
        "xml.transforms",
    ),
    "no enveloped transform": (
        _sign_with_change(
            lambda root: root.find(f".//{_ds}Transform").getparent().remove(root.find(f".//{_ds}Transform"))
        ),
        "xml.transforms",
    ),
    "XPath chooses what is signed": (
        _sign_with(transforms=(signature_profile.ENVELOPED, XPATH, EXCLUSIVE)),
        "xml.transforms",
    ),
    # validity period
    "no end": (
        lambda forge: metadata_feeds.sign_feed(metadata_feeds.build_feed(ENTITY_XML, until=None), forge.upstream.key),
        "feed.unbounded",
    ),
    "an end without a zone": (
        lambda forge: metadata_feeds.sign_feed(FEED.replace('Z"', '"'), forge.upstream.key),
        "feed.unbounded",
    ),
    "an end in no calendar": (
        lambda forge: metadata_feeds.sign_feed(
            metadata_feeds.build_feed(ENTITY_XML, more=' validUntil="2026-02-30T00:00:00Z"', until=None),
            forge.upstream.key,
        ),
        "feed.unbounded",
    ),
    "expired": (_set_valid_until(seconds=-200), "feed.expired"),
    "too long": (_set_valid_until(days=14, seconds=200), "feed.window"),
    "a year": (_set_valid_until(days=365), "feed.window"),
    # wrong document type
    "a DOCTYPE": (_change_octets(lambda raw: b"<!DOCTYPE x>" + raw), "feed.doctype"),
    "entity expansion": (_change_octets(lambda raw: BOMB + raw), "feed.doctype"),
    "an external entity": (
        _change_octets(lambda raw: XXE + raw.replace(b"Organization/", b"Organization/>&e;<md:x/")),
        "feed.doctype",
    ),
    "a DOCTYPE in UTF-16": (
        _change_octets(lambda raw: (b"<!DOCTYPE x>" + raw).decode().encode("utf-16")),
        "feed.unreadable",
    ),
    "too large": (_change_octets(lambda raw: raw + b" " * metadata_feeds.LARGEST), "feed.size"),
    "cut short": (_change_octets(lambda raw: raw[:-9]), "feed.unreadable"),
    "a second root": (_change_octets(lambda raw: raw + FORGED.encode()), "feed.unreadable"),
    "no XML": (lambda _: b"<html><body>Sign in</body></html>", "feed.root"),
    "nothing": (lambda _: b"", "feed.unreadable"),
    "NULs": (lambda _: b"\0" * 100, "feed.unreadable"),
    "the root a Response": (_change_octets(lambda raw: raw.replace(b"EntitiesDescriptor", b"Response")), "feed.root"),
    "the root of no namespace": (_change_octets(lambda raw: raw.replace(MD.encode(), b"urn:x")), "feed.root"),
    "the feed inside another document": (_change_octets(lambda raw: b"<x>" + raw + b"</x>"), "feed.root"),
}


@pytest.mark.attack(33)
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_feed_is_refused(case: str, forge: Forge) -> None:
    """The feed is refused by the check that belongs to the attack."""
    make, cause = HOSTILE[case]
    with pytest.raises(MessageRefused) as refused:
        metadata_feeds.read(make(forge), metadata_feeds.trust(forge.upstream.certificate), ONE, EVIL)
    assert refused.value.cause == cause


CONTROLS: Final[dict[str, Make]] = {
    "as it is": _sign_with(),
    "signed as our own": lambda forge: metadata_feeds.sign_feed(FEED, forge.upstream.key),
    "SHA-512": _sign_with(method=MORE + "rsa-sha512", digest="http://www.w3.org/2001/04/xmlenc#sha512"),
    "KeyInfo of anybody": _sign_with_change(
        lambda root: root[0].append(
            etree.fromstring(f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyName>x</ds:KeyName></ds:KeyInfo>')
        )
    ),
    "three minutes over": _set_valid_until(seconds=-179),
    "fourteen days and three minutes": _set_valid_until(days=14, seconds=179),
    "a comment added": _sign_with_change(lambda root: root.append(etree.Comment("nobody signs comments"))),
}


@pytest.mark.attack(33, control=True)
@pytest.mark.parametrize("case", CONTROLS)
def test_a_harmless_variant_is_read(case: str, forge: Forge) -> None:
    """Control: harmless variants are accepted, so the tests above do not pass by refusing everything."""
    found = metadata_feeds.read(CONTROLS[case](forge), metadata_feeds.trust(forge.upstream.certificate), ONE, EVIL)
    assert set(found.entities) == {ONE}


def test_a_comment_splits_no_value(forge: Forge) -> None:
    """A comment added to a signed feed does not split a value, because comments are dropped (CVE-2017-11427)."""
    xml = FEED.replace("<md:Organization/>", "<md:NameIDFormat>one.example.evil</md:NameIDFormat>")

    def change(root: Any) -> None:
        found = root.find(f".//{{{MD}}}NameIDFormat")
        found.text = "one.example"
        found.append(etree.Comment(""))
        found[0].tail = ".evil"

    octets = metadata_feeds.sign_feed_with(xml, forge.upstream.xml, change=change)
    kept = metadata_feeds.read(octets, metadata_feeds.trust(forge.upstream.certificate), ONE).entities[ONE]
    assert etree.fromstring(kept.octets).findtext(f".//{{{MD}}}NameIDFormat") == "one.example.evil"
    assert etree.fromstring(octets).tag == ENTITIES
