"""AuthnContext at a whole broker: the classes that a service requests, and the class that it receives."""

import json
from dataclasses import replace

import pytest

from broker.configuration.settings.config import load
from broker.core.entities import Assurance
from broker.core.errors import ConfigurationFaults
from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment, mark
from tests.plugins.login_messages import TO_AU, add_idp_list, ask, come_back, read_sent_request, request_contexts
from tests.plugins.saml_parties import PASSWORD, say

MFA = "https://refeds.org/profile/mfa"
LOA = "https://data.gov.dk/concept/core/nsis/loa/"
CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
CLASS = "saml:Assertion/saml:AuthnStatement/saml:AuthnContext/saml:AuthnContextClassRef"
BOTH = (f"{LOA}Substantial", f"{LOA}High")
KEY = "BROKER_UPSTREAMS__WAYF__AUTHN_CONTEXTS"
OWN = "https://idp.example/two-factors"
MAPPED = {KEY: json.dumps({MFA: BOTH})}


@pytest.mark.profile(15, 28, 49)
@pytest.mark.parametrize("environment", [MAPPED])
def test_row_49_a_configured_class_of_the_upstream_counts_as_mfa(deployment: Deployment) -> None:
    """The service requests MFA, the hub is asked for NSIS levels and asserts Substantial: the service receives MFA."""
    person = deployment.person()
    away = ask(person, request_contexts(MFA), TO_AU)
    refs = [each.text for each in read_sent_request(away).iter("{*}AuthnContextClassRef")]
    assert refs == list(BOTH)
    landing = deployment.landing(person.agree(come_back(person, away, "asta", say(CLASS, BOTH[0]))))
    assert (landing.status, landing.authn_context) == ("Success", MFA)


@pytest.mark.profile(28, 49)
@pytest.mark.parametrize("environment", [MAPPED, {}], ids=["mapped", "unmapped"])
def test_row_49_a_password_is_not_mfa(deployment: Deployment) -> None:
    """If the upstream asserts a password, the service receives NoAuthnContext and no attributes."""
    person = deployment.person()
    page = come_back(person, ask(person, request_contexts(MFA), TO_AU), "asta")
    assert mark(page) == ("refuse", "assurance_too_low")
    landing = deployment.landing(page)
    assert (landing.status, dict(landing.attributes)) == ("Responder / NoAuthnContext", {})


@pytest.mark.profile(49)
@pytest.mark.parametrize("environment", [{KEY: json.dumps({MFA: [OWN]})}], ids=["a careless configuration"])
def test_row_49_no_configuration_exceeds_the_maximum_assurance_of_an_institution(deployment: Deployment) -> None:
    """A private class that is configured as MFA does not count at an institution with a lower maximum."""
    person = deployment.person()
    rules = deployment.broker.rules
    upstream = rules.upstreams["wayf"]
    capped = [replace(each, max_assurance=Assurance.LOW) for each in upstream.institutions]
    object.__setattr__(upstream, "institutions", tuple(capped))
    page = come_back(person, ask(person, request_contexts(MFA), TO_AU), "asta", say(CLASS, OWN))
    assert mark(page) == ("refuse", "assurance_too_low")


WINDOWS = "urn:federation:authentication:windows"


@pytest.mark.profile(28, 49)
@pytest.mark.parametrize(("came", "met"), [(MFA, True), (WINDOWS, False), (f"{CLASSES}unspecified", False)])
def test_row_28_a_request_for_a_password_accepts_mfa_but_not_unspecified(
    deployment: Deployment, came: str, met: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """MFA satisfies a requested password. Windows and "unspecified" do not, and the log names the setting to change."""
    person = deployment.person()
    away = ask(person, request_contexts(PASSWORD), TO_AU)
    capsys.readouterr()
    page = come_back(person, away, "asta", say(CLASS, came))
    if met:
        assert deployment.landing(person.agree(page)).authn_context == PASSWORD
        return
    assert mark(page) == ("refuse", "assurance_too_low")
    (line,) = [each for each in map(json.loads, capsys.readouterr().out.splitlines()) if each["event"] == "refused"]
    for part in (f"exact {PASSWORD}", f"came: {came}", "upstreams.wayf.authn_contexts"):
        assert part in line["detail"]


@pytest.mark.profile(28)
def test_row_28_the_library_account_is_offered_only_if_a_pin_suffices(deployment: Deployment) -> None:
    """If MFA is requested, the chooser omits the library account. If no other way is left, it is NoAuthnContext."""
    page = ask(deployment.person(), request_contexts(MFA), service="my-loans").get_data(as_text=True)
    assert 'value="wayf"' in page
    assert 'value="library"' not in page
    assert 'value="library"' in ask(deployment.person(), request_contexts(PASSWORD), service="my-loans").get_data(
        as_text=True
    )
    only = add_idp_list(deployment.peer.entity_id)
    refused = ask(deployment.person(), request_contexts(MFA), only, service="my-loans")
    assert deployment.landing(refused).status == "Responder / NoAuthnContext"
    assert mark(ask(deployment.person(), request_contexts(PASSWORD), only, service="my-loans"))[0] == "pin"


@pytest.mark.profile(49)
def test_row_49_no_class_can_be_mapped_to_unspecified(setting: Setting) -> None:
    """The class "unspecified" replaces a class above the maximum, so a mapping to it would undo every maximum."""
    wrong = {KEY: json.dumps({MFA: ["urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"]})}
    with pytest.raises(ConfigurationFaults, match="says nothing of how the person was authenticated"):
        load(setting.config, wrong)
