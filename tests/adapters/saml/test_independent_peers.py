"""Tests both roles against independent software: pysaml2's own SP and IdP, and the xmlsec1 program."""

import base64
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT

from broker.adapters.saml.metadata import own_metadata
from broker.adapters.saml.xml_security import http_bindings
from broker.core.entities import Text
from broker.core.errors import NO_PASSIVE
from broker.core.login.transaction import Authentication, AuthnRequest, Issued, Outstanding
from broker.core.saml_ports import PostForm
from tests.plugins.saml_parties import AU, BASE, EPPN, HUB, IDP, LOANS, OPEN, SSO, Parties, redirect_url

if TYPE_CHECKING:  # read by the tests that meet them: reading them builds every schema of SAML
    from saml2.client import Saml2Client
    from saml2.server import Server

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


@pytest.fixture
def client(parties: Parties, tmp_path: Path) -> "Saml2Client":
    """Give an independent service that knows us from our metadata and demands every signature."""
    from saml2.client import Saml2Client
    from saml2.config import SPConfig

    (tmp_path / "idp.xml").write_bytes(
        own_metadata.write_idp_descriptor(ROLE_DESCRIPTION, parties.ring.idp, ["au.dk"], now())
    )
    own = parties.folder / "service"
    keys = {"key_file": str(own / "key.pem"), "cert_file": str(own / "key.crt")}
    settings = SPConfig().load(
        {
            "entityid": LOANS,
            "xmlsec_binary": XMLSEC,
            "metadata": {"local": [str(tmp_path / "idp.xml")]},
            "allow_unknown_attributes": True,
            **keys,
            "encryption_keypairs": [keys],
            "service": {
                "sp": {
                    "endpoints": {"assertion_consumer_service": [(f"{LOANS}/acs", BINDING_HTTP_POST)]},
                    "authn_requests_signed": True,
                    "want_response_signed": True,
                    "want_assertions_signed": True,
                    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                }
            },
        }
    )
    return Saml2Client(config=settings)


@pytest.fixture
def server(parties: Parties, tmp_path: Path) -> "Server":
    """Give an independent identity provider in the hub's place, which demands signed requests."""
    from saml2.config import IdPConfig
    from saml2.server import Server

    wayf = parties.upstreams["wayf"]
    description = replace(ROLE_DESCRIPTION, entity_id=wayf.sp_entity_id)
    (tmp_path / "sp.xml").write_bytes(own_metadata.write_sp_descriptor(wayf, description, parties.ring.sp, now()))
    own = parties.folder / "hub"
    settings = IdPConfig().load(
        {
            "entityid": HUB,
            "xmlsec_binary": XMLSEC,
            "metadata": {"local": [str(tmp_path / "sp.xml")]},
            "key_file": str(own / "key.pem"),
            "cert_file": str(own / "key.crt"),
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(f"{HUB}/sso", BINDING_HTTP_REDIRECT)]},
                    "want_authn_requests_signed": True,
                    "policy": {"default": {"lifetime": {"minutes": 4}}},
                    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                }
            },
        }
    )
    return Server(config=settings)


def answer(parties: Parties, request: AuthnRequest) -> PostForm:
    """Answer a request as of now."""
    fresh = Issued("_resp9", "_assertion9", now(), "pairwise-9", "c")
    return parties.idp.respond(request, parties.disclosure(), parties.authentication(authn_instant=now()), fresh)


