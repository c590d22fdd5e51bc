"""Attack: the record with my CPR number has another person's mail address, who would receive PIN mails for my account.

At the first match the broker asks whether the address is the person's own. Source: docs/persons-and-borrowers.md.
"""

from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from broker.core.errors import LinkGone
from tests.attacks.test_persons import asta_with
from tests.plugins.deployment import Deployment, find_text, mark
from tests.walks.requirements.visits import code_to, links, log_in, prove_mailbox, sign_up

ASTA: Final = "1403044004"
THEIRS: Final = "stranger@old.example"
OWN: Final = "asta@own.example"


def add_borrower(deployment: Deployment, **changes: Any) -> int:
    """Add a borrower with Asta's CPR number and another person's mail address, and return its number."""
    row = {
        "surname": "Ravn",
        "firstname": "Asta",
        "cardnumber": ASTA,
        "userid": ASTA,
        "email": THEIRS,
        "library_id": "AUL",
        "category_id": "STUDENT",
    }
    return int(deployment.koha.patrons.create(row | changes)["patron_id"])


def list_stored_borrowers(deployment: Deployment) -> set[str | None]:
    """Return the borrower numbers that the person records store."""
    records = deployment.parts.enrolment_ports.persons.list_all(deployment.clock.now())
    return {each.value.borrower_number for each in records}


def list_mail_recipients(deployment: Deployment) -> list[tuple[str, ...]]:
    """Return the recipients of all mails so far."""
    return [mail.recipients for mail in deployment.mailbox.mails()]


@pytest.mark.parametrize("service", ["my-loans", "myprint"])
def test_the_question_returns_at_every_login_until_it_is_answered(deployment: Deployment, service: str) -> None:
    """Until the person answers, nothing is released or stored, and the page masks the address.

    Its owner gets one mail.
    """
    add_borrower(deployment)
    for _ in range(2):
        person = deployment.person()
        page = person.log_in("asta", service=service)
        assert mark(page)[0] == "address"
        assert THEIRS not in page.get_data(as_text=True)
        # Other addresses of the login do not skip the question.
        name = page.request.path.split("/")[2]
        for way in ("consent", "claim", "proof", "changed"):
            assert mark(person.get(f"/login/{name}/{way}"))[0] == "address"
    assert list_stored_borrowers(deployment) == {None}
    assert list_mail_recipients(deployment) == [(THEIRS,)]


def test_a_yes_ends_the_question(deployment: Deployment) -> None:
    """After a yes the borrower is stored, and later logins are not asked."""
    number = add_borrower(deployment)
    person = deployment.person()
    page = person.press(person.log_in("asta"), answer="yes")
    assert deployment.landing(person.agree(page)).attributes["uid"] == (str(number),)
    assert list_stored_borrowers(deployment) == {str(number)}
    assert mark(deployment.person().log_in("asta"))[0] == "ask"
    assert list_mail_recipients(deployment) == [(THEIRS,)]


@pytest.mark.parametrize("address", ["asta@post.au.example", "ASTA@post.au.example", None])
def test_the_address_of_the_login_needs_no_question(deployment: Deployment, address: str | None) -> None:
    """If the record has the address of the login, or none, the broker does not ask."""
    number = add_borrower(deployment, email=address)
    assert mark(deployment.person().log_in("asta"))[0] == "ask"
    assert list_stored_borrowers(deployment) == {str(number)}


def test_a_no_leads_to_an_own_address_and_a_new_pin(deployment: Deployment) -> None:
    """After a no the person proves an own address, which replaces the other one, and may choose a new PIN."""
    number = add_borrower(deployment)
    person = deployment.person()
    page = person.press(person.log_in("asta"), answer="no")
    assert mark(page)[0] == "proof"
    assert deployment.koha.patrons.row(number)["email"] == THEIRS
    page = prove_mailbox(person, page, OWN)
    assert deployment.koha.patrons.row(number)["email"] == OWN
    page = person.get(person.post(page.request.path, consent(page)).location)
    assert mark(page) == ("changed", "new_address")
    assert [each for each in links(page) if "/pin" in each]
    assert deployment.landing(person.press(page)).attributes["uid"] == (str(number),)
    assert list_stored_borrowers(deployment) == {str(number)}


@pytest.mark.parametrize("lost", [False, True])
def test_a_no_invalidates_links_and_browsers_of_the_other_mailbox(deployment: Deployment, lost: bool) -> None:
    """A no invalidates PIN links and known browsers of the other mailbox, even if the library's answer is lost."""
    number = str(add_borrower(deployment))
    token = deployment.parts.codes.make_link(number)
    assert token
    browsers = deployment.parts.library_logins.browsers
    known = browsers.remember(number)
    person = deployment.person()
    page = person.press(person.log_in("asta"), answer="no")
    assert deployment.parts.codes.require_link(token) == number
    if lost:
        deployment.koha.faults.plan("change", "failed after", 9)
    prove_mailbox(person, page, OWN)
    with pytest.raises(LinkGone):
        deployment.parts.codes.require_link(token)
    assert browsers.find([known]) == {}


