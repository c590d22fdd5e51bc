"""R31, R32, R43 to R45: the three ways into My loans, the released data, and its explanation to people."""

from urllib.parse import urlsplit

from broker.adapters.web.sign_up.sign_up_links import FAQ
from broker.core.login.authentication_reading import PIN_CLASS
from broker.demo.people.persona import AU, NEMLOGIN_BIRK, Persona
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from tests.plugins.deployment import Deployment, mark
from tests.plugins.signup_pages import PAGES
from tests.walks.requirements.people import ASTA, BO, BO_NEMID, EVA
from tests.walks.requirements.visits import (
    CPR,
    URN,
    answer_sign_up,
    borrower,
    borrowers,
    choose_pin,
    count_creates,
    cpr,
    links,
    log_in,
    log_in_with_pin,
    receive_landing,
    texts,
    visitor,
    words,
)

_WAYS = ["library", "wayf", "nemid"]


def r31(deployment: Deployment) -> None:
    """My loans is opened by library account, WAYF or NemID, by these three only, and each leads to the same account."""
    chooser = visitor(deployment).ask()
    assert mark(chooser)[0] == "choose"
    assert texts(chooser, "//form[contains(@class, 'ways')]//button/@value") == _WAYS
    landings = {}
    for way, who in (("wayf", BO), ("nemid", BO_NEMID)):
        person = visitor(deployment)
        landings[way] = receive_landing(person, log_in(person, who))
    number, pin = str(borrower(deployment, BO)["patron_id"]), "5926"
    choose_pin(visitor(deployment), "bo@post.au.example", pin)
    for identifier in ("2207791019", "220779-1019"):
        person = visitor(deployment)
        landings[identifier] = receive_landing(person, log_in_with_pin(person, identifier, pin))
    assert {each.attributes["uid"] for each in landings.values()} == {(number,)}
    assert len({each.name_id for each in landings.values()}) == 1
    assert {each.authn_context for each in landings.values()} == {PIN_CLASS}  # a password at a university is no other
    chains = [each.authorities for each in landings.values()]
    assert chains == [(AU, HUB), (NEMLOGIN_BIRK, HUB), (), ()]  # a name that nobody configured is not passed on
    sent = {way: each.attributes.get(CPR) for way, each in landings.items()}
    number_of_bo = (URN + cpr(BO),)
    assert sent == {"wayf": number_of_bo, "nemid": number_of_bo, "2207791019": None, "220779-1019": None}


def r32(deployment: Deployment) -> None:
    """WAYF and NemID hand the CPR number to the library, which is said before the choice and asked before it leaves."""
    for language, said in (
        ("en", ("we send your CPR number to", "log in with your library account, we do not")),
        ("da", ("sender vi dit CPR-nummer til", "på med din lånerkonto, sender vi det ikke")),
    ):
        person = visitor(deployment, language)
        chooser = person.ask()
        assert all(each in words(chooser) for each in said)
        [entry] = texts(person.get(FAQ), "//section[h2[@id='my-loans']]")
        assert "CPR" in entry
        assert "Det Kgl. Bibliotek" in entry
    for who in (ASTA, EVA):
        person, other = visitor(deployment), visitor(deployment)
        page = log_in(person, who)
        assert texts(page, "//tr[@data-attribute='cpr']/td/span") == ["••••••-••••"]
        refused = deployment.landing(other.agree(log_in(other, who), answer="no"))
        assert (refused.status, dict(refused.attributes)) == ("Responder / RequestDenied", {})
        assert receive_landing(person, page).attributes[CPR] == (URN + cpr(who),)
    person = visitor(deployment)
    page = log_in_with_pin(person, "0303651330", "8362")
    assert texts(page, "//tr[@data-attribute='cpr']") == []
    assert CPR not in receive_landing(person, page).attributes
    assert "cpr" not in words(visitor(deployment).ask("e-resources")).lower()


