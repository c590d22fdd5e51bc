"""The pages of the service desk: the open cases, and a person found by help code or borrower number."""

from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.transaction import Transaction
from broker.core.person_record import PersonRecord
from broker.demo.people.personas import persona
from broker.use_cases.storage.records import Records
from tests.plugins.deployment import Deployment, Person, find_text, mark
from tests.plugins.pin_pages import link_in
from tests.plugins.staff_logins import ADMIN, DESK, enter, read_audit_log, send
from tests.plugins.stored_receipts import keep_proof

ASTA = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # on a second card: the database takes it for another number
SMALL_CODE = "//p[contains(@class, 'help-code')]/span/text()"
REGISTERED = {"surname": "Ravn", "firstname": "Asta", "library_id": "AUL", "category_id": "STUDENT"}


@pytest.fixture
def desk(deployment: Deployment) -> Person:
    """Give somebody of the service desk who is logged in, and reads English."""
    staff = enter(deployment, DESK)
    staff.get("/admin?lang=en")
    return staff


def several_borrowers(deployment: Deployment) -> tuple[str, tuple[str, str]]:
    """Let Asta be refused because two borrowers have her number; give the help code and the two."""
    made = [
        deployment.koha.patrons.create({**REGISTERED, "cardnumber": card, "userid": card}) for card in (ASTA, SPELLED)
    ]
    person = deployment.person()
    page = person.log_in("asta")
    assert mark(page) == ("refuse", "several_borrowers")
    written = find_text(page, "//div[@class='reference']//strong/text()")
    return f"{written[:4]} {written[4:]}".lower(), (str(made[0]["patron_id"]), str(made[1]["patron_id"]))


def account(deployment: Deployment) -> str:
    """Let Asta become a borrower, and give its number."""
    person = deployment.person()
    person.agree(person.log_in("asta"))
    deployment.wait_until_idle()
    _, record = add_enrolment(deployment)
    assert record.borrower_number
    return record.borrower_number


def add_enrolment(deployment: Deployment) -> tuple[str, PersonRecord]:
    """Give the id and the record of the one person who has an enrolment."""
    records = deployment.parts.enrolment_ports.persons.list_all(deployment.clock.now())
    [found] = [(each.key.group, each.value) for each in records if each.value.enrolment]
    return found


def write_enrolment(deployment: Deployment, person_id: str, enrolment: Enrolment) -> None:
    """Store an enrolment in the record of a person."""
    now = deployment.clock.now()
    deployment.parts.enrolment_ports.persons.change(person_id, lambda record: record.set_enrolment(enrolment), now)


def texts(page: TestResponse, path: str) -> list[str]:
    """Give everything that an XPath finds on a page, as text."""
    nodes = html.fromstring(page.get_data(as_text=True)).xpath(path)
    assert isinstance(nodes, list)
    return [str(node) for node in nodes]


def find(staff: Person, typed: str) -> TestResponse:
    """Search for a person."""
    return send(staff, "/admin/person", find=typed, do="find")


def state(page: TestResponse) -> str:
    """Give the state of the account on the page of a person."""
    return find_text(page, "//section/@data-state")


def press(staff: Person, typed: str, button: str, **fields: str) -> str:
    """Press a button on the page of a person, and give the code of what was done."""
    page = send(staff, "/admin/person", find=typed, do=button, **fields)
    assert page.status_code == 200, page.get_data(as_text=True)
    return find_text(page, "//main//*[@role='status']/@data-done")


def test_an_open_case_is_listed_with_a_sentence_and_its_borrowers(desk: Person) -> None:
    """The first page of the staff view: what is the matter, what to do, and a button."""
    assert "There are no open cases." in desk.get("/admin").get_data(as_text=True)
    _, pair = several_borrowers(desk.deployment)
    text = desk.get("/admin").get_data(as_text=True)
    assert "Several borrowers have this person" in text
    assert "Merge them in the library system" in text
    assert all(number in text for number in pair)
    assert ASTA not in text
    assert SPELLED not in text


def possible_duplicate(deployment: Deployment) -> tuple[str, str]:
    """Let Asta ask for an account beside a borrower who may be her; give her person id and that borrower."""
    made = deployment.koha.patrons.create(
        {**REGISTERED, "cardnumber": "D-1", "userid": "D-1", "date_of_birth": "2004-03-14"}
    )
    person = deployment.person()
    person.agree(person.log_in("asta"))
    deployment.wait_until(
        lambda: [each.enrolment.reason for each in deployment.list_staff_cases()] == ["possible_duplicate"],
        "the case was listed",
    )
    return add_enrolment(deployment)[0], str(made["patron_id"])


