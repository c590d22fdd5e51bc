"""Our AuthnRequests as text: octet for octet what pysaml2's classes and a canonicaliser make of them, and filled in."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from broker.adapters.saml.faces import authn_request_text
from broker.adapters.saml.faces.authn_request_text import RequestedClasses, RequestText, Scoping
from broker.adapters.saml.gate import http_bindings, safe_parser, signature, xml_structure_checks
from broker.adapters.saml.gate.algorithm_selection import SigningAlgorithms
from broker.adapters.saml.gate.xml_names import AUTHN_REQUEST
from broker.core.errors import BrokerError
from broker.core.login.transaction import SubjectHint
from tests.plugins import reference_assertion
from tests.plugins.drawn import at_gate, drawn
from tests.plugins.saml_parties import HUB, LOANS, NOW, PASSWORD, Parties, stamp

# All that XML can hold, and often what an escape is for, or looks like our own text; but for the carriage return, of
# which the reference makes a line feed.
MARKUP = st.sampled_from(
    (
        "</saml:Issuer>",
        '"><samlp:NameIDPolicy AllowCreate="false"/>',
        "' ForceAuthn='false",
        "<!--",
        "]]>",
        "&#x3C;saml:Issuer&#x3E;",
        "&amp;lt;",
        "\ue0000\ue001",
        "\ue0004\ue001",
        "{0}%s\\1",
    )
)
LETTERS = st.sampled_from("&<>\"'\t\n ]}æ\u0085\u00a0\u2028😀") | st.characters(
    codec="utf-8", min_codepoint=0x20, exclude_characters="\ufffe\uffff"
)
TEXTS = st.text(LETTERS, min_size=1, max_size=12) | MARKUP | st.lists(MARKUP, max_size=3).map("".join)
REQUESTS = st.builds(
    RequestText,
    id=TEXTS,
    issued=TEXTS,
    destination=TEXTS,
    acs=TEXTS,
    issuer=TEXTS,
    subject=st.none() | st.builds(SubjectHint, TEXTS, TEXTS),
    force_authn=st.booleans(),
    is_passive=st.booleans(),
    requested=st.none() | st.builds(RequestedClasses, st.lists(TEXTS, min_size=1, max_size=3).map(tuple), TEXTS),
    scoping=st.builds(
        Scoping, st.lists(TEXTS, max_size=3).map(tuple), st.lists(TEXTS, max_size=3).map(tuple), st.none() | TEXTS
    ),
)
ASKED = RequestText("_q1", stamp(NOW), f"{HUB}/sso", "https://broker.example/acs", "https://broker.example/sp")
EVERYTHING = replace(
    ASKED,
    subject=SubjectHint("asta", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
    force_authn=True,
    is_passive=True,
    requested=RequestedClasses((PASSWORD, "urn:x"), "minimum"),
    scoping=Scoping((HUB, "https://idp.example"), ("https://portal.example", LOANS), "1"),
)


def values(of: RequestText) -> list[str]:
    """Give what an element or attribute of the request must say, in any order."""
    given = [of.id, of.issued, of.destination, of.acs, of.issuer, *of.scoping.institutions, *of.scoping.requesters]
    if of.subject:
        given += [of.subject.name, of.subject.format]
    if of.requested:
        given += [*of.requested.classes, of.requested.comparison]
    if of.scoping.proxy_count is not None:
        given.append(of.scoping.proxy_count)
    return sorted(given)


def said(root: Any) -> list[str]:
    """Give every text and attribute of a message but for what we always write."""
    found = [str(each) for element in root.iter() for each in (*element.attrib.values(), element.text or "")]
    ours = {"2.0", "true", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", ""}
    return sorted(each for each in found if each not in ours)


@pytest.mark.attack(32)
@pytest.mark.parametrize(
    "runs", [200, pytest.param(at_gate(1_500, otherwise=10_000), marks=pytest.mark.slow(seconds=10))]
)
def test_a_request_is_the_canonical_form_of_the_reference(runs: int) -> None:
    """Whatever stands in it: octet for octet pysaml2's classes, canonicalised by lxml; so nothing leaves its place."""

    @settings(max_examples=drawn(runs), deadline=None, suppress_health_check=list(HealthCheck))
    @given(REQUESTS)
    @example(EVERYTHING)
    def alike(of: RequestText) -> None:
        reference = authn_request_text.message(of)
        assert of.signable().unsigned.encode() == reference_assertion.canonical(reference)

    alike()


