"""Attack: guessing PINs and codes, enumerating borrowers, replaying links and forging forms."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.demo.people.persona import eid_attributes
from broker.demo.people.personas import persona
from tests.plugins import eid_deployment
from tests.plugins.deployment import Deployment, Person, form, mark
from tests.plugins.example_counts import choose_size
from tests.plugins.pin_pages import (
    CPR,
    PIN,
    USER_NAME,
    code_in,
    comparable_page,
    karla,
    link_in,
    log_in,
    pin_page,
    send,
)

NOBODY = "0303820008"
ADDRESS = "karla@post.example"
NEW = "5926"
CAMPUS = {"BROKER_LIMITS__CAMPUSES": '{"127.0.0.0/8": 100000}'}


@pytest.fixture(autouse=True)
def number(deployment: Deployment) -> str:
    """Give Karla a mail address and return her internal number."""
    return karla(deployment)


def ask(person: Person, typed: str = CPR) -> TestResponse:
    """Ask for a PIN mail. Repeat while too many checks are waiting."""
    page = person.get("/pin")
    pages = [person.press(page, identifier=typed)]

    def is_taken() -> bool:
        if pages[-1].status_code == 503:
            pages.append(person.press(page, identifier=typed))
        return pages[-1].status_code != 503

    person.deployment.wait_until(is_taken, "the request was taken")
    return pages[-1]


def link(deployment: Deployment) -> str:
    """Return the link of a PIN mail that Karla requested."""
    before = len(deployment.mailbox.mails())
    assert mark(ask(deployment.person())) == ("pin", "asked")
    deployment.wait_for_mails(before + 1)
    return link_in(deployment)


def choose(person: Person, page: TestResponse, pin: str = NEW, **more: str) -> TestResponse:
    """Choose a PIN on a page."""
    return send(person, page, "choose", pin=pin, again=pin, **more)


def guess(person: Person, typed: str = CPR, pin: str = PIN) -> TestResponse:
    """Submit number and PIN in a browser, and return the page for the code."""
    asked = send(person, pin_page(person), "login", identifier=typed, pin=pin)
    assert asked.status_code == 303
    return person.get(asked.location)


def arrive(person: Person, name: str = "karla") -> TestResponse:
    """Log in with the university to choose a PIN, and confirm the masked address."""
    away = person.get("/pin?change=wayf")
    arrived = person.deliver_answer(away.location, name)
    page = person.follow(arrived)
    return person.press(page, answer="yes") if mark(page)[0] == "address" else page


def steal(victim: Person, prefix: str) -> Person:
    """Return an attacker's browser with the victim's cookies whose names begin with a prefix."""
    attacker = victim.deployment.person()
    for cookie in victim.cookies(prefix):
        attacker.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    return attacker


def is_unchanged(deployment: Deployment) -> bool:
    """Return whether Karla's old PIN still works."""
    return bool(
        deployment.koha.patrons.find_by_password(USER_NAME, PIN)
    ) and not deployment.koha.patrons.find_by_password(USER_NAME, NEW)


def test_opening_a_pin_link_changes_nothing(deployment: Deployment) -> None:
    """Opening a link uses nothing up, from any browser and with HEAD: mail scanners open all links."""
    url = link(deployment)
    for _ in range(8):
        scanner = deployment.person()
        assert mark(scanner.get(url)) == ("pin", "")
        assert scanner.client.head(scanner.path(url), base_url=scanner.base).status_code == 200
        assert scanner.cookies("a-") == []
    assert is_unchanged(deployment)
    assert len(deployment.mailbox.mails()) == 1
    owner = deployment.person()
    assert mark(choose(owner, owner.get(url))) == ("pin", "set")


def test_a_link_works_until_a_pin_was_chosen(deployment: Deployment) -> None:
    """A new PIN invalidates all links of the borrower, also in other browsers."""
    first, second = link(deployment), link(deployment)
    attacker, owner = deployment.person(), deployment.person()
    opened = attacker.get(second)
    page = owner.get(first)
    assert mark(choose(owner, page)) == ("pin", "set")
    for url in (first, second):
        assert mark(deployment.person().get(url)) == ("error", "link_gone")
    assert mark(choose(attacker, opened, "6038")) == ("error", "link_gone")
    assert mark(choose(owner, page, "6038"))[0] == "error"
    assert deployment.koha.patrons.find_by_password(USER_NAME, NEW)


