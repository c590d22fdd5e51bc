"""Attack: an AuthnRequest with one error. Each check refuses its own request (docs/reference/attacks.md#24 to #27)."""

import pytest

from broker.adapters.saml.idp.authn_requests import ANSWERED_CHECKS, UNANSWERABLE_CHECKS
from broker.core.errors import RequestRefused, Status
from broker.core.login.transaction import AuthnRequest
from tests.attacks.messages.defences import REQUEST, mark_by_check
from tests.attacks.messages.hostile_requests import ACS, ACS_VARIANTS, HOSTILE, REFUSED
from tests.attacks.test_request_trust import cause
from tests.plugins.saml_parties import LOANS, NOW, OPEN, Change, Parties, edit


def make_query(parties: Parties, name: str) -> str:
    """Return the query of a hostile request. All except "unsigned" are signed by the service itself."""
    key = None if name == "unsigned" else parties.service.key
    return parties.query(parties.authn_request(HOSTILE[name]), key=key)


def test_every_check_has_its_request() -> None:
    """Each check in the tables has a request that only this check refuses."""
    assert set(UNANSWERABLE_CHECKS) == set(HOSTILE)
    assert set(ANSWERED_CHECKS) == {name for name, _, _ in REFUSED}


@pytest.mark.parametrize("name", mark_by_check(HOSTILE, REQUEST))
def test_a_request_wrong_in_one_thing_is_refused_for_it(parties: Parties, name: str) -> None:
    """The request is refused for its error with an error page, and no Response is sent."""
    assert cause(parties, make_query(parties, name)) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_the_message_is_accepted_without_the_check(
    parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its check the request is accepted, which shows that the check is needed."""
    monkeypatch.setitem(UNANSWERABLE_CHECKS, name, lambda _: False)
    assert parties.idp.read_redirect(make_query(parties, name), NOW).service == "my-loans"


@pytest.mark.attack(26)
@pytest.mark.parametrize(("name", "change", "status"), REFUSED)
@pytest.mark.profile(33, 35, 40, 42)
def test_an_unsupported_request_is_answered_with_a_status(
    parties: Parties, name: str, change: Change, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unsupported request gets an error status at the registered ACS. Without the limit it is accepted."""
    with pytest.raises(RequestRefused) as caught:
        parties.ask(change)
    request = caught.value.request
    assert caught.value.refusal == status
    assert isinstance(request, AuthnRequest)
    assert (request.acs, request.relay_state) == (f"{LOANS}/acs", "state/1")
    monkeypatch.setitem(ANSWERED_CHECKS, name, lambda _: None)
    assert parties.ask(change).id == "_s1"


@pytest.mark.attack(25)
@pytest.mark.parametrize("url", ACS_VARIANTS)
@pytest.mark.profile(25)
def test_only_a_registered_acs_is_answered(parties: Parties, url: str) -> None:
    """Open redirect: only an ACS URL that equals a registered one in every character is used."""
    query = parties.query(parties.authn_request(edit(".", **{ACS: url})), key=parties.service.key)
    assert cause(parties, query) == "acs"


@pytest.mark.attack(25)
@pytest.mark.parametrize("index", ["0", "3", "65535"])
@pytest.mark.profile(25)
def test_only_a_registered_index_is_answered(parties: Parties, index: str) -> None:
    """An ACS index that is not in the metadata is refused and does not fall back to the default."""
    change = edit(".", **{ACS: None, "AssertionConsumerServiceIndex": index})
    query = parties.query(parties.authn_request(change, service=OPEN), key=None)
    assert cause(parties, query) == "acs"
