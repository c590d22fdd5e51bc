"""Our AuthnRequests: every value stays in its place, and a signature covers all."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.sp import authn_request_writer
from broker.adapters.saml.xml_security import http_bindings, safe_parser, written_message, xml_structure_checks
from broker.adapters.saml.xml_security.xml_names import AUTHN_REQUEST
from broker.core.login.transaction import SubjectHint
from tests.plugins.saml_parties import AU, HUB, NOW, PASSWORD, Parties

EVERYTHING: dict[str, Any] = {
    "subject_hint": SubjectHint("asta", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
    "force_authn": True,
    "is_passive": True,
    "authn_contexts": (PASSWORD, "urn:x"),
    "idp_list": (AU,),
    "requester_ids": ("https://portal.example",),
    "proxy_count": 2,
}


def write_request(parties: Parties, changed: dict[str, Any], request_id: str = "_q1") -> Any:
    """Give our unsigned AuthnRequest to the hub, for a service's request that was changed."""
    asked = replace(parties.upstreams["wayf"], subject_hint=True, requester_id=True)
    message = authn_request_writer.write_authn_request(
        asked,
        replace(parties.request, **changed),
        request_id=request_id,
        destination=f"{HUB}/sso",
        acs="https://broker.example/acs",
        now=NOW,
    )
    return written_message.tree(message)


def test_a_carriage_return_stays_one(parties: Parties) -> None:
    """A parser makes a line feed of one that is not escaped."""
    root = write_request(parties, {"requester_ids": ("a\r\nb\r",)}, "\rc")
    assert (root.findtext("{*}Scoping/{*}RequesterID"), root.get("ID")) == ("a\r\nb\r", "\rc")


@pytest.mark.parametrize("changed", [{}, EVERYTHING], ids=["least", "everything"])
def test_the_request_is_valid_against_the_schema(parties: Parties, changed: dict[str, Any]) -> None:
    """Unsigned as in a query."""
    octets = etree.tostring(write_request(parties, changed))
    assert xml_structure_checks.is_valid(safe_parser.parse(octets, AUTHN_REQUEST))


@pytest.mark.server
def test_the_xmlsec1_program_verifies_a_form(parties: Parties, tmp_path: Path) -> None:
    """An upstream that is asked by POST gets a signature that others' tools accept."""
    post = replace(parties.metadata.upstreams[HUB], sso_by_post=True)
    metadata = replace(parties.metadata, upstreams={**parties.metadata.upstreams, HUB: post})
    form = replace(parties.sp, metadata=metadata).ask("wayf", "_q9", parties.request, NOW)
    assert not isinstance(form, str)
    path = tmp_path / "request.xml"
    path.write_bytes(http_bindings.decode_post(form.fields["SAMLRequest"]))
    certificate = tmp_path / "sp.crt"
    certificate.write_bytes(parties.ring.sp.signing.certificate)
    command = ["xmlsec1", "--verify", "--enabled-key-data", "rsa", "--pubkey-cert-pem", str(certificate)]
    command += ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest", str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