def test_a_link_expires_after_a_day(deployment: Deployment) -> None:
    """A link expires after a day, also in a page that is already open."""
    url = link(deployment)
    deployment.clock.ahead += timedelta(hours=23, minutes=55)
    person = deployment.person()
    page = person.get(url)
    deployment.clock.ahead += timedelta(minutes=6)
    assert mark(person.get(url)) == ("error", "link_gone")
    assert mark(choose(person, page)) == ("error", "link_gone")
    assert is_unchanged(deployment)


@pytest.mark.parametrize("token", ["", "0" * 32, "' OR 1=1", "../../etc", "f" * 4000])
def test_an_invented_link_opens_nothing(deployment: Deployment, token: str) -> None:
    """An invented link is refused in the address and in the form."""
    person = deployment.person()
    assert mark(person.get("/pin?link=" + token)) == ("error", "link_gone")
    opened = person.get(link(deployment))
    assert mark(choose(person, opened, link=token)) == ("error", "link_gone")
    assert is_unchanged(deployment)


def test_a_link_of_another_borrower_changes_only_theirs(deployment: Deployment) -> None:
    """An attacker's own link in the victim's form changes the attacker's PIN and never the victim's."""
    ask(deployment.person(), "T-2002")
    deployment.wait_for_mails(1)
    own = link_in(deployment)
    person = deployment.person()
    page = person.get(link(deployment))
    assert mark(choose(person, page, link=own.partition("link=")[2].partition("&")[0])) == ("pin", "set")
    assert is_unchanged(deployment)
    assert deployment.koha.patrons.find_by_password("temp.ivan", NEW)


def test_the_pin_page_needs_a_fresh_login_with_the_right(deployment: Deployment) -> None:
    """Choosing a PIN needs a fresh login with a right to it: no old login, library account, service or alumni login."""
    person = deployment.person()
    asked = log_in(person, pin_page(person))
    assert mark(asked)[0] == "ask"
    name = asked.request.path.split("/")[2]
    assert mark(person.get("/pin?change=library")) == ("error", "form_refused")
    assert mark(person.get(f"/pin?login={name}"))[0] != "pin"
    token = form(asked)[1]["token"]
    fields = {"token": token, "do": "choose", "pin": NEW, "again": NEW}
    assert mark(person.post(f"/pin?login={name}", fields)) == ("error", "form_refused")
    assert is_unchanged(deployment)
    alumni = deployment.person()
    done = alumni.sign_up("otto", "student")
    alumni.get(alumni.agree(done).location)
    deployment.wait_until_idle()
    assert mark(arrive(deployment.person(), "otto")) == ("pin", "")
    assert mark(arrive(deployment.person(), "otto-left")) == ("refuse", "assurance_too_low")


def test_only_the_browser_that_logged_in_chooses_a_pin(deployment: Deployment) -> None:
    """A stolen browser cookie opens no PIN page, even with the page's token."""
    victim = deployment.person()
    page = arrive(victim)
    assert mark(page) == ("pin", "")
    attacker = steal(victim, "b-")
    assert mark(attacker.get(form(page)[0])) == ("error", "login_cookie_missing")
    assert mark(choose(attacker, page)) == ("error", "login_cookie_missing")
    assert mark(choose(deployment.person(), page)) == ("error", "cookies_needed")
    other = deployment.person()
    other.ask()
    assert mark(choose(other, page)) == ("error", "other_browser")
    assert is_unchanged(deployment)
    deployment.clock.ahead += timedelta(hours=2)
    assert mark(choose(victim, page))[0] == "error"
    assert is_unchanged(deployment)


def test_a_chosen_pin_ends_its_login(deployment: Deployment) -> None:
    """After a PIN was chosen, the page in an abandoned browser cannot choose another one."""
    person = deployment.person()
    page = arrive(person)
    assert mark(choose(person, page)) == ("pin", "set")
    assert mark(choose(person, page, "6038"))[0] == "error"
    assert deployment.koha.patrons.find_by_password(USER_NAME, NEW)


@pytest.mark.parametrize("opened", [arrive, lambda person: person.get(link(person.deployment))])
@pytest.mark.parametrize(
    "forged",
    [
        {"token": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "", "Origin": ""},
    ],
)
def test_a_cross_site_form_sets_no_pin(
    deployment: Deployment, opened: Callable[[Person], TestResponse], forged: dict[str, str]
) -> None:
    """CSRF: a form on another site sets no PIN, neither after a login nor with a link.

    Source: docs/reference/attacks.md#30.
    """
    person = deployment.person()
    action, hidden = form(opened(person))
    headers = {name: value for name, value in forged.items() if name != "token"}
    fields = {**hidden, "do": "choose", "pin": NEW, "again": NEW}
    refused = person.post(action, {**fields, **({"token": ""} if "token" in forged else {})}, **headers)
    assert refused.status_code == 403
    assert is_unchanged(deployment)


