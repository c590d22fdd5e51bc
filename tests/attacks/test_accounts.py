"""Attack: copied, mistyped_record or reassigned data in the library's records lead a login to another person's account.

The broker compares the name and reads the record again. In doubt it refuses with "different_person".

Source: docs/reference/design.md#4c.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from werkzeug.test import TestResponse

from broker.core.errors import LibraryUnavailable
from broker.core.policy.model import BorrowerRule
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, Person, change_persona, mark
from tests.walks.requirements.visits import log_in_with_pin

ASTA, OTHER = "1403044004", "1206034218"
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # a second card: Koha treats the two spellings as different numbers
DESK = {"surname": "Ravn", "firstname": "Ida", "library_id": "AUL", "category_id": "STUDENT"}
HERS = {**DESK, "firstname": "Asta"}
LEFT = {"eduPersonScopedAffiliation": ("alum@au.dk",), "eduPersonPrimaryAffiliation": ("alum",)}
Arrive = Callable[..., tuple[Person, TestResponse]]


@pytest.fixture
def arrive(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Arrive:
    """Return a function that brings Asta from the hub to a service.

    Its arguments replace attributes; () removes one.
    """
    # Let the demo services use the broker's clock.
    monkeypatch.setattr(
        "broker.demo.library.services.datetime", SimpleNamespace(now=lambda _zone: deployment.clock.now())
    )

    def come(service: str, **asserted: tuple[str, ...]) -> tuple[Person, TestResponse]:
        person = deployment.person()
        who = change_persona(persona("asta"), **asserted)
        return person, person.return_from_hub(person.choose(person.ask(service)), who)

    return come


def read_borrower_number(deployment: Deployment, came: tuple[Person, TestResponse]) -> str:
    """Agree if the page asks, and return the borrower number that the service receives."""
    person, page = came
    issued = person.agree_if_asked(page)
    return str(deployment.landing(issued).attributes["uid"][0])


def change_borrower_rules(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, change: Callable[[BorrowerRule], BorrowerRule]
) -> None:
    """Change the borrower rule of every policy."""
    policies = deployment.parts.policies
    ours, *rest = policies._held
    changed = tuple(replace(each, borrower=change(each.borrower)) if each.borrower else each for each in ours.policies)
    monkeypatch.setattr(policies, "_held", (replace(ours, policies=changed), *rest))


@pytest.fixture
def mistyped_record(deployment: Deployment, arrive: Arrive) -> str:
    """Let the desk type Asta's CPR number into Ida's record, refuse Asta's login, and correct the record."""
    wrong = deployment.koha.patrons.create({**DESK, "userid": ASTA})["patron_id"]
    assert mark(arrive("my-loans")[1]) == ("refuse", "different_person")
    deployment.koha.patrons.change(wrong, {**DESK, "userid": "ida"})
    deployment.clock.ahead = timedelta(days=1, minutes=1)
    return str(wrong)


@pytest.mark.parametrize("born", ["2009-01-01", None])
@pytest.mark.parametrize("gone", [True, False])
def test_a_copied_record_does_not_become_the_persons_account(
    deployment: Deployment, arrive: Arrive, born: str | None, *, gone: bool
) -> None:
    """A sibling's record that the desk copied from Asta's, with the broker's mark, does not become Asta's account.

    The sibling keeps name and PIN. Asta gets her own account, or a new one if hers was deleted.
    """
    hers = read_borrower_number(deployment, arrive("my-loans"))
    deployment.wait_until_idle()
    copied = {"statistics_1": deployment.koha.patrons.row(int(hers))["statistics_1"], "date_of_birth": born}
    sibling = deployment.koha.patrons.create({**DESK, "cardnumber": "S-1", "userid": "ida", **copied})["patron_id"]
    if gone:
        deployment.koha.patrons.drop(int(hers))
    deployment.clock.ahead = timedelta(days=1, minutes=1)
    now = read_borrower_number(deployment, arrive("my-loans", sn=("Ravn-Nielsen",)))
    assert (now not in {hers, str(sibling)}) if gone else now == hers
    deployment.wait_until_idle()
    assert len(deployment.mailbox.mails()) == 1 + gone
    assert deployment.koha.patrons.row(sibling)["surname"] == "Ravn"
    assert not deployment.koha.patrons.passwords.holds(sibling)


@pytest.mark.parametrize("text", [None, "HUM-2019"])
@pytest.mark.parametrize("service", ["myprint", "my-loans"], ids=["need", "make"])
def test_a_card_number_of_ten_digits_is_no_cpr(
    deployment: Deployment, arrive: Arrive, text: str | None, service: str
) -> None:
    """A record whose card number is Asta's CPR number is not her account. The login becomes a case for staff."""
    stranger = {"cardnumber": ASTA, "userid": "sten", "date_of_birth": "1960-05-05", "statistics_1": text}
    deployment.koha.patrons.create({**DESK, **stranger})
    person, page = arrive(service)
    refused = person.agree_if_asked(page)
    assert mark(refused) == ("refuse", "different_person")
    assert [each.reason for each in deployment.enrolments()] == ["different_person"]


