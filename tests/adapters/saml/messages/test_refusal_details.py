"""The log explains why an AuthnRequest was refused, and quotes nothing of it."""

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings
from broker.core.errors import UNSUPPORTED_BINDING, MessageRefused, RequestRefused
from broker.core.login.transaction import AuthnRequest
from tests.plugins.saml_parties import NOW, PRINT, SSO, Change, Parties, edit


def test_of_a_destination_the_log_says_in_what_it_differs(parties: Parties) -> None:
    """A slash too many, another case, scheme, host or path; the address that was written is nowhere."""
    table = {
        SSO + "/": "an extra slash at its end",
        SSO.upper(): "upper and lower case",
        f" {SSO}": "the spaces around it",
        SSO.replace("https", "http"): "http for https, or https for http",
        SSO.replace("broker", "evil"): "host or port",
        SSO + "/x": "the path",
        SSO + "?x": "the query",
        "https://a℀b.example/": "every part: it is no address",
    }
    for written, difference in table.items():
        refused = refusal(parties, edit(".", Destination=written))
        assert refused.cause == "request.destination"
        assert refused.detail == f"the Destination differs from {SSO} in {difference}"
    assert "must have a Destination" in refusal(parties, edit(".", Destination=None)).detail


def refusal(parties: Parties, change: Change) -> MessageRefused:
    """Return the refusal of a request that is answered with our error page."""
    with pytest.raises(MessageRefused) as caught:
        parties.ask(change)
    return caught.value


BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:"


def test_an_answer_by_redirect_is_refused_by_the_standards_status(parties: Parties) -> None:
    """UnsupportedBinding goes to the registered ACS, by HTTP-POST."""
    with pytest.raises(RequestRefused) as caught:
        parties.ask(edit(".", ProtocolBinding=BINDING + "HTTP-Redirect"))
    assert caught.value.refusal == UNSUPPORTED_BINDING
    assert isinstance(caught.value.request, AuthnRequest)


@pytest.mark.parametrize("letters", [1_100, 2_000])
def test_a_deep_link_comes_back_to_the_letter(parties: Parties, letters: int) -> None:
    """RelayState of up to 2,000 octets is stored and given back; mellon's is the whole address that was opened."""
    link = "https://my-loans.example/search?q=" + "æ" * 500
    link += "x" * (letters - len(link.encode()))
    root = parties.authn_request()
    asked = parties.idp.read_redirect(parties.query(root, key=parties.service.key, relay_state=link), NOW)
    form = parties.idp.respond(asked, parties.disclosure(), parties.authentication(), parties.make_ids())
    assert form.fields["RelayState"] == link


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_longer_relay_state_is_refused(parties: Parties, binding: str) -> None:
    """RelayState is stored with the login of any visitor, so it has a bound."""
    root, state = parties.authn_request(service=PRINT), "x" * 2_001
    fields = {**http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", None), "RelayState": state}
    query = parties.query(root, key=None, relay_state=None) + f"&RelayState={state}"
    reading = {
        "post": lambda: parties.idp.read_post([*fields.items()], NOW),
        "redirect": lambda: parties.idp.read_redirect(query, NOW),
    }
    with pytest.raises(MessageRefused) as caught:
        reading[binding]()
    assert str(caught.value).startswith("xml.relay_state")
