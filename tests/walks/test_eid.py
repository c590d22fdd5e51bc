"""NemLog-in log_in_directly: whole logins, and the same people before and after the route is switched in the configuration."""

from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from broker.demo.library.services import Landing
from broker.demo.people.personas import Persona, persona
from tests.attacks.test_persons import list_person_ids
from tests.plugins.deployment import Deployment, Person, change_persona, mark
from tests.plugins.eid_deployment import answer, log_in, restart_with

CPR = "schacPersonalUniqueID"
URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
OTHER = "1902681333"
Came = tuple[Person, TestResponse]
Route = Callable[[Deployment], Came]


def log_in_by_wayf(
    deployment: Deployment, who: Persona | str = "eva", service: str = "my-loans", way: str = "nemid"
) -> Came:
    """Log in by WAYF's hub."""
    person = deployment.person()
    return person, person.return_from_hub(person.choose(person.ask(service), way), who)


def log_in_directly(deployment: Deployment, who: Persona | str = "eva", service: str = "my-loans") -> Came:
    """Log in by NemLog-in itself."""
    return log_in(deployment, who, service)


def agree_and_land(deployment: Deployment, came: Came, *, remember: bool = False) -> Landing:
    """Agree to every page and return the data that the service receives."""
    person, page = came
    return deployment.landing(person.agree(page, remember=remember))


@pytest.mark.parametrize("first", [log_in_by_wayf, log_in_directly], ids=["wayf, then direct", "direct, then wayf"])
def test_a_person_is_the_same_by_both_routes(deployment: Deployment, first: Route) -> None:
    """Switched by configuration alone: one person, one borrower, one NameID, and what was agreed to still holds."""
    nemlogin = restart_with(deployment)
    one, then = (deployment, nemlogin) if first is log_in_by_wayf else (nemlogin, deployment)
    second: Route = log_in_directly if first is log_in_by_wayf else log_in_by_wayf
    before = agree_and_land(one, first(one), remember=True)
    _, page = second(then)
    assert mark(page)[0] == "issue", mark(page)
    after = then.landing(page)
    assert (after.name_id, after.attributes) == (before.name_id, before.attributes)
    assert before.status == "Success"
    assert len(list_person_ids(deployment)) == 1


def test_a_cancelled_login_needs_no_signature(shared_deployment: Deployment) -> None:
    """NemLog-in signs no error Response: it ends the login and brings nobody in."""
    person = restart_with(shared_deployment).person()
    url = person.choose(person.ask(), "nemid")
    page = person.get(person.deliver(*answer(person.deployment, url, None)).location)
    assert mark(page) == ("refuse", "upstream_refused")


@pytest.mark.parametrize("route", [log_in_by_wayf, log_in_directly])
def test_another_number_is_another_person(deployment: Deployment, route: Callable[[Deployment, Persona], Came]) -> None:
    """A known cprUuid and eduPersonPrincipalName with another number reach nothing of the person known before.

    Source: docs/reference/design.md#invariant-6.
    """
    there = restart_with(deployment) if route is log_in_directly else deployment
    agree_and_land(there, route(there, persona("eva")))
    before, known = deployment.koha.patrons.rows(), list_person_ids(deployment)
    person, page = route(there, change_persona(persona("eva"), **{CPR: (URN + OTHER,)}))
    assert mark(person.agree(page)) == ("claim", "offer")
    assert deployment.koha.patrons.rows() == before
    assert len(list_person_ids(deployment) - known) == 1
