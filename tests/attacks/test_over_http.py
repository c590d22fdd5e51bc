"""Sends every hostile message to the real endpoints.

The message gets an error page and one log line, and has no other effect.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from lxml import etree
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.saml.xml_security.xml_names import ASSERTION as ASSERTED
from broker.adapters.saml.xml_security.xml_names import ENCRYPTED_ASSERTION, SAMLP
from tests.attacks.messages.defences import ASSERTION, LIMITS, REQUEST, RESPONSE
from tests.attacks.messages.hostile_requests import ACS, ACS_VARIANTS, REFUSED
from tests.attacks.messages.hostile_requests import HOSTILE as REQUESTS
from tests.attacks.messages.hostile_responses import HOSTILE, VARIANTS, Hostile
from tests.attacks.messages.known_messages import ATTACKS
from tests.attacks.messages.signed_tricks import TRICKS
from tests.attacks.messages.wrapping import list_wrappings
from tests.plugins.deployment import form, mark
from tests.plugins.saml_deployment import SamlDeployment
from tests.plugins.saml_messages import Forge
from tests.plugins.saml_parties import BASE, LOANS, Parties, edit

ECHOES: Final = (b"chief@au.dk", b"au1@au.dk", b"Asta Ravn", b"<script>", b"evil.example", b"urn:e")


GONE: Final = {"no such transaction", "not an outstanding request of this upstream"}


KNOWN: Final = {**RESPONSE, **ASSERTION}
Make = Callable[[Parties, Forge], bytes]


@pytest.fixture(autouse=True)
def _every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log one line for each refusal: the usual limit per minute would drop some."""
    for limit in ("MOST_A_MINUTE", "MOST_OF_A_NETWORK"):
        monkeypatch.setattr(f"broker.adapters.observability.log_budget.{limit}", 10**6)


@dataclass(frozen=True)
class Sent:
    """A hostile Response: its class, its maker, and the start of the login that it answers."""

    name: str
    number: int
    make: Make
    cause: str
    upstream: str = "wayf"
    asked: tuple[tuple[str, Any], ...] = ()


def _trick(make: Callable[[Parties], bytes]) -> Make:
    return lambda parties, _forge: make(parties)


def _make_known(make: Callable[[Forge], bytes]) -> Make:
    return lambda _parties, forge: make(forge)


def _rows() -> Iterator[Sent]:
    for name, (make, cause) in TRICKS.items():
        yield Sent(name, int(name.split()[0]), _trick(make), cause)
    for how in list_wrappings():
        yield Sent(str(how), 1, _trick(how.octets), "xml.")
    for name, row in HOSTILE.items():
        more = tuple(each for each in row.more if each[0] != "expected")
        asked = "nemid" if name == "other_upstream" else row.upstream
        gone = name in {"other_upstream", "in_response_to"}  # an earlier check refuses it
        cause = "no" if gone else f"response.{name}"
        yield Sent(name, KNOWN[name], _trick(row.octets), cause, row.upstream, (*more, ("upstream", asked)))
    for name, change in VARIANTS:
        yield Sent(f"{name} again", KNOWN[name], _trick(Hostile(change).octets), "response.")
    for name, (known, cause) in ATTACKS.items():
        yield Sent(name, int(name.split()[0]), _make_known(known), f"xml.{cause}")


ROWS: Final = list(_rows())


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the log lines since the last call."""
    return [json.loads(each) for each in capsys.readouterr().out.splitlines()]


def check_refusal(response: TestResponse, logged: list[dict[str, Any]]) -> str:
    """Check the page and the log line of a refusal, and return its cause."""
    assert response.status_code in {400, 410}, response.status
    assert response.location is None
    assert not response.headers.getlist("Set-Cookie")
    assert mark(response)[0] == "error"
    (line,) = logged
    assert line["event"] == "refused"
    assert line["reference"].encode() in response.get_data()
    written = response.get_data() + json.dumps(line).encode()
    assert [each for each in ECHOES if each in written] == []
    return str(line["cause"])


def _send(saml_deployment: SamlDeployment, forge: Forge, row: Sent, capsys: pytest.CaptureFixture[str]) -> None:
    begun = saml_deployment.begin_login(**dict(row.asked))
    lines(capsys)
    response = saml_deployment.post(row.make(saml_deployment.parties, forge), row.upstream)
    cause = check_refusal(response, lines(capsys))
    # These messages pass XML security but answer no request, or are refused before XML security.
    known = row.name in ATTACKS and (cause in GONE or cause.startswith("xml."))
    assert known or cause.startswith(row.cause), cause
    assert saml_deployment.transaction(begun.id) in {begun, begun.drop_request(saml_deployment.parties.asked["id"])}


@pytest.mark.parametrize("number", sorted({row.number for row in ROWS}))
def test_a_hostile_response_has_no_effect(
    saml_deployment: SamlDeployment, forge: Forge, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hostile Response causes no 5xx, redirect or cookie.

    It logs cause and reference, and at most uses up the request.
    """
    amiss = []
    for row in (each for each in ROWS if each.number == number):
        try:
            _send(saml_deployment, forge, row, capsys)
        except AssertionError as error:
            amiss.append(f"{row.name}: {error}")
    assert not amiss, "\n".join(amiss)


