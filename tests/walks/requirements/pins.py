"""R09, R10, R25, R26, R34, R41 and R42: PINs, what they open, and how a person gets or changes one."""

from urllib.parse import urlsplit

from broker.adapters.web.sign_up.sign_up_links import FAQ
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, find_text, form, mark
from tests.plugins.pin_pages import comparable_page, pin_page
from tests.walks.requirements.people import ASTA
from tests.walks.requirements.visits import (
    action,
    answer_sign_up,
    borrower,
    choose_pin,
    code_to,
    finish_login,
    links,
    log_in,
    log_in_with_pin,
    mail_to,
    open_library,
    open_library_page,
    receive_landing,
    sign_up,
    texts,
    visitor,
    words,
)

_VERA, _HERS = "0303651330", "8362"  # whom the desk has registered, and her PIN


def r09(deployment: Deployment) -> None:
    """Answer everybody alike who asks for a PIN, write to the address on file only, and stop who asks for everybody."""
    leaf = answer_sign_up(visitor(deployment), "student", "yes")
    seen = set()
    for identifier in (_VERA, "0303820008", "T-2002", "987654"):
        person = visitor(deployment)
        page = person.get(action(leaf, "pin_by_email"))
        assert form(page)[0].partition("?")[2].startswith("login=")
        seen.add(comparable_page(deployment, person.press(page, identifier=identifier)))
    assert len(seen) == 1
    assert next(iter(seen))[0] == 200
    assert deployment.koha.patrons.find_by_password(_VERA, _HERS)
    done = choose_pin(visitor(deployment), "vera@own.example", "5926")
    assert mark(done) == ("pin", "set")
    assert deployment.koha.patrons.find_by_password(_VERA, "5926")
    assert not deployment.koha.patrons.find_by_password(_VERA, _HERS)
    assert mail_to(deployment, "vera@own.example", "has just been chosen|lige valgt")
    greedy = visitor(deployment)
    for _ in range(30):  # twenty an hour of one network are carried out, and the answer is always the same
        assert (
            comparable_page(deployment, greedy.press(greedy.get(action(leaf, "pin_by_email")), identifier="T-2002"))
            in seen
        )
    assert mail_to(deployment, "ivan@own.example", r"/pin\?link=")
    links = [mail for mail in deployment.mailbox.mails() if "/pin?link=" in mail.text]
    assert {mail.recipients for mail in links} == {("vera@own.example",), ("ivan@own.example",)}
    assert len([mail for mail in links if mail.recipients == ("ivan@own.example",)]) <= 3


def r10(deployment: Deployment) -> None:
    """Land the leaves' WAYF link on the page where a PIN is changed, and nowhere that an address chooses."""
    pia, person = persona("pia"), visitor(deployment)
    away = person.get(action(answer_sign_up(person, "student", "yes"), "login_wayf_pin"))
    assert away.status_code == 302
    page = person.press(person.return_from_hub(away.location, pia), answer="yes")  # the masked address is hers
    assert (mark(page)[0], page.request.path) == ("pin", "/pin")
    changed = person.press(page, do="choose", pin="5926", again="5926")
    assert mark(changed) == ("pin", "set")
    assert deployment.koha.patrons.find_by_password("1402024085", "5926")
    for elsewhere in ("https://evil.example", "//evil.example", "library"):
        refused = visitor(deployment).get(f"/pin?change={elsewhere}")
        assert refused.status_code == 422
        assert not refused.location
    again = visitor(deployment)
    sent = again.get("/pin?change=wayf&service=https://evil.example")
    acs, fields = deployment.answer(sent.location, "pia")
    came = again.deliver(acs, {**fields, "RelayState": "https://evil.example/"})
    assert "evil.example" not in (came.location or "")
    assert came.status_code in {303, 400, 403}
    shown = again.get(came.location) if came.location else came
    assert "evil.example" not in shown.get_data(as_text=True)


def r25(deployment: Deployment) -> None:
    """Take the CPR number as user name, with a PIN of four digits; a browser that has shown nothing learns nothing."""
    made = visitor(deployment)
    done = finish_login(made, sign_up(made, ASTA, "student"))
    row = borrower(deployment, ASTA)
    assert row["userid"] == "1403044004"
    for poor in ("407", "40715", "abcd", "٤٠٧١", "1234"):
        assert made.press(done, do="choose", pin=poor, again=poor).status_code == 422
    assert mark(made.press(done, do="choose", pin="5926", again="5926")) == ("pin", "set")
    assert deployment.koha.patrons.find_by_password("1403044004", "5926")
    stranger = visitor(deployment)
    guess = pin_page(stranger)
    assert texts(guess, "//label[@for='identifier']")[0].startswith("CPR number")
    assert texts(guess, "//label[@for='pin']") == ["PIN, four digits"]
    pages = set()
    for pin in ("0000", "1111", _HERS):
        answer = stranger.press(guess, do="login", identifier=_VERA, pin=pin)
        pages.add(comparable_page(deployment, answer))
    pages.add(comparable_page(deployment, stranger.press(guess, do="login", identifier="nobody", pin="0000")))
    assert len(pages) == 1
    assert stranger.cookies("a-") == []
    code = code_to(deployment, "vera@own.example")
    assert receive_landing(stranger, stranger.press(answer, do="code", code=code)).status == "Success"
    person = visitor(deployment)
    assert receive_landing(person, log_in_with_pin(person, "140304-4004", "5926")).attributes["uid"] == (
        str(row["patron_id"]),
    )


