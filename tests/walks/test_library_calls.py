"""How often a login asks the library system."""

from tests.plugins.deployment import Deployment


def test_a_first_login_asks_at_most_eight_times_until_the_account_stands(deployment: Deployment) -> None:
    """Look at login and in the worker, look for duplicates, create, count; a look by number is two calls."""
    person = deployment.person()
    before = len(deployment.borrower_calls())
    number = deployment.landing(person.agree(person.log_in("asta"))).attributes["uid"][0]
    deployment.wait_until_idle()
    calls = deployment.borrower_calls()[before:]
    assert number
    assert len(calls) <= 8
    assert sum(line.startswith("POST ") for line in calls) == 1
    assert calls[-1].startswith("GET ")  # after the create the matches are counted
