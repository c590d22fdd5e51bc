"""Attack: claiming another person's library account, with guessed, stolen or old codes or with guessed card numbers.

The person who claims an account must read a code from its mailbox or know its card number. Source:
docs/persons-and-borrowers.md.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Claim, EnrolmentState
from broker.core.borrowers.matching import PersonFacts
from broker.demo.people.personas import persona
from tests.attacks.test_persons import URN, asta_with
from tests.plugins.deployment import Deployment, Person, mark
from tests.use_cases.enrolment.conftest import World, make_wanted_for
from tests.walks.requirements.visits import code_to, links, log_in

ASTA: Final = "1403044004"
ADDRESS: Final = "asta@old.example"
# parts that differ on every page: tokens, ids, help codes and times
_VARYING: Final = re.compile(rb'value="[^"]{40,}"|[0-9a-f]{32}|>[A-Z0-9]{8}<|datetime="[^"]+"')


@pytest.fixture(autouse=True)
def _services_at_the_brokers_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "deployment" in request.fixturenames:
        clock = request.getfixturevalue("deployment").clock
        monkeypatch.setattr("broker.demo.library.services.datetime", SimpleNamespace(now=lambda _zone: clock.now()))


def old_account(deployment: Deployment, **changes: Any) -> int:
    """Add Asta's old account, from before her marriage, to the library and return its number."""
    row = {
        "surname": "Gammel",
        "firstname": "Asta",
        "date_of_birth": "2004-03-14",
        "cardnumber": "T-77",
        "userid": "asta.g",
        "email": ADDRESS,
        "library_id": "AUL",
        "category_id": "STUDENT",
    }
    return int(deployment.koha.patrons.create(row | changes)["patron_id"])


def change(deployment: Deployment, number: int, **changes: Any) -> None:
    """Change the account at the desk."""
    row = deployment.koha.patrons.row(number)
    names = ("surname", "firstname", "date_of_birth", "cardnumber", "userid", "email", "library_id", "category_id")
    deployment.koha.patrons.change(number, {name: row[name] for name in names} | changes)


def open_claim_page(deployment: Deployment, person: Person | None = None) -> tuple[Person, TestResponse]:
    """Log Asta in and follow the claim link on the consent page."""
    person = person or deployment.person()
    page = person.log_in("asta")
    claim = next(each for each in links(page) if each.endswith("/claim"))
    return person, person.get(claim)


def request_code(deployment: Deployment, **changes: Any) -> tuple[Person, TestResponse, str, int]:
    """Let Asta request the code. Return her browser, the page for the code, the code and the account number."""
    number = old_account(deployment, **changes)
    person, page = open_claim_page(deployment)
    page = person.press(page, do="card_mail", card="T-77")
    return person, page, code_to(deployment, ADDRESS), number


def is_connected(deployment: Deployment, number: int) -> bool:
    """Return whether the account has Asta's CPR number."""
    deployment.wait_until_idle()
    return ASTA in {each["value"] for each in deployment.koha.patrons.row(number)["extended_attributes"]}


def test_the_code_connects_the_account(deployment: Deployment) -> None:
    """Control: the right code connects the account, but only after consent, and no second account is created."""
    person, page, code, number = request_code(deployment)
    before = len(deployment.koha.patrons.rows())
    page = person.press(page, code=code)
    assert mark(page)[0] == "ask"
    assert not is_connected(deployment, number)
    assert deployment.landing(person.agree(page)).attributes["uid"] == (str(number),)
    assert is_connected(deployment, number)
    assert len(deployment.koha.patrons.rows()) == before


def test_a_code_is_wrong_in_another_browser(deployment: Deployment) -> None:
    """A code works only in the browser that requested it: a thief who logs in as Asta elsewhere cannot use it."""
    _, _, code, number = request_code(deployment)
    other, page = open_claim_page(deployment)
    page = other.press(page, do="card_mail", card="T-NO-SUCH")
    assert mark(other.press(page, code=code)) == ("claim", "code_wrong")
    assert not is_connected(deployment, number)


def test_a_code_is_wrong_for_another_person_in_the_same_browser(deployment: Deployment) -> None:
    """A code works only for the person who requested it: the next login in the same browser cannot use it."""
    person, _, code, number = request_code(deployment)
    page = log_in(person, persona("sara"))
    page = person.get(next(each for each in links(page) if each.endswith("/claim")))
    page = person.press(page, do="card_mail", card="T-NO-SUCH")
    assert mark(person.press(page, code=code)) == ("claim", "code_wrong")
    assert not is_connected(deployment, number)


def test_a_code_has_five_tries(deployment: Deployment) -> None:
    """Brute force: after five wrong codes the right one is refused as well."""
    person, page, code, number = request_code(deployment)
    wrong = f"{(int(code.replace(' ', '')) + 1) % 10**8:08d}"
    for _ in range(5):
        page = person.press(page, code=wrong)
        assert mark(page) == ("claim", "code_wrong")
    assert mark(person.press(page, code=code)) == ("claim", "code_used_up")
    assert not is_connected(deployment, number)


