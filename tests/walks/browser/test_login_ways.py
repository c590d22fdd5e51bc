"""The ways to log in, PINs, and the person's own choices in a real browser, each to where the person wanted to go."""

from collections.abc import Callable

import pytest

from broker.demo.people.personas import persona
from tests.plugins.visitor import Visitor

Visit = Callable[..., Visitor]
HUB = "button[name=persona]"


def sign_up(person: Visitor, name: str) -> str:
    """Sign an employee or a student of the university up and give the internal number of the borrower."""
    person.open("broker", "/sign-up/student/pin")
    person.press("[data-action=login_wayf]")
    person.pick(name)
    person.wait_for_page("ask")
    person.agree()
    person.wait_for_page("done")
    return person.number(name)


def choose_pin(person: Visitor, pin: str) -> None:
    """Choose a PIN on the page that asks for one."""
    person.write("#pin", pin)
    person.write("#again", pin)
    person.press("button[value=choose]")


def to_my_loans(person: Visitor, way: str) -> None:
    """Choose a way into My loans on the page that asks."""
    person.open("library", "/")
    person.press("a.button[href='/my-loans']")
    person.wait_for_page("choose")
    person.press(f"button[name=upstream][value={way}]")


def show_pin(person: Visitor, typed: str, pin: str) -> None:
    """Write number and PIN where the library account logs in."""
    person.wait_for_page("pin")
    person.write("#identifier", typed)
    person.write("#pin", pin)
    person.press("button[name=do][value=login]")


def show_code(person: Visitor, address: str, own: str = "") -> None:
    """Write the code of the mail that comes after number and PIN, then tick the box if its selector is given."""
    person.wait_for_page("pin", "code")
    person.write("#code", person.code(address))
    if own:
        person.tick(own)
    person.press("button[name=do][value=code]")


def land(person: Visitor) -> str:
    """Agree, and give the borrower number that My loans shows."""
    person.wait_for_page("ask")
    person.agree()
    person.page.wait_for_selector("#borrower")
    return person.text("#borrower")


@pytest.mark.slow
def test_three_ways_lead_to_one_account(visit: Visit) -> None:
    """Number and PIN, university login and national eID show the same borrower; only the last two send the CPR."""
    person = visit()
    number = sign_up(person, "bo")
    choose_pin(person, "7294")
    person.wait_for_page("pin", "set")
    for way, name in (("library", ""), ("wayf", "bo"), ("nemid", "bo-nemid")):
        to_my_loans(person, way)
        if name:
            person.pick(name)
        else:
            show_pin(person, person.number_to_type("bo"), "7294")
            show_code(person, "bo@post.au.example")
        assert land(person) == number
        assert (person.find("#assertion td:has-text('PersonalUniqueID')").count() > 0) is (way != "library")


def test_a_service_may_choose_the_way_beforehand(visit: Visit) -> None:
    """A link that names the way shows no chooser: to the PIN form, or straight to the login."""
    person = visit()
    person.open("library", "/")
    person.press("a[href='/my-loans?way=library']")
    show_pin(person, person.number_to_type("vera"), "")
    person.page.wait_for_selector("[data-problem=pin_missing]")
    assert person.find("#pin[aria-invalid=true]").input_value() == ""
    show_pin(person, person.number_to_type("vera"), "0000")
    person.wait_for_page("pin", "code")  # as for a right PIN
    person.write("#code", "00000000")
    person.press("button[name=do][value=code]")
    person.page.wait_for_selector("[data-problem=code_wrong]")
    person.open("library", "/")
    person.press("a[href='/my-loans?way=nemid']")
    person.page.wait_for_selector(f"{HUB}[value=eva]")
    assert person.find(f"{HUB}[value=asta]").count() == 0


@pytest.mark.slow
def test_a_way_is_remembered_until_the_person_changes_it(visit: Visit) -> None:
    """With the box ticked the next login asks for no way; the same page, reached by its link, takes it back."""
    person = visit()
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    assert not person.find("#remember").is_checked()
    person.tick("label[for=remember]")
    person.press("button[name=upstream][value=library]")
    person.wait_for_page("pin")
    person.open("library", "/my-loans")
    person.wait_for_page("pin")
    person.press("main a[href$='/upstream']")
    person.wait_for_page("choose")
    assert person.find("#remember").is_checked()
    person.tick("label[for=remember]")
    person.press("button[name=upstream][value=wayf]")
    person.page.wait_for_selector(HUB)
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    assert not person.find("#remember").is_checked()


@pytest.mark.slow
def test_a_cancelled_login_leads_to_the_other_ways(visit: Visit) -> None:
    """A person cancels at the identity provider, sees a page that says so, and logs in by another way."""
    person = visit()
    to_my_loans(person, "nemid")
    person.press(f"{HUB}[value='']")
    person.wait_for_page("refuse")
    person.press("main a.button")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=wayf]")
    person.pick("karla")
    assert land(person) == person.number("karla")


def test_a_pin_is_chosen_behind_a_mailed_link(visit: Visit) -> None:
    """Number, mailed link, new PIN; the new PIN logs in, and the old one is mailed no code."""
    person, mail = visit(), "vera@own.example"
    person.open("library", "/")
    person.press("a[href*='/pin?']")
    person.wait_for_page("pin")
    person.press("main form button")
    person.page.wait_for_selector("[data-problem=pin_number_missing]")
    person.write("#identifier", person.number_to_type("vera"))
    person.press("main form button")
    person.wait_for_page("pin", "asked")
    person.page.goto(person.link(mail))
    choose_pin(person, "7294")
    person.wait_for_page("pin", "set")
    to_my_loans(person, "library")
    show_pin(person, person.number_to_type("vera"), str(persona("vera").pin))
    person.wait_for_page("pin", "code")
    person.press("main a[href$='/pin']:not([href*='?'])")
    show_pin(person, person.number_to_type("vera"), "7294")
    show_code(person, mail)
    assert land(person) == person.number("vera")


