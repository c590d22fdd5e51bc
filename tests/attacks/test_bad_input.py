"""An upstream that is silent, late, wrong in its clock or odd in its status leads to a page and never to an account."""

import json
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.saml.xml_security.xml_names import SAMLP
from broker.core.errors import MessageRefused
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import wayf_hub
from tests.plugins.deployment import Deployment, form, forms, mark
from tests.plugins.saml_parties import NOW, Parties, edit, stamp

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(each) for each in capsys.readouterr().out.splitlines()]


@pytest.mark.attack(19)
def test_a_clock_error_of_170_seconds_passes_and_200_is_logged(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clock that differs by 170 s is accepted.

    At 200 s the person gets a page and the log has upstream and difference.
    """
    for off, passes in ((170, True), (-170, True), (200, False), (-200, False)):
        person = deployment.person()
        asked = person.choose(person.ask())
        deployment.clock.ahead += timedelta(seconds=off)
        sent = deployment.answer(asked, "asta")
        deployment.clock.ahead -= timedelta(seconds=off)
        _lines(capsys)
        arrived = person.deliver(*sent)
        if passes:
            assert mark(person.get(arrived.location))[0] == "ask"
            continue
        assert (arrived.status_code, mark(arrived)) == (400, ("error", "message_refused"))
        (line,) = _lines(capsys)
        assert (line["event"], line["upstream"]) == ("refused", "wayf")
        assert abs(line["clock_off_seconds"] - off) < 30  # a busy machine adds some seconds
        assert isinstance(line["clock_off_seconds"], int)


@pytest.mark.attack(19)
@pytest.mark.parametrize(
    ("path", "seconds", "told"),
    [(".", 200, 200), (".", -200, -200), ("saml:Assertion", 3600, 3600), ("saml:Assertion", -181, -181)],
)
def test_a_wrong_clock_differs_from_a_late_message(parties: Parties, path: str, seconds: int, told: int) -> None:
    """A time before the request or in the future shows a wrong clock.

    A message that is only old shows no clock error.
    """
    wrong = edit(path, IssueInstant=stamp(NOW + timedelta(seconds=seconds)))
    with pytest.raises(MessageRefused) as refused:
        parties.receive(parties.sign_response(parties.response(wrong), both=True))
    assert refused.value.clock_off == told
    with pytest.raises(MessageRefused) as late:
        parties.receive(parties.sign_response(parties.response()), now=NOW + timedelta(minutes=20))
    assert late.value.clock_off is None


@pytest.mark.attack(26)
def test_a_services_clock_error_is_reported(parties: Parties) -> None:
    """A request from the future reports the clock difference. An old one may be a bookmark, so it reports none."""
    for now, told in ((NOW - timedelta(seconds=200), 200), (NOW + timedelta(hours=1), None)):
        with pytest.raises(MessageRefused) as refused:
            parties.ask(now=now)
        assert refused.value.clock_off == told


def test_a_person_back_from_a_silent_upstream_may_choose_again(deployment: Deployment) -> None:
    """Returning from an upstream that sent nothing shows the chooser again.

    After half an hour the login has expired.
    """
    person = deployment.person()
    page = person.ask()
    person.choose(page)
    again = person.get(page.request.path)
    assert mark(again)[0] == "choose"
    assert mark(person.return_from_hub(person.choose(again), "asta"))[0] == "ask"
    deployment.clock.ahead += timedelta(minutes=31)
    over = person.get(page.request.path)
    assert (over.status_code, mark(over)) == (410, ("error", "transaction_gone"))


@pytest.mark.attack(15, 16)
def test_a_late_or_second_response_shows_an_error_page(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second Response to one request, and a Response to an expired login, change nothing and show a page."""
    person = deployment.person()
    asked = person.choose(person.ask())
    page = person.return_from_hub(asked, "asta")
    _lines(capsys)
    second = person.deliver_answer(asked, "bo")
    assert (second.status_code, mark(second)) == (410, ("error", "transaction_gone"))
    assert mark(person.get(page.request.path))[0] == "ask"
    other = deployment.person()
    later = other.choose(other.ask())
    deployment.clock.ahead += timedelta(minutes=31)
    late = other.deliver_answer(later, "asta")
    assert (late.status_code, mark(late)) == (410, ("error", "transaction_gone"))
    assert {line["cause"] for line in _lines(capsys) if line["event"] == "refused"} == {
        "not an outstanding request of this upstream",
        "no such transaction",
    }


def _odd(deployment: Deployment, asked_url: str, *codes: str) -> tuple[str, dict[str, str]]:
    """Return an unsigned error Response of the hub. The first status code is the top-level one, as samlp sends it."""
    asked = wayf_hub.read(asked_url.partition("?")[2])
    root = etree.fromstring(wayf_hub.response(HUB, asked, None, deployment.hub_key(), deployment.clock.now()))
    for each in list(root):
        if "Signature" in str(each.tag):
            root.remove(each)
    status: Any = root.find(f"{{{SAMLP}}}Status")
    for each in list(status):
        status.remove(each)
    for code in codes:
        status = etree.SubElement(status, f"{{{SAMLP}}}StatusCode", Value=code)
    return asked.acs, http_bindings.build_post_fields(etree.tostring(root), "SAMLResponse", None)


@pytest.mark.parametrize(
    ("codes", "second"),
    [
        ((STATUS + "NoPassive",), "NoPassive"),
        ((STATUS + "AuthnFailed",), "AuthnFailed"),
        ((STATUS + "Responder", "urn:example:own"), "AuthnFailed"),
        (("urn:example:own",), "AuthnFailed"),
        ((STATUS + "Requester", STATUS + "Success"), "AuthnFailed"),
    ],
)
def test_an_odd_status_is_normalised(shared_deployment: Deployment, codes: tuple[str, ...], second: str) -> None:
    """Some upstreams (samlp) send the detail as top-level code. The service receives codes of the SAML standard."""
    person = shared_deployment.person()
    arrived = person.deliver(*_odd(shared_deployment, person.choose(person.ask()), *codes))
    assert arrived.status_code == 303
    page = person.get(arrived.location)
    assert mark(page)[0] == "refuse"
    fields = next(fields for _, fields in forms(page) if "SAMLResponse" in fields)
    answer = etree.fromstring(http_bindings.decode_post(fields["SAMLResponse"]))
    told = [str(each.get("Value")) for each in answer.iter(f"{{{SAMLP}}}StatusCode")]
    assert told[0] in {STATUS + "Responder", STATUS + "Requester"}
    assert told[1:] == [STATUS + second]


def test_no_passive_is_the_second_level_code(shared_deployment: Deployment) -> None:
    """A passive request that needs the person's answer gets NoPassive as second-level code, as portals expect."""
    page = shared_deployment.person().ask(passive=True)
    answer = etree.fromstring(http_bindings.decode_post(form(page)[1]["SAMLResponse"]))
    told = [each.get("Value") for each in answer.iter(f"{{{SAMLP}}}StatusCode")]
    assert told == [STATUS + "Responder", STATUS + "NoPassive"]
