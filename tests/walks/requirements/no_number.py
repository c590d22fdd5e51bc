"""R11 to R14, R23, R24, R36 and R38: life without a CPR number or an account, and what needs one."""

import shutil
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from broker.adapters.web.sign_up.sign_up_links import FAQ
from broker.configuration.policies.policy_folder import PolicyFolder
from broker.demo.people.personas import persona
from broker.demo.upstreams.assertion_writer import NAMES
from tests.plugins.deployment import Deployment, change_persona, mark
from tests.walks.requirements.people import (
    ASTA,
    BO,
    DAN,
    DORTE,
    EMPLOYEE_WITHOUT,
    EVA,
    HOSPITAL_WITHOUT,
    PRIVATE_WITHOUT,
)
from tests.walks.requirements.visits import (
    CPR,
    LANGUAGES,
    answer_sign_up,
    borrowers,
    count_creates,
    finish_login,
    links,
    log_in,
    open_library,
    open_library_page,
    prove_mailbox,
    receive_landing,
    sign_up,
    texts,
    visitor,
    words,
)

_STUDENT_WITHOUT = persona("ib")
_LAW = """\
affiliation: law
precedence: 25
label: {en: Student of law, da: Jurastuderende}
owner: identity@library.example
review_by: 2099-01-01
match:
  - upstream: wayf
    assurance: low
    schacHomeOrganization: [au.dk]
    schacPersonalUniqueCode: ['urn:schac:personalUniqueCode:dk:au.dk:field:law']
release:
  e-resources: {none: [schacHomeOrganization]}
examples:
  - name: another field
    login: {upstream: wayf, assurance: low, schacHomeOrganization: au.dk}
    service: e-resources
    expect: {effect: deny, reason: no_affiliation}
"""


def _collect_refusals(deployment: Deployment, affiliation: str) -> str:
    """Let somebody without a number ask for loans and sign up: refused both times; give what to bring instead."""
    who = {"student": _STUDENT_WITHOUT, "employee": EMPLOYEE_WITHOUT}[affiliation]
    before = len(deployment.koha.patrons.rows())
    person = visitor(deployment)
    for page in (log_in(person, who), sign_up(person, who, affiliation)):
        assert mark(page) == ("refuse", "cpr_required")
        [link] = [each for each in links(page) if "/sign-up/" in each and FAQ not in each]
        first = texts(page, "//div[@class='first-actions']/a/@href")
        assert first[0] == link
        assert urlsplit(first[1]).path == "/e-resources"
        assert "Return to My loans" not in texts(page, "//div[@class='first-actions']//button")
        before_the_leaf = texts(person.get(link), "//p[@class='back']/a/@href")
        assert mark(person.get(before_the_leaf[0])) == ("refuse", "cpr_required")
        assert "get a temporary library card at a service location" in words(page)
        assert "health insurance card" not in words(page)
        assert urlsplit(link).path == f"/sign-up/{affiliation}/temporary"
    leaf = answer_sign_up(person, affiliation, "no", "yes")
    assert mark(leaf) == ("sign-up", f"{affiliation}.temp")
    assert not any("/sign-up/begin" in each for each in links(leaf))
    assert (count_creates(deployment), len(deployment.koha.patrons.rows())) == (0, before)
    return words(person.get(link))


def r11(deployment: Deployment) -> None:
    """Make a student without a number no account online, but name what gets a temporary library card: card and AU ID."""
    text = _collect_refusals(deployment, "student")
    assert all(each in text for each in ("student card", "AU ID", "temporary library card"))
    danish = words(answer_sign_up(visitor(deployment, "da"), "student", "no", "yes"))
    assert all(each in danish for each in ("studiekort", "AU-id", "midlertidigt lånerkort"))
    got = visitor(deployment)
    assert mark(finish_login(got, sign_up(got, ASTA, "student"))) == ("done", "created")


def r12(deployment: Deployment) -> None:
    """Send an employee without a number with the AU ID only, for a temporary library card: another page."""
    text = _collect_refusals(deployment, "employee")
    assert "AU ID" in text
    assert "temporary library card" in text
    assert "student card" not in text
    danish = words(answer_sign_up(visitor(deployment, "da"), "employee", "no", "yes"))
    assert "midlertidigt lånerkort" in danish
    assert "studiekort" not in danish
    assert text != words(answer_sign_up(visitor(deployment), "student", "no", "yes"))


def r13(deployment: Deployment) -> None:
    """Without a number and without loans, journals are open by WAYF; printing is not."""
    for affiliation, who in (("student", _STUDENT_WITHOUT), ("employee", EMPLOYEE_WITHOUT)):
        leaf = answer_sign_up(visitor(deployment), affiliation, "no", "no")
        assert mark(leaf) == ("sign-up", f"{affiliation}.eaccess")
        assert "WAYF" in words(leaf)
        person = visitor(deployment)
        landing = receive_landing(person, log_in(person, who, "e-resources"))
        assert landing.status == "Success"
        assert not {"uid", CPR} & set(landing.attributes)
        refused = log_in(visitor(deployment), who, "myprint")
        assert mark(refused) == ("refuse", "cpr_required")
        assert dict(deployment.landing(refused).attributes) == {}
    assert count_creates(deployment) == 0


def r14(deployment: Deployment) -> None:
    """Students and employees log in at the electronic resources with one button, and find three links to search in."""
    library = open_library(deployment)[0]
    origin = deployment.setting.ports.origin("library")
    for language, affiliation in product(LANGUAGES, ("student", "employee")):
        leaf = answer_sign_up(visitor(deployment, language), affiliation, "no", "no")
        places = texts(leaf, "//main//ul//a/@href")
        assert places == [f"{origin}/{each}?lang={language}" for each in ("search", "subject-guides", "databases")]
        assert [open_library_page(library, each).status_code for each in places] == [200] * 3
        [login] = texts(leaf, "//main//a[@data-action='login_electronic']/@href")
        person = visitor(deployment, language)
        away = person.get(open_library_page(library, login).location)
        page = person.return_from_hub(away.location, ASTA if affiliation == "student" else BO)
        assert receive_landing(person, page).status == "Success"


