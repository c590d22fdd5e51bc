"""Messages in the shapes of products that could not be installed: prefixes, signatures and parts as they write them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import signature
from broker.adapters.saml.xml_security.xml_names import SAML, SAMLP, XENC
from broker.core.entities import EMAIL, PERSISTENT
from broker.core.login.transaction import Authentication
from tests.adapters.saml.xml_security.test_encryption import pointing
from tests.plugins.saml_parties import NOW, OPEN, Change, Parties, add, drop, edit, say

CLASSES: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
CLASS: Final = "saml:Assertion/saml:AuthnStatement/saml:AuthnContext/saml:AuthnContextClassRef"
STATEMENT: Final = "saml:Assertion/saml:AuthnStatement"
NAME_ID: Final = "saml:Assertion/saml:Subject/saml:NameID"
UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
# Declared everywhere, since values name them.
_TYPES: Final = {"xs": "http://www.w3.org/2001/XMLSchema", "xsi": "http://www.w3.org/2001/XMLSchema-instance"}


@dataclass(frozen=True)
class Shape:
    """How a product writes its Response: the prefixes of its two namespaces ("" is none), and what it signs."""

    protocol: str
    assertion: str
    signs: str  # "assertion", "response" or "both"
    changes: tuple[Change, ...] = ()
    sealed: bool = False


SHAPES: Final[Mapping[str, Shape]] = {
    "Entra ID": Shape(
        "samlp",
        "",
        "assertion",
        (
            say(CLASS, f"{CLASSES}Password"),
            edit(NAME_ID, Format=PERSISTENT),
            edit(STATEMENT, SessionNotOnOrAfter=None),
            edit(".", IssueInstant="2026-11-25T12:00:00.123Z"),
        ),
    ),
    "AD FS": Shape(
        "samlp",
        "",
        "assertion",
        (
            edit(".", Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified"),
            say(CLASS, "urn:federation:authentication:windows"),
            edit(NAME_ID, Format=EMAIL),
            edit("saml:Assertion", IssueInstant="2026-11-25T12:00:00.123Z"),
        ),
    ),
    "Okta": Shape("saml2p", "saml2", "both", (edit(NAME_ID, Format=UNSPECIFIED),)),
    "Google Workspace": Shape(
        "saml2p", "saml2", "response", (say(CLASS, f"{CLASSES}unspecified"), edit(NAME_ID, Format=EMAIL))
    ),
    "Keycloak": Shape("samlp", "saml", "both", (edit(STATEMENT, SessionIndex="5a0f::8b1c"),), sealed=True),
    "Shibboleth": Shape(
        "saml2p",
        "saml2",
        "response",
        (add("saml:Assertion/saml:AuthnStatement", '<saml:SubjectLocality Address="192.0.2.7"/>', 0),),
        sealed=True,
    ),
    "Sustainsys": Shape("saml2p", "saml2", "assertion", (edit(".", Destination=None), drop("saml:Issuer"))),
}


def rename_prefixes(element: Any, prefixes: Mapping[str, str]) -> Any:
    """Copy a tree with the prefixes of a product, declared where each namespace is first used."""
    space = etree.QName(element).namespace or ""
    spaces: Any = {prefixes[space] or None: space, **_TYPES}
    made = etree.Element(element.tag, dict(element.attrib), nsmap=spaces)
    made.text, made.tail = element.text, element.tail
    made.extend([rename_prefixes(child, prefixes) for child in element])
    return made


def write_response(parties: Parties, shape: Shape) -> bytes:
    """Give the Response of the upstream "kb" in a shape."""
    root = rename_prefixes(
        parties.response(*shape.changes, upstream="kb"), {SAMLP: shape.protocol, SAML: shape.assertion}
    )
    key = parties.direct.key
    assertion = root.find("{*}Assertion")
    if shape.signs != "response":
        signature.sign(assertion, key)
    if shape.sealed:
        sealed = parties.encrypt_response(root, parties.direct, sign=False).find("{*}EncryptedAssertion")
        pointing(sealed, kind=XENC + "EncryptedKey")
    if shape.signs != "assertion":
        signature.sign(root, key)
    return etree.tostring(root)


@pytest.mark.parametrize("product", SHAPES)
def test_an_upstreams_response_is_read(parties: Parties, product: str) -> None:
    """The broker reads the assertion of each product, with its prefixes, signatures and optional parts."""
    answer = parties.receive(write_response(parties, SHAPES[product]), "kb").answer
    assert isinstance(answer, Authentication)
    assert {value for attribute in answer.attributes for value in attribute.values} == {"au1@au.dk", "Asta Ravn"}


@dataclass(frozen=True)
class Asking:
    """How a product writes its AuthnRequest: the prefixes, its attributes, and the parts after the Issuer."""

    protocol: str
    assertion: str
    attributes: Mapping[str, str | None] = field(default_factory=dict)
    parts: str = ""


_POLICY: Final = '<samlp:NameIDPolicy Format="{}" AllowCreate="{}"/>'
_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
ASKINGS: Final[Mapping[str, Asking]] = {
    "Sustainsys": Asking("saml2p", "saml2", {"ProtocolBinding": None}),
    "ITfoxtec": Asking("saml2p", "saml2", {"ForceAuthn": "false"}, _POLICY.format(UNSPECIFIED, "true")),
    "Spring Security": Asking("saml2p", "saml2", {"ForceAuthn": "false", "IsPassive": "false"}),
    "Keycloak": Asking("samlp", "", {"ForceAuthn": "false"}, _POLICY.format(PERSISTENT, "false")),
    "AD FS": Asking(
        "samlp",
        "",
        {"Consent": "urn:oasis:names:tc:SAML:2.0:consent:unspecified", "AssertionConsumerServiceURL": None},
        '<samlp:NameIDPolicy AllowCreate="true"/>',
    ),
    "Shibboleth": Asking("samlp", "saml", {"AssertionConsumerServiceURL": None, "ProtocolBinding": None}),
}


@pytest.mark.parametrize("product", ASKINGS)
def test_a_services_request_is_read(parties: Parties, product: str) -> None:
    """It begins a login, at the ACS that it names or at the default."""
    asking = ASKINGS[product]
    changes = [edit(".", **{name: value}) for name, value in asking.attributes.items()]
    if asking.parts:
        changes.append(add(".", asking.parts))
    root = parties.authn_request(edit(".", AssertionConsumerServiceURL=f"{OPEN}/main"), *changes, service=OPEN)
    shaped = rename_prefixes(root, {SAMLP: asking.protocol, SAML: asking.assertion})
    asked = parties.idp.read_redirect(parties.query(shaped, key=None), NOW)
    assert (asked.service, asked.acs, asked.force_authn, asked.is_passive) == ("open", f"{OPEN}/main", False, False)
