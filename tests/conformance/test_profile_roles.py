"""The SAML roles of a whole broker: forced and passive logins, institution lists, proxy chain, session ends."""

import base64
import zlib
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.messages.addresses import acs_url
from broker.adapters.saml.xml_security import encryption, http_bindings
from broker.configuration.settings.config import load
from broker.demo.people.personas import AU, KU
from broker.demo.run.demo_folder import HUB, Setting
from tests.plugins.deployment import Deployment, form, mark
from tests.plugins.login_messages import TO_AU, add_idp_list, ask, authn_request, come_back, read_sent_request
from tests.plugins.saml_parties import Change, add, edit, stamp

STATEMENT = "saml:Assertion/saml:AuthnStatement"
AUTHORITY = "<saml:AuthenticatingAuthority>%s</saml:AuthenticatingAuthority>"
FORCED, PASSIVE = edit(".", ForceAuthn="1"), edit(".", IsPassive="1")
REQUESTERS = "".join(f"<samlp:RequesterID>https://{each}.example</samlp:RequesterID>" for each in ("portal", "near"))


def assertion(deployment: Deployment, page: Any) -> Any:
    """Return the Assertion of a self-posting page, decrypted as the service does."""
    root = etree.fromstring(http_bindings.decode_post(form(page)[1]["SAMLResponse"]))
    keys = encryption.DecryptionKeys.load([deployment.setting.library.key.encode()])
    sealed: Any = root.find("{*}EncryptedAssertion")
    return encryption.decrypt(sealed, keys, allow_cbc=False)


@pytest.mark.profile(26, 39)
def test_row_26_a_forced_login_needs_a_recent_authn_instant(deployment: Deployment) -> None:
    """ForceAuthn is forwarded. An AuthnInstant older than the skew is refused, a newer one is passed on."""
    now = deployment.clock.now()
    for age, sound in [(timedelta(minutes=30), False), (timedelta(seconds=200), False), (timedelta(seconds=100), True)]:
        person, at = deployment.person(), stamp(now - age)
        away = ask(person, FORCED, TO_AU)
        assert read_sent_request(away).get("ForceAuthn") == "true"
        page = come_back(person, away, "asta", edit(STATEMENT, AuthnInstant=at))
        if not sound:
            assert (page.status_code, mark(page)) == (400, ("error", "message_refused"))
            assert come_back(person, away, "asta").status_code == 410  # the request is spent
            continue
        issued = assertion(deployment, person.agree(page))
        assert issued.find("{*}AuthnStatement").get("AuthnInstant") == at


@pytest.mark.profile(26, 39)
def test_row_39_without_force_an_older_authn_instant_is_passed_on(deployment: Deployment) -> None:
    """AuthnInstant and SessionNotOnOrAfter of the upstream are passed on unchanged."""
    person, now = deployment.person(), deployment.clock.now()
    at, end = stamp(now - timedelta(hours=3)), stamp(now + timedelta(minutes=7))
    away = ask(person, edit(".", ForceAuthn="0"), TO_AU)
    assert read_sent_request(away).get("ForceAuthn") is None
    page = come_back(person, away, "asta", edit(STATEMENT, AuthnInstant=at, SessionNotOnOrAfter=end))
    statement = assertion(deployment, person.agree(page)).find("{*}AuthnStatement")
    assert (statement.get("AuthnInstant"), statement.get("SessionNotOnOrAfter")) == (at, end)


@pytest.mark.profile(27)
def test_row_27_a_passive_login_shows_no_page_at_all(deployment: Deployment) -> None:
    """Without a remembered consent the answer is NoPassive; with one the login succeeds."""
    stranger = deployment.person()
    away = ask(stranger, PASSIVE, TO_AU)
    assert read_sent_request(away).get("IsPassive") == "true"
    refused = come_back(stranger, away, "asta")
    assert mark(refused)[0] == "issue"
    assert deployment.landing(refused).status == "Responder / NoPassive"
    person = deployment.person()
    person.agree(come_back(person, ask(person, TO_AU), "asta"), remember=True)
    later = come_back(person, ask(person, PASSIVE, TO_AU), "asta")
    assert mark(later)[0] == "issue"
    assert deployment.landing(later).status == "Success"


LISTS: list[tuple[Change, list[str] | None]] = [
    (add_idp_list(AU), [AU]),
    (add_idp_list(KU, "urn:unheard-of", AU), [AU, KU]),
    (add_idp_list(KU, "https://evil.example/idp"), [KU]),
    (add_idp_list(HUB), None),
]


@pytest.mark.profile(35, 36, 37)
def test_row_37_the_services_idp_list_narrows_the_request_to_the_upstream(deployment: Deployment) -> None:
    """Known institutions are forwarded, unknown ones dropped, and an answer from another institution is refused."""
    for change, asked in LISTS:
        page = ask(deployment.person(), change)
        if asked is None:
            assert mark(page)[0] == "choose"  # the hub itself: two ways to log in lead to it
            continue
        assert [each.get("ProviderID") for each in read_sent_request(page).iter("{*}IDPEntry")] == asked
    person = deployment.person()
    page = come_back(person, ask(person, add_idp_list(KU)), "asta")
    assert mark(page) == ("error", "message_refused")  # AU answered, and KU was asked