def consent(page: TestResponse) -> dict[str, str]:
    """Return the form fields that consent on the page."""
    return {"token": find_text(page, "//form[@class='answer']//input[@name='token']/@value"), "answer": "yes"}


def test_a_sign_up_after_a_no_ends_with_the_choice_of_a_pin(deployment: Deployment) -> None:
    """The last page of the sign-up offers a new PIN, because the owner of the other mailbox may know the old one."""
    add_borrower(deployment)
    person = deployment.person()
    page = person.press(sign_up(person, asta_with(), "student"), answer="no")
    page = prove_mailbox(person, page, OWN)
    page = person.agree(page)
    page = person.follow(page)
    assert mark(page)[0] == "done"
    assert 'name="pin"' in page.get_data(as_text=True)


def test_alumni_who_say_no_need_the_national_eid(deployment: Deployment) -> None:
    """Some alumni portals let people register themselves, so alumni cannot replace the address."""
    number = add_borrower(deployment)
    who = asta_with(eduPersonScopedAffiliation=("alum@au.dk",), eduPersonPrimaryAffiliation=("alum",))
    person = deployment.person()
    page = person.press(log_in(person, who), answer="no")
    assert mark(page) == ("refuse", "address_not_own")
    assert deployment.koha.patrons.row(number)["email"] == THEIRS
    assert list_stored_borrowers(deployment) == {None}


def test_a_yes_is_for_the_address_on_the_page(deployment: Deployment) -> None:
    """If the address changed while the page was open, the broker asks about the new one."""
    number = add_borrower(deployment)
    person = deployment.person()
    page = person.log_in("asta")
    row = deployment.koha.patrons.row(number)
    names = ("surname", "firstname", "cardnumber", "userid", "library_id", "category_id")
    deployment.koha.patrons.change(number, {**{name: row[name] for name in names}, "email": "other@old.example"})
    page = person.press(page, answer="yes")
    assert mark(page)[0] == "address"
    assert list_stored_borrowers(deployment) == {None}


def test_the_library_account_is_not_the_person_s_before_the_answer(deployment: Deployment) -> None:
    """Until the answer, a login with number and PIN does not lead to the person of the CPR number."""
    number = add_borrower(deployment)
    deployment.person().log_in("asta")
    borrower = deployment.parts.library.read(str(number), deployment.clock.now().replace(year=2099))
    assert borrower is not None
    person_id = deployment.broker.person_at_login.persons.find_cpr_person_of(borrower, deployment.clock.now())
    assert person_id
    assert not deployment.parts.borrower_finder.has_borrower(person_id, str(number))


def test_a_claim_by_card_number_is_asked_about_the_address(deployment: Deployment) -> None:
    """A card number proves no mailbox, so the broker mails its owner and asks the person about the address."""
    number = add_borrower(deployment, userid="old.asta", cardnumber="T-77", date_of_birth="2004-03-14")
    person = deployment.person()
    page = person.agree(person.log_in("asta"))
    assert mark(page) == ("claim", "offer")
    page = person.press(page, do="card", card="T-77")
    assert mark(page)[0] == "address"
    assert list_stored_borrowers(deployment) == {None}
    assert list_mail_recipients(deployment) == [(THEIRS,)]
    page = person.press(page, answer="no")
    prove_mailbox(person, page, OWN)
    assert deployment.koha.patrons.row(number)["email"] == OWN


def test_a_claim_by_code_needs_no_question(deployment: Deployment) -> None:
    """A person who typed a mailed code reads that mailbox, so the broker does not ask again."""
    number = add_borrower(deployment, userid="old.asta", cardnumber="T-77", date_of_birth="2004-03-14")
    person = deployment.person()
    page = person.press(person.agree(person.log_in("asta")), do="mail")
    page = person.press(page, code=code_to(deployment, THEIRS))
    assert deployment.landing(page).attributes["uid"] == (str(number),)
    assert list_stored_borrowers(deployment) == {str(number)}


def test_a_silent_library_leaves_the_question_for_the_next_login(deployment: Deployment) -> None:
    """If the library cannot store the proved address, nothing is stored, and the next login asks again."""
    number = add_borrower(deployment)
    person = deployment.person()
    page = person.press(person.log_in("asta"), answer="no")
    deployment.koha.faults.plan("change", "failed before", 9)
    page = prove_mailbox(person, page, OWN)
    assert mark(page) == ("refuse", "library_unavailable")
    assert (list_stored_borrowers(deployment), deployment.koha.patrons.row(number)["email"]) == ({None}, THEIRS)
