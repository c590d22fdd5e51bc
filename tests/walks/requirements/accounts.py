"""R20 to R22, R33, R35, R40 and R47: what an account holds, how it is made, and what becomes of it."""

import re

from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.web.sign_up.sign_up_links import FAQ
from broker.demo.koha.loans import BOOKS
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, change_persona, find_text, form, mark
from tests.walks.requirements.people import ASTA, BO, BO_NEMID, EVA, PRIVATE_WITHOUT
from tests.walks.requirements.visits import (
    CPR,
    URN,
    answer_sign_up,
    borrower,
    borrowers,
    capture_log,
    count_creates,
    cpr,
    finish_login,
    links,
    log_in,
    log_in_with_pin,
    open_library,
    proof,
    prove_mailbox,
    receive_landing,
    sign_up,
    spellings_of_number,
    texts,
    visitor,
    words,
)

_TYPED = "0303820008"  # a number that nobody asserts
_IN_PERSON = {
    "en": "health insurance card and another form of ID",
    "da": "sundhedskort og en anden form for legitimation",
}


def r20(deployment: Deployment) -> None:
    """Say on the consent screen why the CPR number goes: who has the material; no address, for no register is asked."""
    for language, said, fetched in (
        ("en", "who the material is lent to", "CPR register"),
        ("da", "hvem materialet er lånt ud til", "CPR-regist"),
    ):
        person = visitor(deployment, language)
        page = log_in(person, ASTA)
        [row] = texts(page, "//tr[@data-attribute='cpr']")
        assert said in row
        assert fetched not in page.text
        assert "••••••-••••" in row
        assert "140304" not in page.text
    landing = receive_landing(person, page)
    assert landing.attributes[CPR] == (URN + cpr(ASTA),)
    assert not {"street", "postalAddress", "postalCode", "localityName"} & set(landing.attributes)
    kept = borrower(deployment, ASTA)
    assert [each["value"] for each in kept["extended_attributes"] if each["type"] == "CPR"] == [cpr(ASTA)]
    assert kept["address"] is None
    for language, office in (("en", "CPR Office"), ("da", "CPR-kontoret")):
        [entry] = texts(visitor(deployment, language).get(FAQ), "//section[h2[@id='account']]")
        assert office in entry


def r21(deployment: Deployment) -> None:
    """Tell that the account shows loans, reservations and what is ready for pick-up; the library then shows them."""
    for language, said, purpose in (
        ("en", ("your loans", "your reservations", "ready for you to pick up"), "your loans and reservations"),
        ("da", ("dine lån", "dine reserveringer", "klar til afhentning"), "dine lån og reserveringer"),
    ):
        person = visitor(deployment, language)
        [entry] = texts(person.get(FAQ), "//section[h2[@id='account']]")
        assert all(each in entry for each in said)
        page = log_in_with_pin(person, "0303651330", "8362")
        assert purpose in words(page)
    action, fields = form(finish_login(person, page))
    shown = open_library(deployment)[0].post("/my-loans/acs", data=fields)
    assert action.endswith("/my-loans/acs")
    assert texts(shown, "//ul[@id='loans']/li/text()") == list(BOOKS[2:])


def r22(deployment: Deployment) -> None:
    """Make no account without a mail address: who brings none proves one first."""
    ida, person = persona("ida"), visitor(deployment)
    page = log_in(person, ida)
    assert mark(page) == ("proof", "mail")
    assert texts(page, "//button[@value='without']") == []
    assert _IN_PERSON["en"] in words(page)
    assert f"{deployment.setting.ports.origin('library')}/locations?lang=en" in links(page)
    transaction = page.request.path.removesuffix("/proof")
    for refused in (proof(person, page, "without"), proof(person, page, "mail", address="")):
        assert refused.status_code == 422
    assert mark(person.get(f"{transaction}/consent")) == ("proof", "mail")
    assert (count_creates(deployment), borrowers(deployment, ida)) == (0, [])
    page = proof(person, page, "mail", address="ida@own.example")
    assert (count_creates(deployment), borrowers(deployment, ida)) == (0, [])
    landing = receive_landing(
        person, prove_mailbox(person, person.get(f"{transaction}/proof?other=1"), "ida@own.example")
    )
    assert landing.status == "Success"
    assert borrower(deployment, ida)["email"] == "ida@own.example"
    named = visitor(deployment)
    receive_landing(named, log_in(named, ASTA))
    assert borrower(deployment, ASTA)["email"] == "asta@post.au.example"


def r33(deployment: Deployment) -> None:
    """Open an account by an asserted number of a login that is sure enough; a typed one counts for nothing."""
    weak = (
        (change_persona(ASTA, eduPersonAssurance=("1",)), "assurance_too_low"),
        (change_persona(EVA, eduPersonAssurance=("Low",)), "no_affiliation"),
    )
    for who, reason in weak:
        assert mark(log_in(visitor(deployment), who)) == ("refuse", reason)
        assert borrowers(deployment, who) == []
    for name in ("cpr", CPR, "norEduPersonNIN"):
        person = visitor(deployment)
        begun = person.get(f"/sign-up/begin?affiliation=private&upstream=nemid&{name}={_TYPED}")
        assert begun.status_code == 302
        refused = person.return_from_hub(begun.location, PRIVATE_WITHOUT)
        assert mark(refused) == ("refuse", "cpr_required")
        assert person.post(refused.request.path, {name: _TYPED}).status_code == 405
    person = visitor(deployment)
    asked = log_in(person, EVA)
    token = find_text(asked, "//form[@class='answer']//input[@name='token']/@value")
    sent = {"token": token, "answer": "yes", "cpr": _TYPED, CPR: URN + _TYPED}
    page = finish_login(person, person.post(asked.request.path, sent))
    assert deployment.landing(page).attributes[CPR] == (URN + cpr(EVA),)
    message = http_bindings.decode_post(form(page)[1]["SAMLResponse"])
    assert b"EncryptedAssertion" in message
    assert not any(each.encode() in message for each in spellings_of_number(cpr(EVA)))
    assert len(borrowers(deployment, EVA)) == 1
    assert _TYPED not in str(deployment.koha.patrons.rows())


