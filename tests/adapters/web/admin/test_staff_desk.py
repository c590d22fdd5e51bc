"""A caller helped at the desk: from the reference they read out to the borrowers, and two buttons."""

import re
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from broker.core.borrowers.enrolment import EnrolmentState
from broker.demo.people.personas import persona
from broker.use_cases.login.support_traces import SupportTraces
from tests.plugins.house import House, Person, found, mark
from tests.plugins.staff import DESK, enter, send, told, trail

ASTA = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # on a second card: the database takes it for another number
CODE = r": ([a-z]{5}-[a-z]{5})\n"
REGISTERED = {"surname": "Ravn", "firstname": "Asta", "library_id": "AUL", "category_id": "STUDENT"}


@pytest.fixture
def desk(house: House) -> Person:
    """Give somebody of the desk who is logged in."""
    return enter(house, DESK)


def several_borrowers(house: House) -> tuple[str, tuple[str, str]]:
    """Let Asta be refused since two borrowers have her number; give the reference and the two."""
    made = [house.koha.patrons.create({**REGISTERED, "cardnumber": card, "userid": card}) for card in (ASTA, SPELLED)]
    person = house.person()
    page = person.agree(person.log_in("asta"))
    assert mark(page) == ("refuse", "several_borrowers")
    written = found(page, "//div[@class='reference']//strong/text()")
    return f"{written[:4]} {written[4:]}".lower(), (str(made[0]["patron_id"]), str(made[1]["patron_id"]))


def find(staff: Person, spoken: str) -> TestResponse:
    """Look a reference up."""
    return send(staff, "/admin/desk", reference=spoken, do="find")


def state(staff: Person, spoken: str) -> str:
    """Give how the page of a reference says that the account stands."""
    return found(find(staff, spoken), "//section/@data-state")


def press(staff: Person, spoken: str, button: str) -> str:
    """Press a button of the page, and give what it says that was done."""
    page = send(staff, "/admin/desk", reference=spoken, do=button)
    assert page.status_code == 200, page.get_data(as_text=True)
    return found(page, "//main//*[@role='status']/@data-done")


def test_a_caller_is_helped_from_the_reference_to_the_account(desk: Person) -> None:
    """What to tell them, what happened, which borrowers; the retry after the merge makes the account; no CPR number."""
    house = desk.house
    spoken, pair = several_borrowers(house)
    page = find(desk, spoken)
    text = page.get_data(as_text=True)
    assert found(page, "//section/@data-state") == "case"
    assert f"<dd>{', '.join(pair)}</dd>" in text
    assert "Slå lånerne sammen" in text
    assert told(page)
    assert ASTA not in text
    assert SPELLED not in text
    assert 'value="letter"' not in text
    house.koha.patrons.merge(int(pair[0]), int(pair[1]))
    assert press(desk, spoken, "retry") == "retried"
    house.until(lambda: state(desk, spoken) not in {"case", "wanted"}, "the retry was carried out")
    assert state(desk, spoken) in {"done", "pin_owed"}


def test_a_press_is_on_the_trail_before_it_does_anything(desk: Person) -> None:
    """With the button and the role; the retry itself has its own line."""
    spoken, _ = several_borrowers(desk.house)
    assert press(desk, spoken, "retry") == "retried"
    assert press(desk, spoken, "letter") == "no_letter"
    lines = trail(desk.house)
    acted = [line for line in lines if line["event"] == "staff_acted"]
    assert [(line["reason"], line["by"]) for line in acted] == [("retry", "service-desk"), ("letter", "service-desk")]
    kinds = [line["event"] for line in lines]
    assert kinds.index("staff_acted") < kinds.index("enrolment_retried")


def account_of_a_caller(house: House) -> str:
    """Let Asta become a borrower and be held up later; give the reference that names her enrolment."""
    person = house.person()
    person.agree(person.log_in("asta"))
    house.pin_proved()
    [row] = house.parts.cases.rows()
    reference = "BCDFGHJK"
    facts = {"step": "/pin", "reason": "pin_refused", "enrolment": str(row["id"])}
    SupportTraces(house.parts.store).leave(reference, house.clock.now(), refused=None, **facts)
    return reference


