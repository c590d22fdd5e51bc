"""The pages where a PIN is asked for: to log in, to get a new one, to change it, to prove a temporary borrower."""

import re
from base64 import b64decode
from contextlib import suppress
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from zlib import decompress as inflate

import pytest
from werkzeug.test import TestResponse

from broker.core.borrowers.borrower import Bar
from broker.core.errors import TooMany
from broker.demo.library import services
from broker.use_cases.proofs.pin_renewal import PER_NETWORK
from broker.use_cases.proofs.rate_limits import Limits
from tests.plugins.house import House, Person, form, found, mark
from tests.plugins.pin_pages import CPR, PIN, USER_NAME, behind_letter, code_in, karla, letter, link_in, pin_page, send
from tests.plugins.requirements.visits import texts

# The CPR number in digits that only look like ours.
ARABIC, FULL_WIDTH = (CPR.translate({48 + digit: first + digit for digit in range(10)}) for first in (0x660, 0xFF10))
BORROWER = {"library_id": "AUL", "category_id": "TEMP", "surname": "Ravn"}


def linked(house: House, person: Person) -> TestResponse:
    """Ask for a new PIN and open the link that comes, in the same browser."""
    send(person, person.get("/pin"), identifier=CPR)
    return person.get(link_in(letter(house, 1)))


def changing(house: House, name: str = "karla", query: str = "") -> tuple[Person, TestResponse]:
    """Log in to change the PIN, as far as the page where it is chosen."""
    person = house.person()
    response = person.get(f"/pin?change=wayf&lang=en{query}")
    assert response.status_code == 302, mark(response)
    arrived = person.deliver(*house.answer(response.location, name))
    return person, person.get(arrived.location)


@pytest.mark.parametrize("typed", ["111102-4568", USER_NAME, USER_NAME.upper()])
def test_number_letter_and_pin_log_in(house: House, typed: str) -> None:
    """In a browser that nobody knows: number, code of the letter, PIN, and the same account as elsewhere."""
    number, person = karla(house), house.person()
    page = pin_page(person)
    assert mark(page) == ("pin", "")
    assert b'name="pin"' not in page.get_data()
    shown = behind_letter(person, page, typed=typed)
    assert (shown.status_code, mark(shown)) == (200, ("pin", ""))
    assert b'autocomplete="current-password"' in shown.get_data()
    asked = send(person, shown, pin=PIN)
    assert len(person.cookies("a-")) == 1
    assert person.cookies("k-") == []
    landing = house.landing(person.agree(person.get(asked.location)))
    assert landing.attributes["uid"] == (number,)


@pytest.mark.parametrize("typed", ["111102-4568", USER_NAME])
def test_number_and_pin_log_in_at_a_terminal(house: House, typed: str) -> None:
    """The library's own computers ask for no letter, and remember nobody."""
    number, person = karla(house), house.terminal()
    page = pin_page(person)
    asked = send(person, page, identifier=typed, pin=PIN)
    landing = house.landing(person.agree(person.get(asked.location)))
    assert landing.attributes["uid"] == (number,)
    assert person.cookies("k-") == []
    assert house.mailbox.mails() == ()


def test_nobody_finds_a_borrower_by_the_internal_number(house: House) -> None:
    """It stands on no card: typed it would be somebody else's card number."""
    number, person = karla(house), house.terminal()
    wrong = send(person, pin_page(person), identifier=number, pin=PIN)
    assert mark(wrong) == ("pin", "pin_wrong")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "pin_number_missing"),
        ({"identifier": "  ", "pin": PIN}, "pin_number_missing"),
        ({"identifier": CPR, "pin": " "}, "pin_missing"),
        ({"identifier": CPR, "pin": "4072"}, "pin_wrong"),
        ({"identifier": "karla", "pin": PIN}, "pin_wrong"),
        ({"identifier": "11110245689", "pin": PIN}, "pin_wrong"),
        ({"identifier": "0" + CPR, "pin": PIN}, "pin_wrong"),
        ({"identifier": "1111O24568", "pin": PIN}, "pin_wrong"),
        ({"identifier": "9" * 200, "pin": PIN}, "pin_number_unread"),
        ({"identifier": ARABIC, "pin": PIN}, "pin_number_unread"),
        ({"identifier": FULL_WIDTH, "pin": PIN}, "pin_number_unread"),
        ({"identifier": "kårla", "pin": PIN}, "pin_number_unread"),
        ({"identifier": CPR, "pin": "4" * 5000}, "pin_wrong"),
    ],
)
def test_what_cannot_be_taken_is_said_at_the_field(house: House, fields: dict[str, str], reason: str) -> None:
    """Empty, wrong and absurd input is a 422 with the problem on top, and nothing of a CPR number or PIN stays."""
    person = house.terminal()
    response = send(person, pin_page(person), **fields)
    assert (response.status_code, mark(response)) == (422, ("pin", reason))
    shown = response.get_data(as_text=True)
    assert f'data-problem="{reason}"' in shown
    assert not any(each in shown for each in (CPR, "1111O", ARABIC[:4], FULL_WIDTH[:4], "9" * 20, 'value="407'))
    assert person.cookies("a-") == []