def r35(deployment: Deployment) -> None:
    """Send who cannot do it online to the desk with health card and another ID: declined, refused, and in the FAQ."""
    for language, said in _IN_PERSON.items():
        person = visitor(deployment, language)
        declined = person.agree(log_in(person, ASTA), answer="no")
        assert mark(declined) == ("refuse", "consent_refused")
        refused = log_in(person, ASTA, "myprint")
        assert mark(refused) == ("refuse", "no_library_account")
        stranger = log_in(person, persona("mia"))
        assert mark(stranger) == ("refuse", "no_affiliation")
        lost = person.get("/login/" + "0" * 32)
        assert mark(lost) == ("error", "transaction_gone")
        for page in (declined, refused, stranger, lost, answer_sign_up(person, "private")):
            assert said in words(page)
        [entry] = texts(person.get(FAQ), "//section[h2[@id='open-account']]")
        assert said in entry
    assert borrowers(deployment, ASTA) == []


def r40(deployment: Deployment) -> None:
    """Ask a private borrower who logs in as a student: a yes keeps number, loans, PIN and mail, a no keeps private."""
    jens, jytte, circulation = persona("jens"), persona("jytte"), open_library(deployment)[1]
    before, hers = borrower(deployment, jens), borrower(deployment, jytte)
    number = str(before["patron_id"])
    person = visitor(deployment)
    offer = log_in(person, jens)
    assert mark(offer) == ("upgrade", "")
    assert borrower(deployment, jens)["category_id"] == "PRIVATE"
    with capture_log() as told:
        landing = receive_landing(person, person.press(offer, answer="yes"))
    assert [each["answer"] for each in told if each["event"] == "upgrade_answered"] == ["yes"]
    assert not any(each in str(told) for each in spellings_of_number(cpr(jens)))
    assert landing.attributes["uid"] == (number,)
    after = borrower(deployment, jens)
    assert (after["category_id"], after["email"]) == ("STUDENT", before["email"])
    assert circulation.loans(before["patron_id"]) == BOOKS[:1]
    assert deployment.koha.patrons.find_by_password(cpr(jens), "7318")
    again = visitor(deployment)
    page = log_in(again, jens)
    assert mark(page)[0] == "ask"
    assert receive_landing(again, page).attributes["uid"] == (number,)
    assert borrower(deployment, jens)["category_id"] == "STUDENT"
    declining = visitor(deployment)
    page = declining.press(log_in(declining, jytte), answer="no")
    assert receive_landing(declining, page).attributes["uid"] == (str(hers["patron_id"]),)
    kept = ("patron_id", "category_id", "expiry_date", "email", "userid", "cardnumber")
    assert [borrower(deployment, jytte)[each] for each in kept] == [hers[each] for each in kept]
    assert mark(log_in(visitor(deployment), jytte)) == ("upgrade", "")  # a no counts for that login
    deployment.wait_until_idle()
    assert count_creates(deployment) == 0
    # The letter about the other category is due a quarter of a minute after the change.
    assert not any(re.search(r"(?m): \d{4}$", mail.text) for mail in deployment.mailbox.mails())


def r47(deployment: Deployment) -> None:
    """Make a person who left the university a private borrower at the next login there, but not by the eID."""
    otto, left, circulation = persona("otto"), persona("otto-left"), open_library(deployment)[1]
    person, later = visitor(deployment), visitor(deployment)
    landing = receive_landing(person, log_in(person, otto))
    assert landing.attributes["eduPersonScopedAffiliation"] == ("student@au.dk",)
    row = borrower(deployment, otto)
    assert (landing.attributes["uid"], row["category_id"]) == ((str(row["patron_id"]),), "STUDENT")
    assert cpr(otto) not in landing.attributes["uid"]
    assert circulation.lend(row["patron_id"], BOOKS[1])
    by_eid = visitor(deployment)
    eid = change_persona(EVA, **{name: otto.attributes[name] for name in (CPR, "gn", "sn", "cn")})
    assert receive_landing(by_eid, log_in(by_eid, eid)).attributes["uid"] == landing.attributes["uid"]
    assert borrower(deployment, otto)["category_id"] == "STUDENT"
    asked = log_in(later, left)
    token = find_text(asked, "//form[@class='answer']//input[@name='token']/@value")
    sent = later.post(asked.request.path, {"token": token, "answer": "yes"})
    told = later.get(sent.location)
    assert mark(told) == ("changed", "lowered")
    assert "To the library you are now: Private user" in words(told)
    gone = receive_landing(later, told)
    assert gone.attributes["uid"] == landing.attributes["uid"]
    assert "eduPersonScopedAffiliation" not in gone.attributes
    assert borrower(deployment, otto)["category_id"] == "PRIVATE"
    assert circulation.loans(row["patron_id"]) == (BOOKS[1],)
    journals = log_in(visitor(deployment), left, "e-resources")
    assert mark(journals) == ("refuse", "no_policy_for_service")
    for who in (BO, BO_NEMID):
        receive_landing(staying := visitor(deployment), log_in(staying, who))
        assert borrower(deployment, BO)["category_id"] == "EMPLOYEE"
    back = visitor(deployment)
    assert mark(log_in(back, otto)) == ("upgrade", "")
    assert mark(finish_login(back, sign_up(back, otto, "student")))[0] == "done"
    assert borrower(deployment, otto)["patron_id"] == row["patron_id"]
