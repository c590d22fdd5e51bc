"""Tests the signatures and the encryption of both roles with the xmlsec1 program."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from broker.adapters.saml.metadata import own_metadata
from broker.core.entities import Text
from broker.core.login.transaction import AuthnRequest, Issued
from broker.core.saml_ports import PostForm
from tests.plugins.saml_parties import BASE, IDP, OPEN, Parties

pytestmark = pytest.mark.server

XMLSEC = "/usr/bin/xmlsec1"
PROTOCOL, ASSERTION = "urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
ROLE_DESCRIPTION = own_metadata.RoleDescription(
    BASE,
    IDP,
    Text("Library login", "Bibliotekets login"),
    Text("Signs you in.", "Logger dig ind."),
    Text("Library", "Bibliotek"),
    "it@library.example",
)


def xmlsec(*arguments: object) -> None:
    """Run the xmlsec1 program; it must succeed."""
    done = subprocess.run([XMLSEC, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_xmlsec(xml: bytes, node: str, certificate: bytes, folder: Path, *more: str) -> None:
    """Let xmlsec1 verify the first signature of a message, of the element ``node`` (namespace:name)."""
    (folder / "message.xml").write_bytes(xml)
    (folder / "peer.crt").write_bytes(certificate)
    known = ("--pubkey-cert-pem", folder / "peer.crt", "--id-attr:ID", node, folder / "message.xml")
    xmlsec("--verify", "--enabled-key-data", "rsa", *more, *known)


def now() -> datetime:
    """Give the real time: these parties have clocks of their own."""
    return datetime.now(UTC)


def answer(parties: Parties, request: AuthnRequest) -> PostForm:
    """Answer a request as of now."""
    fresh = Issued("_resp9", "_assertion9", now(), "pairwise-9", "c")
    return parties.idp.respond(request, parties.disclosure(), parties.authentication(authn_instant=now()), fresh)


def test_xmlsec1_verifies_and_decrypts_our_response(parties: Parties, tmp_path: Path) -> None:
    """The Response's signature, then the decryption, then the Assertion's signature."""
    xml = parties.message(answer(parties, parties.request))
    run_xmlsec(xml, f"{PROTOCOL}:Response", parties.ring.idp.signing.certificate, tmp_path)
    private = parties.folder / "service" / "key.pem"
    out = tmp_path / "opened.xml"
    xmlsec("--decrypt", "--privkey-pem", private, "--output", out, tmp_path / "message.xml")
    assertion = etree.parse(out).getroot().find(f"{{{ASSERTION}}}EncryptedAssertion/{{{ASSERTION}}}Assertion")
    assert assertion is not None
    run_xmlsec(etree.tostring(assertion), f"{ASSERTION}:Assertion", parties.ring.idp.signing.certificate, tmp_path)


def test_xmlsec1_verifies_an_assertion_in_clear(parties: Parties, tmp_path: Path) -> None:
    """To a service without a key: each of the two signatures where it stands."""
    request = replace(parties.request, service="open", entity_id=OPEN, acs=f"{OPEN}/acs")
    form = parties.idp.respond(
        request, parties.disclosure(service="open", entity=OPEN), parties.authentication(), parties.make_ids()
    )
    certificate = parties.ring.idp.signing.certificate
    run_xmlsec(parties.message(form), f"{PROTOCOL}:Response", certificate, tmp_path)
    place = "//*[local-name()='Assertion']/*[local-name()='Signature']"
    run_xmlsec(parties.message(form), f"{ASSERTION}:Assertion", certificate, tmp_path, "--node-xpath", place)


def test_xmlsec1_verifies_our_descriptors(parties: Parties, tmp_path: Path) -> None:
    """Peers may check them before they trust the keys in them."""
    idp = own_metadata.write_idp_descriptor(ROLE_DESCRIPTION, parties.ring.idp, ["au.dk"], now())
    run_xmlsec(idp, f"{METADATA}:EntityDescriptor", parties.ring.idp.signing.certificate, tmp_path)
    sp = own_metadata.write_sp_descriptor(parties.upstreams["wayf"], ROLE_DESCRIPTION, parties.ring.sp, now())
    run_xmlsec(sp, f"{METADATA}:EntityDescriptor", parties.ring.sp.signing.certificate, tmp_path)
