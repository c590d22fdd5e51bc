"""R01 to R08, R39 and R46: whom the sign-up pages lead where, and what a login then makes of them."""

from urllib.parse import urlsplit

from broker.adapters.web.sign_up.sign_up_links import FAQ, START
from broker.demo.people.persona import NEMLOGIN
from broker.demo.people.personas import persona
from broker.demo.upstreams import wayf_hub
from tests.plugins.deployment import Deployment, find_text, form, mark
from tests.plugins.signup_pages import BACK, PAGES
from tests.walks.requirements.people import ASTA, BO, DORTE, elsewhere
from tests.walks.requirements.visits import (
    LANGUAGES,
    action,
    answer_sign_up,
    borrower,
    borrowers,
    choose_pin,
    count_creates,
    finish_login,
    links,
    log_in,
    mail_to,
    open_library,
    prove_mailbox,
    receive_landing,
    sign_up,
    texts,
    visitor,
    words,
)

_LABELS = {
    "en": [
        "Student (at Aarhus University)",
        "Employee (at Aarhus University)",
        "Employee (at Aarhus University Hospital)",
        "Private user (sign up with MitID)",
    ],
    "da": [
        "Studerende (på Aarhus Universitet)",
        "Ansat (på Aarhus Universitet)",
        "Ansat (på Aarhus Universitetshospital)",
        "Privat bruger (opret dig med MitID)",
    ],
}


def r01(deployment: Deployment) -> None:
    """MyPrint and the self-service machines need a sign-up: who has none is sent nowhere but to the right page."""
    for language, sentence in (("en", "self-service machines"), ("da", "selvbetjeningsautomaterne")):
        start = words(visitor(deployment, language).get("/sign-up"))
        assert sentence in start
        assert "MyPrint" in start
    person, machine = visitor(deployment), open_library(deployment)[0]
    page = log_in(person, persona("alma"), "myprint")
    assert (page.status_code, mark(page)) == (403, ("refuse", "no_library_account"))
    assert "You need a library account" in words(page)
    refused = deployment.landing(page)
    assert (refused.status, dict(refused.attributes)) == ("Responder / RequestDenied", {})
    assert borrowers(deployment, persona("alma")) == []
    [link] = [each for each in links(page) if urlsplit(each).path == "/sign-up/student"]
    assert "MyPrint" in words(person.get(link))
    refused_there = machine.post("/machine", data={"identifier": "1711034087", "pin": "4071"})
    assert refused_there.status_code == 422
    assert machine.post("/machine", data={"identifier": "0303651330", "pin": "8362"}).status_code == 200
    printing = visitor(deployment)
    assert receive_landing(printing, log_in(printing, persona("pia"), "myprint")).attributes["uid"]


def r02(deployment: Deployment) -> None:
    """Offer an existing user a PIN instead of an account: the borrower is found, none is created."""
    start = words(visitor(deployment).get("/sign-up"))
    assert "registered as library users automatically" in start
    assert "your CPR number and that PIN" in start
    pia, person = persona("pia"), visitor(deployment)
    before = borrower(deployment, pia)["patron_id"]
    asked = person.press(sign_up(person, pia, "student"), answer="yes")  # the masked address is hers
    assert mark(asked)[0] == "ask"
    assert "Pia Engel" in texts(asked, "//dl[@class='groups']//dd")
    page = finish_login(person, asked)
    assert (mark(page)[0], find_text(page, "//dd[@id='typed']/text()")) == ("done", "your CPR number and your PIN")
    assert count_creates(deployment) == 0
    assert borrower(deployment, pia)["patron_id"] == before
    assert any(urlsplit(each).path == "/pin" for each in links(page))
    assert "its number in the library system" in texts(asked, "//tr[@data-attribute='borrower_number']")[0]
    assert "created if you do not have one" not in words(asked)