def _check_explanations(
    deployment: Deployment, nodes: tuple[str, ...], anchor: str, upstream: str, said: dict[str, str]
) -> None:
    """Hold that each button to log in by ``upstream`` stands beside a link to the answer that tells what it is."""
    for language, sentence in said.items():
        person = visitor(deployment, language)
        for node in nodes:
            page = person.get(PAGES[node].address)
            buttons = [each for each in texts(page, "//a[@data-action]/@href") if f"={upstream}" in each]
            about = f"//a[@data-action and contains(@href, '={upstream}')]/../a[@class='about']/@href"
            hrefs = texts(page, about)
            assert len(hrefs) == len(buttons) > 0
            for href in hrefs:
                assert (urlsplit(href).path, urlsplit(href).fragment) == (FAQ, anchor)
                [entry] = texts(person.get(href), f"//section[h2[@id='{anchor}']]")
                assert sentence in entry
            assert person.get(buttons[0]).status_code == 302


def r43(deployment: Deployment) -> None:
    """Every WAYF button stands beside the answer to what WAYF is: one login for several services."""
    said = {"en": "use the same login at several services", "da": "bruge det samme login hos flere tjenester"}
    person = visitor(deployment)
    for page in (person.ask(), person.get("/pin"), person.get("/my-choices")):
        [about] = [each for each in links(page) if each.endswith("#wayf")]
        entries = person.get(about)
        assert said["en"] in texts(entries, "//section[h2[@id='wayf']]")[0]
        for back in texts(entries, "//div[@class='notice']//a/@href"):
            assert mark(person.get(back)) == mark(page)
    _check_explanations(deployment, ("student.pin", "employee.pin", "hospital.login"), "wayf", "wayf", said)


def r44(deployment: Deployment) -> None:
    """Ask at a WAYF login before anything goes to Det Kgl. Bibliotek; a no sends nothing and leads to the desk."""
    for language, receiver, free in (
        ("en", "Royal Danish Library", "If you say no, nothing is sent"),
        ("da", "Det Kgl. Bibliotek", "Siger du nej, sendes intet"),
    ):
        person = visitor(deployment, language)
        page = log_in(person, ASTA)
        assert mark(page) == ("ask", "ask")
        assert receiver in words(page)
        assert texts(page, "//form[@class='answer']//button/@value") == ["yes", "no"]
        assert texts(page, "//input[@type='checkbox'][@checked]") == []
        assert free in words(page)
    for language, sentence in (("en", "you consent to the transfer"), ("da", "giver du samtykke til")):
        [entry] = texts(visitor(deployment, language).get(FAQ), "//section[h2[@id='wayf']]")
        assert sentence in entry
        assert "Det Kgl. Bibliotek" in entry
    asked = visitor(deployment)
    no = asked.agree(log_in(asked, ASTA), answer="no")
    assert mark(no) == ("refuse", "consent_refused")
    assert "health insurance card and another form of ID. The staff will help you there" in words(no)
    assert f"{deployment.setting.ports.origin('library')}/locations?lang=en" in links(no)
    refused = deployment.landing(no)
    assert (refused.status, dict(refused.attributes)) == ("Responder / RequestDenied", {})
    assert (count_creates(deployment), borrowers(deployment, ASTA)) == (0, [])
    assert deployment.mailbox.mails() == ()
    assert receive_landing(asked, log_in(asked, ASTA)).status == "Success"
    assert mark(log_in(visitor(deployment), _reader(), "e-resources")) == ("ask", "inform")


def _reader() -> Persona:
    return persona("ib-reads")


def r45(deployment: Deployment) -> None:
    """Every NemID button stands beside the answer to what NemID is, which says that it closed and what came then."""
    for sentences in (
        {"en": "Danish national login", "da": "danske nationale login"},
        {"en": "closed on 31 October 2023", "da": "lukkede den 31. oktober 2023"},
        {"en": "MitID", "da": "MitID"},
    ):
        _check_explanations(deployment, ("hospital.kaldemail", "private.eid"), "eid", "nemid", sentences)
    person = visitor(deployment)
    refused = log_in(visitor(deployment), persona("ib"))
    assert mark(refused) == ("refuse", "cpr_required")
    for page in (person.ask(), person.get("/pin"), person.get("/my-choices"), refused):
        [about] = [each for each in links(page) if each.endswith("#eid")]
        assert (urlsplit(about).path, "What is MitID?" in words(page)) == (FAQ, True)
        assert "Danish national login" in texts(person.get(about), "//section[h2[@id='eid']]")[0]
    assert mark(answer_sign_up(visitor(deployment), "private"))[1] == "private.eid"