@pytest.mark.parametrize("typed", [CPR, NOBODY, "T-2001", "no-such-card"])
def test_a_pin_mail_request_reveals_nothing(deployment: Deployment, typed: str) -> None:
    """Enumeration: known and unknown borrowers get the same page, before the library system is asked."""
    known = comparable_page(deployment, ask(deployment.person()))
    assert comparable_page(deployment, ask(deployment.person(), typed)) == known
    deployment.koha.faults.down = True
    assert comparable_page(deployment, ask(deployment.person(), typed)) == known


ODD_NUMBERS = (
    "karla", "111102456x", " 1111024568 ", "11 11 02 45 68", "0" * 10 + CPR, "9" * 200, "x" * 200, "1111024568\u0660",
    "' OR 1=1", "\u202e", "", CPR[::-1],
)  # fmt: skip


@pytest.mark.parametrize("typed", ODD_NUMBERS)
def test_an_odd_number_gets_the_usual_page(deployment: Deployment, typed: str) -> None:
    """Odd numbers get the same pages as other numbers, and cause no mail to another borrower."""
    usual = (
        comparable_page(deployment, ask(deployment.person().use_address("10.5.0.7"), NOBODY)),
        comparable_page(deployment, guess(deployment.person(), NOBODY)),
    )
    stranger = deployment.person().use_address("10.5.0.8")
    asked, page = ask(stranger, typed), send(stranger, pin_page(stranger), "login", identifier=typed, pin=PIN)
    if page.status_code == 303:
        assert (comparable_page(deployment, asked), comparable_page(deployment, stranger.get(page.location))) == usual
    else:
        assert page.status_code == 422  # not a number, so the library system is not asked
    deployment.wait_until_idle()
    assert {mail.recipients for mail in deployment.mailbox.mails()} <= {(ADDRESS,)}
    assert stranger.cookies("a-") == []


def test_a_stranger_learns_nothing_from_number_and_pin(deployment: Deployment) -> None:
    """Enumeration: right and wrong PINs, known and unknown numbers show the same pages until the mailed code."""
    seen: set[str] = set()
    silent = ("", "")
    tries = ((CPR, PIN), (CPR, "0000"), (NOBODY, PIN), ("no-such-card", "0000"), (CPR, "wrong-8362"), silent)
    for typed, pin in tries:
        stranger = deployment.person().use_address(f"10.0.0.{len(seen) + 7}")
        deployment.koha.faults.down = not typed
        page = guess(stranger, typed or CPR, pin or PIN)
        pages = [
            comparable_page(deployment, page),
            *(comparable_page(deployment, send(stranger, page, "code", code="0000 0000")) for _ in range(7)),
        ]
        seen.add(str(pages))
        assert stranger.cookies("a-") == []
        assert stranger.cookies("k-") == []
    assert len(seen) == 1
    assert seen.pop().count("code_wrong") > 0


def test_a_code_has_eight_digits_five_tries_and_one_browser(deployment: Deployment) -> None:
    """A code has eight digits, allows five tries, and works only in the browser that requested it."""
    owner, attacker = deployment.person(), deployment.person()
    page = guess(owner)
    code = code_in(deployment)
    assert re.fullmatch("[0-9]{4} [0-9]{4}", code)
    decoy = guess(attacker, pin="0000")
    assert mark(send(attacker, decoy, "code", code=code)) == ("pin", "code_wrong")
    assert mark(send(steal(owner, "b-"), decoy, "code", code=code))[1] in {"other_browser", "code_wrong"}
    for _ in range(5):
        assert mark(send(owner, page, "code", code="0000 0000")) == ("pin", "code_wrong")
    assert mark(send(owner, page, "code", code=code)) == ("pin", "code_used_up")
    assert owner.cookies("a-") == []


def test_a_victim_with_the_attackers_code_is_not_logged_in(deployment: Deployment) -> None:
    """Login CSRF: a victim who types the attacker's code is not logged in as the attacker."""
    attacker, victim = deployment.person(), deployment.person()
    guess(attacker)
    code = code_in(deployment)
    waiting = guess(victim, "0303651330", "8362")
    assert mark(send(victim, waiting, "code", code=code)) == ("pin", "code_wrong")
    assert victim.cookies("a-") == []


