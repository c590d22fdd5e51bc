"""PINs guessed, borrowers counted, links replayed, forms forged: what must come of nothing."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from werkzeug.test import TestResponse

from broker.demo.check.http_browser import Browser
from broker.demo.run.running_demo import Running
from tests.plugins.house import House, Person, form, found, mark

CARD, PIN, NOBODY = "1111024568", "4071", "0303820008"  # Karla's, whom the desk has registered; and nobody's
WRONG = "wrong-8362-wrong"  # no run of digits that a reference or a time could hold
CHECK = "/auth/password/validation"


def pin_page(person: Person) -> TestResponse:
    """Come from My loans and choose the library account."""
    action, fields = form(person.ask())
    return person.get(found(person.post(action, {**fields, "upstream": "library"}), "//main//a/@href"))


def send(person: Person, page: TestResponse, fields: Mapping[str, str], **headers: str) -> TestResponse:
    """Send the form of a page."""
    action, hidden = form(page)
    return person.post(action, {**hidden, **fields}, **headers)


def planted(house: House, victim: Person) -> Person:
    """Give an attacker who knows the victim's browser cookie."""
    attacker = house.person()
    for cookie in victim.cookies("b-"):
        attacker.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    return attacker


def plain(page: TestResponse) -> tuple[int, str, list[str]]:
    """Give a page without what differs on every page, and the headers' names that came with it."""
    body = re.sub(r"\d+~[^\"]*|[0-9a-f]{32}", "", page.get_data(as_text=True))
    return page.status_code, body, sorted(page.headers.keys())


def test_two_hundred_guesses_at_two_workers_are_five(demo: Running) -> None:
    """A real server, two workers, 200 requests at once: five tries at most reach the library system."""
    browser, base = Browser(), demo.setting.ports.origin("broker")
    browser.get(f"{demo.setting.ports.origin('library')}/my-loans")
    [login] = [each for each in browser.forms() if each.action.endswith("/upstream")]
    browser.submit(login, upstream="library")
    browser.get(login.action.replace("/upstream", "/pin"))
    [guess] = [each for each in browser.forms() if each.action.endswith("/pin")]
    before = sum(CHECK in line for line in demo.patrons.access.lines())

    def tries(number: int) -> int:
        fields = {**guess.fields, "identifier": CARD, "pin": f"{number:04}"}
        url = guess.action.replace(base, f"http://127.0.0.1:{demo.setting.ports.number('broker')}")
        headers = {"Origin": base, "Sec-Fetch-Site": "same-origin", "Host": base.partition("//")[2]}
        cookies = "; ".join(f"{each.name}={each.value}" for each in browser.session.cookies)
        return requests.post(url, fields, headers={**headers, "Cookie": cookies}, timeout=60).status_code

    with ThreadPoolExecutor(24) as threads:
        statuses = list(threads.map(tries, range(200)))
    assert 0 < sum(CHECK in line for line in demo.patrons.access.lines()) - before <= 5
    assert set(statuses) <= {422, 429, 503}
    assert 0 < statuses.count(422) <= 5
    assert statuses.count(429) > 150


@pytest.mark.parametrize("pin", ["4072", "0000"])
def test_the_login_page_tells_nobody_who_is_registered(house: House, pin: str) -> None:
    """Known with a wrong PIN and unknown: same status, same page, same calls, to the last try and beyond."""
    seen = {}
    for identifier in (CARD, NOBODY):
        person = house.person()
        page = pin_page(person)
        house.koha.access._lines.clear()
        answers = [plain(send(person, page, {"identifier": identifier, "pin": pin})) for _ in range(7)]
        calls = [re.sub(r"/patrons/\d+ \d+", "/patrons/N", each) for each in house.koha.access.lines()]
        seen[identifier] = answers, [each for each in calls if "oauth" not in each]
    assert seen[CARD] == seen[NOBODY]
    assert [status for status, *_ in seen[CARD][0]] == [422] * 5 + [429] * 2


