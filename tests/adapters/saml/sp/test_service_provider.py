"""Our SP role: what it asks, and what it makes of a true answer."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import AUTHN_REQUEST
from broker.core.entities import UNSPECIFIED
from broker.core.errors import AUTHN_FAILED, NO_PASSIVE, MessageRefused, Status
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.login.transaction import Authentication, UpstreamRefusal
from tests.plugins.saml_parties import (
    AU,
    AU_ALIAS,
    BASE,
    CN,
    EPPN,
    HUB,
    KU,
    LOANS,
    NEMLOGIN,
    NOW,
    PASSWORD,
    Parties,
    add,
    drop,
    edit,
    redirect_url,
    say,
    stamp,
)

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
CODE = "samlp:Status/samlp:StatusCode"
STATEMENT = "saml:Assertion/saml:AuthnStatement"
AUTHORITY = f"{STATEMENT}/saml:AuthnContext/saml:AuthenticatingAuthority"


def write_request(parties: Parties, upstream: str = "wayf", **request: Any) -> Any:
    """Give the AuthnRequest we send, XML security and signature passed."""
    url = redirect_url(parties.sp.ask(upstream, "_q9", replace(parties.request, **request), NOW))
    message = http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest")
    assert message.signed is not None
    keys = [signature.VerifyKey.load(each) for each in parties.ring.sp.signing_certificates]
    signature.verify_bytes(message.signed.octets, message.signed.signature, message.signed.sigalg, keys)
    assert message.relay_state is None
    return safe_parser.parse(message.xml, AUTHN_REQUEST)


def values(root: Any, path: str) -> list[str]:
    """Give attribute values or texts at a path."""
    spaces = {"samlp": "urn:oasis:names:tc:SAML:2.0:protocol", "saml": "urn:oasis:names:tc:SAML:2.0:assertion"}
    return [str(each) for each in root.xpath(path, namespaces=spaces)]


@pytest.mark.profile(12, 13, 14)
def test_a_request_says_who_asks_whom_where(parties: Parties) -> None:
    """Destination, ACS by URL and POST, our entityID toward this upstream, any NameID, no RelayState.

    Source: docs/reference/saml-profiles.md#12 to #14.
    """
    root = write_request(parties)
    assert dict(root.attrib) == {
        "ID": "_q9",
        "Version": "2.0",
        "IssueInstant": stamp(NOW),
        "Destination": f"{HUB}/sso",
        "AssertionConsumerServiceURL": parties.acs(),
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    }
    assert values(root, "saml:Issuer/text()") == [f"{BASE}/saml/sp/wayf/metadata"]
    assert values(root, "samlp:NameIDPolicy/@*") == ["true"]
    assert values(root, "samlp:RequestedAuthnContext") == []


@pytest.mark.parametrize(
    ("idp_list", "scoped"),
    [
        ((), [AU, KU]),
        ((AU,), [AU]),
        ((AU_ALIAS, "urn:unknown"), [AU]),
        ((KU, AU), [AU, KU]),
        ((HUB,), [AU, KU]),
        ((NEMLOGIN, KU), [KU]),
    ],
)
@pytest.mark.profile(37)
def test_the_services_list_narrows_ours(parties: Parties, idp_list: tuple[str, ...], scoped: list[str]) -> None:
    """Institutions are named by the entityIDs configured; what is not known here never widens.

    Source: docs/reference/saml-profiles.md#37.
    """
    root = write_request(parties, idp_list=idp_list)
    assert values(root, "samlp:Scoping/samlp:IDPList/samlp:IDPEntry/@ProviderID") == scoped


def test_an_upstream_that_is_no_hub_gets_no_list(parties: Parties) -> None:
    """Its only institution is itself; the requesting service is named unless configured otherwise."""
    direct, eid = write_request(parties, "kb"), write_request(parties, "eid")
    assert values(direct, "samlp:Scoping/samlp:IDPList") == []
    assert values(direct, "samlp:Scoping/samlp:RequesterID/text()") == [LOANS]
    assert values(eid, "samlp:Scoping") == []
    assert values(write_request(parties, "eid", proxy_count=3), "samlp:Scoping") == []
    assert values(write_request(parties, "kb", proxy_count=3), "samlp:Scoping/@ProxyCount") == ["2"]


@pytest.mark.parametrize("kind", ["assertion", "whole", "both", "sealed"])
def test_a_true_response_is_an_authentication(parties: Parties, kind: str) -> None:
    """Signed here or there, encrypted or not, it comes to the same."""
    root = parties.response()
    xml = {
        "assertion": lambda: parties.sign_response(root),
        "whole": lambda: parties.sign_response(root, whole=True),
        "both": lambda: parties.sign_response(root, both=True),
        "sealed": lambda: etree.tostring(parties.encrypt_response(root)),
    }[kind]()
    received = parties.receive(xml)
    end = NOW + timedelta(minutes=4)
    assert (received.message_id, received.until) == ("_a1", end)
    assert received.answer == Authentication(
        upstream="wayf",
        issuer=HUB,
        institution=AU,
        authorities=(AU,),
        attributes=(WireAttribute(EPPN, ("au1@au.dk",)), WireAttribute(CN, ("Asta Ravn",))),
        authn_instant=NOW,
        authn_context=PASSWORD,
        received=NOW,
        assertion_until=end,
        name_id="_t1",
        name_id_format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
        session_index="_s1",
        session_until=NOW + timedelta(hours=4),
    )


UNSPECIFIED_CLASS = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
CLASS = f"{STATEMENT}/saml:AuthnContext/saml:AuthnContextClassRef"
NAME_ID = "saml:Assertion/saml:Subject/saml:NameID"
ANOTHER = "<saml:AuthenticatingAuthority>{}</saml:AuthenticatingAuthority>"
KEPT = {"authn_context": PASSWORD, "authorities": (AU,), "name_id": "_t1", "session_index": "_s1"}


@pytest.mark.attack(21)
@pytest.mark.parametrize(
    ("change", "kept", "withheld"),
    [
        (say(CLASS, "x" * 20_000), {"authn_context": UNSPECIFIED_CLASS}, ("AuthnContextClassRef", "unknown_class")),
        (say(CLASS, "urn:x"), {"authn_context": UNSPECIFIED_CLASS}, ("AuthnContextClassRef", "unknown_class")),
        (
            add(f"{STATEMENT}/saml:AuthnContext", ANOTHER.format("https://idp.evil.example"), 1),
            {},
            ("AuthenticatingAuthority", "unknown_authority"),
        ),
        (
            add(f"{STATEMENT}/saml:AuthnContext", ANOTHER.format("x" * 20_000), 1),
            {},
            ("AuthenticatingAuthority", "unknown_authority"),
        ),
        (edit(STATEMENT, SessionIndex="x" * 257), {"session_index": None}, ("SessionIndex", "too_long")),
        (edit(STATEMENT, SessionIndex="a\u200bb"), {"session_index": None}, ("SessionIndex", "bad_characters")),
        (say(NAME_ID, "x" * 257), {"name_id": None}, ("NameID", "too_long")),
        (say(NAME_ID, "\uff41sta"), {"name_id": None}, ("NameID", "bad_characters")),
        (edit(NAME_ID, NameQualifier="q" * 257), {"name_id": None}, ("NameID", "too_long")),
        (edit(NAME_ID, SPProvidedID=" p"), {"name_id": None}, ("NameID", "blanks_around")),
    ],
)
def test_an_unacceptable_value_is_left_out_and_reported(
    parties: Parties, change: Any, kept: dict[str, Any], withheld: tuple[str, str]
) -> None:
    """Services and logouts do not get the value; the login continues with the other values."""
    answer = parties.receive(parties.sign_response(parties.response(change))).answer
    assert isinstance(answer, Authentication)
    assert {name: getattr(answer, name) for name in KEPT} == KEPT | kept
    assert answer.withheld == (withheld,)


@pytest.mark.parametrize(
    ("upstream", "change", "institution"),
    [
        ("wayf", say(AUTHORITY, AU_ALIAS), AU),
        ("wayf", say(AUTHORITY, KU), KU),
        ("nemid", edit(".", ID="_r2"), NEMLOGIN),
        ("kb", edit(".", ID="_r2"), "https://idp.kb.example"),
    ],
)
@pytest.mark.profile(38)
def test_the_last_authority_is_the_institution(parties: Parties, upstream: str, change: Any, institution: str) -> None:
    """By its alias, at the end of NemLog-in's chain, or the upstream itself where there is no hub."""
    xml = parties.sign_response(parties.response(change, upstream=upstream), parties.signer(upstream))
    answer = parties.receive(xml, upstream).answer
    assert isinstance(answer, Authentication)
    assert answer.institution == institution


