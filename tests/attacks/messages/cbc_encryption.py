"""Encrypts assertions with AES-CBC, as some upstreams still do."""

from typing import Any

import xmlsec
from lxml import etree

from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.adapters.saml.xml_security.xml_names import DS, SAML, XENC

AES_CBC = f"{XENC}aes256-cbc"
_TEMPLATE = f"""<saml:EncryptedAssertion xmlns:saml="{SAML}">\
<xenc:EncryptedData xmlns:xenc="{XENC}" Type="{XENC}Element">\
<xenc:EncryptionMethod Algorithm="{AES_CBC}"/><ds:KeyInfo xmlns:ds="{DS}"><xenc:EncryptedKey>\
<xenc:EncryptionMethod Algorithm="{XENC}rsa-oaep-mgf1p"/><xenc:CipherData><xenc:CipherValue/></xenc:CipherData>\
</xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>\
</saml:EncryptedAssertion>"""


def encrypt_with_cbc(element: Any, certificate: bytes) -> Any:
    """Return an EncryptedAssertion of an element, encrypted with AES-256-CBC for the key of a certificate."""
    keys = xmlsec.KeysManager()
    keys.add_key(VerifyKey.load(certificate).xml)
    encryption = xmlsec.EncryptionContext(keys)
    encryption.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, 256, xmlsec.constants.KeyDataTypeSession)
    box = etree.fromstring(_TEMPLATE)
    encryption.encrypt_binary(box[0], etree.tostring(element, with_tail=False))
    return box
