"""NemLog-in asked and heard directly: the request it gets, the Response it may send, and its own skew of clocks."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import AUTHN_REQUEST
from broker.core.entities import Assurance
from broker.core.errors import NO_AUTHN_CONTEXT, MessageRefused, RequestRefused
from broker.core.login.transaction import Authentication
from tests.adapters.saml.idp.test_assertions import values
from tests.plugins.eid_messages import NSIS, message
from tests.plugins.saml_parties import NOW, PASSWORD, Parties, edit, redirect_url, say, stamp

LEVEL = f"{NSIS}loa/"
PERSON = "https://data.gov.dk/eid/Person"
STATEMENT = "saml:Assertion/saml:AuthnStatement"
CLASS = f"{STATEMENT}/saml:AuthnContext/saml:AuthnContextClassRef"
LATER, EARLIER = stamp(NOW + timedelta(hours=1)), stamp(NOW - timedelta(hours=1))


def add_upstream(parties: Parties, **changes: Any) -> Parties:
    """Give the parties with NemLog-in configured otherwise."""
    eid = replace(parties.upstreams["eid"], **changes)
    return replace(parties, sp=replace(parties.sp, upstreams={**parties.upstreams, "eid": eid}))


def write_eid_request(parties: Parties, **request: Any) -> Any:
    """Give the AuthnRequest that NemLog-in gets, its signature verified."""
    url = redirect_url(parties.sp.ask("eid", "_q9", replace(parties.request, **request), NOW))
    sent = http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest")
    assert sent.signed is not None
    keys = [signature.VerifyKey.load(each) for each in parties.ring.sp.signing_certificates]
    signature.verify_bytes(sent.signed.octets, sent.signed.signature, sent.signed.sigalg, keys)
    return safe_parser.parse(sent.xml, AUTHN_REQUEST)


def classes(root: Any) -> list[str]:
    """Give the classes asked for."""
    return values(root, "samlp:RequestedAuthnContext/saml:AuthnContextClassRef/text()")


def test_nemlogin_is_asked_for_a_person_of_a_level(parties: Parties) -> None:
    """Signed, by Redirect, at least Substantial, a person; nothing of who asks or how many proxies.

    Source: docs/reference/nemlog-in.md#request.
    """
    root = write_eid_request(parties, proxy_count=2, requester_ids=("https://portal.example",))
    assert classes(root) == [LEVEL + "Substantial", PERSON]
    assert values(root, "samlp:RequestedAuthnContext/@Comparison") == ["minimum"]
    assert values(root, "samlp:Scoping") == []
    assert values(root, "@ForceAuthn | @IsPassive") == []


@pytest.mark.parametrize(("seconds", "cause"), [(-299, ""), (-301, "authenticated_before")])
def test_a_fresh_login_is_demanded_where_it_is_configured(parties: Parties, seconds: int, cause: str) -> None:
    """Every request to NemLog-in has ForceAuthn, and an older AuthnInstant is refused."""
    forced = add_upstream(parties, force_authn=True)
    assert values(write_eid_request(forced, force_authn=False), "@ForceAuthn") == ["true"]
    before = message(parties, edit(STATEMENT, AuthnInstant=stamp(NOW + timedelta(seconds=seconds))))
    assert outcome(forced, before, "eid", force_authn=False) == cause


ASKED = [
    ((), "exact", "low", "Low"),
    ((LEVEL + "High",), "minimum", "substantial", "High"),
    ((LEVEL + "Substantial",), "better", "substantial", "High"),
    ((PASSWORD, LEVEL + "High"), "exact", "substantial", "Substantial"),
    ((LEVEL + "High",), "maximum", "substantial", "Substantial"),
    ((LEVEL + "Low",), "exact", "substantial", None),
    ((LEVEL + "Low",), "maximum", "substantial", None),
    ((LEVEL + "High",), "better", "substantial", None),
    ((PASSWORD,), "exact", "substantial", "Substantial"),
    (("https://data.gov.dk/eid/Professional",), "minimum", "substantial", None),
    (("<b>",), "minimum", "substantial", None),
]


@pytest.mark.parametrize(("contexts", "comparison", "least", "level"), ASKED)
def test_the_requested_class_is_mapped_to_an_nsis_level(
    parties: Parties, contexts: tuple[str, ...], comparison: str, least: str, level: str | None
) -> None:
    """The lowest NSIS level that suffices, never below our own minimum; the service's own classes are not passed on.

    Source: docs/reference/saml-profiles.md#15.
    """
    ours = add_upstream(parties, least=Assurance.parse(least))
    if level:
        root = write_eid_request(ours, authn_contexts=contexts, comparison=comparison)
        assert classes(root) == [LEVEL + level, PERSON]
        assert values(root, "samlp:RequestedAuthnContext/@Comparison") == ["minimum"]
        return
    with pytest.raises(RequestRefused) as refused:
        write_eid_request(ours, authn_contexts=contexts, comparison=comparison)
    assert refused.value.refusal == NO_AUTHN_CONTEXT


def test_the_class_beside_the_level_is_not_kept(parties: Parties) -> None:
    """The class states the method and not the level: services get the level from the attributes."""
    answer = parties.receive(message(parties, say(CLASS, LEVEL + "High")), "eid").answer
    assert isinstance(answer, Authentication)
    assert answer.authn_context is None


def outcome(parties: Parties, xml: bytes, upstream: str, **more: Any) -> str:
    """Say why a Response is refused, or "" where it is not."""
    try:
        parties.receive(xml, upstream, **more)
    except MessageRefused as refused:
        return refused.cause.removeprefix("response.")
    return ""


@pytest.mark.parametrize("signed", [False, True])
def test_a_signed_response_is_taken_where_its_signature_is_good(parties: Parties, signed: bool) -> None:
    """The profile says SHOULD NOT, not MUST NOT: one that is signed must verify, and excuses no unsigned Assertion."""
    root = parties.encrypt_response(parties.response(upstream="eid"), parties.direct)
    if signed:
        signature.sign(root, parties.direct.key)
    assert outcome(parties, etree.tostring(root), "eid") == ""
    wrong = parties.encrypt_response(parties.response(upstream="eid"), parties.direct)
    signature.sign(wrong, parties.stranger.key)
    assert outcome(parties, etree.tostring(wrong), "eid") == "xml.signature"