def r26(deployment: Deployment) -> None:
    """Name the yellow health insurance card as the library card on every page that speaks of PINs."""
    for language, card in (("en", "yellow health insurance card"), ("da", "gule sundhedskort")):
        person = visitor(deployment, language)
        for path in ("/sign-up/student/pin", "/sign-up/employee/pin"):
            assert card in words(person.get(path))
        [entry] = texts(person.get(FAQ), "//section[h2[@id='login']]")
        assert card in entry


def r34(deployment: Deployment) -> None:
    """Without a library account a student must get a PIN first: nothing opens the account before, the mailed PIN does."""
    pia, stranger = persona("pia"), visitor(deployment)
    assert not deployment.koha.patrons.passwords.holds(borrower(deployment, pia)["patron_id"])
    assert mark(log_in_with_pin(visitor(deployment), "1402024085", "0000")) == ("pin", "pin_wrong")
    page = stranger.get(action(answer_sign_up(stranger, "student", "yes"), "pin_by_email"))
    assert mark(stranger.press(page, identifier="140202-4085")) == ("pin", "asked")
    choose_pin(stranger, "pia@own.example", "5926")
    landing = receive_landing(other := visitor(deployment), log_in_with_pin(other, "1402024085", "5926"))
    assert landing.attributes["uid"] == (str(borrower(deployment, pia)["patron_id"]),)
    new = visitor(deployment)
    done = finish_login(new, sign_up(new, persona("sara"), "student"))
    assert "we email a link to sara@post.au.example. It works for seven days." in words(done)
    choose_pin(visitor(deployment), "sara@post.au.example", "6038")
    assert deployment.koha.patrons.find_by_password("2209044075", "6038")


def r41(deployment: Deployment) -> None:
    """Lead a person with a forgotten PIN from the login page and the FAQ to the page for a new PIN."""
    person = visitor(deployment)
    login, faq = pin_page(person), person.get(FAQ)
    [forgotten] = [each for each in links(login) if urlsplit(each).path == "/pin"]
    assert texts(faq, "//section[h2[@id='pin']]//a/@href") == ["/pin"]
    number = _number(deployment, "temp.ivan")
    assert mark(person.press(person.get(forgotten), identifier="T-2002")) == ("pin", "asked")
    choose_pin(person, "ivan@own.example", "5926")
    assert mark(log_in_with_pin(person, "T-2002", "6193", "myprint")) == ("pin", "pin_wrong")
    assert receive_landing(
        other := visitor(deployment), log_in_with_pin(other, "T-2002", "5926", "myprint")
    ).attributes["uid"] == (number,)


def _number(deployment: Deployment, user: str) -> str:
    return str(next(row for row in deployment.koha.patrons.rows() if row["userid"] == user)["patron_id"])


def r42(deployment: Deployment) -> None:
    """Lead to the library, where address, mail and PIN are edited with CPR number and PIN; no login undoes that."""
    library, person = open_library(deployment)[0], visitor(deployment)
    [mine] = texts(person.get(FAQ), "//section[h2[@id='profile']]//a/@href")
    assert mine == f"{deployment.setting.ports.origin('library')}/my-loans?lang=en"
    [entry] = texts(person.get(FAQ), "//section[h2[@id='profile']]")
    assert all(each in entry for each in ("CPR number and PIN", "university login", "MitID"))
    assert open_library_page(library, mine).status_code == 302
    jens = persona("jens")
    page = finish_login(person, log_in(person, jens))
    action_, fields = form(page)
    landing = library.post(urlsplit(action_).path, data=fields)
    assert "/profile" in {urlsplit(each).path for each in texts(landing, "//a/@href")}
    wanted = {"email": "jens@moved.example", "phone": "", "address": "Bakken 3", "new_pin": "5926", "again": "5926"}
    saved = library.post("/profile", data={"identifier": "2102014459", "pin": "7318", **wanted})
    assert saved.status_code == 200
    assert deployment.koha.patrons.find_by_password("2102014459", "5926")
    again = visitor(deployment)
    receive_landing(again, log_in(again, jens))
    row = borrower(deployment, jens)
    assert (row["email"], row["address"]) == ("jens@moved.example", "Bakken 3")
    done = finish_login(other := visitor(deployment), sign_up(other, jens, "student"))
    assert find_text(done, "//div[@class='actions']/a/@href").startswith(deployment.setting.ports.origin("library"))
    assert "You can change your address, email address and PIN in My loans" in words(done)
