"""What may be tried with a service's AuthnRequest (docs/reference/attacks.md#24 to #27)."""

from typing import Any

import pytest

from broker.adapters.saml.idp.authn_requests import LIMITS, REQUEST_CHECKS
from broker.core.errors import MessageRefused, RequestRefused, Status
from broker.core.login.transaction import AuthnRequest
from tests.attacks.messages.defences import REQUEST, mark_by_check
from tests.attacks.messages.hostile_requests import ACS, ACS_VARIANTS, HOSTILE, REFUSED
from tests.plugins.saml_parties import LOANS, NOW, OPEN, Change, Parties, edit


def cause(parties: Parties, query: str, **more: Any) -> str:
    """Give why a request is refused with a page of ours."""
    with pytest.raises(MessageRefused) as caught:
        parties.idp.read_redirect(query, more.get("now", NOW))
    return caught.value.cause.removeprefix("request.")


def sent(parties: Parties, name: str) -> str:
    """Give the query of a hostile request; all but the unsigned one are signed by the service itself."""
    key = None if name == "unsigned" else parties.service.key
    return parties.query(parties.authn_request(HOSTILE[name]), key=key)


def test_every_check_has_its_request() -> None:
    """No check stands in a table without a request that only it refuses."""
    assert set(REQUEST_CHECKS) == set(HOSTILE)
    assert set(LIMITS) == {name for name, _, _ in REFUSED} | {"relay_state"}


@pytest.mark.parametrize("name", mark_by_check(HOSTILE, REQUEST))
def test_a_request_wrong_in_one_thing_is_refused_for_it(parties: Parties, name: str) -> None:
    """Nobody is answered: the person sees a page of ours."""
    assert cause(parties, sent(parties, name)) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_else_would_have_refused_it(parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With that one check taken out the request is read, so each check is needed."""
    monkeypatch.setitem(REQUEST_CHECKS, name, lambda _: False)
    assert parties.idp.read_redirect(sent(parties, name), NOW).service == "my-loans"


@pytest.mark.attack(26)
@pytest.mark.parametrize(("name", "change", "status"), REFUSED)
@pytest.mark.profile(33, 35, 40, 42)
def test_what_cannot_be_served_is_told_the_service(
    parties: Parties, name: str, change: Change, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status goes back to the registered ACS, the request being in the error; without the limit it is read."""
    with pytest.raises(RequestRefused) as caught:
        parties.ask(change)
    request = caught.value.request
    assert caught.value.refusal == status
    assert isinstance(request, AuthnRequest)
    assert (request.acs, request.relay_state) == (f"{LOANS}/acs", "state/1")
    monkeypatch.setitem(LIMITS, name, lambda _: None)
    assert parties.ask(change).id == "_s1"


@pytest.mark.attack(25)
@pytest.mark.parametrize("url", ACS_VARIANTS)
@pytest.mark.profile(25)
def test_only_a_registered_acs_is_answered(parties: Parties, url: str) -> None:
    """Prefix, case, port, user, scheme, another service's: an address is the same only if it is written the same."""
    query = parties.query(parties.authn_request(edit(".", **{ACS: url})), key=parties.service.key)
    assert cause(parties, query) == "acs"


@pytest.mark.attack(25)
@pytest.mark.parametrize("index", ["0", "3", "65535"])
@pytest.mark.profile(25)
def test_only_a_registered_index_is_answered(parties: Parties, index: str) -> None:
    """An index that metadata does not have names nothing, not the default."""
    change = edit(".", **{ACS: None, "AssertionConsumerServiceIndex": index})
    query = parties.query(parties.authn_request(change, service=OPEN), key=None)
    assert cause(parties, query) == "acs"