def r03(deployment: Deployment) -> None:
    """Students and employees order a PIN themselves, from both leaves and without a login."""
    person = visitor(deployment)
    for affiliation, number, address in (
        ("student", "1402024085", "pia@own.example"),
        ("employee", "0303651330", "vera@own.example"),
    ):
        leaf = answer_sign_up(person, affiliation, "yes")
        assert mark(leaf)[1] == f"{affiliation}.pin"
        page = person.get(action(leaf, "pin_by_email"))
        assert (page.status_code, mark(page)) == (200, ("pin", ""))
        asked = person.press(page, identifier=number)
        assert mark(asked) == ("pin", "asked")
        assert f"/sign-up/{affiliation}/pin" in {urlsplit(each).path for each in links(asked)}
        assert "/pin?link=" in mail_to(deployment, address).text
    assert person.cookies("a-") == []


def r04(deployment: Deployment) -> None:
    """Hospital employees log in by mit.au.dk or the national eID, and get the same account."""
    hanne, nurse, doctor = persona("hanne"), visitor(deployment), visitor(deployment)
    pages = (
        finish_login(doctor, sign_up(doctor, hanne, "hospital")),
        finish_login(nurse, prove_mailbox(nurse, sign_up(nurse, DORTE, "hospital"), "dorte@auh.rm.dk")),
    )
    for page in pages:
        assert mark(page) == ("done", "created")
        assert find_text(page, "//main//@data-affiliation") == "hospital"
    assert {borrower(deployment, each)["category_id"] for each in (hanne, DORTE)} == {"HOSPITAL"}
    for person, who in ((visitor(deployment), hanne), (visitor(deployment), DORTE)):
        assert receive_landing(person, log_in(person, who, "e-resources")).status == "Success"


def r05(deployment: Deployment) -> None:
    """Private users sign up by the national eID only: a university login is never a private sign-up."""
    rosa, lars, alum, person = persona("rosa"), persona("lars"), persona("otto-left"), visitor(deployment)
    page = finish_login(person, sign_up(person, rosa, "private"))
    assert find_text(page, "//main//@data-affiliation") == "private"
    assert borrower(deployment, rosa)["category_id"] == "PRIVATE"
    student = visitor(deployment)
    asked = sign_up(student, ASTA, "private", "wayf")
    assert "You chose something else, but we use what your login says" in words(asked)
    done = finish_login(student, asked)
    assert find_text(done, "//main//@data-affiliation") == "student"
    assert borrower(deployment, ASTA)["category_id"] == "STUDENT"
    for who in (lars, alum):
        refused = sign_up(visitor(deployment), who, "private", "wayf")
        assert mark(refused) == ("refuse", "national_eid_required")
        assert "/sign-up/private" in {urlsplit(each).path for each in links(refused)}
    away = visitor(deployment).get("/sign-up/begin?affiliation=private&upstream=nemid")
    slipped = visitor(deployment).return_from_hub(away.location, BO)
    assert mark(slipped)[0] == "error"
    assert borrowers(deployment, lars) == borrowers(deployment, alum) == borrowers(deployment, BO) == []


def r06(deployment: Deployment) -> None:
    """Offer four affiliations by these names on the first page, none chosen beforehand, and lead on from each."""
    targets = dict(
        zip(PAGES[START].answers, ("student.cpr", "employee.cpr", "hospital.mitau", "private.eid"), strict=True)
    )
    for language in LANGUAGES:
        person = visitor(deployment, language)
        page = person.get("/sign-up")
        assert texts(page, "//form//label") == _LABELS[language]
        assert texts(page, "//form//input[@type='radio']/@value") == list(targets)
        assert texts(page, "//form//input[@checked]") == []
        empty = person.get("/sign-up?answer=")
        assert empty.status_code == 422
        assert find_text(empty, "//title/text()").startswith({"en": "Error:", "da": "Fejl:"}[language])
        for answer, node in targets.items():
            assert mark(answer_sign_up(person, answer)) == ("sign-up", node)


