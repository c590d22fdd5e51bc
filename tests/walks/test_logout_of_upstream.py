"""A logout that begins at the upstream, which keeps one session for us and names it by what it asserted last."""

import pytest

from tests.plugins.house import House, mark
from tests.plugins.leaving import Leaver, rows


@pytest.fixture
def leaver(house: House) -> Leaver:
    """Give a person with a browser of their own."""
    return Leaver(house, house.person())


def test_every_service_that_its_session_gave_is_ended(leaver: Leaver) -> None:
    """The NameID is transient and another for each login, and the LogoutRequest names the last: the person counts."""
    leaver.log_in()
    leaver.log_in(service="e-resources")
    page = leaver.follow(leaver.get(leaver.hub_request(leaver.hub[-1])))
    assert rows(page) == {"Mine lån": "open", "Elektroniske ressourcer": "open"}


def test_another_person_of_the_browser_stays(leaver: Leaver) -> None:
    """On a computer that two people use after each other, only the one whom the upstream names is asked about."""
    leaver.log_in("bo")
    leaver.log_in(service="e-resources")
    page = leaver.follow(leaver.get(leaver.hub_request(leaver.hub[-1])))
    assert rows(page) == {"Elektroniske ressourcer": "open"}


def test_another_upstreams_login_stays(leaver: Leaver) -> None:
    """What the same person is about to log in to by the national eID is not the university's to end."""
    leaver.log_in("bo", "e-resources")
    ended = leaver.hub[-1]
    page = leaver.page("bo-nemid", way="nemid")
    assert rows(leaver.follow(leaver.get(leaver.hub_request(ended)))) == {"Elektroniske ressourcer": "open"}
    assert mark(leaver.person.agree(page))[0] == "issue"


def test_what_waits_for_consent_is_over_too(leaver: Leaver) -> None:
    """A page that was left open before, authenticated by an earlier assertion, delivers nothing after the logout."""
    left_open = leaver.page()
    leaver.log_in(service="e-resources")
    leaver.follow(leaver.get(leaver.hub_request(leaver.hub[-1])))
    assert mark(leaver.person.agree(left_open))[0] in {"error", "refuse"}