@pytest.mark.attack(1, 5, 23, control=True)
@pytest.mark.parametrize("how", ["assertion", "Response", "both", "encrypted"])
def test_the_genuine_response_succeeds(saml_deployment: SamlDeployment, how: str) -> None:
    """Control: the genuine Response continues the login."""
    begun = saml_deployment.begin_login()
    root = saml_deployment.parties.response(edit("saml:Assertion", ID=f"_{how}"))
    ways: dict[str, dict[str, Any]] = {"assertion": {}, "Response": {"whole": True}, "both": {"both": True}}
    guests = saml_deployment.parties
    raw = (
        etree.tostring(guests.encrypt_response(root)) if how == "encrypted" else guests.sign_response(root, **ways[how])
    )
    response = saml_deployment.post(raw)
    assert response.status_code == 303
    assert response.location.startswith(f"{BASE}/login/{begun.id}?arrival=")


def _requests(saml_deployment: SamlDeployment) -> Iterator[tuple[str, str, Any]]:
    for name, change in REQUESTS.items():
        yield name, f"request.{name}", change
    for url in ACS_VARIANTS:
        yield url, "request.acs", edit(".", **{ACS: url})
    assert saml_deployment


@pytest.mark.parametrize("binding", ["Redirect", "POST"])
def test_a_hostile_request_starts_no_login(
    saml_deployment: SamlDeployment, binding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hostile AuthnRequest gets an error page by either binding, and no redirect."""
    guests = saml_deployment.parties
    for name, cause, change in _requests(saml_deployment):
        root = guests.authn_request(change)
        key = None if name == "unsigned" else guests.service.key
        lines(capsys)
        response = (
            saml_deployment.ask(guests.query(root, key=key))
            if binding == "Redirect"
            else saml_deployment.ask_by_post(root, key)
        )
        assert check_refusal(response, lines(capsys)) == cause, name
    assert {*REQUESTS} == {*REQUEST}


def test_an_unsupported_request_is_answered_at_the_registered_acs(
    saml_deployment: SamlDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """A genuine request that cannot be served gets an error status at the registered ACS, without an assertion."""
    assert {name for name, _, _ in REFUSED} == {*LIMITS}
    for name, change, status in REFUSED:
        lines(capsys)
        root = saml_deployment.parties.authn_request(change)
        response = saml_deployment.ask(saml_deployment.parties.query(root, key=saml_deployment.parties.service.key))
        action, fields = form(response)
        answer = etree.fromstring(http_bindings.decode_post(fields["SAMLResponse"]))
        codes = [each.get("Value") for each in answer.iter(f"{{{SAMLP}}}StatusCode")]
        assert (response.status_code, action, fields["RelayState"]) == (200, f"{LOANS}/acs", "state/1"), name
        assert codes == [status.top, status.second]
        assert not [*answer.iter(ASSERTED, ENCRYPTED_ASSERTION)]
        (line,) = lines(capsys)
        assert (line["event"], line["cause"]) == ("request_refused", f"request.{name}")


@pytest.mark.attack(24, 26, control=True)
@pytest.mark.parametrize("binding", ["Redirect", "POST"])
def test_a_genuine_request_starts_a_login(saml_deployment: SamlDeployment, binding: str) -> None:
    """Control: a genuine request starts a login."""
    root, key = saml_deployment.parties.authn_request(), saml_deployment.parties.service.key
    response = (
        saml_deployment.ask(saml_deployment.parties.query(root, key=key))
        if binding == "Redirect"
        else saml_deployment.ask_by_post(root, key)
    )
    assert (response.status_code, response.location[: len(BASE) + 7]) == (303, f"{BASE}/login/")


def test_a_replayed_response_is_refused(saml_deployment: SamlDeployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Replay: the same assertion is refused again, in a new Response, and as answer to another request.

    Source: docs/reference/attacks.md#15.
    """
    begun = saml_deployment.begin_login()
    raw = saml_deployment.parties.sign_response(saml_deployment.parties.response(edit("saml:Assertion", ID="_twice")))
    assert saml_deployment.post(raw).status_code == 303
    kept = saml_deployment.transaction(begun.id)
    envelope = etree.fromstring(raw)
    envelope.set("ID", "_another")
    lines(capsys)
    for again in (raw, etree.tostring(envelope)):
        assert check_refusal(saml_deployment.post(again), lines(capsys)) == "response.replayed"
    later = saml_deployment.begin_login()
    envelope.set("InResponseTo", saml_deployment.parties.asked["id"])
    lines(capsys)
    assert check_refusal(saml_deployment.post(etree.tostring(envelope)), lines(capsys)) == "response.confirms_request"
    assert saml_deployment.transaction(begun.id) == kept
    assert saml_deployment.transaction(later.id) == later.drop_request(saml_deployment.parties.asked["id"])


@pytest.mark.attack(23)
def test_the_page_does_not_reveal_the_cause(
    saml_deployment: SamlDeployment, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oracle: all causes of a failed decryption show the same page. Only the log tells them apart."""
    pages, causes = set(), set()
    for row in (each for each in ROWS if each.number in {5, 17, 19, 23} and each.upstream in {"wayf", "eid"}):
        saml_deployment.begin_login(**{"upstream": row.upstream, **dict(row.asked)})
        lines(capsys)
        response = saml_deployment.post(row.make(saml_deployment.parties, forge), row.upstream)
        (line,) = lines(capsys)
        if line["reason"] == "message_refused":
            causes.add(line["cause"])
            own = response.get_data(as_text=True).replace(line["reference"], "REFERENCE")
            pages.add(re.sub(r"<time.*?</time>|\d\d[:.]\d\d", "", own))
    assert len(causes) > 20
    assert len(pages) == 1
