"""PINs guessed, borrowers counted, links replayed, forms forged: what must come of nothing."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from werkzeug.test import TestResponse

from broker.demo.check.http_browser import Browser
from broker.demo.run.running_demo import Running
from tests.plugins.drawn import at_gate
from tests.plugins.house import TERMINAL, House, Person, form, mark
from tests.plugins.pin_pages import CPR, PIN, USER_NAME, behind_letter, code_in, karla, letter, link_in, pin_page, send

NOBODY = "0303820008"
WRONG = "wrong-8362-wrong"  # no run of digits that a reference or a time could hold
CHECK = "/auth/password/validation"


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


def test_two_hundred_guesses_at_two_workers_reach_nobody(demo: Running) -> None:
    """A real server, two workers, 200 requests at once with number and PIN: the library system checks none."""
    browser, base = Browser(), demo.setting.ports.origin("broker")
    browser.get(f"{demo.setting.ports.origin('library')}/my-loans")
    [login] = [each for each in browser.forms() if each.action.endswith("/upstream")]
    browser.submit(login, upstream="library")
    browser.get(login.action.replace("/upstream", "/pin"))
    [guess] = [each for each in browser.forms() if each.action.endswith("/pin")]
    before = sum(CHECK in line for line in demo.patrons.access.lines())

    def tries(number: int) -> int:
        fields = {**guess.fields, "do": "login", "identifier": CPR, "pin": f"{number:04}"}
        url = guess.action.replace(base, f"http://127.0.0.1:{demo.setting.ports.number('broker')}")
        headers = {"Origin": base, "Sec-Fetch-Site": "same-origin", "Host": base.partition("//")[2]}
        cookies = "; ".join(f"{each.name}={each.value}" for each in browser.session.cookies)
        return requests.post(url, fields, headers={**headers, "Cookie": cookies}, timeout=60).status_code

    with ThreadPoolExecutor(24) as threads:
        statuses = set(threads.map(tries, range(200)))
    assert sum(CHECK in line for line in demo.patrons.access.lines()) == before
    assert statuses <= {200, 429, 503}


# At the gate fewer, from six ranges of networks: ten thousand are those of tests/use_cases/proofs/test_pin_renewal.py.
GUESSES = at_gate(1_500, otherwise=10_000)


@pytest.mark.parametrize("guesses", [300, pytest.param(GUESSES, marks=pytest.mark.slow(seconds=30))])
def test_guesses_from_everywhere_teach_nothing_and_shut_nobody_out(house: House, guesses: int) -> None:
    """Each from another network and browser, with right and wrong PINs and numbers that have an account or none.

    One answer, byte for byte but for tokens; no call before it, and none that checks a PIN. The
    owner logs in by the letter that the first guess has brought, and at the library's terminals.
    """
    karla(house)
    answers = set()
    for number in range(guesses):
        stranger = house.person().moved(f"10.{number // 256}.{number % 256}.7")
        page = pin_page(stranger)
        house.koha.access._lines.clear()
        fields = {"identifier": (CPR, NOBODY, USER_NAME)[number % 3], "pin": PIN if number % 2 else f"{number:04}"}
        answers.add(plain(send(stranger, page, "login", **fields))[:2])
        assert not any(CHECK in line for line in house.koha.access.lines())
        assert stranger.cookies("a-") == []
    assert len(answers) == 1
    owner = house.person()
    house.at_rest()
    letters = [mail for mail in house.mailbox.mails() if "karla@post.example" in mail.recipients]
    assert 0 < len(letters) <= 3
    asked = send(owner, pin_page(owner), identifier=CPR)
    assert send(owner, send(owner, asked, code=code_in(letters[0].text)), pin=PIN).status_code == 303
    terminal = house.terminal()
    assert send(terminal, pin_page(terminal), identifier=CPR, pin=PIN).status_code == 303


@pytest.mark.parametrize("pin", ["4072", "0000"])
def test_a_terminal_tells_nobody_who_is_registered(house: House, pin: str) -> None:
    """Known with a wrong PIN and unknown: same status, same page, to the last try and beyond."""
    seen = {}
    for typed in (CPR, NOBODY):
        person = house.terminal()
        page = pin_page(person)
        house.koha.access._lines.clear()
        answers = [plain(send(person, page, identifier=typed, pin=pin)) for _ in range(7)]
        calls = [re.sub(r"/patrons/\d+ \d+", "/patrons/N", each) for each in house.koha.access.lines()]
        seen[typed] = answers, [each for each in calls if "oauth" not in each]
    assert seen[CPR] == seen[NOBODY]
    assert [status for status, *_ in seen[CPR][0]] == [422] * 5 + [429] * 2


@pytest.mark.parametrize("begin", ["/pin", ""])
def test_a_typed_number_tells_nobody_who_is_registered(house: House, begin: str) -> None:
    """Known, unknown, and asked for too often, for a login and for a new PIN: the same page, no call before it."""
    answers = []
    for typed in (CPR, NOBODY, NOBODY, NOBODY, NOBODY):
        person = house.person()
        page = person.get(begin) if begin else pin_page(person)
        answers.append(plain(send(person, page, "letter", identifier=typed)))
    assert len({(status, body) for status, body, _ in answers}) == 1
    assert answers[0][0] == 200
    house.at_rest()
    assert house.mailbox.mails() == ()


def test_a_wrong_code_tells_nobody_whether_there_is_a_letter(house: House) -> None:
    """Of a number with a letter, of one without, of nobody's, and where nothing was typed: the same page, no call."""
    karla(house)
    first = house.person()
    send(first, pin_page(first), identifier=CPR)
    code = code_in(letter(house, 1))
    answers = set()
    for typed, wrong in ((CPR, "bcdfg-hjkmn"), (NOBODY, code), (NOBODY, "bcdfg-hjkmn"), ("", code)):
        person = house.person()
        page = pin_page(person)
        if typed:
            page = send(person, page, identifier=typed)
        house.koha.access._lines.clear()
        answers.add(plain(send(person, page, "code", code=wrong))[:2])
        assert not any(CHECK in line for line in house.koha.access.lines())
    assert len(answers) == 1