def r07(deployment: Deployment) -> None:
    """Send a private login straight to the national eID, and say on the page before it what to choose."""
    for language, note in (("en", "straight to MitID"), ("da", "direkte til MitID")):
        person = visitor(deployment, language)
        page = answer_sign_up(person, "private")
        assert note in words(page)
        away = person.get(action(page, "login_eid_private"))
        assert away.status_code == 302
        assert away.location.startswith(deployment.setting.ports.origin("hub"))
        assert wayf_hub.read(urlsplit(away.location).query).institutions == (NEMLOGIN,)
    other = person.get("/sign-up/begin?affiliation=student&upstream=wayf")
    assert NEMLOGIN not in wayf_hub.read(urlsplit(other.location).query).institutions


def r08(deployment: Deployment) -> None:
    """Tell students and employees with a number that they are registered and need a PIN; two ways lead to one."""
    sentences = {
        "en": ("registered as a library user automatically", "PIN"),
        "da": ("automatisk registreret", "pinkode"),
    }
    for language, sentence in sentences.items():
        for affiliation in ("student", "employee"):
            person = visitor(deployment, language)
            leaf = answer_sign_up(person, affiliation, "yes")
            assert all(each in words(leaf) for each in sentence)
            assert texts(leaf, "//a[@data-action]/@data-action") == ["login_wayf", "pin_by_email", "login_wayf_pin"]
            assert mark(person.get(action(leaf, "pin_by_email"))) == ("pin", "")
            away = person.get(action(leaf, "login_wayf_pin"))
            assert away.status_code == 302
            assert wayf_hub.read(urlsplit(away.location).query).institutions != (NEMLOGIN,)


def r39(deployment: Deployment) -> None:
    """Give a new person the rights at a login through the university, and mail a login that works."""
    assert "Log in through Aarhus University" in words(visitor(deployment).get(FAQ))
    assert "hvis du allerede har fået en velkomstmail" in words(visitor(deployment, "da").get(FAQ))
    sara, person, by_eid = persona("sara"), visitor(deployment), visitor(deployment)
    assert mark(finish_login(person, sign_up(person, sara, "student"))) == ("done", "created")
    number = str(borrower(deployment, sara)["patron_id"])
    choose_pin(visitor(deployment), "sara@post.au.example", "5926")
    assert deployment.koha.patrons.find_by_password(borrower(deployment, sara)["userid"], "5926")
    assert receive_landing(other := visitor(deployment), log_in(other, sara)).attributes["uid"] == (number,)
    eva = persona("eva")
    page = finish_login(by_eid, sign_up(by_eid, eva, "student"))
    assert find_text(page, "//main//@data-affiliation") == "private"
    assert borrower(deployment, eva)["category_id"] == "PRIVATE"
    assert mark(log_in(visitor(deployment), elsewhere(eva, "student@au.dk", "eva"))) == ("upgrade", "")


def r46(deployment: Deployment) -> None:
    """Every page but the first has a Back to the page that led to it, language and service kept, down to the first.

    The questions and answers lead back to the page from which they were opened, by whichever of its links.
    """
    for language, label in (("en", "Back"), ("da", "Tilbage")):
        person = deployment.person()
        for name, shape in PAGES.items():
            page = person.get(f"{shape.address}?service=my-loans&lang={language}")
            back = "//p[@class='back']/a"
            if name == START:
                assert texts(page, back) == []
                continue
            assert texts(page, back) == [label]
            target = find_text(page, f"{back}/@href")
            assert urlsplit(target).path == PAGES[BACK[name]].address
            assert "service=my-loans" in target
            led = person.get(target)
            assert mark(led) == ("sign-up", BACK[name])
            assert find_text(led, "//html/@lang") == language
            [answer] = [each for each, way in PAGES[BACK[name]].answers.items() if way.leads_to == name]
            again = person.get(f"{form(led)[0]}?answer={answer}&service=my-loans")
            assert mark(again) == ("sign-up", name)
            for questions in texts(page, f"//a[contains(@href, '{FAQ}')]/@href"):
                assert urlsplit(find_text(person.get(questions), f"{back}/@href")).path == shape.address
        faq = person.get(f"{FAQ}?from=student.pin")
        assert urlsplit(find_text(faq, "//p[@class='back']/a/@href")).path == PAGES["student.pin"].address