def test_a_letter_goes_to_the_address_on_file(desk: Person) -> None:
    """The borrower's own letter, opened by their own number; the page shows neither address nor code."""
    house = desk.house
    spoken = account_of_a_caller(house)
    assert press(desk, spoken, "letter") == "letter"
    mail = house.mailed(2)  # the first had the PIN
    assert mail.recipients == ("asta@post.au.example",)
    code = re.search(CODE, mail.text)
    assert code
    page = find(desk, spoken).get_data(as_text=True)
    assert code[1] not in page
    assert "asta@" not in page
    assert ASTA not in page


def test_letters_of_the_desk_are_limited(desk: Person) -> None:
    """Three an hour: whoever presses on fills nobody's mailbox."""
    spoken = account_of_a_caller(desk.house)
    assert [press(desk, spoken, "letter") for _ in range(4)] == ["letter", "letter", "letter", "letters_too_many"]


def test_retries_of_the_desk_are_limited(desk: Person) -> None:
    """Six an hour of one enrolment: whoever presses on asks the library system no more."""
    spoken, _ = several_borrowers(desk.house)
    pressed = [press(desk, spoken, "retry") for _ in range(7)]
    assert pressed[0] == "retried"
    assert [each == "retries_too_many" for each in pressed] == [*[False] * 6, True]


def test_a_page_that_led_to_no_account_has_no_buttons(desk: Person) -> None:
    """A refusal by a rule: what to tell the caller is all there is, and a forged press does nothing."""
    page = desk.house.person().log_in("lars", persona("lars").way)
    spoken = found(page, "//div[@class='reference']//strong/text()")
    shown = find(desk, spoken)
    assert 'value="retry"' not in shown.get_data(as_text=True)
    assert (press(desk, spoken, "retry"), press(desk, spoken, "letter")) == ("not_retried", "no_letter")


def test_a_case_that_has_ended_says_so(desk: Person) -> None:
    """The caller begins anew."""
    spoken, _ = several_borrowers(desk.house)
    for key, _ in list(desk.house.parts.store.list("enrolment", None, desk.house.clock.now())):
        desk.house.parts.store.drop(key)
    text = find(desk, spoken).get_data(as_text=True)
    assert "Lad personen logge ind igen." in text
    assert 'value="retry"' not in text


@pytest.mark.parametrize("typed", [ASTA, SPELLED, "asta", "1"])
def test_nobody_is_found_by_name_or_number(old_house: House, typed: str) -> None:
    """A CPR number, a name and a borrower number are no references; none is kept."""
    page = find(enter(old_house, DESK), typed)
    assert page.status_code == 422
    assert len(typed) == 1 or typed not in page.get_data(as_text=True) + str(trail(old_house))


def test_the_cause_of_a_case_is_text_and_its_borrowers_get_no_letter(desk: Person) -> None:
    """What a library system answers is shown, never run; whose a letter would be of two, nobody can say.

    Nor after a retry that is not carried out yet: it forgets the two.
    """
    house = desk.house
    spoken, pair = several_borrowers(house)
    [entry] = [each for each in house.parts.cases.records.all() if each.enrolment.reason == "several_borrowers"]
    hostile = replace(entry.enrolment, cause="<script>alert(1)</script>", number=pair[0])
    written = house.parts.cases.records.write(entry, hostile, entry.due)
    assert written
    text = find(desk, spoken).get_data(as_text=True)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert 'value="letter"' not in text
    assert press(desk, spoken, "letter") == "no_letter"
    retried = replace(hostile, state=EnrolmentState.WANTED, reason=None, borrowers=())
    assert house.parts.cases.records.write(written, retried, None)
    assert 'value="letter"' not in find(desk, spoken).get_data(as_text=True)
    assert press(desk, spoken, "letter") == "no_letter"