def test_another_person_rules_out_a_possible_duplicate(desk: Person) -> None:
    """The borrower of another person stays as it is, and the person gets a borrower of their own."""
    deployment = desk.deployment
    person_id, other = possible_duplicate(deployment)
    before = next(row for row in deployment.koha.patrons.rows() if str(row["patron_id"]) == other)
    path = "//form[.//button[@value='another_person']]/input[@name='borrower']/@value"
    assert texts(desk.get("/admin"), path) == texts(find(desk, other), path) == [other]
    page = desk.press(desk.get("/admin"), do="another_person")
    assert find_text(page, "//main//*[@role='status']/@data-done") == "tried"
    deployment.wait_until(lambda: not deployment.list_pending_enrolments(), "the account was made")
    assert deployment.list_staff_cases() == []
    record = deployment.parts.enrolment_ports.persons.read(person_id, deployment.clock.now())
    assert record
    assert record.value.borrower_number not in {None, other}
    assert next(row for row in deployment.koha.patrons.rows() if str(row["patron_id"]) == other) == before


def test_another_person_counts_only_for_the_borrowers_on_the_page(desk: Person) -> None:
    """A page that was opened before does not rule out the person's own borrower, found meanwhile."""
    deployment = desk.deployment
    person_id, other = possible_duplicate(deployment)
    opened = desk.get("/admin")
    _, record = add_enrolment(deployment)
    assert record.enrolment
    write_enrolment(deployment, person_id, replace(record.enrolment, borrowers=(other, "4711")))
    page = desk.press(opened, do="another_person")
    assert find_text(page, "//main//*[@role='status']/@data-done") == "nothing_to_try"
    _, after = add_enrolment(deployment)
    assert after.enrolment
    assert (after.enrolment.state, after.enrolment.ruled_out) == (EnrolmentState.CASE, ())
    assert press(desk, person_id, "another_person") == "nothing_to_try"


def test_staff_find_a_person_by_help_code_and_by_borrower_number(desk: Person) -> None:
    """The help code leads to the page and the case; both numbers of the case lead to it too."""
    code, pair = several_borrowers(desk.deployment)
    page = find(desk, code)
    assert state(page) == "case"
    assert "You seem to have two library accounts" in page.get_data(as_text=True)
    assert [state(find(desk, number)) for number in pair] == ["case", "case"]
    assert ASTA not in page.get_data(as_text=True)


def test_a_press_is_on_the_trail_before_it_does_anything(desk: Person) -> None:
    """With the button and the role; the retry itself has its own line."""
    code, _ = several_borrowers(desk.deployment)
    assert press(desk, code, "try_again") == "tried"
    assert press(desk, code, "pin_mail") == "no_pin_mail"
    lines = read_audit_log(desk.deployment)
    acted = [(line["reason"], line["by"]) for line in lines if line["event"] == "staff_acted"]
    assert acted == [("try_again", "service-desk"), ("pin_mail", "service-desk")]
    kinds = [line["event"] for line in lines]
    assert kinds.index("staff_acted") < kinds.index("enrolment_retried")


def test_a_pin_mail_goes_to_the_address_in_the_library_system(desk: Person) -> None:
    """The page shows neither the address nor the link."""
    deployment = desk.deployment
    number = account(deployment)
    page = find(desk, number)
    assert state(page) == "done"
    assert press(desk, number, "pin_mail") == "pin_mail"
    link = link_in(deployment, 2)  # the first mail was the welcome mail
    assert deployment.mailbox.mails()[0].recipients == ("asta@post.au.example",)
    text = find(desk, number).get_data(as_text=True)
    assert link.partition("link=")[2].partition("&")[0] not in text
    assert "asta@" not in text
    assert ASTA not in text


def test_a_borrower_without_a_login_gets_a_pin_mail(desk: Person) -> None:
    """Most callers who never had a PIN have never logged in here."""
    made = desk.deployment.koha.patrons.create(
        {**REGISTERED, "cardnumber": ASTA, "userid": ASTA, "email": "a@own.example"}
    )
    number = str(made["patron_id"])
    assert state(find(desk, number)) == "unknown"
    assert press(desk, number, "pin_mail") == "pin_mail"
    assert desk.deployment.wait_for_mails(1).recipients == ("a@own.example",)