def test_a_user_name_need_not_be_typed_again(house: House) -> None:
    """What can be no CPR number stays in the field when the PIN was wrong, and the next try may be right."""
    person = house.terminal()
    wrong = send(person, pin_page(person), identifier=USER_NAME, pin="4072")
    assert found(wrong, "//input[@name='identifier']/@value") == USER_NAME
    assert send(person, wrong, identifier=USER_NAME, pin=PIN).status_code == 303


@pytest.mark.parametrize("at", ["terminal", "person"])
def test_a_number_that_cannot_be_read_is_said_at_its_field_and_counted_against_nobody(house: House, at: str) -> None:
    """What was typed stays to be mended, unless it may be a CPR number; nobody is asked and nothing is used up."""
    person: Person = getattr(house, at)()
    page = pin_page(person)
    for typed, kept in (("kårla", "kårla"), ("1111024568٩", ""), ("x" * 41, "x" * 40)) * 2:
        page = send(person, page, identifier=typed, pin=PIN)
        assert mark(page) == ("pin", "pin_number_unread")
        assert found(page, "//input[@name='identifier']/@value") == kept
        assert found(page, "//input[@aria-invalid='true']/@id") == "identifier"
        assert found(page, "//input[@id='identifier']/@aria-describedby").strip() == "problem"
    assert house.koha.access.lines() == []
    answer = send(person, page, identifier=f"\u200b{CPR[:6]} \u2013 {CPR[6:]}\ufeff", pin=PIN)
    assert answer.status_code == {"terminal": 303, "person": 200}[at]


def test_what_the_code_page_takes(house: House) -> None:
    """A missing and a wrong code are said at the field; the page says what happens next, and what needs no mail."""
    karla(house)
    person = house.person()
    asked = send(person, pin_page(person), identifier=CPR)
    assert (asked.status_code, mark(asked)) == (200, ("pin", "asked"))
    assert any(each.endswith("/upstream") for each in _links(asked))
    for code, reason in (("", "pin_code_missing"), ("bcdfg-hjkmn", "pin_code_wrong"), ("1" * 200, "pin_code_wrong")):
        refused = send(person, asked, code=code)
        assert (refused.status_code, mark(refused)) == (422, ("pin", reason))
        assert found(refused, "//input[@aria-invalid='true']/@id") == "code"
    assert mark(send(person, refused, code=code_in(letter(house, 1)).upper())) == ("pin", "")


def test_the_code_page_of_one_login_holds_nothing_of_another(house: House) -> None:
    """Two people at once, at /pin and in a login: each form posts to its own login with its own token and code."""
    people = [house.person(), house.person()]
    begun = [(person, address) for person in people for address in ("/pin", "")]
    asked = []
    for person, address in begun:
        page = person.get(address) if address else pin_page(person)
        asked.append((person, send(person, page, "letter", identifier=CPR)))
    # A form that came too late is shown anew, with the code that was typed.
    house.clock.ahead += timedelta(minutes=11)
    typed = ["bcdfg-hjkmn", "mnpqr-stvwx"] * 2
    pages = [send(person, page, code=code) for (person, page), code in zip(asked, typed, strict=True)]
    logins = [re.findall(r"\b[0-9a-f]{32}\b", page.text) for page in pages]
    assert all(len(set(found_in)) == 1 for found_in in logins)
    assert len({found_in[0] for found_in in logins}) == len(pages)
    tokens = [found(page, "//input[@name='token']/@value") for page in pages]
    assert len(set(tokens)) == len(pages)
    codes = [found(page, "//input[@name='code']/@value") for page in pages]
    assert codes == [code.replace("-", "") for code in typed]


