"""Becoming a borrower in a real browser: all nine ends, the kaldemail, the upgrade, without scripts and by keyboard."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from broker.demo.people.personas import persona
from tests.plugins.signup_pages import BACK, PAGES
from tests.plugins.visitor import Visitor, go_back_and_forward

Visit = Callable[..., Visitor]
# End of the tree, what is pressed there, who does, and what they are then (None: the end needs no login).
LOGINS = [
    ("student.pin", "login_wayf", "sara", "STUDENT"),
    pytest.param("student.pin", "login_wayf", "poul", "EMPLOYEE", marks=pytest.mark.full),
    pytest.param("employee.pin", "login_wayf", "cilla", "EMPLOYEE", marks=pytest.mark.full),
    pytest.param("hospital.login", "login_wayf", "hanne", "HOSPITAL", marks=pytest.mark.full),
    pytest.param("private.eid", "login_eid_private", "rosa", "PRIVATE", marks=pytest.mark.full),
]
PLACES = [
    ("student.temp", "/locations"),
    pytest.param("employee.temp", "/locations", marks=pytest.mark.full),
    pytest.param("employee.eaccess", "/search", marks=pytest.mark.full),
    pytest.param("student.eaccess", "/sign-up/faq", marks=pytest.mark.full),
]


def way_to(end: str) -> Sequence[str]:
    """Return the names of the pages from the start to an end."""
    way = [end]
    while way[0] in BACK:
        way.insert(0, BACK[way[0]])
    return way


def answers_to(end: str) -> Sequence[tuple[str, str, str]]:
    """Give page, answer and following page, from the start to an end."""
    return [
        (asks, next(key for key, answer in PAGES[asks].answers.items() if answer.leads_to == then), then)
        for asks, then in pairwise(way_to(end))
    ]


def go_to(person: Visitor, end: str, *, back: bool = False) -> None:
    """Answer the questions up to an end; with ``back``, press Back once on every page."""
    person.open("library", "/")
    person.press("a[href*='/sign-up?']")
    person.wait_for_page("sign-up", "start")
    for here, answer, then in answers_to(end):
        person.answer(answer)
        person.wait_for_page("sign-up", then)
        if back:
            person.press(".back a")
            person.wait_for_page("sign-up", here)
            person.answer(answer)
            person.wait_for_page("sign-up", then)


def finish(person: Visitor, name: str) -> str:
    """Agree, up to the page that ends a sign-up, and give the internal number of the borrower: no page shows it."""
    person.wait_for_page("ask")
    person.agree()
    person.wait_for_page("done")
    number = person.number(name)
    assert number not in person.text("main dl").split()
    return number


def prove(person: Visitor, address: str) -> None:
    """Write an address of the wrong domain, then the own one, and the code that was mailed."""
    person.wait_for_page("proof", "kaldemail")
    person.write("#address", address.replace("@", "@sub."))
    person.press("button[value=mail]")
    person.page.wait_for_selector("[data-problem]")
    person.wait_for_page("proof")
    assert person.find("#address[aria-describedby=problem]").input_value() == address.replace("@", "@sub.")
    assert person.find("#problem").is_visible()
    person.write("#address", address)
    person.press("button[value=mail]")
    person.page.wait_for_selector("#code")
    person.wait_for_page("proof")
    person.write("#code", person.code(address))
    person.press("button[value=code]")


def use_mailed_pin_link(person: Visitor, name: str, address: str) -> None:
    """Choose a PIN behind the link of the welcome mail, and show it to the library's machine."""
    person.page.goto(person.link(address))
    person.write("#pin", "7294")
    person.write("#again", "7294")
    person.press("button[value=choose]")
    person.wait_for_page("pin", "set")
    person.open("library", "/machine")
    person.write("#identifier", person.number_to_type(name))
    person.write("#pin", "7294")
    person.press("main form button")
    assert person.text("#borrower") == person.name_of(person.number(name))


@pytest.mark.parametrize(("end", "action", "name", "category"), LOGINS)
def test_an_end_with_a_login_makes_a_borrower(visit: Visit, end: str, action: str, name: str, category: str) -> None:
    """Answers, Back at every step, the login, Back and forward again, and a link behind which a PIN is chosen."""
    person = visit()
    go_to(person, end, back=True)
    person.press(f"[data-action={action}]")
    person.page.wait_for_selector("button[name=persona]")
    person.page.go_back()
    person.wait_for_page("sign-up", end)
    person.press(f"[data-action={action}]")
    person.pick(name)
    person.wait_for_page("ask")
    person.page.reload()
    go_back_and_forward(person.page, "main[data-step=ask]")
    assert person.row(finish(person, name))["category_id"] == category
    assert person.find("[data-affiliation] .notice").count() == int(name == "poul")
    use_mailed_pin_link(person, name, persona(name).attributes["mail"][0])