def test_a_network_that_asks_for_everybody_is_stopped(house: House) -> None:
    """The hundred and first number of an hour is written to nobody, whoever's it is."""
    person = house.person()
    page = person.get("/pin")
    statuses = [send(person, page, identifier=f"card-{number}").status_code for number in range(101)]
    assert statuses == [200] * 100 + [429]


def _guess(person: Person) -> tuple[TestResponse, dict[str, str]]:
    person.moved(TERMINAL)
    return pin_page(person), {"identifier": CPR, "pin": PIN}


def _ask(person: Person) -> tuple[TestResponse, dict[str, str]]:
    return person.get("/pin"), {"identifier": CPR}


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
    action, hidden = form(page)
    more = {n: v for n, v in forged.items() if n == "token"}
    refused = person.post(action, {**hidden, **fields, **more}, **headers)
    again = "token" in forged  # a page of ours that was open too long is shown anew
    assert (refused.status_code, mark(refused)) == (
        403,
        ("pin", "page_too_old") if again else ("error", "token_refused"),
    )
    assert person.cookies("a-") == []
    house.at_rest()
    assert not any(CHECK in line for line in house.koha.access.lines())
    assert house.mailbox.mails() == ()


def test_a_token_of_one_form_opens_no_other(house: House) -> None:
    """A token of the chooser is none of the PIN page."""
    person = house.person()
    token = form(person.ask())[1]["token"]
    refused = send(person, pin_page(person), identifier=CPR, token=token)
    assert (refused.status_code, mark(refused)) == (403, ("pin", "page_too_old"))


def test_a_pin_page_belongs_to_one_browser(house: House) -> None:
    """Another browser sees neither the form nor what comes of it, and one without cookies is told so."""
    first, second = house.person(), house.person()
    page, asking = pin_page(first), first.get("/pin")
    second.ask()
    for url in (page.request.path, asking.request.path + f"?login={form(asking)[0].partition('=')[2]}"):
        assert mark(second.get(url)) == ("error", "other_browser")
    assert mark(send(second, page, identifier=CPR)) == ("error", "other_browser")
    assert mark(send(house.person(), asking, identifier=CPR)) == ("error", "cookies_needed")


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
    person.moved(TERMINAL)
    page = pin_page(person)
    send(person, page, identifier=CPR, pin=PIN)
    name = page.request.path.split("/")[2]
    assert mark(person.get(f"/pin?login={name}"))[0] != "pin"
    token = form(page)[1]["token"]
    changed = person.post(f"/pin?login={name}", {"token": token, "do": "choose", "pin": "5837", "again": "5837"})
    assert mark(changed) == ("error", "form_refused")
    assert house.koha.patrons.proven(USER_NAME, PIN)


