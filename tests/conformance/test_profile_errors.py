"""Failed logins: the status that the service receives, the page, and the link to help.

Source: docs/reference/saml-profiles.md#19, #33, #50.
"""

import re
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree, html

from broker.adapters.saml.messages import addresses
from broker.adapters.saml.sp import service_provider
from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.web.public_pages import _REASONS
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment, form, forms, mark
from tests.plugins.login_messages import TO_AU, add_idp_list, ask, come_back, request_contexts
from tests.plugins.policy_copies import copy_site
from tests.plugins.saml_parties import HUB, Change, Parties, add, edit, read_folder, say

OWN = "http://broker.localhost:48080/saml/sp/wayf/metadata"  # of the deployment
PASSIVE = edit(".", IsPassive="true")
ATTRIBUTES = "saml:Assertion/saml:AttributeStatement"
EPPN = f"{ATTRIBUTES}/saml:Attribute[@FriendlyName='eduPersonPrincipalName']/saml:AttributeValue"
UNKNOWN = request_contexts("https://refeds.org/profile/mfa")
EMAIL = '<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"/>'
TEMPLATE = "https://idp.example/help?" + "&amp;".join(
    f"{name}=ERRORURL_{part}" for name, part in {"c": "CODE", "rp": "RP", "t": "TID", "x": "CTX", "s": "TS"}.items()
)

# Situation: the changes of the request, and the status that the service receives at once.
AT_ONCE: dict[str, tuple[tuple[Change, ...], str]] = {
    "passive, and a page would be needed": ((PASSIVE,), "Responder / NoPassive"),
    "proxy count used up": ((add_idp_list(ProxyCount="0"),), "Responder / ProxyCountExceeded"),
    "no institution of the list is known": ((add_idp_list("urn:unheard-of"),), "Responder / NoSupportedIDP"),
    "an unsupported NameID format": ((add(".", EMAIL, 1),), "Requester / InvalidNameIDPolicy"),
    "the broker is already in the chain": (
        (add_idp_list(more=f"<samlp:RequesterID>{OWN}</samlp:RequesterID>"),),
        "Responder / RequestDenied",
    ),
}


@pytest.mark.profile(19, 27, 33, 35, 37, 40, 42)
def test_row_33_an_impossible_request_is_answered_at_once(deployment: Deployment) -> None:
    """The service receives a signed error Response at its registered ACS, without assertion and status message."""
    for situation, (changes, status) in AT_ONCE.items():
        page = ask(deployment.person(), *changes)
        assert deployment.landing(page).status == status, situation
        action, fields = form(page)
        assert action == deployment.site("e-resources").acs
        assert fields["RelayState"] == "e-resources"


@pytest.mark.profile(19, 33)
def test_row_33_a_refusal_of_the_upstream_becomes_a_status_of_the_broker(deployment: Deployment) -> None:
    """Each refusal has a page. The upstream's status message is neither shown nor passed on."""
    codes = {
        "AuthnFailed": "Responder / AuthnFailed",
        "NoPassive": "Responder / NoPassive",
        "NoAuthnContext": "Responder / NoAuthnContext",
        "PartialLogout": "Responder / AuthnFailed",
    }
    for code, told in codes.items():
        person = deployment.person()
        away = ask(person, TO_AU)
        acs, fields = deployment.answer(away.location, None)
        root: Any = etree.fromstring(_decode(fields))
        root.find(".//{*}StatusCode/{*}StatusCode").set("Value", f"urn:oasis:names:tc:SAML:2.0:status:{code}")
        root.remove(root.find("{*}Signature"))
        root.find("{*}Status").append(etree.fromstring(_MESSAGE))
        arrived = person.deliver(acs, _encode(root))
        page = person.get(arrived.location)
        assert mark(page)[0] == "refuse"
        assert "Ravn typed" not in page.get_data(as_text=True)
        landing = deployment.landing(page)
        assert (landing.status, dict(landing.attributes)) == (told, {})
        assert b"Ravn typed" not in _decode(next(fields for _, fields in forms(page) if "SAMLResponse" in fields))


_MESSAGE = (
    '<samlp:StatusMessage xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">'
    "Asta Ravn typed a wrong password</samlp:StatusMessage>"
)


def _decode(fields: dict[str, str]) -> bytes:
    return http_bindings.decode_post(fields["SAMLResponse"])


def _encode(root: etree._Element) -> dict[str, str]:
    return http_bindings.build_post_fields(etree.tostring(root), "SAMLResponse", None)


@pytest.mark.profile(33)
def test_row_33_an_unknown_service_receives_no_saml_answer(deployment: Deployment) -> None:
    """The broker shows an error page without a SAML message, a redirect or a link to the service."""
    strange = (
        say("saml:Issuer", "https://unheard-of.example"),
        edit(".", AssertionConsumerServiceURL="https://evil.example/acs"),
        edit(".", Version="1.1"),
    )
    for change in strange:
        page = ask(deployment.person(), change)
        assert (page.status_code, mark(page)) == (400, ("error", "message_refused"))
        assert "evil.example" not in page.get_data(as_text=True)
        assert "SAMLResponse" not in page.get_data(as_text=True)


@pytest.mark.profile(50)
def test_row_50_the_error_url_is_published_with_its_placeholders(deployment: Deployment) -> None:
    """The IdP role, and no other, has the errorURL with all five placeholders."""
    client = deployment.app.test_client()
    role = etree.fromstring(client.get("/saml/idp/metadata").get_data()).find("{*}IDPSSODescriptor")
    assert role is not None
    url = role.get("errorURL", "")
    assert url == addresses.error_url(deployment.person().base)
    found = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert found == {part.lower(): f"ERRORURL_{part}" for part in ("CODE", "TS", "RP", "TID", "CTX")}
    assert b"errorURL" not in client.get("/saml/sp/wayf/metadata").get_data()