def test_a_code_works_once(deployment: Deployment) -> None:
    """A code that was used is refused in a second login of the same browser."""
    person, page, code, _ = request_code(deployment)
    person.press(page, code=code)
    _, page = open_claim_page(deployment, person)
    page = person.press(page, do="card_mail", card="T-NO-SUCH")
    assert mark(person.press(page, code=code)) == ("claim", "code_wrong")


def test_a_code_expires_after_half_an_hour(deployment: Deployment) -> None:
    """A code is refused after half an hour, also for the same person and browser."""
    person, _, code, number = request_code(deployment)
    deployment.clock.ahead = timedelta(minutes=31)
    _, page = open_claim_page(deployment, person)
    page = person.press(page, do="card_mail", card="T-NO-SUCH")
    assert mark(person.press(page, code=code)) == ("claim", "code_wrong")
    assert not is_connected(deployment, number)


def test_an_account_is_mailed_three_codes_a_day(deployment: Deployment) -> None:
    """An account receives at most three codes a day. The page looks the same when no mail is sent."""
    person, page, _, _ = request_code(deployment)
    for _ in range(3):
        page = person.press(person.get(page.request.path), do="card_mail", card="T-77")
        assert mark(page) == ("claim", "code")
    assert len(deployment.mailbox.mails()) == 3


def test_a_person_tries_five_card_numbers_a_day(deployment: Deployment) -> None:
    """A person may try five card numbers a day. Later ones are not looked up, in any browser."""
    old_account(deployment, surname="Ravn", email=None)
    person, page = open_claim_page(deployment)
    for number in range(5):
        assert mark(person.press(page, do="card", card=f"T-{number}")) == ("claim", "claim_refused")
    other, page = open_claim_page(deployment)
    before = len(deployment.borrower_calls())
    assert mark(other.press(page, do="card", card="T-77")) == ("claim", "claim_too_many")
    assert mark(other.press(page, do="card_mail", card="T-77")) == ("claim", "claim_too_many")
    assert len(deployment.borrower_calls()) == before


ACCOUNTS: Final[dict[str, dict[str, Any] | None]] = {
    "fits": {},
    "no such card": None,
    "has no address": {"email": None},
    "has a CPR number": {"userid": "1206034218"},
    "is of another birth date": {"date_of_birth": "2004-03-15"},
    "is of another given name": {"firstname": "Ida"},
}


def test_responses_do_not_reveal_whether_a_card_exists(deployment: Deployment) -> None:
    """Enumeration: until the right code is typed, existing and unknown card numbers give the same responses."""
    answers = set()
    for changes in ACCOUNTS.values():
        number = None if changes is None else old_account(deployment, **changes)
        person, page = open_claim_page(deployment)
        sent = person.post(page.request.path, {"token": token_of(page), "do": "card_mail", "card": "T-77"})
        shown = person.get(sent.location)
        pages = [shown, *(person.press(shown, code="0000 0000") for _ in range(6))]
        answers.add(tuple((each.status_code, _VARYING.sub(b"", each.get_data())) for each in pages))
        assert sent.status_code == 303
        deployment.clock.ahead += timedelta(days=1, minutes=1)  # the limit of five card numbers a day
        if number is not None:
            deployment.koha.patrons.drop(number)
    assert len(answers) == 1


def test_refusals_of_a_card_number_look_the_same(deployment: Deployment) -> None:
    """Enumeration: every reason for which a card number alone is not enough gives the same refusal."""
    answers = set()
    for changes in ACCOUNTS.values():
        number = None if changes is None else old_account(deployment, **changes)
        person, page = open_claim_page(deployment)
        refused = person.press(page, do="card", card="T-77")
        assert mark(refused) == ("claim", "claim_refused")
        answers.add(_VARYING.sub(b"", refused.get_data()))
        deployment.clock.ahead += timedelta(days=1, minutes=1)
        if number is not None:
            assert not is_connected(deployment, number)
            deployment.koha.patrons.drop(number)
    assert len(answers) == 1


def test_a_user_name_does_not_replace_the_code(deployment: Deployment) -> None:
    """A user name does not replace the code: an attacker can guess it from name and birth date. A card number does."""
    number = old_account(deployment, surname="Ravn", email=None)
    person, page = open_claim_page(deployment)
    assert mark(person.press(page, do="card", card="asta.g")) == ("claim", "claim_refused")
    page = person.press(person.get(page.request.path), do="card", card="T-77")
    assert deployment.landing(person.agree(page)).attributes["uid"] == (str(number),)


def token_of(page: TestResponse) -> str:
    """Return the form token of a page."""
    token = re.search(rb'name="token" value="([^"]+)"', page.get_data())
    assert token is not None
    return token[1].decode()