def test_number_and_pin_are_enough_in_a_known_browser(visit: Visit) -> None:
    """The tick makes number and PIN enough; a wrong PIN is named there, and another number is mailed a code."""
    person = visit()
    to_my_loans(person, "library")
    show_pin(person, person.number_to_type("ivan"), str(persona("ivan").pin))
    person.wait_for_page("pin", "code")
    person.tick("label[for=own]")
    show_code(person, "ivan@own.example")
    assert land(person) == person.number("ivan")
    to_my_loans(person, "library")
    show_pin(person, "T-2002", "0000")
    person.page.wait_for_selector("[data-problem=pin_wrong]")
    show_pin(person, "T-2001", "0000")
    person.wait_for_page("pin", "code")
    to_my_loans(person, "library")
    show_pin(person, "T-2002", str(persona("ivan").pin))
    assert land(person) == person.number("ivan")


def test_a_pin_is_chosen_after_a_login(visit: Visit) -> None:
    """A trivial PIN and two that differ are refused at the field; a good one opens the library's machine at once."""
    person = visit()
    number = sign_up(person, "asta")
    person.open("broker", "/sign-up/student/pin")
    person.press("[data-action=login_wayf_pin]")
    person.pick("asta")
    for pin, again, problem in (("1234", "1234", "pin_trivial"), ("7294", "7295", "pin_differs")):
        person.wait_for_page("pin")
        person.write("#pin", pin)
        person.write("#again", again)
        person.press("button[value=choose]")
        person.page.wait_for_selector(f"[data-problem={problem}]")
        assert person.find("#pin[aria-describedby~=problem]").input_value() == ""
    choose_pin(person, "7294")
    person.wait_for_page("pin", "set")
    person.open("library", "/machine")
    person.write("#identifier", person.number_to_type("asta"))
    person.write("#pin", "7294")
    person.press("main form button")
    assert person.text("#borrower") == person.name_of(number)


@pytest.mark.slow
def test_a_choice_is_remembered_and_withdrawn(visit: Visit) -> None:
    """A remembered yes asks no more; the page of choices shows it, and after its button the next login asks again."""
    person = visit()
    to_my_loans(person, "wayf")
    person.pick("dan")
    person.wait_for_page("ask")
    person.tick("#remember")
    number = land(person)
    to_my_loans(person, "wayf")
    person.pick("dan")
    person.page.wait_for_selector("#borrower")
    assert person.text("#borrower") == number
    person.open("library", "/")
    person.press("a[href*='/my-choices?']")
    person.wait_for_page("choices", "begin")
    person.press("main .ways a[href*=wayf]")
    person.pick("dan")
    person.wait_for_page("choices")
    assert person.find("[data-service=my-loans][data-event=given]").count() == 1
    person.press("[data-service=my-loans] a[href*=receipt]")
    person.wait_for_page("choices", "receipt")
    person.press(".back a")
    person.wait_for_page("choices")
    person.press("button[name=do][value=withdraw]")
    person.wait_for_page("choices", "withdrawn")
    to_my_loans(person, "wayf")
    person.pick("dan")
    assert land(person) == number


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "heading"),
    [("da", "Vil du slette dine data?"), pytest.param("en", "Delete your data?", marks=pytest.mark.full)],
)
def test_a_person_sees_and_deletes_what_is_kept(visit: Visit, language: str, heading: str) -> None:
    """After one fresh login, in two presses; the next login asks for the consent again."""
    person = visit()
    to_my_loans(person, "wayf")
    person.pick("dan")
    person.wait_for_page("ask")
    person.tick("#remember")
    number = land(person)
    person.open("broker", f"/my-choices?lang={language}")
    person.wait_for_page("choices", "begin")
    person.press("main .ways a[href*=wayf]")
    person.pick("dan")
    person.wait_for_page("choices")
    person.press("main a[href*='do=kept']")
    person.wait_for_page("choices", "kept")
    assert person.find("[data-kind=receipts]").count() == 1
    person.press("main a[href*='do=forget']")
    person.wait_for_page("choices", "confirm")
    assert person.text("h1") == heading
    person.press("main form button")
    person.wait_for_page("choices", "forgotten")
    to_my_loans(person, "wayf")
    person.pick("dan")
    person.wait_for_page("ask")
    assert land(person) == number


@pytest.mark.slow
def test_by_keyboard_and_without_scripts_it_is_the_same(visit: Visit) -> None:
    """Number, PIN and code, and the page of choices, need neither a mouse nor scripts."""
    for name, ways in (("ivan", {"keys": True}), ("pia", {"scripts": False})):
        person, pin = visit(**ways), persona(name).pin
        address = f"{name}@own.example"
        if pin is None:
            pin = "7294"
            person.open("broker", "/pin")
            person.write("#identifier", person.number_to_type(name))
            person.press("main form button")
            person.wait_for_page("pin", "asked")
            person.page.goto(person.link(address))
            choose_pin(person, pin)
            person.wait_for_page("pin", "set")
        to_my_loans(person, "library")
        show_pin(person, person.number_to_type(name), pin)
        # In the order of the page: once Tab went past its end, headless Firefox lacks the focus and Enter does nothing.
        show_code(person, address, own="#own")
        assert land(person) == person.number(name)
        person.open("broker", "/my-choices")
        person.press("main .ways a[href*=library]")
        show_pin(person, person.number_to_type(name), pin)
        person.wait_for_page("choices")
        assert person.find("[data-service=my-loans]").count() == 1
