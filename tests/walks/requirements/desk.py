"""R27 to R30: whom the service locations serve, with what, and where they are found."""

from broker.adapters.web.sign_up.sign_up_links import FAQ
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, mark
from tests.plugins.pin_pages import pin_page
from tests.walks.requirements.people import ASTA
from tests.walks.requirements.visits import (
    CPR,
    answer_sign_up,
    borrowers,
    count_creates,
    links,
    log_in,
    log_in_with_pin,
    open_library,
    open_library_page,
    receive_landing,
    sign_up,
    texts,
    visitor,
    words,
)

_STUDENT_WITHOUT = persona("ib")


def r27(deployment: Deployment) -> None:
    """Tell exchange students that documentation gets them a temporary card, and let that card in."""
    for language, said in (("en", "get a temporary library card"), ("da", "får et midlertidigt lånerkort")):
        [entry] = texts(visitor(deployment, language).get(FAQ), "//section[h2[@id='login']]")
        assert said in entry
    row = next(each for each in deployment.koha.patrons.rows() if each["userid"] == "temp.ivan")
    person, library = visitor(deployment), open_library(deployment)[0]
    landing = receive_landing(person, log_in_with_pin(person, "T-2002", "6193"))
    assert landing.attributes == {"uid": (str(row["patron_id"]),)}
    assert library.post("/machine", data={"identifier": "T-2002", "pin": "6193"}).status_code == 200
    assert mark(log_in(visitor(deployment), _STUDENT_WITHOUT)) == ("refuse", "cpr_required")


def r28(deployment: Deployment) -> None:
    """Companies ask the library: nobody signs up as one, and an identity of a company is refused with that word."""
    for language, said in (
        ("en", "Companies get library cards by contacting"),
        ("da", "Virksomheder får lånerkort ved"),
    ):
        person = visitor(deployment, language)
        [entry] = texts(person.get(FAQ), "//section[h2[@id='login']]")
        assert said in entry
    before = len(deployment.koha.patrons.rows())
    person = visitor(deployment)
    assert "company" not in texts(person.get("/sign-up"), "//input[@type='radio']/@value")
    assert person.get("/sign-up?answer=company").status_code == 422
    assert person.get("/sign-up/begin?affiliation=company&upstream=nemid").status_code == 422
    for page in (log_in(person, persona("olga")), sign_up(person, persona("olga"), "private")):
        assert mark(page) == ("refuse", "company_identity")
        assert "Companies get a library card by contacting the library" in words(page)
    assert len(deployment.koha.patrons.rows()) == before


def r29(deployment: Deployment) -> None:
    """Without a number one brings identification and AU ID, then borrows and prints by borrower ID and PIN."""
    for language, said in (
        ("en", ("identification", "AU ID", "borrower ID", "library card")),
        ("da", ("legitimation", "AU-id", "låner-id", "lånerkort")),
    ):
        [entry] = texts(visitor(deployment, language).get(FAQ), "//section[h2[@id='no-cpr']]")
        assert all(each in entry for each in said)
        [label] = texts(pin_page(visitor(deployment, language)), "//label[@for='identifier']")
        assert said[-1] in label
    number = str(next(each for each in deployment.koha.patrons.rows() if each["userid"] == "temp.ivan")["patron_id"])
    for service in ("my-loans", "myprint"):
        person = visitor(deployment)
        landing = receive_landing(person, log_in_with_pin(person, "T-2002", "6193", service))
        assert (landing.status, landing.attributes["uid"]) == ("Success", (number,))
        assert CPR not in landing.attributes
        assert mark(log_in_with_pin(visitor(deployment), "T-2002", "6194", service)) == ("pin", "pin_wrong")
    assert (count_creates(deployment), len(borrowers(deployment, ASTA))) == (0, 0)


def r30(deployment: Deployment) -> None:
    """Link to opening hours and addresses, in the language of the page, on every page that sends a person to the desk."""
    library, origin = open_library(deployment)[0], deployment.setting.ports.origin("library")
    for language, hours in (("en", "8.00-20.00"), ("da", "8.00-20.00")):
        person, place = visitor(deployment, language), f"{origin}/locations?lang={language}"
        assert texts(person.get(FAQ), "//section[h2[@id='no-cpr']]//a/@href") == [place]
        for page in (
            answer_sign_up(person, "student", "no", "yes"),
            answer_sign_up(person, "employee", "no", "yes"),
            answer_sign_up(person, "private"),
            log_in(person, _STUDENT_WITHOUT),
            log_in(person, ASTA, "myprint"),
        ):
            assert place in links(page)
        assert hours in open_library_page(library, place).get_data(as_text=True)
