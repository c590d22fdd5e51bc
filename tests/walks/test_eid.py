"""NemLog-in direct: whole logins, and the same people before and after the route is switched in the configuration."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.gate import http_bindings
from broker.core.login.transaction import Transaction
from broker.demo.library.services import Landing
from broker.demo.people.personas import Persona, persona
from broker.demo.run.demo_folder import EID, HUB
from broker.demo.upstreams import wayf_hub
from broker.demo.upstreams.nemlogin import PersonaChoice
from broker.use_cases.records import load
from tests.plugins.asking import ask, contexts, listing
from tests.plugins.eid_house import answer, log_in, switched
from tests.plugins.house import House, Person, mark

CPR = "schacPersonalUniqueID"
URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
OTHER = "1902681333"
Came = tuple[Person, TestResponse]
Route = Callable[[House], Came]


def by_wayf(house: House, who: Persona | str = "eva", service: str = "my-loans", way: str = "nemid") -> Came:
    """Come by WAYF's hub, as a persona or as one changed."""
    person, someone = house.person(), persona(who) if isinstance(who, str) else who
    asked = wayf_hub.read(urlsplit(person.choose(person.ask(service), way)).query)
    xml = wayf_hub.response(HUB, asked, someone, house.hub_key(), house.clock.now())
    arrived = person.deliver(asked.acs, http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state))
    return person, person.get(arrived.location)


def direct(house: House, who: Persona | str = "eva", service: str = "my-loans") -> Came:
    """Come by NemLog-in itself."""
    return log_in(house, who, service)


def agreed(house: House, came: Came, *, remember: bool = False) -> Landing:
    """Agree to what is asked and give what the service hears."""
    person, page = came
    return house.landing(person.agree(page, remember=remember))


def changed(name: str, **attributes: str | None) -> Persona:
    """Give a persona with other attributes; None takes one out."""
    someone = persona(name)
    new = {key: (value,) for key, value in attributes.items() if value is not None}
    kept = {key: values for key, values in someone.attributes.items() if key not in attributes}
    return replace(someone, attributes={**kept, **new})


def people(house: House) -> set[str]:
    """Give the person ids of the logins that are under way."""
    kept = house.parts.store.list("transaction", None, house.clock.now())
    persons = [load(Transaction, each.value).person for _, each in kept]
    return {each.id for each in persons if each}


@pytest.mark.parametrize("first", [by_wayf, direct], ids=["wayf, then direct", "direct, then wayf"])
def test_a_person_is_the_same_by_both_routes(house: House, first: Route) -> None:
    """Switched by configuration alone: one person, one borrower, one NameID, and what was agreed to still holds."""
    nemlogin = switched(house)
    one, then = (house, nemlogin) if first is by_wayf else (nemlogin, house)
    second: Route = direct if first is by_wayf else by_wayf
    before = agreed(one, first(one), remember=True)
    _, page = second(then)
    assert mark(page)[0] == "issue", mark(page)
    after = then.landing(page)
    assert (after.name_id, after.attributes) == (before.name_id, before.attributes)
    assert before.status == "Success"
    assert len(people(house)) == 1


def test_nothing_but_the_upstreams_table_is_another(old_house: House) -> None:
    """No policy, service or page names the route: the same files serve both."""
    nemlogin = switched(old_house)
    assert nemlogin.parts.policies.current.digest == old_house.parts.policies.current.digest
    assert nemlogin.parts.services == old_house.parts.services
    routes = {name: each for name, each in nemlogin.parts.upstreams.items() if each != old_house.parts.upstreams[name]}
    assert list(routes) == ["nemid"]


@pytest.mark.parametrize(
    ("level", "role", "reason", "status"),
    [
        ("Low", None, "level_too_low", "Responder / NoAuthnContext"),
        (None, "professional", "company_identity", "Responder / RequestDenied"),
        ("High", "professional", "company_identity", "Responder / RequestDenied"),
    ],
)
def test_who_is_refused_hears_why(
    old_house: House, level: str | None, role: str | None, reason: str, status: str
) -> None:
    """Too weak a login and one for a company end on a page of ours; the service is told in SAML's words."""
    nemlogin = switched(old_house)
    before = old_house.koha.patrons.rows(), people(old_house)
    _, page = log_in(nemlogin, "eva", level=level, role=role)
    assert mark(page) == ("refuse", reason)
    assert nemlogin.landing(page).status == status
    assert (old_house.koha.patrons.rows(), people(old_house)) == before


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_refusals_have_texts_of_their_own(old_house: House, language: str) -> None:
    """Both languages say what to do."""
    person = switched(old_house).person()
    url = person.choose(person.ask(), "nemid")
    arrived = person.deliver(*answer(person.house, url, PersonaChoice(persona("eva"), "Low")))
    path = person.path(arrived.location)
    headers = {"Accept-Language": language}
    page = person.client.get(path, base_url=person.base, headers=headers, follow_redirects=True)
    text = page.get_data(as_text=True)
    assert ("nationale eID" if language == "da" else "national eID") in text
    assert "level_too_low" in text