@pytest.mark.parametrize(
    "changes",
    [{"userid": "1206034218"}, {"date_of_birth": "2004-03-15"}, {"firstname": "Ida"}, {"email": "new@own.example"}],
    ids=["CPR number", "birth date", "given name", "address"],
)
def test_the_record_is_read_again_when_the_code_is_typed(deployment: Deployment, changes: dict[str, str]) -> None:
    """The record is read again when the code is typed. If it changed meanwhile, nothing is connected."""
    person, page, code, number = request_code(deployment)
    change(deployment, number, **changes)
    assert mark(person.press(page, code=code)) == ("claim", "claim_refused")
    person.agree(person.log_in("asta"))
    assert not is_connected(deployment, number)


@pytest.mark.parametrize("affiliation", ["alum", "affiliate", "library-walk-in"])
def test_people_without_the_right_to_an_account_cannot_claim_one(deployment: Deployment, affiliation: str) -> None:
    """A person without the right to an account gets no claim page, and cannot end the case of another login."""
    old_account(deployment, surname="Ravn")
    who = asta_with(
        eduPersonScopedAffiliation=(f"{affiliation}@au.dk",),
        schacPersonalUniqueID=(URN + ASTA,),
        eduPersonPrimaryAffiliation=(),
    )
    student = deployment.person()
    assert mark(follow(student, student.agree(student.log_in("asta"))))[0] == "claim"
    person = deployment.person()
    # Let the library system fail, so that the login asks for an account that it may not create.
    deployment.koha.faults.plan("search", "failed before", 2)
    page = log_in(person, who)
    deployment.koha.faults.planned.clear()
    if mark(page)[0] == "ask":
        assert not [each for each in links(page) if each.endswith("/claim")]
        page = follow(person, person.agree(page))
    assert mark(page)[0] == "refuse"
    name = page.request.path.split("/")[2]
    assert mark(person.get(f"/login/{name}/claim"))[0] == "refuse"


def follow(person: Person, page: TestResponse) -> TestResponse:
    """Follow a redirect."""
    return person.follow(page)


def test_a_code_does_not_overrule_staff(deployment: Deployment) -> None:
    """If staff ruled a borrower out, a code that was mailed earlier no longer connects it."""
    number = old_account(deployment, surname="Ravn")
    person = deployment.person()
    page = person.press(follow(person, person.agree(person.log_in("asta"))), do="mail")
    code = code_to(deployment, ADDRESS)
    parts = deployment.parts
    (case,) = deployment.list_staff_cases()
    person_id = case.person_id
    record = parts.enrolment_ports.persons.read(person_id, deployment.clock.now())
    assert record is not None
    ruled_out = record.value.enrolment
    assert ruled_out is not None
    ruled_out = replace(ruled_out, ruled_out=(str(number),))
    parts.enrolment_ports.persons.change(person_id, lambda each: each.set_enrolment(ruled_out), deployment.clock.now())
    assert mark(person.press(page, code=code)) == ("claim", "claim_refused")
    assert not is_connected(deployment, number)


AASE = PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))
NUMBERS: Final = {"aase": "0101990000", "twin": "0101990018"}


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return an enrolment world on each store."""
    url = "sqlite:broker.db" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    return World(open_store(url, tmp_path, accept_loss=True))


def test_only_one_of_two_simultaneous_claims_succeeds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Race: two workers read the borrower before either writes. One person gets it, and the other becomes a case."""
    old = world.library.add(AASE, email="aase@old.example")
    for person_id, number in NUMBERS.items():
        world.requests.request(person_id, make_wanted_for(AASE, number), Claim(old.number))
    both_have_read = Barrier(2, timeout=20)
    read = world.library.read

    def read_together(number: str, deadline: Any) -> Borrower | None:
        borrower = read(number, deadline)
        both_have_read.wait()
        return borrower

    monkeypatch.setattr(world.library, "read", read_together)
    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(lambda _: world.worker.step(), range(2)))
    (borrower,) = world.library.borrowers.values()
    states = {person_id: world.enrolment(person_id).state for person_id in NUMBERS}
    winner = next(name for name, number in NUMBERS.items() if number == borrower.cpr)
    assert sorted(states.values()) == [EnrolmentState.CASE, EnrolmentState.DONE]
    assert states[winner] is EnrolmentState.DONE


def test_a_claim_that_comes_too_late_makes_no_second_borrower(world: World) -> None:
    """If another person got the borrower first, a late claim creates no second one: staff decide."""
    old = world.library.add(replace(AASE, surname="Gammel"))
    world.library.borrowers[old.number] = replace(old, cpr=NUMBERS["twin"])
    world.requests.request("aase", make_wanted_for(AASE, NUMBERS["aase"]), Claim(old.number))
    world.work()
    assert world.enrolment().reason == "possible_duplicate"
    world.cases.rule_out("aase", (old.number,))
    world.work()
    assert world.enrolment().state is EnrolmentState.DONE
    assert world.library.borrowers[old.number].cpr == NUMBERS["twin"]
