"""Attack: a form, link or IDPList names an upstream of the attacker.

The broker sends people to configured upstreams only, and accepts answers from them only.

Source: docs/reference/attacks.md#28.
"""

from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings
from broker.core.errors import NO_SUPPORTED_IDP, RequestRefused
from tests.plugins.deployment import Deployment, find_text, form, mark
from tests.plugins.saml_parties import AU, AU_ALIAS, HUB, IDP, KU, NOW, Parties, redirect_url

NAMES = [
    "https://evil.example/metadata",
    "http://169.254.169.254/latest",
    "file:///etc/passwd",
    "WAYF",
    "wayf ",
    "",
    "../wayf",
]
ELSEWHERE = [
    ("https://evil.example",),
    ("http://169.254.169.254/",),
    ("",),
    (AU + "/",),
    (IDP,),
    ("https://evil.example", IDP),
]


@pytest.mark.attack(28)
@pytest.mark.parametrize("name", NAMES)
def test_the_chooser_leads_to_configured_upstreams_only(shared_deployment: Deployment, name: str) -> None:
    """An unknown upstream name in the chooser's form, or in the link behind it, is refused without a redirect."""
    person = shared_deployment.person()
    action, fields = form(person.ask())
    onward = person.post(action, {**fields, "upstream": name})
    if onward.status_code == 200:
        onward = person.client.get(person.path(find_text(onward, "//main//a/@href")), base_url=person.base)
    assert onward.status_code in {400, 403, 422}
    assert onward.location is None


@pytest.mark.attack(28)
@pytest.mark.parametrize("name", [each for each in NAMES if each])
def test_no_other_upstream_has_an_acs(shared_deployment: Deployment, name: str) -> None:
    """Only configured upstreams have an ACS: a Response at the path of another name is refused."""
    person = shared_deployment.person()
    _, fields = shared_deployment.answer(person.choose(person.ask()), "asta")
    refused = person.deliver(f"/saml/sp/{quote(name, safe='')}/acs", fields)
    assert refused.status_code in {400, 404}
    assert mark(refused)[0] == "error"


@pytest.mark.attack(28)
@pytest.mark.parametrize("name", NAMES)
def test_a_sign_up_goes_to_configured_upstreams_only(shared_deployment: Deployment, name: str) -> None:
    """The sign-up link refuses an upstream that is not configured."""
    refused = shared_deployment.person().get(f"/sign-up/begin?affiliation=student&upstream={quote(name, safe='')}")
    assert refused.status_code in {400, 422}
    assert refused.location is None


@pytest.mark.attack(28)
@pytest.mark.parametrize("listed", ELSEWHERE)
def test_an_idp_list_of_unknown_upstreams_is_refused(parties: Parties, listed: tuple[str, ...]) -> None:
    """If the IDPList names no configured upstream, the service gets NoSupportedIDP.

    The broker's own name does not count.
    """
    with pytest.raises(RequestRefused) as refused:
        redirect_url(parties.sp.ask("wayf", "_q1", replace(parties.request, idp_list=listed), NOW))
    assert refused.value.refusal == NO_SUPPORTED_IDP


@pytest.mark.attack(28)
@pytest.mark.parametrize("listed", [("https://evil.example", AU), (AU_ALIAS, "http://169.254.169.254/")])
def test_an_unknown_entry_of_an_idp_list_is_not_asked(parties: Parties, listed: tuple[str, ...]) -> None:
    """An unknown entry in the IDPList, next to a known institution, is not passed on to the hub.

    Source: docs/reference/saml-profiles.md#37.
    """
    url = redirect_url(parties.sp.ask("wayf", "_q1", replace(parties.request, idp_list=listed), NOW))
    assert url.startswith(f"{HUB}/sso?")
    asked = etree.fromstring(http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest").xml)
    assert [each.get("ProviderID") for each in asked.iter("{*}IDPEntry")] == [AU]


@pytest.mark.attack(28, control=True)
def test_without_a_list_every_institution_is_asked(parties: Parties) -> None:
    """Control: without an IDPList the broker asks the hub for all configured institutions."""
    url = redirect_url(parties.sp.ask("wayf", "_q1", parties.request, NOW))
    packed = parse_qs(urlsplit(url).query)["SAMLRequest"]
    assert len(packed) == 1
    asked = etree.fromstring(http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest").xml)
    assert [each.get("ProviderID") for each in asked.iter("{*}IDPEntry")] == [AU, KU]