@pytest.mark.parametrize(("end", "place"), PLACES)
def test_an_end_without_a_login_leads_to_its_place(visit: Visit, end: str, place: str) -> None:
    """A person who needs no login, or cannot log in yet, finds a link to help, and Back on every page."""
    person = visit()
    go_to(person, end, back=True)
    assert person.find("[data-action]").count() == int(end.endswith("eaccess"))  # the login at the electronic resources
    person.press(f"main a[href*='{place}']")
    person.page.wait_for_url(f"**{place}?*")
    person.page.go_back()
    person.wait_for_page("sign-up", end)


@pytest.mark.parametrize(
    ("name", "address", "ways"),
    [
        ("dorte", "dorte@auh.rm.dk", {}),
        pytest.param("nils", "nils@ps.rm.dk", {"scripts": False}, marks=pytest.mark.full),
        pytest.param("eva", "eva@aarhus.rm.dk", {"keys": True}, marks=pytest.mark.full),
    ],
)
def test_the_last_end_asks_for_a_kaldemail(visit: Visit, name: str, address: str, ways: dict[str, bool]) -> None:
    """National eID and the code of a real mail make a hospital borrower: by mouse, without scripts, by keyboard."""
    person = visit(**ways)
    go_to(person, "hospital.kaldemail")
    person.press("[data-action=login_eid_hospital]")
    person.pick(name)
    prove(person, address)
    row = person.row(finish(person, name))
    assert (row["category_id"], row["email"]) == ("HOSPITAL", address)
    use_mailed_pin_link(person, name, address)


def test_the_mailed_code_proves_in_its_own_browser_only(visit: Visit) -> None:
    """The code of another browser is wrong; in its own browser it proves."""
    kim, other = visit(), visit()
    for person, address in ((kim, "kim@skejby.rm.dk"), (other, "other@skejby.rm.dk")):
        person.open("broker", PAGES["hospital.kaldemail"].address)
        person.press("[data-action=login_eid_hospital]")
        person.pick("kim")
        person.wait_for_page("proof")
        person.write("#address", address)
        person.press("button[value=mail]")
        person.page.wait_for_selector("#code")
    code = kim.code("kim@skejby.rm.dk")
    other.write("#code", code)
    other.press("button[value=code]")
    other.page.wait_for_selector("[data-problem=code_wrong]")
    kim.write("#code", code)
    kim.press("button[value=code]")
    assert kim.row(finish(kim, "kim"))["category_id"] == "HOSPITAL"


@pytest.mark.parametrize(
    ("name", "answer", "category"),
    [("jens", "yes", "STUDENT"), pytest.param("jytte", "no", "PRIVATE", marks=pytest.mark.full)],
)
def test_a_private_borrower_answers_the_offer(visit: Visit, name: str, answer: str, category: str) -> None:
    """Yes changes the category and no does not; number and mail address stay, and no second account is made."""
    person = visit()
    before = {each["patron_id"]: each for each in person.demo.patrons.patrons.rows()}
    desk = next(each for each in before.values() if each["userid"] == persona(name).registered[0]["userid"])
    person.open("broker", PAGES["student.pin"].address)
    person.press("[data-action=login_wayf]")
    person.pick(name)
    person.wait_for_page("upgrade")
    person.press(f"button[name=answer][value={answer}]")
    assert finish(person, name) == str(desk["patron_id"])
    after = person.row(desk["patron_id"])
    assert (after["category_id"], after["email"]) == (category, desk["email"])
    assert len(person.demo.patrons.patrons.rows()) == len(before)


def test_a_sign_up_leads_back_to_the_service(visit: Visit) -> None:
    """MyPrint without an account leads to the sign-up pages, and the sign-up ends with the way to MyPrint."""
    person = visit()
    person.open("library", "/myprint")
    person.press("button[name=upstream][value=wayf]")
    person.pick("alma")
    person.wait_for_page("refuse", "no_library_account")
    person.press("main a[href*='/sign-up/student']")
    person.wait_for_page("sign-up", "student.cpr")
    person.answer("yes")
    person.wait_for_page("sign-up", "student.pin")
    person.press("[data-action=login_wayf]")
    person.pick("alma")
    number = finish(person, "alma")
    person.press("a.button[href*='/myprint']")
    person.press("button[name=upstream][value=wayf]")
    person.pick("alma")
    person.wait_for_page("ask")
    person.agree()
    person.page.wait_for_selector("#balance")
    assert person.text("#borrower") == number