def test_pin_by_mail_tells_nobody_who_is_registered(house: House) -> None:
    """Known, unknown, and asked for too often: the same page, and no call before it."""
    answers = []
    for identifier in (CARD, NOBODY, NOBODY, NOBODY, NOBODY):
        person = house.person()
        answers.append(plain(send(person, person.get("/pin"), {"identifier": identifier})))
    assert len({(status, body) for status, body, _ in answers}) == 1
    assert answers[0][0] == 200
    assert house.mailbox.mails() == ()


def test_a_network_that_asks_for_everybody_is_stopped(house: House) -> None:
    """The eleventh number of an hour is refused, whoever's it is."""
    person = house.person()
    page = person.get("/pin")
    statuses = [send(person, page, {"identifier": str(900 + number)}).status_code for number in range(11)]
    assert statuses == [200] * 10 + [429]


def _guess(person: Person) -> tuple[TestResponse, dict[str, str]]:
    return pin_page(person), {"identifier": CARD, "pin": PIN}


def _ask(person: Person) -> tuple[TestResponse, dict[str, str]]:
    return person.get("/pin"), {"identifier": CARD}


@pytest.mark.parametrize("begin", [_guess, _ask])
@pytest.mark.parametrize(
    "forged",
    [
        {"token": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "", "Origin": ""},
    ],
)
def test_a_form_from_elsewhere_does_nothing(house: House, begin: object, forged: dict[str, str]) -> None:
    """Nobody is logged in, and no mail is asked for, by a page that is not ours.

    Source: docs/reference/attacks.md#30.
    """
    person = house.person()
    assert callable(begin)
    page, fields = begin(person)
    headers = {name: value for name, value in forged.items() if name != "token"}
    refused = send(person, page, {**fields, **{n: v for n, v in forged.items() if n == "token"}}, **headers)
    assert (refused.status_code, mark(refused)) == (403, ("error", "token_refused"))
    assert person.cookies("a-") == []


def test_a_token_of_one_form_opens_no_other(house: House) -> None:
    """A token of the chooser is none of the PIN page."""
    person = house.person()
    token = form(person.ask())[1]["token"]
    refused = send(person, pin_page(person), {"identifier": CARD, "pin": PIN, "token": token})
    assert mark(refused) == ("error", "token_refused")


def test_a_pin_page_belongs_to_one_browser(house: House) -> None:
    """Another browser sees neither the form nor what comes of it, and one without cookies is told so."""
    first, second = house.person(), house.person()
    page, asking = pin_page(first), first.get("/pin")
    second.ask()
    for url in (page.request.path, asking.request.path + f"?login={form(asking)[0].partition('=')[2]}"):
        assert mark(second.get(url)) == ("error", "other_browser")
    assert mark(send(second, page, {"identifier": CARD, "pin": PIN})) == ("error", "other_browser")
    assert mark(send(house.person(), asking, {"identifier": CARD})) == ("error", "cookies_needed")


def test_a_pin_never_changes_the_pin(house: House) -> None:
    """Whoever guessed or overlooked a PIN cannot keep the account by it: the library account opens no such page."""
    person = house.person()
    assert mark(person.get("/pin?change=library")) == ("error", "form_refused")
    response = person.get("/pin?change=wayf")
    assert response.status_code == 302
    login = person.client.get("/pin?change=wayf", base_url=person.base).location
    person.get(login)
    refused = person.get(f"{login}/pin")
    assert mark(refused) == ("error", "form_refused")
    page = pin_page(person)
    send(person, page, {"identifier": CARD, "pin": PIN})
    name = page.request.path.split("/")[2]
    assert mark(person.get(f"/pin?login={name}"))[0] != "pin"
    token = form(page)[1]["token"]
    changed = person.post(f"/pin?login={name}", {"token": token, "do": "choose", "pin": "5837", "again": "5837"})
    assert mark(changed) == ("error", "form_refused")
    assert house.koha.patrons.proven("karla.dam", PIN)


def test_a_pin_joins_no_temporary_borrower(house: House) -> None:
    """Who has logged in by a PIN is nobody whom a CPR could be given: a second PIN changes no account."""
    person = house.person()
    asked = person.get(send(person, pin_page(person), {"identifier": CARD, "pin": PIN}).location)
    page = person.get(asked.request.path.replace("/consent", "/pin?temporary=1"))
    assert mark(page)[0] == "ask"
    form_of_pin = person.get(asked.request.path.replace("/consent", "/pin"))
    token = form(form_of_pin)[1]["token"]
    fields = {"token": token, "do": "temporary", "identifier": "1", "pin": PIN}
    answered = person.post(form_of_pin.request.path, fields)
    assert (answered.status_code, person.path(answered.location)) == (303, asked.request.path)