def test_a_pin_joins_no_temporary_borrower(house: House) -> None:
    """Who has logged in by a PIN is nobody whom a CPR could be given: a second PIN changes no account."""
    person = house.terminal()
    asked = person.get(send(person, pin_page(person), identifier=CPR, pin=PIN).location)
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
    victim = house.terminal()
    page = pin_page(victim)
    attacker = planted(house, victim)
    asked = victim.get(send(victim, page, identifier=CPR, pin=PIN).location)
    assert mark(asked)[0] == "ask"
    assert mark(attacker.get(asked.request.path)) == ("error", "login_cookie_missing")


def test_who_only_has_cookie_b_changes_no_pin(house: House) -> None:
    """What a login has opened is closed without the login cookie, even to a browser that has read the page's token."""
    victim = house.person()
    arrived = victim.deliver(*house.answer(victim.get("/pin?change=wayf").location, "karla"))
    page = victim.get(arrived.location)
    assert mark(page) == ("pin", "")
    attacker = planted(house, victim)
    assert mark(attacker.get(form(page)[0])) == ("error", "login_cookie_missing")
    assert mark(send(attacker, page, "choose", pin="5837", again="5837")) == ("error", "login_cookie_missing")
    assert house.koha.patrons.proven(USER_NAME, PIN)


def test_who_only_has_cookie_b_joins_no_temporary_borrower(house: House) -> None:
    """Nobody puts a borrower of their own into another's login."""
    victim = house.person()
    page = victim.get(victim.log_in("asta").request.path.replace("/consent", "/pin?temporary=1"))
    assert mark(page) == ("pin", "")
    attacker = planted(house, victim)
    assert mark(attacker.get(f"{page.request.path}?temporary=1")) == ("error", "login_cookie_missing")
    assert mark(send(attacker, page, identifier="T-2001", pin=PIN)) == ("error", "login_cookie_missing")


def test_the_owner_s_click_lets_no_stranger_in(house: House) -> None:
    """An attacker has the owner's letter asked for: whatever the owner does with it, the attacker gets no further.

    The attacker knows the number, has the page that waits for the code, and comes back to it.
    """
    karla(house)
    attacker, owner = house.person(), house.person()
    waiting = send(attacker, pin_page(attacker), identifier=CPR)
    link = link_in(letter(house, 1))
    opened = owner.get(link)
    assert mark(opened) == ("pin", "")
    renewing = send(owner, opened, identifier=CPR)
    assert mark(send(owner, renewing)) == ("pin", "mailed")
    for page in (attacker.get(waiting.request.path), attacker.get(f"{waiting.request.path}?asked=1")):
        assert b'value="pin"' not in page.get_data()
    for do in ("pin", "code", "renew"):
        refused = send(attacker, waiting, do, pin=PIN, code="")
        assert mark(refused) == ("pin", "pin_code_missing")
    assert attacker.cookies("a-") == []


def test_a_link_that_was_sent_on_leads_nobody_into_another_s_account(house: House) -> None:
    """Login CSRF: the attacker sends the victim the link of the attacker's own letter, in the middle of a login.

    The victim has typed another number, and so has the code beside it.
    """
    karla(house)
    attacker, victim = house.person(), house.person()
    send(attacker, pin_page(attacker), identifier=CPR)
    link = link_in(letter(house, 1))
    waiting = send(victim, pin_page(victim), identifier="0303651330")
    shown = victim.get(link)
    assert b'value="pin"' not in shown.get_data()
    assert mark(send(victim, waiting, code=code_in(letter(house, 1)))) in {
        ("pin", "pin_code_wrong"),
        ("pin", ""),  # where the newest mail is the victim's own
    }
    assert mark(send(victim, shown, identifier="0303651330")) == ("pin", "pin_code_wrong")
    assert victim.cookies("a-") == []


