"""Attack: a university gives a user name (eduPersonPrincipalName) to a new person, who gets the account of the old one.

Only a CPR number proves the person. Without it, the new holder gets nothing of the previous one. Source:
docs/reference/design.md#persons.
"""

from urllib.parse import urlsplit

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.core.login.transaction import Transaction
from broker.demo.library.services import Landing
from broker.demo.people.persona import Persona
from broker.demo.people.personas import persona
from broker.use_cases.storage.records import load
from tests.plugins.deployment import Deployment, Person, change_persona, find_text, mark

URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
ASTA, OTHER, REPLACEMENT, CONSTRUCTED = "1403044004", "1206034218", "7403044000", "140304ABC1"
NO_NUMBER: dict[str, tuple[str, ...]] = {"schacPersonalUniqueID": ()}
# The new holder of Asta's user name.
NEXT: dict[str, tuple[str, ...]] = {"sn": ("Fremmed",), "gn": ("Frits",), "cn": ("Frits Fremmed",)}
ONE, ANOTHER = "6f1c0000-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000002"


@pytest.fixture
def asta(deployment: Deployment) -> Landing:
    """Let Asta get a borrower and consent at My loans. Return what MyPrint receives about her."""
    person = deployment.person()
    assert deployment.landing(person.agree(person.log_in("asta"), remember=True)).status == "Success"
    return agree_and_land(deployment, arrive(deployment))


@pytest.mark.parametrize("service", ["my-loans", "myprint"])
def test_the_same_eppn_with_another_name_and_no_number_gets_nothing(
    deployment: Deployment, asta: Landing, service: str
) -> None:
    """The new holder without CPR number gets neither Asta's borrower nor her NameID, but still reaches e-resources."""
    for _ in range(2):
        _, page = arrive(deployment, service, **NO_NUMBER, **NEXT)
        assert mark(page) == ("refuse", "cpr_required")
        assert dict(deployment.landing(page).attributes) == {}
        assert {"nemid", "library"} <= set(list_login_methods(page))
    assert agree_and_land(deployment, arrive(deployment, "e-resources", **NO_NUMBER, **NEXT)).status == "Success"
    assert agree_and_land(deployment, arrive(deployment)).name_id == asta.name_id


def test_the_same_eppn_with_another_name_and_no_number_sees_no_choices(deployment: Deployment, asta: Landing) -> None:
    """The new holder without CPR number neither sees nor withdraws Asta's consents."""
    assert asta.status == "Success"
    stranger, hers = deployment.person(), deployment.person()
    page = stranger.return_from_hub(stranger.get("/my-choices?with=wayf").location, asta_with(**NO_NUMBER, **NEXT))
    assert mark(page)[0] == "choices"
    assert b'data-service="my-loans"' not in page.get_data()
    page = hers.return_from_hub(hers.get("/my-choices?with=wayf").location, asta_with())
    assert b'data-service="my-loans"' in page.get_data()


def test_the_next_holder_of_a_name_sees_and_deletes_nothing(deployment: Deployment, asta: Landing) -> None:
    """The new holder can neither read nor delete stored data of the previous one."""
    agree_and_land(deployment, arrive(deployment, "e-resources", **NO_NUMBER, **NEXT))
    stranger, frits = deployment.person(), asta_with(**NO_NUMBER, **NEXT)
    page = stranger.return_from_hub(stranger.get("/my-choices?do=kept&with=wayf").location, frits)
    assert mark(page) == ("choices", "unknown")
    assert mark(delete_stored_data(stranger, frits)) == ("choices", "unknown")
    again = agree_and_land(deployment, arrive(deployment))
    assert (again.name_id, again.attributes) == (asta.name_id, asta.attributes)


@pytest.mark.parametrize("left", [{}, {"eduPersonScopedAffiliation": ("member@au.dk",)}], ids=["asked", "unknown"])
def test_the_last_holder_of_a_name_sees_and_deletes_nothing_of_the_next(
    deployment: Deployment, asta: Landing, left: dict[str, tuple[str, ...]]
) -> None:
    """The previous holder's report and deletion do not include a waiting or refused login of the new holder."""
    frits = {**NO_NUMBER, **NEXT, **left}
    _, refused = arrive(deployment, "my-loans", **frits)
    waiting = deployment.person()
    answer = waiting.deliver_answer(waiting.choose(waiting.ask("my-loans")), asta_with(**frits))
    hers = deployment.person()
    report = read_stored_data(hers, asta_with())
    assert ("Fremmed" in report, asta.attributes["uid"][0] in report) == (False, True)
    assert mark(delete_stored_data(hers, asta_with())) == ("choices", "forgotten")
    assert mark(waiting.get(answer.location)) == mark(refused)