@pytest.mark.parametrize("environment", [{"BROKER_SERVICES__MY_LOANS__METHODS": '["library"]'}])
def test_where_the_library_account_is_the_only_way_no_upstream_is_asked(house: House) -> None:
    """A browser that was here before is shown the form for number and PIN, as a new one is."""
    person = house.person()
    for _ in range(2):
        page = person.ask()
        assert (page.status_code, mark(page)[0], page.request.path.rpartition("/")[2]) == (200, "pin", "pin")


def test_a_login_that_has_been_answered_joins_no_temporary_borrower(house: House) -> None:
    """Who shows a PIN after the assertion has left, at a screen somebody left, makes that borrower nobody's."""
    person = house.person()
    asked = person.log_in("asta")
    house.landing(person.agree(asked))
    path = asked.request.path.replace("/consent", "/pin")
    assert mark(person.get(f"{path}?temporary=1"))[0] != "pin"


def test_a_sign_up_changes_no_pin(house: House) -> None:
    """Its borrower number is not what a change of PIN goes by: the page is not opened."""
    person = house.person()
    done = person.get(person.agree(person.sign_up("asta", "student")).location)
    name = done.request.path.split("/")[2]
    assert mark(done)[0] == "done"
    assert mark(person.get(f"/pin?login={name}"))[0] == "done"


def test_a_verified_pin_makes_older_cookies_worthless(house: House) -> None:
    """The browser cookie alone does not open what a PIN has opened.

    Source: docs/reference/design.md#4a-4.
    """
    victim = house.person()
    page = pin_page(victim)
    attacker = planted(house, victim)
    asked = victim.get(send(victim, page, {"identifier": CARD, "pin": PIN}).location)
    assert mark(asked)[0] == "ask"
    assert mark(attacker.get(asked.request.path)) == ("error", "other_browser")


def test_who_only_has_cookie_b_changes_no_pin(house: House) -> None:
    """What a login has opened is closed without the login cookie, even to a browser that has read the page's token."""
    victim = house.person()
    arrived = victim.deliver(*house.answer(victim.get("/pin?change=wayf").location, "karla"))
    page = victim.get(arrived.location)
    assert mark(page) == ("pin", "")
    attacker, fields = planted(house, victim), {"do": "choose", "pin": "5837", "again": "5837"}
    assert mark(attacker.get(form(page)[0])) == ("error", "other_browser")
    assert mark(send(attacker, page, fields)) == ("error", "other_browser")
    assert house.koha.patrons.proven("karla.dam", PIN)


def test_who_only_has_cookie_b_joins_no_temporary_borrower(house: House) -> None:
    """Nobody puts a borrower of their own into another's login."""
    victim = house.person()
    page = victim.get(victim.log_in("asta").request.path.replace("/consent", "/pin?temporary=1"))
    assert mark(page) == ("pin", "")
    attacker = planted(house, victim)
    assert mark(attacker.get(f"{page.request.path}?temporary=1")) == ("error", "other_browser")
    fields = {"do": "temporary", "identifier": "1", "pin": PIN}
    assert mark(send(attacker, page, fields)) == ("error", "other_browser")


def test_no_number_and_no_pin_is_told(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither log nor address nor page of the broker's or the library's holds a CPR number or a PIN that was typed."""
    person = house.person()
    page = pin_page(person)
    pages = [send(person, page, {"identifier": "111102-4568", "pin": pin}) for pin in (WRONG, PIN)]
    pages.append(send(person, person.get("/pin"), {"identifier": CARD}))
    told = "".join([*capfd.readouterr(), *house.koha.access.lines(), *(str(each.headers) for each in pages)])
    assert "verified_pin" in told
    for secret in (CARD, "111102-4568", WRONG):
        assert secret not in told
        assert all(secret not in each.get_data(as_text=True) for each in pages)