def test_a_scanner_that_opens_links_uses_nothing_up(house: House) -> None:
    """However often, from wherever, with HEAD too: the owner's browser goes on, and nothing has been changed."""
    karla(house)
    owner = house.person()
    asked = send(owner, pin_page(owner), identifier=CPR)
    text = letter(house, 1)
    for _ in range(12):
        scanner = house.person()
        assert scanner.get(link_in(text)).status_code == 200
        assert scanner.client.head(scanner.path(link_in(text)), base_url=scanner.base).status_code == 200
    house.at_rest()
    assert house.koha.patrons.proven(USER_NAME, PIN)
    assert len(house.mailbox.mails()) == 1
    assert send(owner, send(owner, asked, code=code_in(text)), pin=PIN).status_code == 303


def test_two_browsers_at_once_may_both_go_on(house: House) -> None:
    """Each has typed the number, each gets in by the same code; neither gets the other's login cookie."""
    karla(house)
    first, second = house.person(), house.person()
    pages = [send(each, pin_page(each), identifier=CPR) for each in (first, second)]
    code = code_in(letter(house, 1))
    shown = [send(each, page, code=code) for each, page in zip((first, second), pages, strict=True)]
    for each, page in zip((first, second), shown, strict=True):
        assert send(each, page, pin=PIN).status_code == 303
    assert first.cookies("a-") != second.cookies("a-")


def test_a_planted_browser_cookie_gets_no_further_by_the_owner_s_code(house: House) -> None:
    """Session fixation: what a code has opened is open to who holds the code, not to who shares the browser cookie."""
    karla(house)
    owner = house.person()
    asked = send(owner, pin_page(owner), identifier=CPR)
    attacker = planted(house, owner)
    page = send(owner, asked, code=code_in(letter(house, 1)))
    assert b'value="pin"' in page.get_data()
    seen = attacker.get(asked.request.path)
    assert b'value="pin"' not in seen.get_data()
    token = form(seen)[1]["token"]
    for do in ("pin", "renew"):
        refused = attacker.post(seen.request.path, {"token": token, "do": do, "pin": PIN, "code": ""})
        assert mark(refused) == ("pin", "pin_code_missing")
    assert attacker.cookies("a-") == []


def test_a_stolen_known_browser_has_ten_tries(house: House) -> None:
    """Whoever copies its cookies: none of the tries reaches the library system, and the owner's letter works on."""
    karla(house)
    owner, thief = house.person(), house.person()
    send(owner, behind_letter(owner, pin_page(owner)), pin=PIN, own="yes")
    for cookie in owner.cookies("k-"):
        thief.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    page = pin_page(thief)
    assert b'name="pin"' in page.get_data()
    house.koha.access._lines.clear()
    for number in range(10):
        assert mark(send(thief, page, "login", identifier=CPR, pin=f"{number:04}")) == ("pin", "pin_browser_unfit")
    assert mark(send(thief, page, "login", identifier=CPR, pin=PIN)) == ("pin", "pin_browser_unfit")
    assert house.koha.access.lines() == []
    again = send(owner, pin_page(owner), "login", identifier=CPR, pin=PIN)
    assert mark(again) == ("pin", "pin_browser_unknown")
    assert send(owner, send(owner, again, code=code_in(letter(house, 1))), pin=PIN).status_code == 303


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "192.0.2.77"}, {"Forwarded": "for=192.0.2.77"}])
def test_nobody_says_that_they_are_at_a_terminal(house: House, headers: dict[str, str]) -> None:
    """Neither by a header, nor through a proxy whose own address is among the terminals' and that nobody counted."""
    for address in ("198.51.100.7", TERMINAL):
        person = house.person().moved(address)
        page = pin_page(person)
        shown = person.client.get(page.request.path, base_url=person.base, headers=headers)
        assert b'name="pin"' not in shown.get_data()


def test_no_number_and_no_pin_is_told(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither log nor address nor page of the broker's or the library's holds a CPR number, a PIN or a code."""
    karla(house)
    person = house.terminal()
    pages = [send(person, pin_page(person), identifier="111102-4568", pin=pin) for pin in (WRONG, PIN)]
    other = house.person()
    pages.append(send(other, pin_page(other), identifier=CPR))
    code = code_in(letter(house, 1))
    pages.append(send(other, send(other, pages[-1], code=code), pin=PIN, own="yes"))
    told = "".join([*capfd.readouterr(), *house.koha.access.lines(), *(str(each.headers) for each in pages)])
    assert "verified_pin" in told
    for secret in (CPR, "111102-4568", WRONG, code, code.replace("-", "")):
        assert secret not in told
        assert all(secret not in each.get_data(as_text=True) for each in pages)
