"""The messages that are known from attacks on others, by class, each with the check that refuses it."""

from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, EXCLUSIVE, MD, XENC
from tests.attacks.messages.hostile_messages import (
    Make,
    beside,
    borrowed,
    by_hmac,
    by_stranger,
    carrying,
    cut,
    hidden,
    moved_aside,
    moved_up,
    other_root,
    parent_of,
    prefixed,
    replaced,
    sealed,
    sealed_evil,
    signed_as,
    smuggled,
    smuggled_into,
    whole,
)
from tests.plugins.saml_messages import MORE, REQUEST, octets, remove_signature

ENVELOPED = DS + "enveloped-signature"
XSLT = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><x:stylesheet version="1.0" '
    'xmlns:x="http://www.w3.org/1999/XSL/Transform"><x:template match="/"><y/></x:template></x:stylesheet>'
    "</ds:Transform>"
)
XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    "<ds:XPath>ancestor-or-self::*[local-name()='Issuer']</ds:XPath></ds:Transform>"
)
PREFIXED = (
    f'<ds:Transform Algorithm="{EXCLUSIVE}"><InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="xs"/></ds:Transform>'
)
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
HREF = "http://127.0.0.1:PORT/x"
ATTACKS: dict[str, tuple[Make, str]] = {
    "1 XSW 1: the genuine Response in an Object of the evil one's signature": (whole("object"), "duplicate_id"),
    "1 XSW 2: the genuine Response before its signature in the evil one": (whole("before"), "duplicate_id"),
    "1 XSW 3: an evil assertion before the genuine": (beside(first=True), "assertions"),
    "1 XSW 3: an evil assertion after the genuine": (beside(first=False), "assertions"),
    "1 XSW 4: the genuine assertion within the evil": (parent_of, "assertions"),
    "1 XSW 5: the signature in the evil assertion, the genuine after it": (hidden(""), "assertions"),
    "1 XSW 6: the genuine within the evil one's signature": (hidden("saml:Assertion/ds:Signature"), "assertions"),
    "1 XSW 7: the genuine in Extensions": (hidden("samlp:Extensions/e:x"), "assertions"),
    "1 XSW 8: the genuine in an Object": (hidden("saml:Assertion/ds:Signature/ds:Object"), "assertions"),
    "1 the genuine in Advice": (hidden("saml:Assertion/saml:Advice"), "assertions"),
    "1 the genuine in StatusDetail": (hidden("samlp:Status/samlp:StatusDetail"), "assertions"),
    "1 the genuine in SubjectConfirmationData": (
        hidden("saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"),
        "assertions",
    ),
    "1 the genuine in KeyInfo": (hidden("saml:Assertion/ds:Signature/ds:KeyInfo"), "assertions"),
    "1 the genuine under the same ID": (hidden("samlp:Extensions/e:x", "a1"), "duplicate_id"),
    "1 a genuine error hidden under an evil success": (whole("error"), "reference"),
    "2 two References": (signed_as(uris=("#a1", "#r1")), "references"),
    "2 a signature of a foreign namespace": (carrying('<Signature xmlns="urn:e"/>'), "signature_namespace"),
    "2 a SignedInfo that is read first": (
        lambda forge: octets(forge.response(f'<ds:SignedInfo xmlns:ds="{DS}"/>')),
        "signed_info_place",
    ),
    "3 one ID twice": (carrying('<e:x xmlns:e="urn:e" ID="a1"/>'), "duplicate_id"),
    "3 id": (carrying('<e:x xmlns:e="urn:e" id="b1"/>'), "id_attribute"),
    "3 Id": (carrying('<e:x xmlns:e="urn:e" Id="b1"/>'), "id_attribute"),
    "3 xml:id": (carrying('<e:x xmlns:e="urn:e" xml:id="b1"/>'), "id_attribute"),
    "3 xml:id at a signature": (replaced(b"<ds:Signature ", b'<ds:Signature xml:id="b1" '), "id_attribute"),
    "3 ID in a namespace": (carrying('<e:x xmlns:e="urn:e" e:ID="b1"/>'), "id_attribute"),
    "4 an AuthnRequest": (lambda _forge: REQUEST, "root"),
    "4 an assertion alone": (lambda forge: octets(forge.sign_response().find(ASSERTION)), "root"),
    "4 a Response of SAML 1": (other_root('<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol"/>'), "root"),
    "4 metadata": (other_root(f'<EntityDescriptor xmlns="{MD}" entityID="urn:e"/>'), "root"),
    "5 never signed": (lambda forge: octets(forge.response()), "unsigned"),
    "5 signature taken off": (lambda forge: octets(remove_signature(forge.sign_response(whole=True))), "unsigned"),
    "5 signature emptied": (lambda forge: octets(forge.response()).replace(
        b"</saml:Issuer><saml:Subject>", f'</saml:Issuer><Signature xmlns="{DS}"/><saml:Subject>'.encode()
    ), "signed_infos"),
    "5 value changed": (replaced(b"nurse@au.dk", b"chief@au.dk"), "signature"),
    "6 a certificate of one's own in KeyInfo": (by_stranger, "signature"),
    "7 HMAC with the public key": (by_hmac, "signature_method"),
    "7 RSA-SHA1": (signed_as(method=DS + "rsa-sha1"), "signature_method"),
    "7 digest by SHA-1": (signed_as(digest=DS + "sha1"), "digest"),
    "7 no method": (replaced(f'Algorithm="{MORE}rsa-sha256"'.encode(), b'Algorithm="none"'), "signature_method"),
    "8 XSLT": (signed_as(transforms=(ENVELOPED, XSLT, EXCLUSIVE)), "transforms"),
    "8 XPath": (signed_as(transforms=(XPATH, ENVELOPED, EXCLUSIVE)), "transforms"),
    "8 many": (signed_as(transforms=(ENVELOPED, *(EXCLUSIVE,) * 50)), "transforms"),
    "8 other order": (
        replaced(
            f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/><ds:Transform Algorithm="{ENVELOPED}"/>'.encode(),
        ),
        "transforms",
    ),
    "8 no enveloped": (replaced(f'<ds:Transform Algorithm="{ENVELOPED}"/>'.encode(), b""), "transforms"),
    "8 XPath within a transform that is allowed": (
        replaced(
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
            f'<ds:Transform Algorithm="{EXCLUSIVE}"><ds:XPath>self::x</ds:XPath></ds:Transform>'.encode(),
        ),
        "signature_parameters",
    ),
    "8 prefixes for a transform that takes none": (
        replaced(
            f'<ds:Transform Algorithm="{ENVELOPED}"/>'.encode(), PREFIXED.replace(EXCLUSIVE, ENVELOPED, 1).encode()
        ),
        "signature_parameters",
    ),
    "8 a list of prefixes with something in it": (
        replaced(
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
            PREFIXED.replace('PrefixList="xs"/>', 'PrefixList="xs"><x/></InclusiveNamespaces>').encode(),
        ),
        "signature_parameters",
    ),
    "8 inclusive canonicalisation": (signed_as(c14n=C14N), "canonicalization"),
    "8 inclusive transform": (signed_as(transforms=(ENVELOPED, C14N)), "transforms"),
    "8 with comments": (signed_as(c14n=EXCLUSIVE + "WithComments"), "canonicalization"),
    "8 a file": (replaced(b'URI="#a1"', b'URI="file:///etc/hostname"'), "reference"),
    "8 a pointer": (signed_as(uris=("#xpointer(id('a1'))",)), "reference"),
    "8 the whole document": (replaced(b'URI="#a1"', b'URI=""'), "reference"),
    "9 relative namespace": (replaced(b" ID=", b' xmlns:r="../r" ID='), "relative_namespace"),
    "9 unused relative namespace in a value": (
        lambda forge: octets(forge.response('<e:x xmlns:e="urn:e" xmlns:r="r"/>')),
        "relative_namespace",
    ),
    "10 the signature of a request": (borrowed, "reference"),
    "10 the assertion's signature at the Response": (moved_up, "reference"),
    "10 the assertion's signature in Extensions": (moved_aside, "signature_place"),
    "10 a signature over the other element": (signed_as(uris=("#r1",)), "reference"),
    "11 comment": (cut("<!---->"), "comment"),
    "11 instruction": (cut("<?x?>"), "instruction"),
    "11 comment before the root": (prefixed("<!---->"), "comment"),
    "11 comment after the root": (lambda forge: octets(forge.sign_response()) + b"<!---->", "comment"),
    "12 doctype": (prefixed("<!DOCTYPE Response>"), "doctype"),
    "12 billion laughs": (
        prefixed('<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'),
        "doctype",
    ),
    "12 stylesheet": (prefixed('<?xml-stylesheet href="x.xsl"?>'), "instruction"),
    "12 an entity that nobody declared": (cut("&x;"), "unreadable"),
    "13 size": (carrying("x" * 300_000), "size"),
    "13 depth": (carrying("<e>" * 60 + "</e>" * 60), "depth"),
    "13 more depth": (carrying("<e>" * 250 + "</e>" * 250), "depth"),
    "13 nodes": (carrying("<e/>" * 10_001), "nodes"),
    "13 attributes": (carrying("<e>" + '<e a="" b="" c="" d="" f="" g=""/>' * 900 + "</e>"), "attributes"),
    "13 namespaces": (carrying("".join(f'<e:x xmlns:e="urn:{each}"/>' for each in range(1100))), "namespaces"),
    "14 UTF-16": (lambda forge: octets(forge.sign_response()).decode().encode("utf-16"), "nul"),
    "14 Latin-1": (lambda forge: octets(forge.sign_response(forge.response("Søren"))).decode().encode("latin-1"), "encoding"),
    "14 UTF-7": (prefixed('<?xml version="1.0" encoding="UTF-7"?>'), "encoding"),
    "14 NUL": (cut("\0"), "nul"),
    "14 a character XML does not have": (cut("\x01"), "unreadable"),
    "14 nothing": (lambda _forge: b"", "unreadable"),
    "14 HTML": (lambda _forge: b"<html><body><p>Sign in</body></html>", "unreadable"),
    "14 cut off": (lambda forge: octets(forge.sign_response())[:-20], "unreadable"),
    "14 two documents": (lambda forge: octets(forge.sign_response()) * 2, "unreadable"),
    "23 3DES": (sealed(content=XENC + "tripledes-cbc"), "content_method"),
    "23 CBC": (sealed(content=XENC + "aes256-cbc"), "content_method"),
    "23 RSA 1.5": (sealed(transport=XENC + "rsa-1_5"), "key_method"),
    "23 content instead of an element": (sealed(kind=XENC + "Content"), "encrypted_data"),
    "23 encrypted for another": (lambda forge: sealed(to=forge.stranger)(forge), "decryption"),
    "23 beside the genuine": (smuggled, "assertions"),
    "23 in Extensions": (smuggled_into("Extensions"), "assertion_place"),
    "23 in StatusDetail": (smuggled_into("StatusDetail"), "assertion_place"),
    "23 unsigned": (sealed_evil(""), "unsigned"),
    "23 signed by a stranger": (sealed_evil("stranger"), "signature"),
    "23 an EncryptedAssertion within": (
        lambda forge: octets(forge.enclose(forge.encrypt(octets(forge.encrypt(b"<x/>"))))),
        "decryption",
    ),
}  # fmt: skip
