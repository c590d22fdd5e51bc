"""Attack: text of the attacker returns as script on a page, as a redirect address or as a forged line in the log.

Source: docs/reference/attacks.md#21, #22, #27, #31 and #32.
"""

import json
from typing import Final

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.saml.xml_security.xml_names import ASSERTION
from tests.plugins.deployment import form
from tests.plugins.saml_deployment import SamlDeployment
from tests.plugins.saml_parties import BASE, LOANS, edit

SCRIPT: Final = "</title><script>alert(1)</script>{{7*7}}${7*7}"


@pytest.mark.attack(32)
@pytest.mark.parametrize("text", [SCRIPT, "Log in again at https://evil.example", "a\nb: forged line"])
def test_a_status_message_is_not_repeated(
    saml_deployment: SamlDeployment, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Error Responses may be unsigned, so anybody can write a StatusMessage. No page and no log line repeats it."""
    guests = saml_deployment.parties
    failed = edit("samlp:Status/samlp:StatusCode", Value="urn:oasis:names:tc:SAML:2.0:status:Responder")
    saml_deployment.begin_login()
    root = guests.response(failed, lambda root: root.remove(root.find(ASSERTION)), edit(".", ID=f"_{len(text)}"))
    message = etree.SubElement(root.find("{*}Status"), "{urn:oasis:names:tc:SAML:2.0:protocol}StatusMessage")
    message.text = text
    arrived = saml_deployment.post(etree.tostring(root))
    assert arrived.status_code == 303
    for written in (arrived.get_data(as_text=True), capsys.readouterr().out, str(arrived.headers)):
        assert "evil.example" not in written
        assert "<script>" not in written
        assert "forged" not in written


@pytest.mark.attack(27, 32)
@pytest.mark.parametrize("name", ["ProviderName", "ID"])
def test_text_of_a_service_is_not_rendered_as_code(
    saml_deployment: SamlDeployment, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """ProviderName may contain a script: no page shows it. An ID that the schema does not allow is refused."""
    root = saml_deployment.parties.authn_request(edit(".", **{name: SCRIPT}))
    begun = saml_deployment.ask(saml_deployment.parties.query(root, key=saml_deployment.parties.service.key))
    page = saml_deployment.client.get(begun.location, base_url=BASE, follow_redirects=True) if begun.location else begun
    assert "<script>alert" not in page.get_data(as_text=True)
    assert "<script>" not in capsys.readouterr().out


STATES: Final = [
    '"><script>alert(1)</script>',
    "https://evil.example/",
    "javascript:alert(1)",
    "//evil.example",
    "\u202eabc",
]


@pytest.mark.attack(27)
@pytest.mark.parametrize("state", STATES)
def test_a_relay_state_goes_to_the_service_only(saml_deployment: SamlDeployment, state: str) -> None:
    """RelayState returns to the registered ACS in an escaped form field, and never becomes an address of the broker."""
    root = saml_deployment.parties.authn_request(edit(".", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:PAOS"))
    page = saml_deployment.ask(
        saml_deployment.parties.query(root, key=saml_deployment.parties.service.key, relay_state=state)
    )
    assert form(page)[0] == f"{LOANS}/acs"
    assert form(page)[1]["RelayState"] == state
    assert "<script>alert" not in page.get_data(as_text=True)
    assert page.location is None


@pytest.mark.attack(27)
@pytest.mark.parametrize("state", ["a\r\nSet-Cookie: x=1", "a\nb", "\0", "x" * 65_537])
def test_a_relay_state_with_line_breaks_is_refused(
    saml_deployment: SamlDeployment, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line breaks in RelayState would split headers or log lines.

    Such a request is refused, and the log repeats nothing.
    """
    xml = etree.tostring(saml_deployment.parties.authn_request())
    sent = {**http_bindings.build_post_fields(xml, "SAMLRequest", None), "RelayState": state}
    page = saml_deployment.client.post("/saml/idp/sso", data=sent, base_url=BASE)
    (line,) = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert (page.status_code, line["cause"]) == (400, "xml.relay_state")
    assert not page.headers.getlist("Set-Cookie")


@pytest.mark.attack(31)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example;proto=http"},
        {"X-Original-URL": "/admin", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "//evil.example"},
    ],
    ids="+".join,
)
def test_host_headers_are_ignored(saml_deployment: SamlDeployment, headers: dict[str, str]) -> None:
    """The broker builds its addresses from base_url. Host and forwarding headers of a request are ignored."""
    query = saml_deployment.parties.query(
        saml_deployment.parties.authn_request(), key=saml_deployment.parties.service.key
    )
    begun = saml_deployment.client.get(f"/saml/idp/sso?{query}", base_url=BASE, headers=headers)
    assert begun.location.startswith(f"{BASE}/login/")
    for path in (begun.location.removeprefix(BASE), "/saml/idp/metadata", "/saml//idp/metadata", "/nowhere"):
        answer = saml_deployment.client.get(path, base_url=BASE, headers=headers)
        assert b"evil.example" not in answer.get_data()
        assert "evil.example" not in str(answer.headers)