@pytest.mark.parametrize("button", ["try_again", "pin_mail"])
def test_a_case_gets_no_pin_mail_and_a_done_account_no_retry(desk: Person, button: str) -> None:
    """A forged press does nothing: the borrower of a case may be another person's."""
    code, _ = several_borrowers(desk.deployment)
    page = find(desk, code)
    assert 'value="try_again"' in page.get_data(as_text=True)
    assert 'value="pin_mail"' not in page.get_data(as_text=True)
    deployment = desk.deployment
    person_id, record = add_enrolment(deployment)
    assert record.enrolment
    write_enrolment(
        deployment, person_id, replace(record.enrolment, state=EnrolmentState.DONE, wanted=None, reason=None)
    )
    assert 'value="try_again"' not in find(desk, code).get_data(as_text=True)
    assert press(desk, code, button) in {"nothing_to_try", "no_pin_mail"}
    assert len(deployment.mailbox.mails()) == 0


def test_staff_remove_a_confirmed_address(desk: Person) -> None:
    """The address is masked. Another person may confirm the mailbox afterwards."""
    deployment = desk.deployment
    number = account(deployment)
    person_id, _ = add_enrolment(deployment)
    owner, now = person_id, deployment.clock.now()
    proved = MailboxProof("mailbox", "asta@own.example", now, now + timedelta(days=30))
    persons = deployment.parts.enrolment_ports.persons
    assert keep_proof(persons, owner, proved, now)
    text = find(desk, number).get_data(as_text=True)
    assert "a•••@o•••" in text
    assert "asta@own" not in text
    assert press(desk, number, "remove_proof", proof="mailbox") == "proof_removed"
    record = persons.read(owner, now)
    assert record is None or record.value.proofs == ()
    assert persons.claim_mailbox("another", proved, now)


def test_every_page_of_a_login_shows_a_code_that_leads_staff_to_it(desk: Person) -> None:
    """The code is that of the login and works as long as the login; no record is stored for it."""
    deployment = desk.deployment
    person = deployment.person()
    question = person.log_in("asta")
    assert mark(question)[0] == "ask"
    code = find_text(question, SMALL_CODE)
    assert list(deployment.parts.store.list("reference", None, deployment.clock.now())) == []
    shown = find(desk, code).get_data(as_text=True)
    assert "The person is logging in." in shown
    assert ASTA not in shown
    deployment.clock.ahead = timedelta(minutes=10)
    desk.get("/admin")
    deployment.clock.ahead = timedelta(minutes=31)
    assert mark(find(enter(deployment, DESK), code)) == ("admin", "person")
    assert find(enter(deployment, DESK), code).status_code == 422


def test_the_code_of_a_visitor_names_no_login(desk: Person) -> None:
    """Before the authentication it says time and page, and the login's own code is not shown."""
    person = desk.deployment.person()
    chooses = person.ask()
    assert mark(chooses)[0] == "choose"
    code = find_text(chooses, SMALL_CODE)
    assert "has not logged in yet" in find(desk, code).get_data(as_text=True)
    [record] = Records(desk.deployment.parts.store, Transaction).list("transaction", None, desk.deployment.clock.now())
    assert record.value.reference not in chooses.get_data(as_text=True)
    assert find(desk, record.value.reference).status_code == 422


@pytest.mark.parametrize("typed", [ASTA, SPELLED, "Asta Ravn", "", "1" * 61])
def test_a_search_by_name_or_cpr_number_is_refused(shared_deployment: Deployment, typed: str) -> None:
    """A search text that looks like a CPR number is not stored."""
    page = find(enter(shared_deployment, DESK), typed)
    assert page.status_code == 422
    if typed in {ASTA, SPELLED}:
        assert typed not in page.get_data(as_text=True) + str(read_audit_log(shared_deployment))


def test_the_answer_of_the_library_system_is_text(desk: Person) -> None:
    """It is shown and never run."""
    code, _ = several_borrowers(desk.deployment)
    person_id, record = add_enrolment(desk.deployment)
    assert record.enrolment
    write_enrolment(desk.deployment, person_id, replace(record.enrolment, last_error="<script>alert(1)</script>"))
    text = find(desk, code).get_data(as_text=True)
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


def test_an_identity_admin_sees_no_borrower(deployment: Deployment) -> None:
    """Neither in the list nor on the page of a help code, and no button is taken."""
    code, pair = several_borrowers(deployment)
    person_id, record = add_enrolment(deployment)
    admin = enter(deployment, ADMIN)
    assert "data-case" not in admin.get("/admin").get_data(as_text=True)
    page = find(admin, code)
    assert (page.status_code, texts(page, "//*[@data-state]")) == (200, [])
    assert texts(page, "//button[@name='do']/@value") == ["find"]
    for typed in (person_id, pair[0], "1"):
        assert find(admin, typed).status_code == 422
    for button in ("try_again", "another_person", "pin_mail", "remove_proof"):
        assert mark(send(admin, "/admin/person", find=code, do=button, proof="kaldemail"))[1] == "form_refused"
    assert add_enrolment(deployment) == (person_id, record)