def test_a_mailbox_gets_three_links_and_three_codes_a_day(deployment: Deployment) -> None:
    """A mailbox gets at most three links and three codes a day. Earlier links and the old PIN still work."""
    for each in range(8):
        stranger = deployment.person().use_address(f"10.1.{each}.7")
        ask(stranger)
        guess(stranger)
    deployment.wait_until_idle()
    deployment.wait_until(lambda: len(deployment.mailbox.mails()) >= 6, "the mails came")
    guess(deployment.person(), NOBODY)
    deployment.wait_until_idle()
    texts = [mail.text for mail in deployment.mailbox.mails() if mail.recipients == (ADDRESS,)]
    assert sum("/pin?link=" in text for text in texts) == 3
    assert sum("The code is" in text or "Koden er" in text for text in texts) == 3
    assert is_unchanged(deployment)
    urls = {url for text in texts for url in re.findall(r"http\S+/pin\?link=\S+", text)}
    assert [mark(deployment.person().get(url)) for url in urls] == [("pin", "")] * 3


@pytest.mark.parametrize("networks", [25, pytest.param(choose_size(500, otherwise=10_000), marks=pytest.mark.slow(60))])
def test_guesses_from_many_networks_do_not_lock_out_the_owner(deployment: Deployment, networks: int) -> None:
    """Brute force from many networks: the attacker sees one page for all guesses, and the owner can still log in.

    The library system does not lock accounts. A guess that arrives while twenty checks wait is dropped.
    """
    owner = deployment.person()
    assert mark(log_in(owner, pin_page(owner), own="yes"))[0] == "ask"
    pages: set[object] = set()
    taken = 0
    stranger = deployment.person()
    page = pin_page(stranger)
    for each in range(networks):
        stranger.use_address(f"10.{each >> 8}.{each & 255}.7")
        pin = PIN if each % 5 == 0 else f"{each:04}"
        asked = send(stranger, page, "login", identifier=CPR, pin=pin)
        if asked.status_code == 303:
            pages.add(
                comparable_page(deployment, send(stranger, stranger.get(asked.location), "code", code="0000 0000"))
            )
            taken += 1
        ask(stranger)
        if each % 20 == 19:
            stranger = deployment.person()
            page = pin_page(stranger)
        assert stranger.cookies("a-") == []
    deployment.wait_until_idle()
    assert taken > networks // 10  # a busy machine drops more guesses
    assert len(pages) <= 2  # the pages for a wrong code and for used-up codes
    texts = [mail.text for mail in deployment.mailbox.mails() if mail.recipients == (ADDRESS,)]
    assert sum("/pin?link=" in text for text in texts) == 3
    assert sum("The code is" in text or "Koden er" in text for text in texts) == 3
    assert is_unchanged(deployment)
    known = send(owner, pin_page(owner), "login", identifier=CPR, pin=PIN)
    assert mark(owner.get(known.location))[0] == "ask"
    assert mark(arrive(deployment.person())) == ("pin", "")
    by_national_eid = replace(persona("eva"), name="karla-eid", attributes=eid_attributes(19, "Karla Dam", CPR))
    _, page = eid_deployment.log_in(eid_deployment.restart_with(deployment), by_national_eid)
    assert mark(page)[0] == "ask"


def test_a_network_with_too_many_requests_gets_no_mails(deployment: Deployment) -> None:
    """After twenty requests an hour a network sees the same page, but no mail is sent."""
    attacker = deployment.person()
    pages = {comparable_page(deployment, ask(attacker, f"card-{each}"))[1] for each in range(20)}
    pages.add(comparable_page(deployment, ask(attacker))[1])
    pages.add(comparable_page(deployment, ask(deployment.person().use_address("10.2.0.7")))[1])
    deployment.wait_for_mails(1)
    deployment.wait_until_idle()
    assert len(pages) == 1
    assert len(deployment.mailbox.mails()) == 1


@pytest.mark.parametrize("environment", [CAMPUS])
def test_a_hundred_requests_do_not_shut_out_a_campus(deployment: Deployment) -> None:
    """Configured campus networks have a higher limit, so that one attacker does not block a campus."""
    attacker = deployment.person()
    for _ in range(100):
        ask(attacker, "no-such-card")
    assert link(deployment)


def test_ten_tries_an_hour_of_a_number_and_sixty_of_a_network(deployment: Deployment) -> None:
    """A number has ten tries an hour and a network sixty, for right and wrong PINs. Other networks are not affected."""
    attacker = deployment.person()
    page = pin_page(attacker)
    answers = [send(attacker, page, "login", identifier=NOBODY, pin=PIN).status_code for _ in range(11)]
    assert 429 not in answers[:10]
    assert answers[10] == 429
    fillers = (f"card-{each}" for each in range(60))
    assert [send(attacker, page, "login", identifier=each, pin=PIN).status_code for each in fillers].count(429) >= 10
    other = deployment.person().use_address("10.3.0.7")
    assert send(other, pin_page(other), "login", identifier=CPR, pin=PIN).status_code != 429


