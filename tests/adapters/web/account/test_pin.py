"""The pages where a PIN is asked for: to log in, to get a new one, to change it, to prove a temporary borrower."""

import re
import time
from base64 import b64decode
from urllib.parse import parse_qs, urlsplit
from zlib import decompress as inflate

import pytest
from werkzeug.test import TestResponse

from broker.demo.library import services
from tests.plugins.house import House, Person, form, found, mark

CARD, PIN = "1111024568", "4071"  # of Karla, whom the desk has registered
BORROWER = {"library_id": "AUL", "category_id": "TEMP", "surname": "Temporary"}


def pin_page(person: Person, service: str = "my-loans") -> TestResponse:
    """Come from a service and choose the library account."""
    action, fields = form(person.ask(service))
    onward = person.post(action, {**fields, "upstream": "library"})
    return person.get(found(onward, "//main//a/@href"))


def send(person: Person, page: TestResponse, **fields: str) -> TestResponse:
    """Send the form of a page."""
    action, hidden = form(page)
    return person.post(action, {**hidden, **fields})


def karla(house: House) -> str:
    """Give Karla's borrower number, and let her have a mail address."""
    row = next(each for each in house.koha.patrons.rows() if each["userid"] == "karla.dam")
    needed = {name: row[name] for name in ("surname", "library_id", "category_id")}
    house.koha.patrons.change(row["patron_id"], {**needed, "email": "karla@post.example"})
    return str(row["patron_id"])


def letter(house: House, number: int) -> str:
    """Give the text of the newest mail once so many have come."""
    for _ in range(200):
        if len(house.mailbox.mails()) >= number:
            return house.mailbox.mails()[0].text
        time.sleep(0.05)
    raise AssertionError("no mail came")


def linked(house: House, person: Person) -> TestResponse:
    """Ask for a PIN by mail and open the link that comes."""
    send(person, person.get("/pin"), identifier=CARD)
    url = re.search(r"http\S+/pin\?\S+", letter(house, 1))
    assert url
    return person.get(url[0])


def changing(house: House, name: str = "karla", query: str = "") -> tuple[Person, TestResponse]:
    """Log in to change the PIN, as far as the page where it is chosen."""
    person = house.person()
    response = person.get(f"/pin?change=wayf&lang=en{query}")
    assert response.status_code == 302, mark(response)
    arrived = person.deliver(*house.answer(response.location, name))
    return person, person.get(arrived.location)


def test_number_and_pin_log_in(house: House) -> None:
    """The library account leads to the same account as the others do, whatever number is typed."""
    number = karla(house)
    for identifier in ("111102-4568", number):
        person = house.person()
        page = pin_page(person)
        assert mark(page) == ("pin", "")
        assert b'autocomplete="current-password"' in page.get_data()
        asked = send(person, page, identifier=identifier, pin=PIN)
        assert len(person.cookies("a-")) == 1
        landing = house.landing(person.agree(person.get(asked.location)))
        assert landing.attributes["uid"] == (number,)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "pin_number_missing"),
        ({"identifier": "  ", "pin": PIN}, "pin_number_missing"),
        ({"identifier": CARD, "pin": " "}, "pin_missing"),
        ({"identifier": CARD, "pin": "4072"}, "pin_wrong"),
        ({"identifier": "karla", "pin": PIN}, "pin_number_unread"),
        ({"identifier": "9" * 5000, "pin": PIN}, "pin_number_unread"),
        ({"identifier": "11110245689", "pin": PIN}, "pin_number_unread"),
        ({"identifier": "T-2001", "pin": ""}, "pin_number_unread"),
        ({"identifier": CARD, "pin": "4" * 5000}, "pin_wrong"),
    ],
)
def test_what_cannot_be_taken_is_said_at_the_field(house: House, fields: dict[str, str], reason: str) -> None:
    """Empty, wrong and absurd input is a 422 with the problem on top, and nothing of a CPR number or PIN stays."""
    person = house.person()
    response = send(person, pin_page(person), **fields)
    assert (response.status_code, mark(response)) == (422, ("pin", reason))
    shown = response.get_data(as_text=True)
    assert f'data-problem="{reason}"' in shown
    assert CARD not in shown
    assert 'value="407' not in shown
    assert person.cookies("a-") == []


