"""Logouts that are interrupted: which parties a later logout asks, and where the broker's page leads."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.plugins.deployment import Deployment, mark
from tests.plugins.eid_deployment import log_in, restart_with
from tests.plugins.logout_client import PARTIAL, LogoutClient, read_participant_states

LEFT_ALONE: Final = {"BROKER_UPSTREAMS__WAYF__LOGOUT": "never"}
ALONE: Final = pytest.mark.parametrize("environment", [LEFT_ALONE])
STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"
OTHER: Final = "Elektroniske ressourcer"


@pytest.fixture
def leaver(deployment: Deployment) -> LogoutClient:
    """Return a person with a browser of their own."""
    return LogoutClient(deployment, deployment.person())


def start_two_logouts(leaver: LogoutClient) -> tuple[str, str]:
    """Log in at two services, log out of one and everywhere; give the page and the address that asks the other."""
    first = leaver.log_in()
    leaver.log_in(service="e-resources")
    page = leaver.ask("my-loans", first)
    return page.request.path, str(leaver.press(page, "scope=all").location)


def goes_on(leaver: LogoutClient, page: str, asked: str) -> None:
    """Go on without an answer."""
    del asked
    leaver.press(leaver.get(page), "without=")


def fails(leaver: LogoutClient, page: str, asked: str) -> None:
    """Answer that it could not."""
    del page
    leaver.follow(leaver.get(leaver.answer_url(asked, (STATUS + "Responder",))))


def knows_nobody(leaver: LogoutClient, page: str, asked: str) -> None:
    """Answer that nobody of that name is logged in."""
    del page
    leaver.follow(leaver.get(leaver.answer_url(asked, (STATUS + "Requester", STATUS + "UnknownPrincipal"))))


@pytest.mark.profile(34)
@ALONE
@pytest.mark.parametrize(("ends", "state"), [(goes_on, "silent"), (fails, "failed"), (knows_nobody, "failed")])
def test_an_unfinished_logout_is_repeated_by_the_next_one(
    leaver: LogoutClient, ends: Callable[[LogoutClient, str, str], None], state: str
) -> None:
    """A service that may still be logged in is asked by a later one too, also where it says that it knows nobody."""
    page, asked = start_two_logouts(leaver)
    ends(leaver, page, asked)
    told = leaver.get(page)
    assert (mark(told), read_participant_states(told)[OTHER]) == (("logout", "remains"), state)
    assert leaver.read(leaver.press(told, "back=")).status == PARTIAL
    assert read_participant_states(leaver.ask("my-loans", leaver.log_in()))[OTHER] == "open"


@ALONE
def test_a_message_that_is_not_believed_is_no_login(leaver: LogoutClient) -> None:
    """A person who is still logged in reads that, not that a login has failed."""
    page = leaver.get(leaver.request("my-loans", leaver.log_in(), key=leaver.deployment.hub_key()))
    assert mark(page) == ("error", "logout_refused")
    assert page.status_code == 400
    assert "Log ud af hver tjeneste" in page.get_data(as_text=True)


@pytest.mark.attack(29)
def test_a_name_goes_to_nobody_but_who_gave_it(deployment: Deployment) -> None:
    """After a switch of the national eID's route, the new identity provider does not learn the old one's NameID."""
    nemlogin = restart_with(deployment)
    person, page = log_in(nemlogin, "eva")
    session = LogoutClient(nemlogin, person).read_session(person.agree(page))
    leaver = LogoutClient(deployment, deployment.person())
    leaver.person.client._cookies = person.client._cookies
    assert list(read_participant_states(leaver.ask("my-loans", session)).values()) == ["unreachable"]
