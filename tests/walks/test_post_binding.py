"""AuthnRequests by HTTP-POST: from a service, and to an upstream."""

import base64
from collections.abc import Iterator

import pytest
from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import AUTHN_REQUEST, POST
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Clock, Deployment, Person, find_text, form, mark, run_deployment
from tests.plugins.policy_copies import copy_site
from tests.plugins.saml_messages import load_keys


def _post_request(person: Person, **more: str) -> str:
    site, peer = person.deployment.site("my-loans"), person.deployment.peer
    asked = samlp.AuthnRequest(
        id="_posted",
        version="2.0",
        issue_instant=person.deployment.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        destination=peer.sso,
        assertion_consumer_service_url=site.acs,
        issuer=saml.Issuer(text=site.entity_id),
        **more,
    )
    return base64.b64encode(asked.to_string()).decode()


@pytest.mark.profile(24)
def test_a_request_by_post_begins_a_login(deployment: Deployment) -> None:
    """The POST binding leads to the same login; RelayState comes back to the letter."""
    person = deployment.person()
    fields = {"SAMLRequest": _post_request(person), "RelayState": "ss:mem:1 +&<"}
    begun = person.bare_post("/saml/idp/sso", fields, {"Sec-Fetch-Site": "cross-site"})
    assert begun.status_code == 303
    assert "Set-Cookie" not in begun.headers
    arrived = person.deliver_answer(person.choose(person.get(begun.location)), "asta")
    page = person.agree(person.get(arrived.location))
    assert deployment.landing(page).in_response_to == "_posted"
    assert 'value="ss:mem:1 +&amp;&lt;"' in page.get_data(as_text=True)


@pytest.fixture(scope="module")
def posted_deployment(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Yield a broker whose hub takes AuthnRequests by HTTP-POST only."""
    folder = tmp_path_factory.mktemp("posted")
    site = copy_site(setting, folder)
    descriptor = site / "metadata" / "hub.xml"
    for element in (root := etree.parse(descriptor)).iter("{*}SingleSignOnService"):
        element.set("Binding", POST)
    root.write(descriptor)
    environment = {"BROKER_SITE": str(site)}
    with run_deployment(setting, folder, Clock(), environment) as deployment:
        yield deployment


@pytest.mark.server
def test_an_upstream_with_post_only_is_asked_by_a_page(posted_deployment: Deployment) -> None:
    """The page posts our AuthnRequest, signed within, to the upstream, and the login goes on as any other."""
    person = posted_deployment.person()
    action, fields = form(person.ask())
    page = person.get(find_text(person.post(action, {**fields, "upstream": "wayf"}), "//main//a/@href"))
    assert (page.status_code, mark(page)) == (200, ("authenticate", ""))
    place, sent = form(page)
    assert "form-action 'self' https:" in page.headers["Content-Security-Policy"]
    assert place.endswith("/sso")
    assert [*sent] == ["SAMLRequest"]
    xml = http_bindings.decode_post(sent["SAMLRequest"])
    certificates = key_ring.load(posted_deployment.setting.folder / "keys").sp.signing_certificates
    signature.verify(safe_parser.parse(xml, AUTHN_REQUEST), load_keys(*certificates))
    url = http_bindings.build_redirect_url(
        place, "SAMLRequest", xml, None, None
    )  # the simulated hub reads this binding only
    arrived = person.deliver_answer(url, "asta")
    assert mark(person.get(arrived.location)) == ("ask", "ask")
