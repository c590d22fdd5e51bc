"""The namespaces of all that we write: conventional prefixes, which no move of an element changes."""

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import encryption, signature
from tests.plugins.saml_messages import load_keys
from tests.plugins.saml_parties import LOANS, OPEN, Parties


def response(parties: Parties, service: str = LOANS) -> Any:
    """Give our Response to a service: encrypted for one with a key."""
    name = {LOANS: "my-loans", OPEN: "open"}[service]
    request = replace(parties.request, service=name, entity_id=service, acs=f"{service}/acs")
    disclosure = parties.disclosure(service=name, entity=service)
    form = parties.idp.respond(request, disclosure, parties.authentication(), parties.make_ids())
    return etree.fromstring(parties.message(form))


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