def test_a_borrower_number_need_not_be_typed_again(house: House) -> None:
    """The number of the library's own stays in the field when the PIN was wrong, and the next try may be right."""
    person, number = house.person(), karla(house)
    wrong = send(person, pin_page(person), identifier=number, pin="4072")
    assert found(wrong, "//input[@name='identifier']/@value") == number
    assert send(person, wrong, identifier=number, pin=PIN).status_code == 303


def test_a_number_that_cannot_be_read_is_said_at_its_field_and_counted_against_nobody(house: House) -> None:
    """What was typed stays to be mended, unless it may be a CPR number; nobody is asked and nothing is used up."""
    person = house.person()
    page = pin_page(person)
    for typed, kept in (("T-2001", "T-2001"), ("11110245689", ""), ("karla", "karla")) * 2:
        page = send(person, page, identifier=typed, pin=PIN)
        assert mark(page) == ("pin", "pin_number_unread")
        assert found(page, "//input[@name='identifier']/@value") == kept
        assert found(page, "//input[@aria-invalid='true']/@id") == "identifier"
        assert found(page, "//input[@id='identifier']/@aria-describedby").strip() == "problem"
    assert not any("/auth/password/validation" in line for line in house.koha.access.lines())
    assert send(person, page, identifier=f"\u200b{CARD[:6]} \u2013 {CARD[6:]}\ufeff", pin=PIN).status_code == 303


def test_the_form_for_a_temporary_account_asks_for_its_number(house: House) -> None:
    """It takes no CPR number, so none of its messages speaks of one."""
    person = house.person()
    page = person.get(f"{person.log_in('asta').request.path.replace('/consent', '/pin')}?temporary=1&lang=en")
    for typed, reason in (("", "pin_temporary_missing"), ("T-2001", "pin_temporary_unread")):
        refused = send(person, page, do="temporary", identifier=typed, pin=PIN)
        assert (refused.status_code, mark(refused)) == (422, ("pin", reason))
        assert "CPR" not in re.sub(r"<[^>]+>", "", refused.get_data(as_text=True))
        assert found(refused, "//input[@name='identifier']/@value") == typed