def test_the_service_hears_the_level_that_came(old_house: House) -> None:
    """The level that came is told to the service as its NSIS class."""
    nemlogin = switched(old_house)
    assert agreed(nemlogin, log_in(nemlogin, "eva", level="High")).authn_context == (
        "https://data.gov.dk/concept/core/nsis/loa/High"
    )


@pytest.mark.parametrize(("level", "status"), [("High", "Success"), ("Substantial", "Responder / NoAuthnContext")])
def test_a_services_demand_is_held_against_the_level(old_house: House, level: str, status: str) -> None:
    """Who was asked to come by High and came by less is not let in, and the service hears why."""
    nemlogin = switched(old_house)
    person = nemlogin.person()
    high = "https://data.gov.dk/concept/core/nsis/loa/High"
    away = ask(person, contexts(high), listing(EID), service="my-loans")
    page = person.get(person.deliver(*answer(nemlogin, away.location, PersonaChoice(persona("eva"), level))).location)
    landing = nemlogin.landing(person.agree(page) if status == "Success" else page)
    assert (landing.status, landing.authn_context) == (status, high if status == "Success" else None)


def test_a_cancelled_login_needs_no_signature(old_house: House) -> None:
    """NemLog-in signs no error Response: it ends the login and brings nobody in."""
    person = switched(old_house).person()
    url = person.choose(person.ask(), "nemid")
    page = person.get(person.deliver(*answer(person.house, url, None)).location)
    assert mark(page) == ("refuse", "upstream_refused")


def test_a_cpr_uuid_leads_to_no_borrower(house: House) -> None:
    """Not even where it came with the CPR number before: without the number the person is another."""
    nemlogin = switched(house)
    before = agreed(nemlogin, direct(nemlogin))
    assert mark(direct(nemlogin, changed("eva", **{CPR: None}), "myprint")[1])[1] == "cpr_required"
    assert len(people(house)) == 2
    assert agreed(nemlogin, direct(nemlogin)).attributes["uid"] == before.attributes["uid"]


def test_a_self_asserted_cpr_uuid_leads_nowhere(house: House) -> None:
    """Whoever may type one is nobody by it, as with a CPR number.

    Source: docs/reference/design.md#find-by-cpr.
    """
    nemlogin = switched(house)
    agreed(nemlogin, direct(nemlogin))
    assert mark(direct(nemlogin, changed("eva", **{CPR: None}), "myprint")[1]) == ("refuse", "cpr_required")
    uuid = str(uuid5(NAMESPACE_URL, persona("eva").attributes["eduPersonPrincipalName"][0]))
    other = changed("asta", **{CPR: None, "cprUuid": uuid})
    assert mark(by_wayf(house, other, "myprint", "wayf")[1]) == ("refuse", "cpr_required")


@pytest.mark.parametrize("route", [by_wayf, direct])
def test_another_number_is_another_person(house: House, route: Callable[[House, Persona], Came]) -> None:
    """A known cprUuid and eduPersonPrincipalName with another number reach nothing of the person known before.

    Source: docs/reference/design.md#invariant-6.
    """
    there = switched(house) if route is direct else house
    agreed(there, route(there, persona("eva")))
    before, known = house.koha.patrons.rows(), people(house)
    person, page = route(there, changed("eva", **{CPR: URN + OTHER}))
    assert mark(person.agree(page)) == ("claim", "offer")
    assert house.koha.patrons.rows() == before
    assert len(people(house) - known) == 1


@pytest.mark.parametrize(("seconds", "reason"), [(290, "ask"), (310, "error")])
def test_a_clock_five_minutes_off_is_borne(old_house: House, seconds: int, reason: str) -> None:
    """NemLog-in's clock may differ by five minutes, at the ACS as in the tables."""
    nemlogin = switched(old_house)
    person = nemlogin.person()
    url = person.choose(person.ask(), "nemid")
    there = replace(nemlogin, clock=replace(old_house.clock, ahead=timedelta(seconds=seconds)))
    arrived = person.deliver(*answer(there, url, PersonaChoice(persona("eva"))))
    page = person.get(arrived.location) if arrived.status_code == 303 else arrived
    assert mark(page)[0] == reason