@pytest.mark.parametrize("binding", [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST])
def test_an_independent_service_logs_in(parties: Parties, client: "Saml2Client", binding: str) -> None:
    """Its signed request is read by either binding, and our encrypted answer passes all that it checks."""
    name, sent = client.prepare_for_authenticate(entityid=IDP, relay_state="there", binding=binding)
    if binding == BINDING_HTTP_REDIRECT:
        target = urlsplit(dict(sent["headers"])["Location"])
        assert target._replace(query="").geturl() == SSO
        request = parties.idp.read_redirect(target.query, now())
    else:
        page = etree.fromstring(sent["data"].partition("<body")[2].join(["<body", ""]).rpartition("</html>")[0])
        form_of = {each.get("name", ""): each.get("value", "") for each in page.iter("{*}input")}
        xml = base64.b64decode(form_of["SAMLRequest"])
        request = parties.idp.read_post(
            [*http_bindings.build_post_fields(xml, "SAMLRequest", form_of["RelayState"]).items()], now()
        )
    assert (request.id, request.service, request.relay_state) == (name, "my-loans", "there")
    form = answer(parties, request)
    read = client.parse_authn_request_response(form.fields["SAMLResponse"], BINDING_HTTP_POST, {name: "/"})
    assert read.ava == {"uid": ["4711"], "cn": ["Asta Ravn"]}
    assert (read.name_id.text, read.name_id.sp_name_qualifier) == ("pairwise-9", LOANS)
    assert read.issuer() == IDP


def test_an_independent_service_reads_a_refusal(parties: Parties, client: "Saml2Client") -> None:
    """It verifies the signature and raises what the status says."""
    from saml2.response import StatusNoPassive

    name, sent = client.prepare_for_authenticate(entityid=IDP, binding=BINDING_HTTP_REDIRECT)
    request = parties.idp.read_redirect(urlsplit(dict(sent["headers"])["Location"]).query, now())
    form = parties.idp.refuse(request, NO_PASSIVE, "_r9", now())
    with pytest.raises(StatusNoPassive):
        client.parse_authn_request_response(form.fields["SAMLResponse"], BINDING_HTTP_POST, {name: "/"})


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


@pytest.mark.parametrize("whole", [False, True])
def test_an_independent_identity_provider_answers(parties: Parties, server: "Server", whole: bool) -> None:
    """It verifies our signed request, finds us in our metadata, and what it asserts is read."""
    url = redirect_url(parties.sp.ask("wayf", "_q7", replace(parties.request, force_authn=True), now()))
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    asked = server.parse_authn_request(
        sent["SAMLRequest"], BINDING_HTTP_REDIRECT, sigalg=sent["SigAlg"], signature=sent["Signature"]
    )
    assert asked.message.scoping.idp_list.idp_entry[0].provider_id == AU
    places = server.response_args(asked.message)
    message = server.create_authn_response(
        {"eduPersonPrincipalName": ["au1@au.dk"], "eduPersonTargetedID": "WAYF-DK-1"},
        userid="asta",
        authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": AU},
        sign_assertion=not whole,
        sign_response=whole,
        **{name: places[name] for name in ("in_response_to", "destination", "sp_entity_id", "name_id_policy")},
    )
    fields = [("SAMLResponse", base64.b64encode(str(message).encode()).decode())]
    xml, answered = parties.sp.parse_response("wayf", fields)
    expected = Outstanding(answered, "wayf", now() - timedelta(seconds=1))
    received = parties.sp.receive("wayf", xml, expected, force_authn=True, now=now())
    assert isinstance(received.answer, Authentication)
    assert (answered, received.answer.institution) == ("_q7", AU)
    values = {each.name: each.values for each in received.answer.attributes}
    assert values[EPPN] == ("au1@au.dk",)
    assert values["urn:oid:1.3.6.1.4.1.5923.1.1.1.10"] == ("WAYF-DK-1",)


def test_an_independent_identity_provider_detects_a_change(parties: Parties, server: "Server") -> None:
    """The control: the verification above is one, for a changed request does not pass it."""
    from saml2.response import IncorrectlySigned

    urls = [redirect_url(parties.sp.ask("wayf", name, parties.request, now())) for name in ("_q7", "_q8")]
    first, second = (parse_qs(urlsplit(url).query) for url in urls)
    sent = {name: values[0] for name, values in first.items()}
    other = second["SAMLRequest"][0]
    with pytest.raises(IncorrectlySigned):
        server.parse_authn_request(other, BINDING_HTTP_REDIRECT, sigalg=sent["SigAlg"], signature=sent["Signature"])