def test_a_borrower_whose_category_no_policy_names_gets_no_pin(deployment: Deployment, number: str) -> None:
    """A borrower in a category without a policy, such as a staff account, gets no PIN by mail, link or login."""
    person, other = deployment.person(), deployment.person()
    opened, logged_in = person.get(link(deployment)), arrive(other)
    [row] = [each for each in deployment.koha.patrons.rows() if each["userid"] == USER_NAME]
    row_now = {name: row[name] for name in ("surname", "library_id")}
    categories: Any = deployment.koha.patrons.administration.categories
    categories["STAFF"] = categories["EMPLOYEE"]
    deployment.koha.patrons.change(int(number), {**row_now, "category_id": "STAFF", "email": ADDRESS})
    assert mark(choose(person, opened)) == ("pin", "pin_not_here")
    assert mark(choose(other, logged_in)) == ("pin", "pin_not_here")
    ask(deployment.person().use_address("10.4.0.7"))
    ask(deployment.person().use_address("10.4.0.8"), "T-2002")
    deployment.wait_for_mails(3)
    deployment.wait_until_idle()
    links = [mail.recipients for mail in deployment.mailbox.mails() if "link=" in mail.text]
    assert links == [("ivan@own.example",), (ADDRESS,)]
    assert is_unchanged(deployment)


def test_pins_codes_and_numbers_are_stored_nowhere(
    deployment: Deployment, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """PINs, codes and CPR numbers appear in no store, log, audit log, mail, address or page."""
    wrong, chosen = "wrong-8362", "chosen-5938"
    person = deployment.person()
    pages = [guess(person, "111102-4568", wrong), guess(person, "111102-4568", PIN)]
    code = code_in(deployment)
    pages.append(send(person, pages[-1], "code", code=code, own="yes"))
    owner = deployment.person()
    page = owner.get(link(deployment))
    pages += [page, choose(owner, page, chosen), choose(owner, page, NEW, own="yes")]
    assert deployment.koha.patrons.find_by_password(USER_NAME, NEW)
    deployment.wait_until_idle()
    mails = [mail.text for mail in deployment.mailbox.mails()]
    kept = [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    headers = [str(each.headers) for each in pages]
    texts = [*capfd.readouterr(), *kept, *headers, *(each.get_data(as_text=True) for each in pages), *mails]
    assert any("chosen_pin" in text or "pin_chosen" in text for text in texts)
    for secret in (CPR, "111102-4568", wrong, chosen):
        assert not any(secret in text for text in texts)
    for text in mails:
        assert not re.search(rf"(?<![0-9]){NEW}(?![0-9])|(?<![0-9]){PIN}(?![0-9])", text)
    for text in texts[: -len(mails)]:
        assert code not in text
        assert code.replace(" ", "") not in text


def test_a_known_browser_is_forgotten_after_ten_wrong_pins(deployment: Deployment) -> None:
    """A thief of the cookies of a known browser has ten PIN guesses. Then a mailed code is needed."""
    owner = deployment.person()
    assert mark(log_in(owner, pin_page(owner), own="yes"))[0] == "ask"
    thief = steal(owner, "k-")
    page = pin_page(thief)
    for each in range(10):
        assert mark(send(thief, page, "login", identifier=CPR, pin=f"{each:04}")) == ("pin", "pin_wrong")
    for person in (thief, owner):
        answer = send(person, pin_page(person), "login", identifier=CPR, pin=PIN)
        assert answer.location.endswith("?code=1")


def test_a_known_browser_is_one_borrower_s_and_ends_with_a_new_pin(deployment: Deployment) -> None:
    """A known browser is known for one borrower only, and gets a new secret each time it is remembered."""
    owner = deployment.person()
    log_in(owner, pin_page(owner), own="yes")
    page = pin_page(owner)
    assert send(owner, page, "login", identifier="0303651330", pin="8362").location.endswith("?code=1")
    known = send(owner, page, "login", identifier=CPR, pin=PIN)
    assert not known.location.endswith("?code=1")
    chooser = deployment.person()
    assert mark(choose(chooser, arrive(chooser))) == ("pin", "set")
    again = send(owner, pin_page(owner), "login", identifier=CPR, pin=NEW)
    assert again.location.endswith("?code=1")
