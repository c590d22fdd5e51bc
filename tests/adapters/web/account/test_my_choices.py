"""A person's choices through the browser: seen by their person alone, taken back with one press, kept as a file."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, Person, find_text, form, mark

PAGE = "/my-choices"


def enter(
    deployment: Deployment, name: str, way: str = "wayf", *, person: Person | None = None
) -> tuple[Person, TestResponse]:
    """Log in for one's choices and give the browser and the page it comes to."""
    person = person or deployment.person()
    begun = person.get(f"{PAGE}?with={way}")
    assert begun.status_code == 302, mark(begun)
    arrived = person.deliver(*deployment.answer(begun.location, name))
    return person, person.get(arrived.location)


def consent(
    deployment: Deployment, name: str, way: str = "wayf", *, answer: str = "yes", remember: bool = True
) -> TestResponse:
    """Answer the consent screen of My loans."""
    person = deployment.person()
    return person.agree(person.log_in(name, way), answer=answer, remember=remember)


def here(page: TestResponse) -> str:
    """Give path and query of a page, from the link to its other language."""
    return page.request.path + "?" + re.sub(r"&?lang=\w+", "", find_text(page, "//header//a/@href").lstrip("?"))


def press(person: Person, page: TestResponse, do: str = "withdraw", service: str = "my-loans") -> TestResponse:
    """Press a button of the page."""
    action, fields = form(page)
    return person.post(PAGE + action, {**fields, "service": service, "do": do})


def cards(page: TestResponse) -> list[tuple[str, str]]:
    """Give service and last answer of every card."""
    return [
        (str(each.get("data-service")), str(each.get("data-event")))
        for each in html.fromstring(page.get_data()).iter("section")
    ]


def test_a_person_sees_what_they_agreed_to_and_withdraws_it(deployment: Deployment) -> None:
    """After login the consent is there; one press withdraws it, says so, and the next login asks again."""
    consent(deployment, "asta")
    assert mark(deployment.person().log_in("asta"))[0] == "issue"
    person, page = enter(deployment, "asta")
    assert mark(page) == ("choices", "")
    assert cards(page) == [("my-loans", "given")]
    done = press(person, page)
    assert (done.status_code, mark(done)) == (200, ("choices", "withdrawn"))
    assert find_text(done, "//main//*[@role='status']/@data-done") == "withdrawn"
    assert cards(done) == [("my-loans", "withdrawn")]
    assert 'value="withdraw"' not in done.get_data(as_text=True)
    asked = deployment.person().log_in("asta")
    assert mark(asked)[0] == "ask"
    assert "Det, vi sender, er ikke det samme" not in asked.get_data(as_text=True)
    assert "What we send is not the same" not in asked.get_data(as_text=True)


def receipts(person: Person, page: TestResponse) -> list[dict[str, Any]]:
    """Fetch the file of all answers."""
    answer = person.get(f"{here(page)}&format=json")
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "no-store"
    found_: list[dict[str, Any]] = json.loads(answer.get_data())["receipts"]
    return found_


def test_a_receipt_is_a_page_and_a_file(deployment: Deployment) -> None:
    """Both tell what, to whom, when and on which basis, and neither a value of the person's."""
    consent(deployment, "asta")
    person, page = enter(deployment, "asta")
    (only,) = receipts(person, page)
    shown = person.get(PAGE + find_text(page, "//section//a[contains(@href, 'receipt=')]/@href"))
    assert mark(shown) == ("choices", "receipt")
    text = shown.get_data(as_text=True)
    assert only["withdraw_url"] == f"{person.base}{PAGE}"
    assert only["event"] == "given"
    assert "cpr" in only["data_categories"]
    assert "Et tilfældigt nummer" in page.get_data(as_text=True)
    assert "Et tilfældigt nummer" in text
    assert only["record_id"] in text
    personal = [each for values in persona("asta").attributes.values() for each in values if len(each) > 4]
    numbers = [value.rpartition(":")[2] for value in personal if value.startswith("urn:mace")]
    written = text + json.dumps(only) + page.get_data(as_text=True)
    told = {"Aarhus Universitet"}  # the institution, as everybody calls it, who gives the information
    values = {*personal, *numbers, deployment.site("my-loans").entity_id} - told
    assert [each for each in values if each in written] == []


def test_another_persons_receipt_is_not_shown(deployment: Deployment) -> None:
    """A person cannot open another person's receipt by its record id."""
    consent(deployment, "asta")
    consent(deployment, "bo")
    person, page = enter(deployment, "asta")
    other, others = enter(deployment, "bo")
    (hers,) = receipts(person, page)
    (his,) = receipts(other, others)
    assert hers["user_ref"] != his["user_ref"]
    answer = other.get(f"{here(others)}&receipt={hers['record_id']}")
    assert (answer.status_code, mark(answer)[1]) == (404, "not_found")


def test_the_choices_live_in_their_own_login_only(deployment: Deployment) -> None:
    """Another browser, one without the login cookie, a login for another purpose and an ended one are all refused."""
    consent(deployment, "asta")
    person, page = enter(deployment, "asta")
    stranger = deployment.person().get(here(page))
    assert (stranger.status_code, mark(stranger)[1]) == (403, "other_browser")
    (a,) = person.cookies("a-")
    person.client.delete_cookie(a.key, domain=a.domain, path=a.path)
    assert mark(person.get(here(page)))[1] == "login_cookie_missing"
    loans = deployment.person()
    asked = loans.log_in("asta", service="my-loans")
    name = asked.request.path.split("/")[2]
    assert (loans.get(f"{PAGE}?login={name}").status_code) == 410
    again, page = enter(deployment, "asta")
    deployment.clock.ahead = timedelta(minutes=31)
    assert again.get(here(page)).status_code == 410
    assert deployment.person().get(f"{PAGE}?login=").status_code == 410


def test_a_login_under_way_shows_nothing(deployment: Deployment) -> None:
    """Before the login has ended there is nobody whose choices could be shown."""
    person = deployment.person()
    begun = person.get(f"{PAGE}?with=wayf")
    assert begun.status_code == 302
    name = re.search(r"/login/([0-9a-f]{32})", person.client.get(f"{PAGE}?with=wayf", base_url=person.base).location)
    assert name is not None
    assert person.get(f"{PAGE}?login={name.group(1)}").status_code == 403


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"service": "no-such"}, {}, 422),
        ({"do": "give"}, {}, 422),
        ({"service": ["my-loans", "my-loans"]}, {}, 422),
        ({"token": "1~~0"}, {}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_form_that_is_not_ours_changes_nothing(
    deployment: Deployment, fields: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """Unknown service, unknown request, a doubled field, a foreign token and a foreign page are refused."""
    consent(deployment, "asta")
    person, page = enter(deployment, "asta")
    action, own = form(page)
    sent = {**own, "service": "my-loans", "do": "withdraw", **fields}
    assert person.post(PAGE + action, sent, **headers).status_code == status
    assert [each["event"] for each in receipts(person, page)] == ["given"]
