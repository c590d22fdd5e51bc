"""The start page, the help that leads back, the library's pictures, and where a page that ends something leads."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.adapters.web.sign_up.sign_up_links import FAQ
from tests.plugins.deployment import Deployment, Person, find_text, mark


def texts(page: TestResponse, path: str) -> list[str]:
    """Give what a path finds on a page."""
    hits = html.fromstring(page.get_data()).xpath(path)
    assert isinstance(hits, list)
    return [str(each) for each in hits]


def onward(source: str) -> list[str]:
    """Give the links and buttons of a page's own part that lead away from it."""
    ways = "//main//a[not(starts-with(@href, '#'))]/@href | //main//button"
    hits = html.fromstring(source).xpath(ways)
    assert isinstance(hits, list)
    return [str(each) for each in hits]


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_start_page_leads_wherever_a_person_may_want_to_go(deployment: Deployment, language: str) -> None:
    """My loans, sign-up, PIN, choices and help, each of them there; nothing is begun or stored by looking."""
    person = deployment.person()
    page = person.get(f"/?lang={language}")
    assert (page.status_code, mark(page), find_text(page, "//html/@lang")) == (200, ("start", ""), language)
    places = texts(page, "//main//ul[@class='destinations']//a/@href")
    assert [urlsplit(each).path for each in places] == ["/my-loans", "/sign-up", "/pin", "/my-choices", FAQ]
    for own in places[1:5]:
        assert person.get(own).status_code == 200


def test_a_remembered_way_is_shown_and_forgotten_on_the_start_page(deployment: Deployment) -> None:
    """The start page undoes a remembered choice, and a form of another site cannot."""
    person = deployment.person()
    chooser = person.ask()
    source = chooser.get_data(as_text=True)
    assert source.index('id="remember"') < source.index('name="upstream"')
    person.press(chooser, upstream="wayf", remember="yes")
    assert person.client.get(person.sso_path(), base_url=person.base).status_code in {302, 303}
    page = person.get("/?lang=en")
    assert "University login (WAYF)" in page.get_data(as_text=True)
    assert person.post("/", {}, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert "University login (WAYF)" in person.get("/?lang=en").get_data(as_text=True)
    assert mark(person.press(page)) == ("start", "")
    assert "University login (WAYF)" not in person.get("/?lang=en").get_data(as_text=True)
    assert mark(person.ask())[0] == "choose"


def test_the_chooser_offers_a_sign_up_where_one_is_needed(deployment: Deployment) -> None:
    """It keeps the service and the login; a service that needs no account offers none."""
    person = deployment.person()
    chooser = person.ask()
    [sign_up] = [each for each in texts(chooser, "//main//a/@href") if urlsplit(each).path == "/sign-up"]
    assert "service=my-loans" in sign_up
    back = find_text(person.get(sign_up), "//div[@class='notice']//a/@href")
    assert mark(person.get(back)) == ("choose", "")
    plain = person.ask("e-resources")
    assert [each for each in texts(plain, "//main//a/@href") if urlsplit(each).path == "/sign-up"] == []


def consenting(person: Person) -> TestResponse:
    """Come to the question whether to send."""
    return person.log_in("asta")


def mailing(person: Person) -> TestResponse:
    """Come to the form for a new PIN."""
    return person.get("/pin")


def choosing(person: Person) -> TestResponse:
    """Come to the ways to log in."""
    return person.ask()


@pytest.mark.parametrize("come", [consenting, mailing, choosing])
def test_help_keeps_the_login(deployment: Deployment, come: Callable[[Person], TestResponse]) -> None:
    """From every page of a login help opens, through all its pages, and leads back to where it was opened."""
    person = deployment.person()
    page = come(person)
    [helping] = [each for each in texts(page, "//footer//a/@href") if urlsplit(each).path == FAQ]
    answers = person.get(helping)
    for address in (helping, texts(answers, "//p[@class='back']/a/@href")[0], texts(answers, "//header//a/@href")[0]):
        read = person.get(address if address.startswith(("/", "http")) else FAQ + address)
        assert mark(person.get(find_text(read, "//div[@class='notice']//a/@href"))) == mark(page)


@pytest.mark.parametrize(
    "login", ["x", "0" * 31, "0" * 32 + "/evil", "//evil.example", "0" * 32 + "/consent/../x", "0" * 33]
)
def test_help_leads_back_to_logins_only(deployment: Deployment, login: str) -> None:
    """An address that somebody made leads from help to nowhere but a login's own page (CWE-601)."""
    page = deployment.person().get(f"{FAQ}?login={login}")
    assert page.status_code == 200
    assert texts(page, "//div[@class='notice']") == []
    assert "evil" not in page.get_data(as_text=True)


def test_a_refusal_names_the_service_and_whom_it_is_for(deployment: Deployment) -> None:
    """The page lists the groups with access, with their age limit."""
    private = deployment.person().log_in("eva", "nemid", "e-resources")
    assert mark(private) == ("refuse", "no_policy_for_service")
    assert "Elektroniske ressourcer er ikke åben for" in private.get_data(as_text=True)
    admitted = texts(private, "//h2[contains(., 'Disse kan bruge')]/following-sibling::ul[1]/li/text()")
    assert len(admitted) == 3
    assert not any("Privat" in each for each in admitted)
    young = deployment.person().log_in("finn", "nemid")
    assert mark(young) == ("refuse", "too_young")
    assert "Du skal være mindst 18 år" in young.get_data(as_text=True)
    assert "gule sundhedskort" not in young.get_data(as_text=True)


def test_a_person_leaves_their_choices(deployment: Deployment) -> None:
    """A button ends the login for them: Back shows nobody anything, and the page leads on."""
    person = deployment.person()
    begun = person.get("/my-choices?with=wayf")
    arrived = person.deliver(*deployment.answer(begun.location, "asta"))
    page = person.get(arrived.location)
    assert mark(page)[0] == "choices"
    left = person.press(page, do="leave")
    assert mark(left) == ("choices", "left")
    assert onward(left.get_data(as_text=True))
    assert mark(person.get(page.request.url)) == ("error", "transaction_gone")