def test_a_pin_login_to_a_record_with_a_foreign_cpr_links_nobody(deployment: Deployment) -> None:
    """A PIN login to a record with Asta's CPR number as card number creates no link that Asta's login follows."""
    row = deployment.koha.patrons.create({**DESK, "cardnumber": ASTA, "userid": "sten", "date_of_birth": "1960-05-05"})
    deployment.koha.patrons.set_password(row["patron_id"], "8362", "8362")
    person, hers = deployment.person(), deployment.person()
    his = deployment.landing(person.agree(log_in_with_pin(person, "sten", "8362")))
    assert his.attributes["uid"] == (str(row["patron_id"]),)
    deployment.koha.patrons.drop(row["patron_id"])
    landing = deployment.landing(hers.agree(hers.log_in("asta")))
    assert landing.name_id != his.name_id
    assert landing.attributes["uid"] != his.attributes["uid"]


@pytest.mark.parametrize("merged", [True, False])
def test_a_second_record_with_her_cpr_gets_another_name_id(
    deployment: Deployment, arrive: Arrive, *, merged: bool
) -> None:
    """The desk gives Ida's card Asta's CPR number. Ida's PIN login gets Ida's account and not Asta's NameID."""
    person, page = arrive("my-loans")
    asta = deployment.landing(person.agree(page))
    ida = deployment.koha.patrons.create({**DESK, "cardnumber": SPELLED, "userid": "ida"})["patron_id"]
    deployment.koha.patrons.set_password(ida, "8362", "8362")
    if merged:  # Asta has not logged in with her number since, so nothing shows that the number is hers
        deployment.koha.patrons.drop(int(asta.attributes["uid"][0]))
    other = deployment.person()
    landed = deployment.landing(other.agree(log_in_with_pin(other, "ida", "8362")))
    assert landed.attributes["uid"] == (str(ida),)
    assert landed.name_id != asta.name_id


@pytest.mark.parametrize("taken", [None, OTHER])
def test_a_corrected_cpr_stops_the_release_of_the_wrong_borrower(
    deployment: Deployment, arrive: Arrive, mistyped_record: str, taken: str | None
) -> None:
    """A day after the correction no service receives the wrong borrower number. Asta gets her own account."""
    deployment.koha.patrons.change(int(mistyped_record), {**DESK, "userid": taken or "ida"})
    before = deployment.koha.patrons.row(int(mistyped_record))
    for _ in range(2):
        assert mark(arrive("myprint")[1]) == ("refuse", "no_library_account")
    for service in ("my-loans", "myprint"):
        assert mark(arrive(service, schacPersonalUniqueID=())[1]) == ("refuse", "cpr_required")
    hers = read_borrower_number(deployment, arrive("my-loans"))
    assert hers != mistyped_record
    assert read_borrower_number(deployment, arrive("myprint")) == hers
    deployment.wait_until_idle()
    assert deployment.koha.patrons.row(int(mistyped_record)) == before
    assert [each.state.value for each in deployment.enrolments()] == ["done"]


@pytest.mark.parametrize("merged", [True, False])
def test_a_deleted_or_merged_borrower_is_not_released(deployment: Deployment, arrive: Arrive, *, merged: bool) -> None:
    """The broker asks the library again after ten minutes, so a deleted or merged borrower is not released."""
    hers = read_borrower_number(deployment, arrive("my-loans"))
    deployment.koha.patrons.drop(int(hers))
    into = str(deployment.koha.patrons.create({**HERS, "userid": ASTA})["patron_id"]) if merged else None
    deployment.clock.ahead = timedelta(minutes=9)
    assert read_borrower_number(deployment, arrive("myprint")) == hers
    deployment.clock.ahead = timedelta(minutes=11)
    for _ in range(2):
        came = arrive("myprint")
        if into:
            assert read_borrower_number(deployment, came) == into
        else:
            assert mark(came[1]) == ("refuse", "no_library_account")


@pytest.mark.parametrize("left", ["affiliate", "alum"])
def test_a_login_without_cpr_lowers_no_category(deployment: Deployment, arrive: Arrive, left: str) -> None:
    """A login without CPR number must not lower a borrower's category: the user name may belong to a new holder."""
    hers = int(read_borrower_number(deployment, arrive("my-loans")))
    before = deployment.koha.patrons.row(hers)
    role = {"eduPersonScopedAffiliation": (f"{left}@au.dk",), "eduPersonPrimaryAffiliation": (left,)}
    stranger = {"sn": ("Fremmed",), "gn": ("Frits",), "mail": ("frits@post.example",)}
    _, page = arrive("my-loans", schacPersonalUniqueID=(), **role, **stranger)
    assert mark(page) == ("refuse", "national_eid_required")
    assert deployment.koha.patrons.row(hers) == before


