"""R27 to R30: whom the service locations serve, with what, and where they are found."""

from broker.adapters.web.sign_up.sign_up_questions import FAQ
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, mark
from tests.walks.requirements.people import ASTA
from tests.walks.requirements.visits import (
    CPR,
    at_library,
    borrowers,
    by_pin,
    creates,
    hall,
    landed,
    links,
    log_in,
    pin_page,
    sign_up,
    texts,
    visitor,
    walked,
    words,
)

_STUDENT_WITHOUT = persona("ib")


def r27(deployment: Deployment) -> None:
    """Tell exchange students that documentation gets them a provisional card, and let that card in."""
    for language, said in (("en", "get a provisional library card"), ("da", "får et foreløbigt lånerkort")):
        [entry] = texts(visitor(deployment, language).get(FAQ), "//section[h2[@id='login']]")
        assert said in entry
    row = next(each for each in deployment.koha.patrons.rows() if each["userid"] == "temp.ivan")
    person, library = visitor(deployment), hall(deployment)[0]
    landing = landed(person, by_pin(person, "T-2002", "6193"))
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
        ("en", ("identification", "AU ID", "borrower ID")),
        ("da", ("legitimation", "AU-id", "låner-id")),
    ):
        [entry] = texts(visitor(deployment, language).get(FAQ), "//section[h2[@id='no-cpr']]")
        assert all(each in entry for each in said)
        [label] = texts(pin_page(visitor(deployment, language)), "//label[@for='identifier']")
        assert said[2] in label
    number = str(next(each for each in deployment.koha.patrons.rows() if each["userid"] == "temp.ivan")["patron_id"])
    for service in ("my-loans", "myprint"):
        person = visitor(deployment)
        landing = landed(person, by_pin(person, "T-2002", "6193", service))
        assert (landing.status, landing.attributes["uid"]) == ("Success", (number,))
        assert CPR not in landing.attributes
        assert mark(by_pin(visitor(deployment), "T-2002", "6194", service)) == ("pin", "pin_wrong")
    assert (creates(deployment), len(borrowers(deployment, ASTA))) == (0, 0)


def r30(deployment: Deployment) -> None:
    """Link to opening hours and addresses, in the language of the page, wherever somebody must come by."""
    library, origin = hall(deployment)[0], deployment.setting.ports.origin("library")
    for language, hours in (("en", "8.00-20.00"), ("da", "8.00-20.00")):
        person, place = visitor(deployment, language), f"{origin}/locations?lang={language}"
        assert texts(person.get(FAQ), "//section[h2[@id='no-cpr']]//a/@href") == [place]
        for page in (
            walked(person, "student", "no", "yes"),
            walked(person, "employee", "no", "yes"),
            walked(person, "private"),
            log_in(person, _STUDENT_WITHOUT),
            log_in(person, ASTA, "myprint"),
        ):
            assert place in links(page)
        assert hours in at_library(library, place).get_data(as_text=True)
