"""Attack: ending or reviving sessions of other people or other browsers with single logout.

Source: docs/reference/attacks.md#29.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import RESPONSE
from broker.demo.saml import logout_messages
from broker.use_cases.transactions.transactions import Transactions
from tests.plugins.deployment import Deployment, form, mark
from tests.plugins.logout_client import PARTIAL, LogoutClient, read_participant_states, redirect_target

LEFT_ALONE = {"BROKER_UPSTREAMS__WAYF__LOGOUT": "never"}
UNKNOWN = "Requester / UnknownPrincipal"


def make_person(deployment: Deployment, browser: LogoutClient | None = None) -> LogoutClient:
    """Return a person in a new browser, or in the browser of another person."""
    return LogoutClient(deployment, browser.person if browser else deployment.person())


def keep_form(page: TestResponse) -> tuple[str, dict[str, str]]:
    """Return address and fields that submit a consent page later."""
    assert mark(page)[0] == "ask"
    _, fields = form(page)
    return page.request.path, {**fields, "answer": "yes"}


@pytest.mark.attack(29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_a_service_ends_its_own_sessions_only(deployment: Deployment) -> None:
    """A service that sends another service's NameID and SessionIndex gets UnknownPrincipal and ends nothing."""
    asta = make_person(deployment)
    theirs = asta.log_in(service="e-resources")
    asta.log_in()
    for service in ("my-loans", "myprint"):
        assert asta.read(asta.ask(service, theirs)).status == UNKNOWN
    assert read_participant_states(asta.ask("e-resources", theirs)) == {
        "Mine lån": "open",
        "Universitetslogin (WAYF)": "kept",
    }