@pytest.mark.profile(20)
def test_optional_parts_of_an_assertion_may_be_missing(parties: Parties) -> None:
    """NameID, AuthnContext class, session and attributes are not required.

    Source: docs/reference/saml-profiles.md#20.
    """
    changes = (
        drop("saml:Assertion/saml:Subject/saml:NameID"),
        drop("saml:Assertion/saml:AttributeStatement"),
        drop(f"{STATEMENT}/saml:AuthnContext/saml:AuthnContextClassRef"),
        edit(STATEMENT, SessionIndex=None, SessionNotOnOrAfter=None),
    )
    declared = add(f"{STATEMENT}/saml:AuthnContext", "<saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>", 0)
    answer = parties.receive(parties.sign_response(parties.response(*changes, declared))).answer
    assert isinstance(answer, Authentication)
    assert (answer.name_id, answer.name_id_format) == (None, UNSPECIFIED)
    assert (answer.attributes, answer.authn_context) == ((), None)
    assert (answer.session_index, answer.session_until) == (None, None)


@pytest.mark.parametrize(
    ("top", "second", "status"),
    [
        ("Responder", "NoPassive", NO_PASSIVE),
        ("Responder", "AuthnFailed", AUTHN_FAILED),
        ("Responder", None, Status(STATUS + "Responder")),
        ("Requester", "RequestUnsupported", Status(STATUS + "Requester", STATUS + "RequestUnsupported")),
        # Samlp puts the detail on top (docs/reference/interop.md#status)
        ("NoPassive", None, NO_PASSIVE),
        ("AuthnFailed", None, AUTHN_FAILED),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_a_refusal_is_an_answer(parties: Parties, top: str, second: str | None, status: Status, signed: bool) -> None:
    """An error status is a login that failed, signed or not (SimpleSAMLphp signs none), and put where SAML has it."""
    inner = add(CODE, f'<samlp:StatusCode Value="{STATUS}{second}"/>') if second else edit(".", ID="_r1")
    root = parties.response(drop("saml:Assertion"), edit(CODE, Value=STATUS + top), inner)
    received = parties.receive(parties.sign_response(root, whole=True) if signed else etree.tostring(root))
    assert received.answer == UpstreamRefusal("wayf", status)
    assert (received.message_id, received.until) == ("_r1", NOW + timedelta(minutes=5))


def test_a_refusal_signed_by_another_is_none(parties: Parties) -> None:
    """It need not be signed, but what is signed must be the upstream's."""
    root = parties.response(drop("saml:Assertion"), edit(CODE, Value=STATUS + "Responder"))
    with pytest.raises(MessageRefused, match=r"xml\.signature"):
        parties.receive(parties.sign_response(root, parties.stranger, whole=True))


def form(*pairs: tuple[str, bytes]) -> list[tuple[str, str]]:
    """Give a form's pairs."""
    return [(name, base64.b64encode(value).decode()) for name, value in pairs]


@pytest.mark.parametrize(
    ("upstream", "names", "cause"),
    [
        ("nobody", ["SAMLResponse"], "response.unknown_upstream"),
        ("wayf", [], "response.fields"),
        ("wayf", ["SAMLResponse", "SAMLResponse"], "response.fields"),
        ("wayf", ["SAMLResponse", "RelayState", "RelayState"], "response.fields"),
    ],
)
def test_a_form_says_one_thing(parties: Parties, upstream: str, names: list[str], cause: str) -> None:
    """No field twice: what is looked up must be what is read (docs/reference/attacks.md#14)."""
    fields = form(*((name, etree.tostring(parties.response())) for name in names))
    with pytest.raises(MessageRefused) as caught:
        parties.sp.parse_response(upstream, fields)
    assert caught.value.cause == cause


@pytest.mark.parametrize("named", [None, ""])
def test_an_unsolicited_response_is_refused(parties: Parties, named: str | None) -> None:
    """A Response without InResponseTo answers no request.

    Source: docs/reference/attacks.md#16.
    """
    change = edit(".", InResponseTo=named)
    with pytest.raises(MessageRefused) as caught:
        parties.sp.parse_response("wayf", form(("SAMLResponse", etree.tostring(parties.response(change)))))
    assert caught.value.cause in {"response.unsolicited", "xml.schema"}


def test_nothing_secret_is_shown(parties: Parties) -> None:
    """Neither role shows its keys, nor a received answer its values."""
    shown = repr(parties.sp) + repr(parties.idp) + repr(parties.receive(parties.sign_response(parties.response())))
    assert "Asta" not in shown
    assert "PRIVATE" not in shown
