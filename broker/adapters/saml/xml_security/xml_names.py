"""The namespaces and element names of SAML and XML security, each written once."""

from typing import Final

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
MD: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
MDUI: Final = "urn:oasis:names:tc:SAML:metadata:ui"
ALGORITHM_SUPPORT: Final = "urn:oasis:names:tc:SAML:metadata:algsupport"
SHIBMD: Final = "urn:mace:shibboleth:metadata:1.0"
ATTRIBUTES: Final = "urn:oasis:names:tc:SAML:metadata:attribute"
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
XS: Final = "http://www.w3.org/2001/XMLSchema"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256: Final = MORE + "rsa-sha256"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ASYNCHRONOUS: Final = "{urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo}Asynchronous"

# The conventional prefixes: those that path expressions use, and that everything is written with.
PREFIXES: Final = {
    "saml": SAML,
    "samlp": SAMLP,
    "md": MD,
    "mdui": MDUI,
    "alg": ALGORITHM_SUPPORT,
    "shibmd": SHIBMD,
    "ds": DS,
    "xenc": XENC,
    "xenc11": XENC11,
    "xs": XS,
    "xsi": XSI,
    "xi": XINCLUDE,
}

RESPONSE: Final = f"{{{SAMLP}}}Response"
AUTHN_REQUEST: Final = f"{{{SAMLP}}}AuthnRequest"
LOGOUT_REQUEST: Final = f"{{{SAMLP}}}LogoutRequest"
LOGOUT_RESPONSE: Final = f"{{{SAMLP}}}LogoutResponse"
ASSERTION: Final = f"{{{SAML}}}Assertion"
ENCRYPTED_ASSERTION: Final = f"{{{SAML}}}EncryptedAssertion"
NAME_ID: Final = f"{{{SAML}}}NameID"
ENCRYPTED_ID: Final = f"{{{SAML}}}EncryptedID"
ATTRIBUTE_VALUE: Final = f"{{{SAML}}}AttributeValue"
ISSUER: Final = f"{{{SAML}}}Issuer"
LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
ENTITY: Final = f"{{{MD}}}EntityDescriptor"
ENTITIES: Final = f"{{{MD}}}EntitiesDescriptor"
EXTENSIONS: Final = f"{{{MD}}}Extensions"
IDP_ROLE: Final = f"{{{MD}}}IDPSSODescriptor"
SP_ROLE: Final = f"{{{MD}}}SPSSODescriptor"
SIGNATURE: Final = f"{{{DS}}}Signature"
KEY_INFO: Final = f"{{{DS}}}KeyInfo"
SIGNED_INFO: Final = f"{{{DS}}}SignedInfo"
INCLUSIVE: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
ENCRYPTED_DATA: Final = f"{{{XENC}}}EncryptedData"
ENCRYPTED_KEY: Final = f"{{{XENC}}}EncryptedKey"