def r23(deployment: Deployment) -> None:
    """Students and employees who only read online need no account: none is made, and no page forces one on them."""
    before = len(deployment.koha.patrons.rows())
    for who in (ASTA, BO):
        person = visitor(deployment)
        landing = receive_landing(person, log_in(person, who, "e-resources"))
        assert (landing.status, landing.attributes.get("uid"), landing.attributes.get(CPR)) == ("Success", None, None)
        assert borrowers(deployment, who) == []
    assert len(deployment.koha.patrons.rows()) == before
    for language, said in (("en", "do not need one"), ("da", "behøver ingen konto")):
        person = visitor(deployment, language)
        [entry] = texts(person.get(FAQ), "//section[h2[@id='who']]")
        assert said in entry
        for affiliation in ("student", "employee"):
            leaf = answer_sign_up(person, affiliation, "no", "no")
            assert texts(leaf, "//main//form") == []
            assert texts(leaf, "//main//a[contains(@class, 'button')]/@data-action") == ["login_electronic"]


def r24(deployment: Deployment) -> None:
    """Every print and loan needs an account; each kind of user is led to the right page."""
    for who, path in ((ASTA, "/student"), (BO, "/employee"), (DAN, "/hospital"), (EVA, "/private")):
        page = log_in(visitor(deployment), who, "myprint")
        assert mark(page) == ("refuse", "no_library_account")
        assert f"/sign-up{path}" in {urlsplit(each).path for each in links(page)}
        assert dict(deployment.landing(page).attributes) == {}
        assert borrowers(deployment, who) == []
        assert (
            open_library(deployment)[0].post("/machine", data={"identifier": "1403044004", "pin": "0000"}).status_code
            == 422
        )
    for who in (ASTA, EVA):
        loans, prints = visitor(deployment), visitor(deployment)
        number = receive_landing(loans, log_in(loans, who)).attributes["uid"]
        assert receive_landing(prints, log_in(prints, who, "myprint")).attributes["uid"] == number


def r36(deployment: Deployment) -> None:
    """Without a number only students and employees get an account, at the desk: others are refused and told so."""
    before = len(deployment.koha.patrons.rows())
    said = "Without a CPR number you can only get an account if you are associated with Aarhus University"
    assert said in words(visitor(deployment).get(FAQ))
    for who in (PRIVATE_WITHOUT, HOSPITAL_WITHOUT):
        page = log_in(visitor(deployment), who)
        assert (page.status_code, mark(page)) == (403, ("refuse", "cpr_required"))
        assert "If you study or work at the university, come to a service location" in words(page)
        assert "If you are a private user or work at the hospital, ask the library" in words(page)
        assert not any("/temporary" in each for each in links(page))
        assert f"{deployment.setting.ports.origin('library')}/locations?lang=en" in links(page)
    for who, affiliation in ((_STUDENT_WITHOUT, "student"), (EMPLOYEE_WITHOUT, "employee")):
        page = log_in(visitor(deployment), who)
        assert f"/sign-up/{affiliation}/temporary" in {urlsplit(each).path for each in links(page)}
    assert (count_creates(deployment), len(deployment.koha.patrons.rows())) == (0, before)


def r38(deployment: Deployment) -> None:
    """Open the journals to students, employees and the hospital, not to private users; a field of study may decide."""
    numberless = change_persona(DORTE, **{CPR: ()})
    assert mark(log_in(visitor(deployment), numberless, "e-resources")) == ("refuse", "no_policy_for_service")
    nurse = visitor(deployment)
    assert mark(prove_mailbox(nurse, sign_up(nurse, numberless, "hospital"), "dorte@auh.rm.dk")) == (
        "refuse",
        "cpr_required",
    )
    for who in (ASTA, BO, DAN, numberless):
        person = visitor(deployment)
        assert (who.name, receive_landing(person, log_in(person, who, "e-resources")).status) == (who.name, "Success")
    for who in (EVA, persona("lars")):
        page = log_in(visitor(deployment), who, "e-resources")
        assert (who.name, mark(page)) == (who.name, ("refuse", "no_policy_for_service"))
        assert dict(deployment.landing(page).attributes) == {}
    assert count_creates(deployment) == 0
    for language, some in (("en", "certain fields of study only"), ("da", "kun for bestemte fagområder")):
        assert some in words(visitor(deployment, language).get(FAQ))
    _a_field_of_study_decides(deployment)


def _a_field_of_study_decides(deployment: Deployment) -> None:
    """Open the journals to who studies law, whatever else they are, by one more policy file."""
    code = "urn:schac:personalUniqueCode:dk:au.dk:field:"
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as wider:
        wider.setitem(NAMES, "schacPersonalUniqueCode", "urn:oid:1.3.6.1.4.1.25178.1.2.14")
        policies = Path(folder) / "policies"
        shutil.copytree(deployment.setting.folder / "policies", policies)
        (policies / "law.yaml").write_text(_LAW)
        deployment.parts.policies._folder = PolicyFolder(policies)
        deployment.parts.policies.refresh(deployment.clock.now())
        for field, expected in (("law", "issue"), ("chemistry", "refuse")):
            who = change_persona(persona("lars"), schacPersonalUniqueCode=(code + field,))
            person = visitor(deployment)
            assert (field, mark(finish_login(person, log_in(person, who, "e-resources")))[0]) == (field, expected)