def test_the_code_page_in_the_other_language(house: House) -> None:
    """The link leads to the same page of the same login; no second mail is asked for."""
    person = house.person()
    asked = send(person, pin_page(person), identifier=CPR)
    other = person.get(asked.request.path + found(asked, "//header//a/@href"))
    assert mark(other) == ("pin", "asked")
    assert {found(page, "//html/@lang") for page in (asked, other)} == {"da", "en"}


@pytest.mark.parametrize("begin", ["/pin", ""])
def test_a_mail_may_take_longer_than_a_page_is_good_for(house: House, begin: str) -> None:
    """After ten minutes the page is shown anew, with the code that was typed; the number form says so too."""
    karla(house)
    person = house.person()
    page = person.get(begin) if begin else pin_page(person)
    asked = send(person, page, "letter", identifier=CPR)
    code = code_in(letter(house, 1))
    house.clock.ahead += timedelta(minutes=11)
    late = send(person, asked, code=code)
    assert (late.status_code, mark(late)) == (403, ("pin", "page_too_old"))
    assert found(late, "//input[@name='code']/@value") == code.replace("-", "")
    assert mark(send(person, late, code=code)) == ("pin", "")
    assert mark(send(person, page, "letter", identifier=CPR)) == ("pin", "page_too_old")
    elsewhere = person.post(form(late)[0], {"code": code, "do": "code"}, **{"Sec-Fetch-Site": "cross-site"})
    assert mark(elsewhere) == ("error", "token_refused")


@pytest.mark.parametrize("code", ["", "bcdfg", "1111024568", "<script>", "b" * 2000])
def test_a_link_without_a_code_leads_nowhere(house: House, code: str) -> None:
    """Nothing of the address is repeated on the page."""
    page = house.person().get(f"/pin?code={code}")
    assert (page.status_code, mark(page)) == (410, ("error", "link_gone"))
    assert not code or code not in page.get_data(as_text=True)


