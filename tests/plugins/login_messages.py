"""AuthnRequests and hub responses that a test changes before it sends them to the broker."""

from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from lxml import etree
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.demo.people.personas import AU, persona
from broker.demo.run.demo_folder import HUB, SERVICES
from broker.demo.upstreams import wayf_hub
from tests.plugins.deployment import Deployment, Person
from tests.plugins.saml_parties import Change, add, stamp

_REQUEST = """<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_{name}" Version="2.0" IssueInstant="{now}"
 Destination="{sso}" AssertionConsumerServiceURL="{acs}"><saml:Issuer>{issuer}</saml:Issuer></samlp:AuthnRequest>"""


def add_idp_list(*names: str, more: str = "", **attributes: str) -> Change:
    """Return a change that adds a Scoping with an IDPList; ``more`` is XML after the list."""
    entries = "".join(f'<samlp:IDPEntry ProviderID="{each}"/>' for each in names)
    idps = f"<samlp:IDPList>{entries}</samlp:IDPList>" if names else ""
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return add(".", f"<samlp:Scoping{written}>{idps}{more}</samlp:Scoping>")


def request_contexts(*classes: str, comparison: str = "exact") -> Change:
    """Return a change that requests these context classes. Apply it before a change that adds a Scoping."""
    refs = "".join(f"<saml:AuthnContextClassRef>{each}</saml:AuthnContextClassRef>" for each in classes)
    return add(".", f'<samlp:RequestedAuthnContext Comparison="{comparison}">{refs}</samlp:RequestedAuthnContext>')


TO_AU = add_idp_list(AU)  # a list of one institution, so that no chooser is shown


def authn_request(deployment: Deployment, service: str, *changes: Change) -> bytes:
    """Write a valid AuthnRequest of a service and apply the changes."""
    told = {"sso": deployment.peer.sso, "acs": deployment.site(service).acs, "issuer": SERVICES[service][2]}
    written = _REQUEST.format(name=token_hex(16), now=stamp(deployment.clock.now()), **told)
    root = etree.fromstring(written.replace("\n", ""))
    for change in changes:
        change(root)
    return etree.tostring(root)


def ask(person: Person, *changes: Change, service: str = "e-resources") -> TestResponse:
    """Send a changed AuthnRequest of a service; return the first page or the redirect to an upstream."""
    xml = authn_request(person.deployment, service, *changes)
    url = http_bindings.build_redirect_url(person.deployment.peer.sso, "SAMLRequest", xml, service, None)
    return person.get(url)


def read_sent_request(response: TestResponse) -> Any:
    """Return the AuthnRequest in a redirect to an upstream."""
    assert response.status_code == 302, response.get_data(as_text=True)[:500]
    return etree.fromstring(http_bindings.read_redirect(urlsplit(response.location).query, "SAMLRequest").xml)


def come_back(person: Person, away: TestResponse, name: str, *changes: Change) -> TestResponse:
    """Answer as the hub for a persona, change the Response before signing it, and return the next page."""
    deployment = person.deployment
    asked = wayf_hub.read(urlsplit(away.location).query)
    xml = wayf_hub.response(HUB, asked, persona(name), deployment.hub_key(), deployment.clock.now())
    root: Any = etree.fromstring(xml)
    assertion = root.find("{*}Assertion")
    assertion.remove(assertion.find("{*}Signature"))
    for change in changes:
        change(root)
    signature.sign(assertion, deployment.hub_key())
    fields = http_bindings.build_post_fields(etree.tostring(root), "SAMLResponse", None)
    arrived = person.deliver(asked.acs, fields)
    return person.follow(arrived)
