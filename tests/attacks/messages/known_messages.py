"""Messages of attacks that are known from other implementations, by class, each with the check that must reject it."""

from broker.adapters.saml.xml_security.xml_names import ASSERTION, DS, EXCLUSIVE, MD, XENC
from tests.attacks.messages.hostile_messages import (
    Make,
    add_encrypted_evil,
    add_unsigned_assertion,
    encrypt_as,
    encrypt_evil,
    hide_encrypted_assertion,
    hide_genuine_assertion,
    move_signature_to_extensions,
    move_signature_to_response,
    nest_genuine_in_evil,
    prepend,
    replace_octets,
    reuse_signature,
    send_other_root,
    sign_as,
    sign_value,
    sign_with_hmac,
    sign_with_stranger_key,
    split_value,
    wrap_response,
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
    "1 XSW 1: the genuine Response in an Object of the evil one's signature": (wrap_response("object"), "duplicate_id"),
    "1 XSW 2: the genuine Response before its signature in the evil one": (wrap_response("before"), "duplicate_id"),
    "1 XSW 3: an evil assertion before the genuine": (add_unsigned_assertion(first=True), "assertions"),
    "1 XSW 3: an evil assertion after the genuine": (add_unsigned_assertion(first=False), "assertions"),
    "1 XSW 4: the genuine assertion within the evil": (nest_genuine_in_evil, "assertions"),
    "1 XSW 5: the signature in the evil assertion, the genuine after it": (hide_genuine_assertion(""), "assertions"),
    "1 XSW 6: the genuine within the evil one's signature": (hide_genuine_assertion("saml:Assertion/ds:Signature"), "assertions"),
    "1 XSW 7: the genuine in Extensions": (hide_genuine_assertion("samlp:Extensions/e:x"), "assertions"),
    "1 XSW 8: the genuine in an Object": (hide_genuine_assertion("saml:Assertion/ds:Signature/ds:Object"), "assertions"),
    "1 the genuine in Advice": (hide_genuine_assertion("saml:Assertion/saml:Advice"), "assertions"),
    "1 the genuine in StatusDetail": (hide_genuine_assertion("samlp:Status/samlp:StatusDetail"), "assertions"),
    "1 the genuine in SubjectConfirmationData": (
        hide_genuine_assertion("saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"),
        "assertions",
    ),
    "1 the genuine in KeyInfo": (hide_genuine_assertion("saml:Assertion/ds:Signature/ds:KeyInfo"), "assertions"),
    "1 the genuine under the same ID": (hide_genuine_assertion("samlp:Extensions/e:x", "a1"), "duplicate_id"),
    "1 a genuine error hidden under an evil success": (wrap_response("error"), "reference"),
    "2 two References": (sign_as(uris=("#a1", "#r1")), "references"),
    "2 a signature of a foreign namespace": (sign_value('<Signature xmlns="urn:e"/>'), "signature_namespace"),
    "2 a SignedInfo that is read first": (
        lambda forge: octets(forge.response(f'<ds:SignedInfo xmlns:ds="{DS}"/>')),
        "signed_info_place",
    ),
    "3 one ID twice": (sign_value('<e:x xmlns:e="urn:e" ID="a1"/>'), "duplicate_id"),
    "3 id": (sign_value('<e:x xmlns:e="urn:e" id="b1"/>'), "id_attribute"),
    "3 Id": (sign_value('<e:x xmlns:e="urn:e" Id="b1"/>'), "id_attribute"),
    "3 xml:id": (sign_value('<e:x xmlns:e="urn:e" xml:id="b1"/>'), "id_attribute"),
    "3 xml:id at a signature": (replace_octets(b"<ds:Signature ", b'<ds:Signature xml:id="b1" '), "id_attribute"),
    "3 ID in a namespace": (sign_value('<e:x xmlns:e="urn:e" e:ID="b1"/>'), "id_attribute"),
    "4 an AuthnRequest": (lambda _forge: REQUEST, "root"),
    "4 an assertion alone": (lambda forge: octets(forge.sign_response().find(ASSERTION)), "root"),
    "4 a Response of SAML 1": (send_other_root('<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol"/>'), "root"),
    "4 metadata": (send_other_root(f'<EntityDescriptor xmlns="{MD}" entityID="urn:e"/>'), "root"),
    "5 never signed": (lambda forge: octets(forge.response()), "unsigned"),
    "5 signature taken off": (lambda forge: octets(remove_signature(forge.sign_response(whole=True))), "unsigned"),
    "5 signature emptied": (lambda forge: octets(forge.response()).replace(
        b"</saml:Issuer><saml:Subject>", f'</saml:Issuer><Signature xmlns="{DS}"/><saml:Subject>'.encode()
    ), "signed_infos"),
    "5 value changed": (replace_octets(b"nurse@au.dk", b"chief@au.dk"), "signature"),
    "6 a certificate of one's own in KeyInfo": (sign_with_stranger_key, "signature"),
    "7 HMAC with the public key": (sign_with_hmac, "signature_method"),
    "7 RSA-SHA1": (sign_as(method=DS + "rsa-sha1"), "signature_method"),
    "7 digest by SHA-1": (sign_as(digest=DS + "sha1"), "digest"),
    "7 no method": (replace_octets(f'Algorithm="{MORE}rsa-sha256"'.encode(), b'Algorithm="none"'), "signature_method"),
    "8 XSLT": (sign_as(transforms=(ENVELOPED, XSLT, EXCLUSIVE)), "transforms"),
    "8 XPath": (sign_as(transforms=(XPATH, ENVELOPED, EXCLUSIVE)), "transforms"),
    "8 many": (sign_as(transforms=(ENVELOPED, *(EXCLUSIVE,) * 50)), "transforms"),
    "8 other order": (
        replace_octets(
            f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/><ds:Transform Algorithm="{ENVELOPED}"/>'.encode(),
        ),
        "transforms",
    ),
    "8 no enveloped": (replace_octets(f'<ds:Transform Algorithm="{ENVELOPED}"/>'.encode(), b""), "transforms"),
    "8 XPath within a transform that is allowed": (
        replace_octets(
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
            f'<ds:Transform Algorithm="{EXCLUSIVE}"><ds:XPath>self::x</ds:XPath></ds:Transform>'.encode(),
        ),
        "signature_parameters",
    ),
    "8 prefixes for a transform that takes none": (
        replace_octets(
            f'<ds:Transform Algorithm="{ENVELOPED}"/>'.encode(), PREFIXED.replace(EXCLUSIVE, ENVELOPED, 1).encode()
        ),
        "signature_parameters",
    ),
    "8 a list of prefixes with something in it": (
        replace_octets(
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'.encode(),
            PREFIXED.replace('PrefixList="xs"/>', 'PrefixList="xs"><x/></InclusiveNamespaces>').encode(),
        ),
        "signature_parameters",
    ),
    "8 inclusive canonicalisation": (sign_as(c14n=C14N), "canonicalization"),
    "8 inclusive transform": (sign_as(transforms=(ENVELOPED, C14N)), "transforms"),
    "8 with comments": (sign_as(c14n=EXCLUSIVE + "WithComments"), "canonicalization"),
    "8 a file": (replace_octets(b'URI="#a1"', b'URI="file:///etc/hostname"'), "reference"),
    "8 a pointer": (sign_as(uris=("#xpointer(id('a1'))",)), "reference"),
    "8 the whole document": (replace_octets(b'URI="#a1"', b'URI=""'), "reference"),
    "9 relative namespace": (replace_octets(b" ID=", b' xmlns:r="../r" ID='), "relative_namespace"),
    "9 unused relative namespace in a value": (
        lambda forge: octets(forge.response('<e:x xmlns:e="urn:e" xmlns:r="r"/>')),
        "relative_namespace",
    ),
    "10 the signature of a request": (reuse_signature, "reference"),
    "10 the assertion's signature at the Response": (move_signature_to_response, "reference"),
    "10 the assertion's signature in Extensions": (move_signature_to_extensions, "signature_place"),
    "10 a signature over the other element": (sign_as(uris=("#r1",)), "reference"),
    "11 comment": (split_value("<!---->"), "comment"),
    "11 instruction": (split_value("<?x?>"), "instruction"),
    "11 comment before the root": (prepend("<!---->"), "comment"),
    "11 comment after the root": (lambda forge: octets(forge.sign_response()) + b"<!---->", "comment"),
    "12 doctype": (prepend("<!DOCTYPE Response>"), "doctype"),
    "12 billion laughs": (
        prepend('<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'),
        "doctype",
    ),
    "12 stylesheet": (prepend('<?xml-stylesheet href="x.xsl"?>'), "instruction"),
    "12 an entity that nobody declared": (split_value("&x;"), "unreadable"),
    "13 size": (sign_value("x" * 300_000), "size"),
    "13 depth": (sign_value("<e>" * 60 + "</e>" * 60), "depth"),
    "13 more depth": (sign_value("<e>" * 250 + "</e>" * 250), "depth"),
    "13 nodes": (sign_value("<e/>" * 10_001), "nodes"),
    "13 attributes": (sign_value("<e>" + '<e a="" b="" c="" d="" f="" g=""/>' * 900 + "</e>"), "attributes"),
    "13 namespaces": (sign_value("".join(f'<e:x xmlns:e="urn:{each}"/>' for each in range(1100))), "namespaces"),
    "14 UTF-16": (lambda forge: octets(forge.sign_response()).decode().encode("utf-16"), "nul"),
    "14 Latin-1": (lambda forge: octets(forge.sign_response(forge.response("Søren"))).decode().encode("latin-1"), "encoding"),
    "14 UTF-7": (prepend('<?xml version="1.0" encoding="UTF-7"?>'), "encoding"),
    "14 NUL": (split_value("\0"), "nul"),
    "14 a character XML does not have": (split_value("\x01"), "unreadable"),
    "14 nothing": (lambda _forge: b"", "unreadable"),
    "14 HTML": (lambda _forge: b"<html><body><p>Sign in</body></html>", "unreadable"),
    "14 cut off": (lambda forge: octets(forge.sign_response())[:-20], "unreadable"),
    "14 two documents": (lambda forge: octets(forge.sign_response()) * 2, "unreadable"),
    "23 3DES": (encrypt_as(content=XENC + "tripledes-cbc"), "content_method"),
    "23 CBC": (encrypt_as(content=XENC + "aes256-cbc"), "content_method"),
    "23 RSA 1.5": (encrypt_as(transport=XENC + "rsa-1_5"), "key_method"),
    "23 content instead of an element": (encrypt_as(kind=XENC + "Content"), "encrypted_data"),
    "23 encrypted for another": (lambda forge: encrypt_as(to=forge.stranger)(forge), "decryption"),
    "23 beside the genuine": (add_encrypted_evil, "assertions"),
    "23 in Extensions": (hide_encrypted_assertion("Extensions"), "assertion_place"),
    "23 in StatusDetail": (hide_encrypted_assertion("StatusDetail"), "assertion_place"),
    "23 unsigned": (encrypt_evil(""), "unsigned"),
    "23 signed by a stranger": (encrypt_evil("stranger"), "signature"),
    "23 an EncryptedAssertion within": (
        lambda forge: octets(forge.enclose(forge.encrypt(octets(forge.encrypt(b"<x/>"))))),
        "decryption",
    ),
}  # fmt: skip
