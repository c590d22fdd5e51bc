"""Single logout through the browser, at a whole broker: who is asked, in which order, and what is answered."""

import pytest

from tests.plugins.deployment import Deployment, mark
from tests.plugins.logout_client import LogoutClient, read_participant_states, redirect_target

LEFT_ALONE = {"BROKER_UPSTREAMS__WAYF__LOGOUT": "never"}


@pytest.fixture
def leaver(deployment: Deployment) -> LogoutClient:
    """Return a person with a browser of their own."""
    return LogoutClient(deployment, deployment.person())


@pytest.mark.parametrize("environment", [LEFT_ALONE])
def test_a_service_without_others_is_answered_at_once(leaver: LogoutClient) -> None:
    """One service, an upstream that is left alone: straight back with Success and the service's RelayState."""
    answered = leaver.ask("my-loans", leaver.log_in())
    assert redirect_target(answered) == "library/my-loans/slo"
    message = leaver.read(answered)
    assert (message.status, message.relay_state) == ("Success", "its state")


@pytest.mark.profile(23, 34)
def test_the_upstream_is_asked_if_the_person_wants(leaver: LogoutClient) -> None:
    """The page offers the university's logout; its LogoutRequest names the NameID and SessionIndex as received."""
    page = leaver.ask("my-loans", leaver.log_in())
    assert mark(page) == ("logout", "ask")
    away = leaver.press(page, "scope=all")
    assert redirect_target(away) == "hub/slo"
    asked = leaver.read(away)
    assert (asked.name_id, asked.indexes) == (leaver.hub[0].name_id, (leaver.hub[0].index,))
    back = leaver.answer(away)
    assert (redirect_target(back), leaver.read(back).status) == ("library/my-loans/slo", "Success")


@pytest.mark.profile(34)
def test_every_service_is_asked_one_after_another(leaver: LogoutClient) -> None:
    """Each other service of the session gets its own NameID and SessionIndex, then the upstream, then the answer."""
    first, second = leaver.log_in(), leaver.log_in(service="e-resources")
    page = leaver.ask("my-loans", first)
    assert read_participant_states(page) == {"Elektroniske ressourcer": "open", "Universitetslogin (WAYF)": "open"}
    asked = leaver.press(page, "scope=all")
    assert redirect_target(asked) == "library/e-resources/slo"
    assert (leaver.read(asked).name_id, leaver.read(asked).indexes) == (second.name_id, (second.index,))
    asked = leaver.answer(asked)
    assert redirect_target(asked) == "hub/slo"
    assert leaver.read(leaver.answer(asked)).status == "Success"