@pytest.mark.profile(35, 36)
def test_row_35_the_proxy_count_decreases_and_the_chain_grows(deployment: Deployment) -> None:
    """ProxyCount decreases by one if present. RequesterID lists the earlier requesters, and the service last."""
    for count, left in [("1", "0"), ("2", "1"), ("+03", "2"), (None, None)]:
        given = {} if count is None else {"ProxyCount": count}
        root = read_sent_request(ask(deployment.person(), add_idp_list(AU, more=REQUESTERS, **given)))
        scoping = root.find("{*}Scoping")
        assert scoping.get("ProxyCount") == left
        chain = [each.text for each in scoping.iter("{*}RequesterID")]
        assert chain == ["https://portal.example", "https://near.example", deployment.site("e-resources").entity_id]
    for count in ("-1", "one", "1.5", ""):  # refused by the schema, with an error page
        assert mark(ask(deployment.person(), add_idp_list(AU, ProxyCount=count))) == ("error", "message_refused")


@pytest.mark.profile(36)
def test_row_36_nemlogin_receives_no_requester_id_by_default(setting: Setting) -> None:
    """A hub receives the RequesterID by default, NemLog-in does not. A setting changes it."""
    plain = load(setting.config, {})
    assert plain.core_upstreams()["wayf"].requester_id
    assert (
        not load(setting.config, {"BROKER_UPSTREAMS__WAYF__REQUESTER_ID": "false"})
        .core_upstreams()["wayf"]
        .requester_id
    )
    table = plain.upstreams["wayf"].model_copy(update={"profile": "oiosaml3"})
    changed = plain.model_copy(update={"upstreams": {**plain.upstreams, "eid": table}})
    assert not changed.core_upstreams()["eid"].requester_id


@pytest.mark.profile(38, 42)
def test_row_42_a_loop_is_refused_and_the_authority_chain_is_passed_on(deployment: Deployment) -> None:
    """The broker in the chain is a loop. Otherwise the service receives the known authorities and the upstream."""
    for own in (deployment.peer.entity_id, f"{deployment.person().base}/saml/sp/wayf/metadata"):
        loop = add(f"{STATEMENT}/saml:AuthnContext", AUTHORITY % own, 1)
        person = deployment.person()
        assert mark(come_back(person, ask(person, TO_AU), "asta", loop)) == ("error", "message_refused")
    person = deployment.person()
    nearer = add(f"{STATEMENT}/saml:AuthnContext", AUTHORITY % KU + AUTHORITY % "urn:nobody", 1)
    page = come_back(person, ask(person, TO_AU), "asta", nearer)
    chain = [each.text for each in assertion(deployment, person.agree(page)).iter("{*}AuthenticatingAuthority")]
    assert chain == [KU, AU, HUB]


@pytest.mark.profile(14, 41)
def test_row_41_an_assertion_is_valid_for_one_audience_only(deployment: Deployment) -> None:
    """The hub's assertion names only the broker, and the broker's assertion names only the service."""
    person = deployment.person()
    away = ask(person, TO_AU)
    came = deployment.answer(away.location, "asta")[1]
    root: Any = etree.fromstring(http_bindings.decode_post(came["SAMLResponse"]))
    own = f"{person.base}/saml/sp/wayf/metadata"
    assert [each.text for each in root.iter("{*}Audience")] == [own]
    issued = assertion(deployment, person.agree(come_back(person, away, "asta")))
    site = deployment.site("e-resources")
    assert [each.text for each in issued.iter("{*}Audience")] == [site.entity_id]
    assert [each.get("Recipient") for each in issued.iter("{*}SubjectConfirmationData")] == [site.acs]
    assert acs_url(person.base, "wayf") not in etree.tostring(issued).decode()


@pytest.mark.profile(24)
def test_row_24_passport_saml_posts_a_deflated_request(deployment: Deployment) -> None:
    """A POST with a DEFLATEd SAMLRequest begins a login. A decompression bomb is refused."""

    def deflate(octets: bytes) -> str:
        packing = zlib.compressobj(wbits=-15)
        return base64.b64encode(packing.compress(octets) + packing.flush()).decode()

    person = deployment.person()
    request = authn_request(deployment, "e-resources", TO_AU)
    begun = person.bare_post("/saml/idp/sso", {"SAMLRequest": deflate(request), "RelayState": "x"}, {})
    assert begun.status_code == 303
    assert read_sent_request(person.get(begun.location)).find("{*}Issuer") is not None
    bomb = person.bare_post("/saml/idp/sso", {"SAMLRequest": deflate(b"<x>" + b" " * 10_000_000)}, {})
    assert (bomb.status_code, mark(bomb)) == (400, ("error", "message_refused"))
