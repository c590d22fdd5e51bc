"""The namespaces of all that we write: conventional prefixes, which no move of an element changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from lxml import etree

from broker.adapters.saml.logout import logout_messages
from broker.adapters.saml.metadata import own_metadata
from broker.adapters.saml.xml_security import encryption, http_bindings, signature
from broker.core.entities import Text
from broker.core.errors import NO_PASSIVE, SUCCESS
from broker.core.logout.logout_state import LogoutPeer, Participant
from broker.core.logout.sessions import NameID
from tests.plugins.saml_messages import load_keys
from tests.plugins.saml_parties import BASE, IDP, LOANS, NOW, OPEN, Parties, redirect_url

# As the OASIS and Shibboleth documents write them.
CONVENTIONAL: Final = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "mdui": "urn:oasis:names:tc:SAML:metadata:ui",
    "alg": "urn:oasis:names:tc:SAML:metadata:algsupport",
    "shibmd": "urn:mace:shibboleth:metadata:1.0",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xml": "http://www.w3.org/XML/1998/namespace",
}
DESCRIPTION: Final = own_metadata.RoleDescription(
    BASE,
    IDP,
    Text("Library login", "Bibliotekets login"),
    Text("Signs you in.", "Logger dig ind."),
    Text("Library", "Bibliotek"),
    "it@library.example",
)


def response(parties: Parties, service: str = LOANS) -> Any:
    """Give our Response to a service: encrypted for one with a key."""
    name = {LOANS: "my-loans", OPEN: "open"}[service]
    request = replace(parties.request, service=name, entity_id=service, acs=f"{service}/acs")
    disclosure = parties.disclosure(service=name, entity=service)
    form = parties.idp.respond(request, disclosure, parties.authentication(), parties.make_ids())
    return etree.fromstring(parties.message(form))


def authn_request(parties: Parties) -> Any:
    """Give our AuthnRequest to the hub."""
    query = redirect_url(parties.sp.ask("wayf", "_q1", parties.request, NOW)).partition("?")[2]
    return etree.fromstring(http_bindings.read_redirect(query, "SAMLRequest").xml)


def logout_request(_parties: Parties) -> Any:
    """Give our LogoutRequest to a service."""
    participant = Participant(LogoutPeer("service", "open"), NameID("x"), ("_i1",))
    return logout_messages.write_request(IDP, f"{OPEN}/slo", participant, "_l1", NOW)


WRITTEN: Final[dict[str, Callable[[Parties], Any]]] = {
    "Response, encrypted": response,
    "Response, plain": lambda parties: response(parties, OPEN),
    "Assertion": lambda parties: parties.open_response(
        parties.idp.respond(parties.request, parties.disclosure(), parties.authentication(), parties.make_ids())
    )[1],
    "error": lambda parties: etree.fromstring(
        parties.message(parties.idp.refuse(parties.request, NO_PASSIVE, "_r1", NOW))
    ),
    "AuthnRequest": authn_request,
    "LogoutRequest": logout_request,
    "LogoutResponse": lambda _: logout_messages.write_response(
        IDP, f"{OPEN}/slo", "_l1", "_l2", status=SUCCESS, now=NOW
    ),
    "descriptor toward services": lambda parties: etree.fromstring(
        own_metadata.write_idp_descriptor(DESCRIPTION, parties.ring.idp, ["au.dk"], NOW)
    ),
    "descriptor toward an upstream": lambda parties: etree.fromstring(
        own_metadata.write_sp_descriptor(parties.upstreams["wayf"], DESCRIPTION, parties.ring.sp, NOW)
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_namespace_has_its_conventional_prefix(parties: Parties, name: str) -> None:
    """Our messages and descriptors contain no generated prefixes (ns0, ns1)."""
    declared = {pair for element in WRITTEN[name](parties).iter() for pair in element.nsmap.items()}
    assert declared <= set(CONVENTIONAL.items())


@pytest.mark.parametrize("service", [LOANS, OPEN])
def test_a_moved_assertion_is_still_signed(parties: Parties, service: str) -> None:
    """The signature of the Assertion verifies where a receiver put it into the Response, and where it took it out."""
    root = response(parties, service)
    sealed = root.find("{*}EncryptedAssertion")
    if sealed is not None:
        keys = encryption.DecryptionKeys.load([parties.service.private])
        root.replace(sealed, encryption.decrypt(sealed, keys, allow_cbc=False))
    moved = etree.fromstring(etree.tostring(root.find("{*}Assertion")))
    root.append(moved)
    signature.verify(moved, load_keys(parties.ring.idp.signing.certificate))