@settings(max_examples=drawn(200), deadline=None, suppress_health_check=list(HealthCheck))
@given(REQUESTS)
@pytest.mark.attack(32)
def test_no_value_leaves_its_place(of: RequestText) -> None:
    """A reader finds as many elements as there are without it, and in them every value, to the letter."""
    root = etree.fromstring(of.signable().unsigned)
    kinds = authn_request_text._Places().kind(of)
    plain = etree.fromstring(kinds.signable().unsigned)
    assert [each.tag for each in root.iter()] == [each.tag for each in plain.iter()]
    assert [each.keys() for each in root.iter()] == [each.keys() for each in plain.iter()]
    expected = [each for each in values(of) if each not in {"2.0", "true", ""}]
    assert said(root) == expected


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
@pytest.mark.parametrize("where", ["attribute", "text"])
def test_what_xml_cannot_hold_is_not_written(character: str, where: str) -> None:
    """Neither dropped nor replaced, and not quoted in the error."""
    value = f"a{character}b"
    of = replace(EVERYTHING, id=value) if where == "attribute" else replace(EVERYTHING, issuer=value)
    with pytest.raises(BrokerError) as refused:
        of.signable()
    assert value not in str(refused.value)


def test_a_carriage_return_stays_one() -> None:
    """A parser makes a line feed of one that is not escaped."""
    root = etree.fromstring(replace(ASKED, issuer="a\r\nb\r", id="\rc").signable().unsigned)
    assert (root[0].text, root.get("ID")) == ("a\r\nb\r", "\rc")


def test_a_very_long_value_is_written_whole() -> None:
    """A megabyte of markup in each place."""
    long = "<&\">'" * 200_000
    root = etree.fromstring(replace(ASKED, id=long, issuer=long).signable().unsigned, etree.XMLParser(huge_tree=True))
    assert (root.get("ID"), root[0].text) == (long, long)


def test_requests_of_a_kind_are_written_by_pysaml2_once() -> None:
    """What differs in values only is one kind: nothing of anybody's stays in memory, whatever is asked."""
    authn_request_text._written.cache_clear()
    for number in range(50):
        replace(EVERYTHING, id=f"_q{number}", subject=SubjectHint(f"asta{number}", "urn:x")).signable()
        replace(ASKED, issuer=f"https://{number}.example").signable()
    assert authn_request_text._written.cache_info().misses == 2


@pytest.mark.long("writes more kinds of requests than are kept")
def test_only_so_many_kinds_are_kept() -> None:
    """A service that lists ever other numbers of classes fills nothing."""
    for number in range(1, 400):
        requested = RequestedClasses(("urn:x",) * number, "exact")
        replace(ASKED, requested=requested).signable()
    info = authn_request_text._written.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize <= 128


@pytest.mark.parametrize("of", [ASKED, EVERYTHING], ids=["least", "everything"])
def test_what_leaves_is_valid_against_the_schema(of: RequestText) -> None:
    """Unsigned as in a query, and signed as in a form."""
    assert xml_structure_checks.valid(safe_parser.parse(of.signable().unsigned.encode(), AUTHN_REQUEST))


@pytest.mark.parametrize("size", ["sha256", "sha384", "sha512"])
def test_the_signature_of_a_form_verifies(parties: Parties, size: str) -> None:
    """It covers the request as it stands, passes our own gate, and is by our key alone."""
    more = "http://www.w3.org/2001/04/xmldsig-more#"
    digest = f"{more}sha384" if size == "sha384" else f"http://www.w3.org/2001/04/xmlenc#{size}"
    by = SigningAlgorithms(f"{more}rsa-{size}", digest)
    sent = EVERYTHING.signable().signed(parties.face.key, by)
    root = safe_parser.parse(sent.encode(), AUTHN_REQUEST)
    signature.verify(root, parties.ring.sp.signing_certificates)
    changed = safe_parser.parse(sent.replace("urn:x", "urn:y").encode(), AUTHN_REQUEST)
    with pytest.raises(BrokerError, match=r"gate\.signature"):
        signature.verify(changed, parties.ring.sp.signing_certificates)


@pytest.mark.server
def test_the_xmlsec1_program_verifies_a_form(parties: Parties, tmp_path: Path) -> None:
    """An upstream that is asked by POST gets a signature that others' tools accept."""
    post = replace(parties.metadata.upstreams[HUB], sso_by_post=True)
    metadata = replace(parties.metadata, upstreams={**parties.metadata.upstreams, HUB: post})
    form = replace(parties.face, metadata=metadata).ask("wayf", "_q9", parties.request, NOW)
    assert not isinstance(form, str)
    path = tmp_path / "request.xml"
    path.write_bytes(http_bindings.decode_post(form.fields["SAMLRequest"]))
    certificate = tmp_path / "sp.crt"
    certificate.write_bytes(parties.ring.sp.signing.certificate)
    command = ["xmlsec1", "--verify", "--enabled-key-data", "rsa", "--pubkey-cert-pem", str(certificate)]
    command += ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest", str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