def test_a_known_browser_gets_in_where_strangers_do_not(house: House) -> None:
    """After five failures the page says what else there is; the borrower's own browser is not shut out."""
    own, stranger = house.person(), house.person()
    send(own, pin_page(own), identifier=CARD, pin=PIN)
    page = pin_page(stranger)
    statuses = [send(stranger, page, identifier=CARD, pin="4072").status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    throttled = send(stranger, page, identifier=CARD, pin=PIN)
    assert mark(throttled) == ("pin", "pin_throttled")
    for link in ("/upstream", "/pin?service=my-loans"):
        assert any(str(each).endswith(link) for each in _links(throttled))
    assert send(own, pin_page(own), identifier=CARD, pin=PIN).status_code == 303


def _links(page: TestResponse) -> list[str]:
    return re.findall(r'href="([^"]+)"', page.get_data(as_text=True))


@pytest.mark.parametrize("environment", [{"BROKER_SHARED_NETWORKS": '["127.0.0.0/8"]'}])
def test_a_shared_computer_remembers_no_borrower(house: House) -> None:
    """On a computer that others use too a PIN login leaves no mark for half a year."""
    person = house.person()
    assert send(person, pin_page(person), identifier=CARD, pin=PIN).status_code == 303
    assert person.cookies("k-") == []


def test_a_browser_remembers_four_borrowers(house: House) -> None:
    """The header stays small, and the same borrower again keeps the same mark."""
    person = house.person()
    for each in range(6):
        made = house.koha.patrons.create(
            {**BORROWER, "category_id": "PRIVATE", "surname": f"Many{each}", "cardnumber": f"M{each}"}
        )
        house.koha.patrons.set_password(made["patron_id"], PIN, PIN)
        for _ in range(2):
            before = {cookie.value for cookie in person.cookies("k-")}
            send(person, pin_page(person), identifier=str(made["patron_id"]), pin=PIN)
    assert len(before) == 4
    assert before == {cookie.value for cookie in person.cookies("k-")}


def test_a_library_that_is_down_is_said(house: House) -> None:
    """Nobody is told that the PIN is wrong when nobody could look."""
    person = house.person()
    page = pin_page(person)
    house.koha.faults.down = True
    response = send(person, page, identifier=CARD, pin=PIN)
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


def test_pin_by_mail(house: House) -> None:
    """Number in, link by mail, button, PIN by mail: nothing of it stands on a page, and the PIN works."""
    number, person = karla(house), house.person()
    page = linked(house, person)
    assert mark(page) == ("pin", "")
    assert house.koha.patrons.proven("karla.dam", PIN)
    done = send(person, page)
    assert mark(done) == ("pin", "mailed")
    shown = done.get_data(as_text=True)
    assert "k•••@p•••" in shown
    assert "karla@post.example" not in shown
    pin = re.search(r"er: (\d{4})$", letter(house, 2), re.MULTILINE)
    assert pin
    assert pin[1] not in re.sub(r"token\"[^>]*", "", shown)
    assert send(person, pin_page(person), identifier=number, pin=pin[1]).status_code == 303


@pytest.mark.parametrize(("typed", "reason"), [("", "pin_number_missing"), ("karla", "pin_number_unread")])
def test_a_number_is_asked_for(house: House, typed: str, reason: str) -> None:
    """Nothing, or what can be no number, is said at the field; there are other ways on the page."""
    person = house.person()
    page = person.get("/pin?lang=en")
    assert f"{person.base}/sign-up/faq#wayf" in _links(page)
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
    ends = [send(person, page, identifier="1")]
    for fields in ({"do": "mail"}, {"do": "choose", "pin": "5837", "again": "\u200b5837"}):
        person, page = changing(house, query="&service=myprint")
        ends.append(send(person, page, **fields))
    assert [mark(each)[1] for each in ends] == ["asked", "mailed", "changed"]
    for end in ends:
        assert found(end, "//main//a[@class='button']/@href") == myprint
        assert not any(each.startswith("?") for each in _links(end))  # no link asks for a form's answer again
    assert "service=" not in str([each for each in _links(house.person().get("/pin")) if "change=" in each])


def test_a_page_with_a_problem_keeps_its_login_in_the_other_language(house: House) -> None:
    """The link leads to the same form of the same login, not to a new beginning."""
    person = house.person()
    page = person.get("/pin?lang=en")
    refused = send(person, page, identifier="karla")
    assert refused.status_code == 422
    assert found(refused, "//input[@name='identifier']/@value") == "karla"
    other = person.get("/pin" + found(refused, "//header//a/@href"))
    assert form(other)[0] == form(page)[0]
    assert found(other, "//html/@lang") == "da"


def test_a_form_that_cannot_be_asked_for_again_has_no_other_language(house: House) -> None:
    """A refused form's error would come back as another page."""
    person = house.person()
    action, _ = form(person.get("/pin?lang=en"))
    refused = person.post(action, {"identifier": "1", "token": "x"})
    assert mark(refused) == ("error", "token_refused")
    assert not any(each.startswith("?") for each in _links(refused))


def test_too_many_who_ask_for_a_pin_are_told_when_and_how_to_go_on(house: House) -> None:
    """The form stands, with the other ways; an hour later it is taken."""
    person = house.person()
    for number in range(10):
        assert mark(send(person, person.get("/pin?lang=en"), identifier=str(900 + number))) == ("pin", "asked")
    page = send(person, person.get("/pin?lang=en"), identifier="950")
    assert (page.status_code, mark(page)) == (429, ("pin", "pin_asks_too_many"))
    assert "Wait an hour" in page.get_data(as_text=True)
    assert any("change=wayf" in each for each in _links(page))
    assert found(page, "//input[@name='identifier']/@value") == "950"


def test_too_many_changes_are_told_on_the_page(house: House) -> None:
    """Ten an hour, however often one logs in for it; the next changes nothing and says so where it was asked for."""
    karla(house)
    for pin in map(str, range(5830, 5841)):
        person, page = changing(house)
        page = send(person, page, do="choose", pin=pin, again=pin)
    assert (page.status_code, mark(page)) == (429, ("pin", "pin_changes_too_many"))
    assert house.koha.patrons.proven("karla.dam", "5839")


@pytest.mark.parametrize("fields", [{"do": "choose", "pin": "5837", "again": "5837"}, {"do": "mail"}])
def test_a_login_changes_one_pin(house: House, fields: dict[str, str]) -> None:
    """Who goes back at a screen that was left after a change finds no login, and sends its form in vain."""
    karla(house)
    person, page = changing(house)
    assert mark(send(person, page, **fields))[1] in {"changed", "mailed"}
    assert mark(person.get(page.request.url)) == ("error", "transaction_gone")
    assert mark(send(person, page, do="choose", pin="6194", again="6194")) == ("error", "transaction_gone")
    assert not house.koha.patrons.proven("karla.dam", "6194")


def test_the_button_says_when_no_mail_can_be_sent(house: House) -> None:
    """The old PIN works on, and the same button may be pressed again."""
    karla(house)
    person = house.person()
    page = linked(house, person)
    house.koha.faults.down = True
    down = send(person, page)
    assert (down.status_code, mark(down)) == (503, ("pin", "library_unavailable"))
    house.koha.faults.down = False
    assert house.koha.patrons.proven("karla.dam", PIN)
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
        refused = send(person, page, do="choose", **fields)
        assert (refused.status_code, mark(refused)) == (422, ("pin", reason))
    assert house.koha.patrons.proven("karla.dam", PIN)
    changed = send(person, page, do="choose", pin="5837", again="5837")
    assert mark(changed) == ("pin", "changed")
    assert "5837" not in re.sub(r"token\"[^>]*", "", changed.get_data(as_text=True))
    assert house.koha.patrons.proven("karla.dam", "5837")
    assert "5837" not in letter(house, 1)


def test_a_pin_is_made_after_a_login(house: House) -> None:
    """Who does not want to choose gets one by mail; without an address on file that is said."""
    person, page = changing(house)
    assert mark(send(person, page, do="mail")) == ("pin", "pin_no_mail")
    karla(house)
    assert mark(send(person, page, do="mail")) == ("pin", "mailed")
    assert re.search(r"is: \d{4}$", letter(house, 1), re.MULTILINE)


def test_a_change_asks_for_a_fresh_login(house: House) -> None:
    """A session left open at the university is no key to the PIN (ForceAuthn)."""
    response = house.person().get("/pin?change=wayf")
    [packed] = parse_qs(urlsplit(response.location).query)["SAMLRequest"]
    assert b'ForceAuthn="true"' in inflate(b64decode(packed), -15)


def test_a_temporary_borrower_is_proved_after_a_login(house: House) -> None:
    """With its number and PIN the person's temporary borrower becomes the account; its number stays."""
    made = house.koha.patrons.create({**BORROWER, "userid": "temporary.one", "cardnumber": "T-1"})
    house.koha.patrons.set_password(made["patron_id"], PIN, PIN)
    person = house.person()
    asked = person.log_in("asta")
    path = asked.request.path.replace("/consent", "/pin")
    page = person.get(f"{path}?temporary=1")
    assert mark(page) == ("pin", "")
    wrong = send(person, page, do="temporary", identifier=str(made["patron_id"]), pin="4072")
    assert mark(wrong) == ("pin", "pin_wrong")
    for identifier in ("140304-4004", karla(house)):
        other = send(person, page, do="temporary", identifier=identifier, pin=PIN)
        assert mark(other) == ("pin", "pin_not_temporary")
    proved = send(person, page, do="temporary", identifier=str(made["patron_id"]), pin=PIN)
    landing = house.landing(person.agree(person.get(proved.location)))
    assert landing.attributes["uid"] == (str(made["patron_id"]),)
    assert landing.attributes["sn"] == ("Ravn",)