@pytest.mark.parametrize(
    ("way", "step"), [("nemid", "authenticate"), ("library", "pin")], ids=["the eID", "the library account"]
)
@pytest.mark.parametrize("language", ["da", "en"])
def test_a_person_without_cpr_number_gets_other_login_methods(
    deployment: Deployment, way: str, step: str, language: str
) -> None:
    """A person without CPR number gets buttons for the login methods that bring one, in both languages."""
    person = deployment.person()
    person.get(f"/sign-up?lang={language}")
    page = person.return_from_hub(person.choose(person.ask("myprint")), asta_with(**NO_NUMBER))
    assert mark(page) == ("refuse", "cpr_required")
    words = {"da": "Dit login har intet CPR-nummer", "en": "Your login has no CPR number"}
    assert words[language] in page.get_data(as_text=True)
    assert mark(person.press(page, upstream=way))[0] == "authenticate"
    followed = person.press(page, upstream=way)
    onward = find_text(followed, "//main//a[contains(@class, 'button')]/@href")
    assert urlsplit(onward).path.endswith({"authenticate": "/upstream", "pin": "/pin"}[step])


@pytest.mark.parametrize(
    ("number", "level", "told"),
    [
        (OTHER, "1", "cpr_required"),
        (ASTA, "1", "cpr_required"),
        (REPLACEMENT, "2", "replacement_number"),
        (CONSTRUCTED, "2", "constructed_number"),
    ],
    ids=["another, self-asserted", "hers, self-asserted", "replacement", "constructed"],
)
def test_an_unusable_cpr_number_finds_no_borrower(
    deployment: Deployment, asta: Landing, number: str, level: str, told: str
) -> None:
    """A self-asserted, replacement or constructed number finds no borrower, and causes no case for Asta."""
    for _ in range(2):
        _, page = arrive(deployment, schacPersonalUniqueID=(URN + number,), eduPersonAssurance=(level,))
        assert mark(page) == ("refuse", told)
    again = agree_and_land(deployment, arrive(deployment))
    assert (again.name_id, again.attributes) == (asta.name_id, asta.attributes)
    assert list_cases(deployment) == []


def test_a_known_name_with_another_number_is_the_number_s_person(deployment: Deployment, asta: Landing) -> None:
    """A known user name with another CPR number is the person of that number, with an own NameID and borrower."""
    before = deployment.koha.patrons.rows()
    theirs = agree_and_land(deployment, arrive(deployment, "my-loans", schacPersonalUniqueID=(URN + OTHER,), **NEXT))
    assert theirs.attributes["uid"] != asta.attributes["uid"]
    printed = agree_and_land(deployment, arrive(deployment, schacPersonalUniqueID=(URN + OTHER,), **NEXT))
    assert printed.attributes["uid"] == theirs.attributes["uid"]
    assert printed.name_id != asta.name_id
    assert list_cases(deployment) == []
    again = agree_and_land(deployment, arrive(deployment))
    assert (again.name_id, again.attributes) == (asta.name_id, asta.attributes)
    assert deployment.koha.patrons.rows()[: len(before)] == before
    assert mark(arrive(deployment, **NO_NUMBER)[1]) == ("refuse", "cpr_required")


def test_a_new_user_name_with_the_cpr_number_is_the_same_person(deployment: Deployment, asta: Landing) -> None:
    """A new user name with a known CPR number is the same person."""
    moved = agree_and_land(deployment, arrive(deployment, eduPersonPrincipalName=("asta.new@au.dk",)))
    assert (moved.name_id, moved.attributes["uid"]) == (asta.name_id, asta.attributes["uid"])


def test_a_self_asserted_number_finds_no_borrower(deployment: Deployment, asta: Landing) -> None:
    """A self-asserted CPR number of another person finds no borrower."""
    assert asta.attributes["uid"]
    stranger = {"eduPersonPrincipalName": ("mallory@au.dk",), "eduPersonAssurance": ("1",)}
    assert mark(arrive(deployment, **stranger)[1]) == ("refuse", "cpr_required")


@pytest.mark.parametrize("affiliation", ["affiliate", "alum"])
@pytest.mark.parametrize("service", ["my-loans", "myprint"])
def test_alumni_keep_their_account_by_the_cpr_number(
    deployment: Deployment, asta: Landing, affiliation: str, service: str
) -> None:
    """Alumni with a CPR number keep the account, in a lower category. A bare affiliate needs the national eID."""
    left = {"eduPersonScopedAffiliation": (f"{affiliation}@au.dk",), "eduPersonPrimaryAffiliation": (affiliation,)}
    came = arrive(deployment, service, **left)
    if affiliation == "affiliate":
        told = {"my-loans": "national_eid_required", "myprint": "cpr_required"}[service]
        assert mark(came[1]) == ("refuse", told)
    else:
        assert agree_and_land(deployment, came).attributes["uid"] == asta.attributes["uid"]
    category = deployment.koha.patrons.row(int(asta.attributes["uid"][0]))["category_id"]
    assert category == ("PRIVATE" if (affiliation, service) == ("alum", "my-loans") else "STUDENT")