@pytest.mark.attack(29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_a_logout_request_in_another_browser_ends_only_its_session(deployment: Deployment) -> None:
    """A LogoutRequest for Asta in Bo's browser ends only the named session of Asta and none of Bo's.

    It is a partial logout.
    """
    asta, bo = make_person(deployment), make_person(deployment)
    session, _ = asta.log_in(), asta.log_in(service="e-resources")
    own = bo.log_in("bo")
    bo.log_in("bo", "e-resources")
    brought = bo.follow(bo.get(asta.request("my-loans", session)))
    assert (redirect_target(brought), bo.read(brought).status) == ("library/my-loans/slo", PARTIAL)
    assert read_participant_states(bo.ask("my-loans", own))["Elektroniske ressourcer"] == "open"


@pytest.mark.attack(29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_two_people_at_one_browser_have_separate_sessions(deployment: Deployment) -> None:
    """Two people use one browser. The logout of the second neither shows nor ends sessions of the first."""
    asta = make_person(deployment)
    first, at_other = asta.log_in(), asta.log_in(service="e-resources")
    bo = make_person(deployment, asta)
    session = bo.log_in("bo")
    answered = bo.ask("my-loans", session)
    assert (redirect_target(answered), bo.read(answered).status) == ("library/my-loans/slo", "Success")
    assert read_participant_states(asta.ask("my-loans", first))["Elektroniske ressourcer"] == "open"
    assert asta.read(asta.ask("e-resources", at_other)).status == "Success"


@pytest.mark.attack(29, 30)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_the_back_button_returns_no_assertion_after_logout(deployment: Deployment) -> None:
    """Replay: after the logout neither the back button nor a consent page in another tab returns an assertion."""
    asta = make_person(deployment)
    page = asta.page()
    path, fields = keep_form(page)
    sent = asta.person.agree(page)
    session = asta.read_session(sent)
    other, kept = keep_form(asta.page(service="e-resources"))
    assert asta.read(asta.ask("my-loans", session)).status == "Success"
    for where, what in ((path, fields), (other, kept)):
        assert mark(asta.person.post(where, what)) == ("error", "transaction_gone")
        assert mark(asta.get(where)) == ("error", "transaction_gone")
        assert mark(asta.get(where.removesuffix("/consent"))) == ("error", "transaction_gone")
    assert asta.log_in().name_id == session.name_id  # a new login succeeds


@pytest.mark.attack(29, 30)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
@pytest.mark.parametrize("scope", ["all", "none"])
def test_another_services_assertion_is_not_repeated_after_logout(deployment: Deployment, scope: str) -> None:
    """Replay: another service's assertion is not repeated after the logout, whether it was asked to log out or not."""
    asta = make_person(deployment)
    page = asta.page(service="e-resources")
    asta.read_session(asta.person.agree(page))
    asta.press(asta.ask("my-loans", asta.log_in()), f"scope={scope}")
    assert mark(asta.get(page.request.path)) == ("error", "transaction_gone")
    assert mark(asta.get(page.request.path.removesuffix("/consent"))) == ("error", "transaction_gone")


@pytest.mark.attack(29, 30)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_an_upstreams_logout_ends_logins_in_progress(deployment: Deployment) -> None:
    """The hub's logout from any browser invalidates consent pages that stand on its session."""
    asta, nobody = make_person(deployment), make_person(deployment)
    path, kept = keep_form(asta.page())
    answered = nobody.follow(nobody.get(asta.hub_request(asta.hub[0])))
    assert (redirect_target(answered), nobody.read(answered).status) == ("hub/slo", UNKNOWN)
    assert mark(asta.person.post(path, kept)) == ("error", "transaction_gone")


@pytest.mark.attack(29, 30)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
@pytest.mark.parametrize("by", ["hub", "service"])
def test_an_arrival_from_before_the_logout_is_invalid(deployment: Deployment, by: str) -> None:
    """A Response that arrived before the logout cannot be used afterwards."""
    asta = make_person(deployment)
    session = asta.log_in(service="e-resources")
    asked = asta.person.ask()
    acs, fields = deployment.answer(asked.location if asked.status_code == 302 else asta.person.choose(asked), "asta")
    root = safe_parser.parse(http_bindings.decode_post(fields["SAMLResponse"]), RESPONSE)
    arrived = asta.person.deliver(acs, fields)
    if by == "hub":
        asta.follow(asta.get(asta.hub_request(logout_messages.session_of(next(root.iter("{*}Assertion"))))))
    else:
        asta.ask("e-resources", session)
    assert mark(asta.person.get(arrived.location)) == ("error", "transaction_gone")


@pytest.mark.attack(29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
@pytest.mark.parametrize("first", ["logout", "session"])
def test_a_login_that_races_a_logout_leaves_no_session(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Race: if login and logout write at the same time, no assertion leaves and no session stays open."""
    sessions = deployment.broker.issuance.sessions

    put = Transactions.put

    def racing(self: Transactions, transaction: Any, *written: Any) -> Any:
        leaves = transaction.issued is not None
        if leaves and first == "logout":
            sessions.close(transaction.browser, transaction.person.id, deployment.clock.now())
        held = put(self, transaction, *written)
        if leaves and first == "session":
            sessions.close(transaction.browser, transaction.person.id, deployment.clock.now())
        return held

    asta = make_person(deployment)
    page = asta.page()
    monkeypatch.setattr(Transactions, "put", racing)
    assert mark(asta.person.agree(page)) == ("error", "transaction_gone")
    monkeypatch.undo()
    kept = [
        each
        for _, each in deployment.parts.store.list("session", None, deployment.clock.now())
        if b"ended" in each.value
    ]
    assert len(kept) == 1
    assert b'"ended":null' not in kept[0].value


@pytest.mark.attack(29)
@pytest.mark.profile(34)
def test_a_logout_without_cookies_is_partial(deployment: Deployment) -> None:
    """A logout without cookies, as in an iframe, cannot end the university's session, so it is partial."""
    asta, stranger = make_person(deployment), make_person(deployment)
    brought = stranger.follow(stranger.get(asta.request("my-loans", asta.log_in())))
    assert (redirect_target(brought), stranger.read(brought).status) == ("library/my-loans/slo", PARTIAL)
    again = asta.log_in()
    assert asta.read(asta.answer(asta.press(asta.ask("my-loans", again), "scope=all"))).status == "Success"
    repeated = stranger.follow(stranger.get(asta.request("my-loans", again)))
    assert stranger.read(repeated).status == "Success"  # all sessions have ended already


@pytest.mark.attack(29)
def test_a_logout_belongs_to_its_browser(deployment: Deployment) -> None:
    """Another browser that opens the address of a logout gets status 403 and changes nothing."""
    asta, stranger = make_person(deployment), make_person(deployment)
    session = asta.log_in()
    asta.log_in(service="e-resources")
    page = asta.ask("my-loans", session)
    stranger.log_in("bo")
    for link in ("", "/on?scope=all", "/on?scope=none", "/on?back=1", "/on?without=_x"):
        told = stranger.get(page.request.path + link)
        assert (mark(told), told.status_code) == (("error", "other_browser"), 403)
    assert read_participant_states(asta.get(page.request.path))["Elektroniske ressourcer"] == "open"
    assert asta.get("/logout/" + "0" * 32).status_code == 410


@pytest.mark.attack(29)
def test_only_the_asked_service_can_answer(deployment: Deployment) -> None:
    """Only the service that was asked can answer: forged, misdirected and repeated LogoutResponses are refused."""
    asta = make_person(deployment)
    session = asta.log_in()
    asta.log_in(service="e-resources")
    page = asta.ask("my-loans", session)
    asked = asta.press(page, "scope=services").location
    other = deployment.site("myprint").entity_id
    own = asta.answer_url(asked)
    forged = [
        own.partition("&SigAlg=")[0],
        asta.answer_url(asked, key=deployment.hub_key()),
        asta.answer_url(asked, issuer=other),
        http_bindings.build_redirect_url(
            deployment.peer.slo,
            "SAMLResponse",
            logout_messages.response(
                deployment.site("e-resources").entity_id, deployment.peer.slo, asta.read(asked).id[:-1] + "x"
            ),
            None,
            asta.key,
        ),
    ]
    for each in forged:
        assert mark(asta.get(each)) == ("error", "logout_refused")
        assert read_participant_states(asta.get(page.request.path))["Elektroniske ressourcer"] == "asked"
    gone = logout_messages.response(deployment.site("e-resources").entity_id, deployment.peer.slo, "_" + "0" * 64)
    url = http_bindings.build_redirect_url(deployment.peer.slo, "SAMLResponse", gone, None, asta.key)
    assert mark(asta.get(url)) == ("error", "logout_gone")
    assert asta.read(asta.follow(asta.get(own))).status == "Success"
    assert asta.get(own).status_code == 400  # already answered


@pytest.mark.attack(27, 29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_a_replayed_request_is_answered_at_the_service_only(deployment: Deployment) -> None:
    """A replayed LogoutRequest is answered at the service's registered address only. RelayState is not a redirect."""
    asta, stranger = make_person(deployment), make_person(deployment)
    slo = deployment.peer.slo
    written = logout_messages.request(deployment.site("my-loans").entity_id, slo, asta.log_in())
    url = http_bindings.build_redirect_url(slo, "SAMLRequest", written, "https://evil.example/", asta.key)
    for each in (asta, stranger, asta):
        answered = each.follow(each.get(url))
        message = each.read(answered)
        assert (redirect_target(answered), message.status, message.relay_state) == (
            "library/my-loans/slo",
            "Success",
            "https://evil.example/",
        )


@pytest.mark.attack(15, 29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
@pytest.mark.parametrize("by_index", [True, False])
def test_a_replayed_request_ends_no_new_session(deployment: Deployment, by_index: bool) -> None:
    """A replayed LogoutRequest does not end a session that began after it. The service gets PartialLogout."""
    asta, stranger = make_person(deployment), make_person(deployment)
    session = asta.log_in()
    request = asta.request("my-loans", session if by_index else replace(session, index=""))
    assert asta.read(asta.follow(asta.get(request))).status == "Success"
    asta.log_in()
    other = asta.log_in(service="e-resources")
    stranger.log_in("bo")
    for each in (stranger, asta):
        assert each.read(each.follow(each.get(request))).status == PARTIAL
    page = asta.ask("e-resources", other)
    assert read_participant_states(page)["Mine lån"] == "open"
    ended = asta.answer(asta.press(page, "scope=all"))
    assert asta.read(ended).status == "Success"
    assert asta.read(asta.follow(asta.get(request))).status == "Success"


@pytest.mark.attack(15, 29)
@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_a_late_request_ends_no_new_session(deployment: Deployment) -> None:
    """A LogoutRequest that arrives five minutes late does not end a newer session of the same NameID."""
    asta = make_person(deployment)
    session = asta.log_in()
    late = asta.request("my-loans", replace(session, index=""))
    deployment.clock.ahead = timedelta(minutes=5)
    asta.log_in()
    other = asta.log_in(service="e-resources")
    assert asta.read(asta.follow(asta.get(late))).status == PARTIAL
    assert read_participant_states(asta.ask("e-resources", other))["Mine lån"] == "open"


@pytest.mark.attack(29)
@pytest.mark.profile(34)
def test_a_second_request_is_answered_as_the_first(deployment: Deployment) -> None:
    """A repeated LogoutRequest gets the same answer as the first, as long as the university's session is open."""
    asta, stranger = make_person(deployment), make_person(deployment)
    session = asta.log_in()
    for _ in range(2):
        assert stranger.read(stranger.follow(stranger.get(asta.request("my-loans", session)))).status == PARTIAL
    page = asta.ask("my-loans", session)
    assert read_participant_states(page) == {"Universitetslogin (WAYF)": "open"}
    assert asta.read(asta.answer(asta.press(page, "scope=all"))).status == "Success"
    assert stranger.read(stranger.follow(stranger.get(asta.request("my-loans", session)))).status == "Success"


@pytest.mark.attack(29, 30)
def test_a_consent_page_ends_with_the_upstream_session(deployment: Deployment) -> None:
    """A consent page that opened during a logout is invalid as soon as the university's session has ended."""
    asta = make_person(deployment)
    asking = asta.ask("my-loans", asta.log_in())
    path, kept = keep_form(asta.page(service="e-resources"))
    assert asta.read(asta.answer(asta.press(asking, "scope=all"))).status == "Success"
    assert mark(asta.person.post(path, kept)) == ("error", "transaction_gone")


@pytest.mark.attack(29)
def test_a_login_during_a_logout_makes_it_partial(deployment: Deployment) -> None:
    """A login during the logout is not asked to end, so the logout is partial."""
    asta = make_person(deployment)
    asking = asta.ask("my-loans", asta.log_in())
    asta.log_in(service="e-resources")
    assert asta.read(asta.answer(asta.press(asking, "scope=all"))).status == PARTIAL


@pytest.mark.attack(29)
def test_a_posted_request_is_bound_to_the_first_browser(deployment: Deployment) -> None:
    """A cross-site POST has no cookie. The redirect after it binds the logout to the first browser that follows."""
    asta, stranger = make_person(deployment), make_person(deployment)
    session = asta.log_in()
    asta.log_in(service="e-resources")
    slo = deployment.peer.slo
    root = etree.fromstring(logout_messages.request(deployment.site("my-loans").entity_id, slo, session))
    signature.sign(root, asta.key)
    fields = http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", "its state")
    sent = deployment.app.test_client().post(
        "/saml/idp/slo", data=fields, base_url=asta.person.base, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert sent.status_code == 303
    assert read_participant_states(asta.get(sent.location))["Elektroniske ressourcer"] == "open"
    stranger.log_in("bo")
    assert stranger.get(sent.location).status_code == 403