def test_behind_the_letter_the_truth_is_told(house: House) -> None:
    """A missing and a wrong PIN, and after ten of them what else there is: a new PIN opens the form again."""
    karla(house)
    person = house.person()
    page = behind_letter(person, pin_page(person))
    assert mark(send(person, page, pin=" ")) == ("pin", "pin_missing")
    statuses = [send(person, page, pin="4072").status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    used_up = send(person, page, pin=PIN)
    assert mark(used_up) == ("pin", "pin_letter_used_up")
    assert any(each.endswith("/upstream") for each in _links(used_up))
    renewed = send(person, used_up, "renew")
    assert (renewed.status_code, mark(renewed)) == (200, ("pin", "mailed"))
    assert "k•••@p•••" in renewed.get_data(as_text=True)
    pin = re.search(r"er: (\d{4})$", letter(house, 2), re.MULTILINE)
    assert pin
    assert send(person, renewed, pin=pin[1]).status_code == 303


@pytest.mark.parametrize("problem", ["pin_expired", "pin_locked", "pin_no_card_number"])
def test_what_the_library_system_says_of_the_pin_has_its_text(house: House, problem: str) -> None:
    """Run out, locked, no card number: each says what to do, and nobody is logged in."""
    number = int(karla(house))
    person, patrons = house.person(), house.koha.patrons
    page = behind_letter(person, pin_page(person))
    if problem == "pin_expired":
        patrons.end_password(number)
    elif problem == "pin_locked":
        patrons.edit(number, login_attempts=-1)
    else:
        patrons.edit(number, cardnumber=None)
    refused = send(person, page, pin=PIN)
    assert (refused.status_code, mark(refused)) == (422, ("pin", problem))
    assert len(texts(refused, "//div[@class='summary']/p")) > 2
    assert person.cookies("a-") == []


def test_who_may_not_borrow_is_told_so_and_let_in(house: House) -> None:
    """Loans and reservations can be seen; what bars from lending stands on a page before them, with what to do."""
    number, person = karla(house), house.person()
    flags = {"restricted": True, "patron_card_lost": True, "incorrect_address": True}
    house.koha.patrons.edit(int(number), expiry_date="2020-01-31", **flags)
    notice = send(person, behind_letter(person, pin_page(person)), pin=PIN)
    assert (notice.status_code, mark(notice)) == (200, ("pin", "barred"))
    assert len(texts(notice, "//main//h2")) == len(Bar)
    onward = person.get(found(notice, "//main//a[contains(@class, 'button')]/@href"))
    assert house.landing(person.agree(onward)).attributes["uid"] == (number,)


def test_a_browser_is_known_after_the_tick(house: House) -> None:
    """Then number and PIN are enough there; a wrong PIN asks nobody."""
    number, person = karla(house), house.person()
    page = behind_letter(person, pin_page(person))
    assert send(person, page, pin=PIN, own="yes").status_code == 303
    [cookie] = person.cookies("k-")
    assert cookie.max_age == 365 * 24 * 3600
    for typed in (CPR, "111102-4568"):
        asked = send(person, pin_page(person), identifier=typed, pin=PIN)
        landing = house.landing(person.agree(person.get(asked.location)))
        assert landing.attributes["uid"] == (number,)
    house.koha.access._lines.clear()
    wrong = send(person, pin_page(person), identifier=CPR, pin="4072")
    assert (wrong.status_code, mark(wrong)) == (422, ("pin", "pin_browser_unfit"))
    assert house.koha.access.lines() == []
    assert mark(person.get(f"{wrong.request.path}?letter=1")) == ("pin", "")
    assert b'name="pin"' not in person.get(f"{wrong.request.path}?letter=1").get_data()


def test_a_number_that_the_browser_does_not_know_needs_a_letter(house: House) -> None:
    """The PIN that was typed with it goes nowhere, and the page says so."""
    karla(house)
    person = house.person()
    send(person, behind_letter(person, pin_page(person)), pin=PIN, own="yes")
    house.koha.access._lines.clear()
    asked = send(person, pin_page(person), identifier="0303651330", pin="8362")
    assert (asked.status_code, mark(asked)) == (200, ("pin", "pin_browser_unknown"))
    assert not any("/auth/password/validation" in line for line in house.koha.access.lines())


def test_a_pin_that_was_changed_elsewhere_makes_the_browser_unknown(house: House) -> None:
    """The old one is told to be changed and the cookie goes; the new one was never known here."""
    number, person = karla(house), house.person()
    send(person, behind_letter(person, pin_page(person)), pin=PIN, own="yes")
    house.koha.patrons.set_password(int(number), "7294", "7294")
    page = pin_page(person)
    assert mark(send(person, page, identifier=CPR, pin="7294")) == ("pin", "pin_browser_unfit")
    changed = send(person, page, identifier=CPR, pin=PIN)
    assert (changed.status_code, mark(changed)) == (422, ("pin", "pin_changed_since"))
    assert b'name="pin"' not in changed.get_data()
    assert person.cookies("k-") == []
    page = behind_letter(person, changed, mails=2)
    assert send(person, page, pin="7294").status_code == 303


@pytest.mark.parametrize("environment", [{"BROKER_SHARED_NETWORKS": '["127.0.0.0/8"]'}])
def test_a_shared_computer_remembers_no_borrower(house: House) -> None:
    """On a computer that others use too nobody is asked whether it is theirs, and a forged tick counts for nothing."""
    karla(house)
    person = house.person()
    page = behind_letter(person, pin_page(person))
    assert b'name="own"' not in page.get_data()
    assert send(person, page, pin=PIN, own="yes").status_code == 303
    assert person.cookies("k-") == []


def test_a_browser_remembers_four_borrowers(house: House) -> None:
    """The header stays small."""
    person = house.person()
    for number in range(6):
        names = {"userid": f"many.{number}", "cardnumber": f"M{number}", "email": f"many{number}@post.example"}
        made = house.koha.patrons.create({**BORROWER, "category_id": "PRIVATE", **names})
        house.koha.patrons.set_password(made["patron_id"], PIN, PIN)
        page = behind_letter(person, pin_page(person), mails=number + 1, typed=f"many.{number}")
        send(person, page, pin=PIN, own="yes")
    assert len(person.cookies("k-")) == 4


def _links(page: TestResponse) -> list[str]:
    return re.findall(r'href="([^"]+)"', page.get_data(as_text=True))


def test_a_library_that_is_down_is_said(house: House) -> None:
    """Nobody is told that the PIN is wrong when nobody could look."""
    person = house.terminal()
    page = pin_page(person)
    house.koha.faults.down = True
    response = send(person, page, identifier=CPR, pin=PIN)
    assert (response.status_code, mark(response)) == (503, ("error", "library_unavailable"))


def test_a_service_that_takes_no_pin_has_no_such_page(house: House) -> None:
    """E-resources are for those whom the university or the national eID knows."""
    person = house.person()
    chooser = person.ask("e-resources")
    refused = person.get(chooser.request.path.replace("/upstream", "") + "/pin")
    assert (refused.status_code, mark(refused)) == (422, ("error", "form_refused"))


def test_what_may_show_no_page_and_what_is_no_login_have_none(house: House) -> None:
    """A passive request is answered at the service, and asking for a PIN by mail is no way to log in."""
    person = house.person()
    url = person.client.get(person.path(_passive(person)), base_url=person.base).location
    assert mark(person.get(url))[0] == "issue"
    assert mark(person.get(f"{url}/pin"))[0] == "issue"
    name = form(person.get("/pin"))[0].partition("=")[2]
    assert mark(person.get(f"/login/{name}/pin")) == ("error", "form_refused")


def _passive(person: Person) -> str:
    site, peer = person.house.site("my-loans"), person.house.peer
    return services.request_url(site, "my-loans", peer, force=False, passive=True)


def test_a_new_pin_by_mail(house: House) -> None:
    """Number in, code by mail, button, PIN by mail: nothing of it stands on a page, and the PIN works."""
    karla(house)
    person = house.person()
    page = linked(house, person)
    assert mark(page) == ("pin", "")
    assert house.koha.patrons.proven(USER_NAME, PIN)
    done = send(person, page)
    assert mark(done) == ("pin", "mailed")
    shown = done.get_data(as_text=True)
    assert "k•••@p•••" in shown
    assert "karla@post.example" not in shown
    pin = re.search(r"er: (\d{4})$", letter(house, 2), re.MULTILINE)
    assert pin
    assert pin[1] not in re.sub(r"token\"[^>]*", "", shown)
    assert house.koha.patrons.proven(USER_NAME, pin[1])


def test_the_code_may_be_typed_where_the_number_was(house: House) -> None:
    """In place of the link."""
    karla(house)
    person = house.person()
    page = behind_letter(person, person.get("/pin"))
    assert mark(send(person, page)) == ("pin", "mailed")


def test_the_link_in_another_browser_asks_for_the_number(house: House) -> None:
    """Then it leads to a new PIN there; the number of somebody else opens nothing."""
    karla(house)
    first, other = house.person(), house.person()
    send(first, first.get("/pin"), identifier=CPR)
    page = other.get(link_in(letter(house, 1)))
    assert found(page, "//input[@name='code']/@value")
    for typed, reason in (("", "pin_number_missing"), ("0303651330", "pin_code_wrong")):
        refused = send(other, page, identifier=typed)
        assert (refused.status_code, mark(refused)) == (422, ("pin", reason))
    opened = send(other, page, identifier="111102-4568")
    assert mark(send(other, opened)) == ("pin", "mailed")
    house.at_rest()
    assert len(house.mailbox.mails()) == 2


def test_the_link_leads_back_into_the_login(house: House) -> None:
    """In the browser where the number was typed for a login it opens the form for the PIN."""
    number, person = karla(house), house.person()
    send(person, pin_page(person), identifier=CPR)
    page = person.get(link_in(letter(house, 1)))
    asked = send(person, page, pin=PIN)
    landing = house.landing(person.agree(person.get(asked.location)))
    assert landing.attributes["uid"] == (number,)


@pytest.mark.parametrize(("typed", "reason"), [("", "pin_number_missing"), ("kårla", "pin_number_unread")])
def test_a_number_is_asked_for(house: House, typed: str, reason: str) -> None:
    """Nothing, or what can be no number, is said at the field; there are other ways on the page."""
    person = house.person()
    page = person.get("/pin?lang=en")
    [explained] = [each for each in _links(page) if each.endswith("#wayf")]
    assert explained.startswith(f"{person.base}/sign-up/faq?login=")
    assert {"wayf", "nemid"} <= {each.rpartition("=")[2] for each in _links(page) if "change=" in each}
    response = send(person, page, identifier=typed)
    assert (response.status_code, mark(response)) == (422, ("pin", reason))


def test_the_way_back_to_the_service_stands_where_it_ends(house: House) -> None:
    """Who came from a service finds it again after the mail, and after either change of the PIN."""
    karla(house)
    myprint = f"{house.setting.ports.origin('library')}/myprint?lang=en"
    person = house.person()
    page = person.get("/pin?service=myprint&lang=en")
    ways = [each for each in _links(page) if "change=" in each]
    assert ways
    assert all(each.endswith("&amp;service=myprint") for each in ways)
    ends = [send(person, page, identifier=CPR)]
    for fields in ({"do": "mail"}, {"do": "choose", "pin": "5837", "again": "\u200b5837"}):
        person, page = changing(house, query="&service=myprint")
        ends.append(send(person, page, **fields))
    assert [mark(each)[1] for each in ends] == ["asked", "mailed", "changed"]
    for end in ends:
        assert found(end, "//main//a[contains(@class, 'button')]/@href") == myprint
    for end in ends[1:]:
        assert not any(each.startswith("?") for each in _links(end))  # no link asks for a form's answer again
    assert "service=" not in str([each for each in _links(house.person().get("/pin")) if "change=" in each])


def test_a_page_with_a_problem_keeps_its_login_in_the_other_language(house: House) -> None:
    """The link leads to the same form of the same login, not to a new beginning."""
    person = house.person()
    page = person.get("/pin?lang=en")
    refused = send(person, page, identifier="kårla")
    assert refused.status_code == 422
    assert found(refused, "//input[@name='identifier']/@value") == "kårla"
    other = person.get("/pin" + found(refused, "//header//a/@href"))
    assert form(other)[0] == form(page)[0]
    assert found(other, "//html/@lang") == "da"


def test_the_other_language_of_a_refused_form_is_its_step(house: House) -> None:
    """The error itself would need the form again: the link leads to the form of the same login."""
    person = house.person()
    action, _ = form(person.get("/pin?lang=en"))
    refused = person.post(action, {"identifier": "1", "token": "x"}, **{"Sec-Fetch-Site": "cross-site"})
    assert mark(refused) == ("error", "token_refused")
    other = person.get("/pin" + found(refused, "//header//a/@href"))
    assert (form(other)[0], found(other, "//html/@lang")) == (action, "da")


def test_where_too_many_have_asked_a_letter_of_the_day_still_opens(house: House) -> None:
    """Nothing is mailed now, which the page says; the code of before is taken there, and other ways stand beside."""
    karla(house)
    person = house.person()
    send(person, pin_page(person), identifier=CPR)
    code = code_in(letter(house, 1))
    limits = Limits(house.parts.store, house.parts.keys.index, house.clock.now)
    with suppress(TooMany):
        while True:
            limits.take((PER_NETWORK, "127.0.0.0/24"))
    other = house.person()
    page = send(other, pin_page(other), identifier=CPR)
    assert (page.status_code, mark(page)) == (429, ("pin", "pin_asks_too_many"))
    assert any(each.endswith("/upstream") for each in _links(page))
    assert send(other, send(other, page, code=code), pin=PIN).status_code == 303


def test_too_many_changes_are_told_on_the_page(house: House) -> None:
    """Ten an hour, however often one logs in for it; the next changes nothing and says so where it was asked for."""
    karla(house)
    for pin in map(str, range(5830, 5841)):
        person, page = changing(house)
        page = send(person, page, "choose", pin=pin, again=pin)
    assert (page.status_code, mark(page)) == (429, ("pin", "pin_changes_too_many"))
    assert house.koha.patrons.proven(USER_NAME, "5839")


@pytest.mark.parametrize("fields", [{"do": "choose", "pin": "5837", "again": "5837"}, {"do": "mail"}])
def test_a_login_changes_one_pin(house: House, fields: dict[str, str]) -> None:
    """Who goes back at a screen that was left after a change finds no login, and sends its form in vain."""
    karla(house)
    person, page = changing(house)
    assert mark(send(person, page, **fields))[1] in {"changed", "mailed"}
    assert mark(person.get(page.request.url)) == ("error", "transaction_gone")
    assert mark(send(person, page, "choose", pin="6194", again="6194")) == ("error", "transaction_gone")
    assert not house.koha.patrons.proven(USER_NAME, "6194")


def test_the_button_says_when_no_mail_can_be_sent(house: House) -> None:
    """The old PIN works on, and the same button may be pressed again."""
    karla(house)
    person = house.person()
    page = linked(house, person)
    house.koha.faults.down = True
    down = send(person, page)
    assert (down.status_code, mark(down)) == (503, ("pin", "library_unavailable"))
    house.koha.faults.down = False
    assert house.koha.patrons.proven(USER_NAME, PIN)
    assert mark(send(person, down)) == ("pin", "mailed")


def test_the_pin_is_changed_after_a_login(house: House) -> None:
    """A poor choice is refused at the field, a good one works, and a mail tells that it was changed."""
    karla(house)
    person, page = changing(house)
    assert mark(page) == ("pin", "")
    for fields, reason in (
        ({"pin": "12", "again": "12"}, "pin_not_four"),
        ({"pin": "1111", "again": "1111"}, "pin_trivial"),
        ({"pin": "5837", "again": "5838"}, "pin_differs"),
    ):
        refused = send(person, page, "choose", **fields)
        assert (refused.status_code, mark(refused)) == (422, ("pin", reason))
    assert house.koha.patrons.proven(USER_NAME, PIN)
    changed = send(person, page, "choose", pin="5837", again="5837")
    assert mark(changed) == ("pin", "changed")
    assert "5837" not in re.sub(r"token\"[^>]*", "", changed.get_data(as_text=True))
    assert house.koha.patrons.proven(USER_NAME, "5837")
    assert "5837" not in letter(house, 1)


def test_a_pin_is_made_after_a_login(house: House) -> None:
    """Who does not want to choose gets one by mail; without an address on file that is said."""
    person, page = changing(house)
    assert mark(send(person, page, "mail")) == ("pin", "pin_no_mail")
    karla(house)
    assert mark(send(person, page, "mail")) == ("pin", "mailed")
    assert re.search(r"is: \d{4}$", letter(house, 1), re.MULTILINE)


def test_a_change_asks_for_a_fresh_login(house: House) -> None:
    """A session left open at the university is no key to the PIN (ForceAuthn)."""
    response = house.person().get("/pin?change=wayf")
    [packed] = parse_qs(urlsplit(response.location).query)["SAMLRequest"]
    assert b'ForceAuthn="true"' in inflate(b64decode(packed), -15)


def test_a_temporary_borrower_is_proved_after_a_login(house: House) -> None:
    """With its number and PIN the person's temporary borrower becomes the account; its number stays."""
    made = house.koha.patrons.create({**BORROWER, "userid": "temporary.one", "cardnumber": "T-3001"})
    house.koha.patrons.set_password(made["patron_id"], PIN, PIN)
    karla(house)
    person = house.person()
    asked = person.log_in("asta")
    path = asked.request.path.replace("/consent", "/pin")
    page = person.get(f"{path}?temporary=1")
    assert mark(page) == ("pin", "")
    assert mark(send(person, page, identifier="140304-4004", pin=PIN)) == ("pin", "pin_not_temporary")
    for identifier, pin in (("T-3001", "4072"), (USER_NAME, PIN)):
        assert mark(send(person, page, identifier=identifier, pin=pin)) == ("pin", "pin_wrong")
    proved = send(person, page, identifier="t-3001", pin=PIN)
    landing = house.landing(person.agree(person.get(proved.location)))
    assert landing.attributes["uid"] == (str(made["patron_id"]),)
    assert landing.attributes["sn"] == ("Ravn",)


def test_five_wrong_tries_at_a_temporary_account_are_a_day_s(house: House) -> None:
    """Counted for the person who is logged in, whatever number is tried and in whichever login."""
    for each in range(6):
        person = house.person()
        page = person.get(f"{person.log_in('asta').request.path.replace('/consent', '/pin')}?temporary=1")
        refused = send(person, page, identifier=f"T-{each}", pin="4072")
    assert (refused.status_code, mark(refused)) == (429, ("pin", "pin_throttled"))