def test_the_cpr_number_lowers_the_category_and_writes_nothing_else(
    deployment: Deployment, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPR number proves the person, so the category is lowered.

    It does not prove the address, which is not written.
    """
    hers = int(read_borrower_number(deployment, arrive("my-loans")))
    kept = {name: deployment.koha.patrons.row(hers)[name] for name in ("surname", "library_id", "category_id")}
    deployment.koha.patrons.change(hers, {**kept, "email": ""})

    def eager(rule: BorrowerRule) -> BorrowerRule:
        fields = (replace(each, set="if_empty") if each.set == "create" else each for each in rule.fields)
        return replace(rule, fields=tuple(fields))

    change_borrower_rules(deployment, monkeypatch, eager)
    came = arrive("my-loans", **LEFT, mail=("frits@post.example",))
    assert read_borrower_number(deployment, came) == str(hers)
    row = deployment.koha.patrons.row(hers)
    assert (row["category_id"], row["surname"], row["email"] or None) == ("PRIVATE", kept["surname"], None)


@pytest.mark.parametrize("service", ["myprint", "my-loans"], ids=["need", "make"])
def test_a_record_with_her_cpr_and_another_name_is_not_hers(
    deployment: Deployment, arrive: Arrive, service: str
) -> None:
    """If the names differ, the broker neither releases nor changes the record, and sends no PIN."""
    wrong = deployment.koha.patrons.create({**DESK, "surname": "Skov", "userid": ASTA, "date_of_birth": "2004-03-14"})
    deployment.koha.patrons.set_password(wrong["patron_id"], "8362", "8362")
    before = deployment.koha.patrons.row(wrong["patron_id"])
    for _ in range(2):
        person, page = arrive(service)
        refused = person.agree_if_asked(page)
        assert mark(refused) == ("refuse", "different_person")
        deployment.clock.ahead += timedelta(minutes=61)
    deployment.wait_until_idle()
    assert deployment.koha.patrons.row(wrong["patron_id"]) == before
    assert not deployment.mailbox.mails()


@pytest.mark.parametrize("service", ["myprint", "my-loans"], ids=["need", "make"])
def test_a_cpr_asserted_for_another_name_does_not_get_the_stored_borrower(
    deployment: Deployment, arrive: Arrive, service: str
) -> None:
    """The university asserts Asta's number for another person, minutes after her login.

    The stored borrower is not used.
    """
    hers = int(read_borrower_number(deployment, arrive("my-loans")))
    deployment.wait_until_idle()
    before = deployment.koha.patrons.row(hers)
    other = {"sn": ("Fremmed",), "gn": ("Frits",), "cn": ("Frits Fremmed",)}
    person, page = arrive(service, **other)
    refused = person.agree_if_asked(page)
    assert mark(refused) == ("refuse", "different_person")
    deployment.wait_until_idle()
    assert {**deployment.koha.patrons.row(hers), "updated_on": None} == {**before, "updated_on": None}


def test_a_wrong_birth_date_locks_nobody_out(deployment: Deployment, arrive: Arrive) -> None:
    """A mistyped_record birth date does not lock the owner out if both names match."""
    hers = deployment.koha.patrons.create({**HERS, "userid": ASTA, "date_of_birth": "1960-05-05"})["patron_id"]
    assert read_borrower_number(deployment, arrive("my-loans")) == str(hers)


@pytest.mark.parametrize("service", ["myprint", "my-loans"], ids=["need", "make"])
def test_a_login_without_a_name_leads_to_no_borrower(deployment: Deployment, arrive: Arrive, service: str) -> None:
    """A login without a name is refused: the CPR number may be mistyped_record, and only the name would show it."""
    hers = deployment.koha.patrons.create({**HERS, "userid": ASTA, "date_of_birth": "2004-03-14"})["patron_id"]
    before = deployment.koha.patrons.row(hers)
    _, page = arrive(service, sn=(), gn=(), cn=(), displayName=())
    assert mark(page) == ("refuse", "name_required")
    assert deployment.koha.patrons.row(hers) == before


def test_a_second_borrower_with_the_cpr_is_refused(deployment: Deployment, arrive: Arrive) -> None:
    """If two borrowers have the CPR number, the broker does not guess: it refuses with "several_borrowers"."""
    deployment.koha.patrons.create({**HERS, "userid": ASTA})
    read_borrower_number(deployment, arrive("my-loans"))
    deployment.koha.patrons.create({**DESK, "cardnumber": f"{ASTA[:6]}-{ASTA[6:]}", "userid": "ida"})
    deployment.clock.ahead = timedelta(days=1, minutes=1)
    assert mark(arrive("myprint")[1]) == ("refuse", "several_borrowers")


def test_a_person_whose_borrower_was_deleted_signs_up(deployment: Deployment, arrive: Arrive) -> None:
    """A person whose borrower was deleted is asked to sign up, and staff get no case."""
    deployment.koha.patrons.drop(int(read_borrower_number(deployment, arrive("my-loans"))))
    deployment.clock.ahead = timedelta(days=1, minutes=1)
    assert mark(arrive("myprint")[1]) == ("refuse", "no_library_account")


@pytest.mark.parametrize("born", ["2004-03-14", "1960-05-05"])
def test_a_borrower_without_its_cpr_is_offered_for_claiming(deployment: Deployment, arrive: Arrive, born: str) -> None:
    """The desk removed the CPR number from an account that the broker made. The broker's mark does not lead Asta there.

    The broker also makes no second account silently: it offers her to claim the old one.
    """
    hers = read_borrower_number(deployment, arrive("my-loans"))
    patrons, row = deployment.koha.patrons, deployment.koha.patrons.row(int(hers))
    kept = {name: row[name] for name in ("surname", "firstname", "library_id", "category_id")}
    patrons.change(int(hers), {**kept, "cardnumber": "C-7", "userid": "asta", "date_of_birth": born})
    for each in row["extended_attributes"]:
        patrons.drop_attribute(int(hers), each["extended_attribute_id"])
    deployment.clock.ahead = timedelta(days=1, minutes=1)
    before = patrons.rows()
    assert mark(arrive("myprint")[1]) == ("refuse", "no_library_account")
    person, page = arrive("my-loans")
    assert mark(person.agree(page)) == ("claim", "offer")
    assert patrons.rows() == before


@pytest.mark.parametrize("service", ["myprint", "my-loans"], ids=["need", "make"])
def test_a_borrower_that_the_desk_gave_to_another_person_is_not_released(
    deployment: Deployment, arrive: Arrive, service: str
) -> None:
    """The university had mistyped_record the number, so the desk gave the account to its real owner.

    Asta gets nothing of it.
    """
    theirs = read_borrower_number(deployment, arrive("my-loans"))
    patrons, row = deployment.koha.patrons, deployment.koha.patrons.row(int(theirs))
    patrons.change(int(theirs), {**DESK, "surname": "Fremmed", "cardnumber": OTHER, "userid": OTHER})
    for each in row["extended_attributes"]:
        patrons.drop_attribute(int(theirs), each["extended_attribute_id"])
    deployment.clock.ahead = timedelta(days=1, minutes=1)
    before = patrons.row(int(theirs))
    if service == "myprint":
        assert mark(arrive(service)[1]) == ("refuse", "no_library_account")
    else:
        assert read_borrower_number(deployment, arrive(service)) != theirs
    deployment.wait_until_idle()
    assert patrons.row(int(theirs)) == before


@pytest.mark.parametrize("ahead", [timedelta(minutes=9), timedelta(hours=23)], ids=["not asked", "silent"])
def test_a_stored_borrower_is_used_while_the_library_is_silent(
    deployment: Deployment, arrive: Arrive, ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the library does not answer, the stored borrower is used for a day.

    The first ten minutes need no answer.
    """
    hers = read_borrower_number(deployment, arrive("my-loans"))
    deployment.clock.ahead = ahead
    asked: list[str] = []

    def silent(cpr: str, _deadline: object) -> None:
        asked.append(cpr)
        raise LibraryUnavailable("down")

    monkeypatch.setattr(deployment.parts.enrolment_ports.library, "find", silent)
    assert read_borrower_number(deployment, arrive("myprint")) == hers
    assert asked == ([] if ahead < timedelta(minutes=10) else [ASTA])
    deployment.clock.ahead = timedelta(hours=25)
    assert mark(arrive("myprint")[1]) == ("refuse", "library_unavailable")


def test_a_policy_without_pins_enrols(deployment: Deployment, arrive: Arrive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy without PINs creates the borrower and sends no mail."""
    change_borrower_rules(deployment, monkeypatch, lambda rule: replace(rule, pin="none"))
    hers = read_borrower_number(deployment, arrive("my-loans"))
    deployment.wait_until_idle()
    assert not deployment.koha.patrons.passwords.holds(int(hers))
    assert deployment.mailbox.mails() == ()
    assert mark(
        arrive(
            "my-loans",
            mail=(),
            eduPersonPrincipalName=("x@au.dk",),
            schacPersonalUniqueID=("urn:mace:terena.org:schac:personalUniqueID:dk:CPR:1206034218",),
        )[1]
    ) == ("proof", "mail")