def test_a_login_without_a_number_is_another_person(deployment: Deployment) -> None:
    """A login without CPR number and a login with it are different persons."""
    arrive(deployment, **NO_NUMBER)
    [alone] = list_person_ids(deployment)
    arrive(deployment)
    arrive(deployment, **NO_NUMBER)
    assert len(list_person_ids(deployment) - {alone}) == 1


@pytest.mark.parametrize(("numbers", "told"), [((URN + ASTA,), ("pin", "")), ((), ("refuse", "cpr_required"))])
def test_a_user_name_alone_chooses_no_pin(
    deployment: Deployment, asta: Landing, numbers: tuple[str, ...], told: tuple[str, str]
) -> None:
    """A user name alone cannot choose a PIN: the new holder would keep the previous holder's account."""
    assert asta.attributes["uid"]
    person = deployment.person()
    page = person.return_from_hub(
        str(person.get("/pin?change=wayf").location), asta_with(schacPersonalUniqueID=numbers)
    )
    assert mark(page) == told


@pytest.mark.parametrize("level", ["1", "2", "3"])
def test_a_cpr_uuid_of_a_university_is_ignored(deployment: Deployment, asta: Landing, level: str) -> None:
    """A cprUuid from a university is ignored at every assurance level: it is neither used nor stored."""
    agree_and_land(deployment, arrive(deployment, cprUuid=(ONE,), eduPersonAssurance=("3",)))
    stranger = {**NO_NUMBER, "eduPersonPrincipalName": ("mallory@au.dk",), "cprUuid": (ONE,)}
    assert mark(arrive(deployment, **stranger, eduPersonAssurance=(level,))[1]) == ("refuse", "cpr_required")
    again = agree_and_land(deployment, arrive(deployment, cprUuid=(ANOTHER,), eduPersonAssurance=("3",)))
    assert (again.name_id, list_cases(deployment)) == (asta.name_id, [])


def list_login_methods(page: TestResponse) -> list[str]:
    """Return the login methods that a page offers."""
    pressed = html.fromstring(page.get_data()).iter("button")
    return [str(each.get("value")) for each in pressed if each.get("name") == "upstream"]


def list_person_ids(deployment: Deployment) -> set[str]:
    """Return the person ids of all logins in progress."""
    kept = deployment.parts.store.list("transaction", None, deployment.clock.now())
    persons = [load(Transaction, each.value).person for _, each in kept]
    return {each.id for each in persons if each}


def asta_with(**attributes: tuple[str, ...]) -> Persona:
    """Return Asta with other attributes; () removes one."""
    return change_persona(persona("asta"), **attributes)


def read_stored_data(person: Person, who: Persona) -> str:
    """Return the report of stored data after a fresh login."""
    page = person.return_from_hub(person.get("/my-choices?do=kept&with=wayf").location, who)
    return person.get("/my-choices" + find_text(page, "//a[@download]/@href")).text


def delete_stored_data(person: Person, who: Persona) -> TestResponse:
    """Log in afresh and delete the stored data, if that is offered."""
    page = person.return_from_hub(person.get("/my-choices?do=kept&with=wayf").location, who)
    if mark(page) != ("choices", "kept"):
        return page
    return person.press(person.get("/my-choices" + find_text(page, "//a[contains(@href, 'do=forget')]/@href")))


def arrive(
    deployment: Deployment, service: str = "myprint", /, **attributes: tuple[str, ...]
) -> tuple[Person, TestResponse]:
    """Log in to a service as Asta, with these attributes instead of hers."""
    person = deployment.person()
    return person, person.return_from_hub(person.choose(person.ask(service)), asta_with(**attributes))


def agree_and_land(deployment: Deployment, came: tuple[Person, TestResponse]) -> Landing:
    """Answer all pages with yes, and return what the service receives."""
    person, page = came
    if mark(page)[0] == "ask":
        page = person.agree(page)
    if mark(page)[0] == "changed":
        page = person.press(page)
    return deployment.landing(page)


def list_cases(deployment: Deployment) -> list[tuple[str, str | None]]:
    """Return state and reason of the open cases."""
    return [(each.enrolment.state, each.enrolment.reason) for each in deployment.list_staff_cases()]