@pytest.mark.profile(19, 50)
@pytest.mark.parametrize("language", ["da", "en"])
def test_row_50_each_error_code_has_its_page(deployment: Deployment, language: str) -> None:
    """In both languages. An unknown, missing or unreplaced code has the general page."""
    client, titles = deployment.app.test_client(), set()
    for code, reason in {**_REASONS, "ERRORURL_CODE": "at_service_other", "<b>": "at_service_other"}.items():
        page = client.get("/error", query_string={"code": code, "lang": language})
        assert (page.status_code, mark(page)) == (200, ("error", reason))
        titles.add(re.findall(r"<h1>(.*?)</h1>", page.get_data(as_text=True))[0])
    assert len(titles) == 4
    assert mark(client.get("/error")) == ("error", "at_service_other")


@pytest.mark.profile(50)
def test_row_50_no_parameter_of_the_error_url_is_shown_or_logged(deployment: Deployment) -> None:
    """Scripts, links and CPR numbers in parameters appear neither on the page nor in the log."""
    told: list[dict[str, Any]] = []
    object.__setattr__(deployment.ports, "tell", lambda event: told.append(asdict(event)))
    evil = '"><script>alert(1)</script>https://evil.example/1403044004'
    names = ("code", "ts", "rp", "tid", "ctx", "lang", "next")
    page = deployment.app.test_client().get("/error", query_string=dict.fromkeys(names, evil))
    for trace in ("alert(1)", "evil.example", "1403044004"):
        assert trace not in page.get_data(as_text=True)
        assert trace not in str(told)
    own = {"code": "AUTHORIZATION_FAILURE", "rp": deployment.site("my-loans").entity_id}
    deployment.app.test_client().get("/error", query_string=own)
    facts = told[-1]["facts"]
    assert (facts["service"], facts["reason"]) == ("my-loans", "at_service_authorization")


@pytest.fixture
def environment(setting: Setting, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Add an errorURL to the hub's metadata, if the test has one."""
    named = getattr(request, "param", None)
    if named is None:
        return {}
    site = copy_site(setting, tmp_path)
    hub = site / "metadata" / "hub.xml"
    xml = hub.read_text()
    hub.write_text(re.sub(r"(<[\w:]*IDPSSODescriptor )", rf'\1errorURL="{named}" ', xml, count=1))
    return {"BROKER_SITE": str(site)}


def help_link(page: object) -> str | None:
    """Return the link to the upstream's error page, if there is one."""
    hits = html.fromstring(page.get_data()).xpath("//a[@rel='noreferrer']/@href")  # type: ignore[attr-defined]
    return str(hits[0]) if isinstance(hits, list) and hits else None


@pytest.mark.profile(19, 50)
@pytest.mark.parametrize("environment", [TEMPLATE], indirect=True)
def test_row_50_the_error_page_of_an_upstream_is_linked_with_all_parameters(deployment: Deployment) -> None:
    """The link has the code, the broker's entityID and the reference, and no personal data."""
    person = deployment.person()
    page = come_back(person, ask(person, TO_AU), "asta", say(EPPN, "asta@ku.dk"))
    assert mark(page) == ("refuse", "scope_mismatch")
    link = help_link(page)
    assert link is not None
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert link.startswith("https://idp.example/help?")
    assert given["c"] == "IDENTIFICATION_FAILURE"
    assert given["rp"] == f"{person.base}/saml/sp/wayf/metadata"
    assert given["t"] in page.get_data(as_text=True)
    assert abs(int(given["s"]) - datetime.now(UTC).timestamp()) < 600
    assert "ERRORURL" not in link
    cancelled = deployment.person()
    acs, fields = deployment.answer(ask(cancelled, TO_AU).location, None)
    assert "c=OTHER_ERROR" in str(help_link(cancelled.get(cancelled.deliver(acs, fields).location)))
    weak = deployment.person()
    assert "c=AUTHENTICATION_FAILURE" in str(help_link(come_back(weak, ask(weak, UNKNOWN, TO_AU), "asta")))


@pytest.mark.profile(50)
@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("https://idp.example/help?c=ERRORURL_CODE", True),
        ("javascript:alert(ERRORURL_CODE)", False),
        ("http://idp.example/help", False),
        ("//idp.example/help", False),
        ("https://us@idp.example/help", False),
        ("", False),
    ],
)
def test_row_50_an_error_url_without_https_is_ignored(parties: Parties, tmp_path: Path, named: str, kept: bool) -> None:
    """Scripts and plain HTTP are ignored; the rest of the metadata is used."""
    folder = Path(shutil.copytree(parties.folder / "metadata", tmp_path / "metadata"))
    xml = (folder / "hub.xml").read_text()
    (folder / "hub.xml").write_text(xml.replace("<md:IDPSSODescriptor ", f'<md:IDPSSODescriptor errorURL="{named}" '))
    read = read_folder(folder, {HUB}, set())
    assert read.upstreams[HUB].error_url == (named if kept else None)


@pytest.mark.profile(50)
def test_row_50_error_url_parameters_are_escaped() -> None:
    """Separators, quotes and line breaks are escaped in every part of the URL."""
    given = {"CODE": "A&b=c", "RP": "https://x/?y#z", "TID": "\r\nSet-Cookie: x", "CTX": '"<'}
    url = service_provider.fill_error_url(
        "https://h.example/ERRORURL_CODE/ERRORURL_TID?ERRORURL_RP#ERRORURL_CTX", given
    )
    assert url == "https://h.example/A%26b%3Dc/%0D%0ASet-Cookie%3A%20x?https%3A%2F%2Fx%2F%3Fy%23z#%22%3C"
