"""Nobody gets another's account, whatever the desk has copied, corrected or written into the record.

Source: docs/reference/design.md#4c.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.gate import http_bindings
from broker.core.errors import LibraryUnavailable
from broker.core.policy.model import BorrowerRule
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import wayf_hub
from tests.plugins.house import House, Person, mark
from tests.plugins.requirements.visits import by_pin

ASTA, OTHER = "1403044004", "1206034218"
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # on a second card: the database takes it for another number
DESK = {"surname": "Ravn", "firstname": "Ida", "library_id": "AUL", "category_id": "STUDENT"}
LEFT = {"eduPersonScopedAffiliation": ("affiliate@au.dk",), "eduPersonPrimaryAffiliation": ("affiliate",)}
Arrive = Callable[..., tuple[Person, TestResponse]]


@pytest.fixture
def arrive(house: House, monkeypatch: pytest.MonkeyPatch) -> Arrive:
    """Give how Asta comes to a service by the hub, some of her attributes replaced (an empty one is not sent)."""
    # The services' requests come at the time it is for the broker.
    monkeypatch.setattr("broker.demo.library.services.datetime", SimpleNamespace(now=lambda _zone: house.clock.now()))

    def come(service: str, **asserted: tuple[str, ...]) -> tuple[Person, TestResponse]:
        attributes = {name: values for name, values in {**persona("asta").attributes, **asserted}.items() if values}
        person = house.person()
        asked = wayf_hub.read(urlsplit(person.choose(person.ask(service))).query)
        who = replace(persona("asta"), attributes=attributes)
        xml = wayf_hub.response(HUB, asked, who, house.hub_key(), house.clock.now())
        fields = http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state)
        return person, person.get(person.deliver(asked.acs, fields).location)

    return come


def number(house: House, came: tuple[Person, TestResponse]) -> str:
    """Agree to what is asked and give the borrower number that the service hears."""
    person, page = came
    return str(house.landing(person.agree(page)).attributes["uid"][0])


def ruled(house: House, monkeypatch: pytest.MonkeyPatch, change: Callable[[BorrowerRule], BorrowerRule]) -> None:
    """Let every policy say something else of its borrowers."""
    policies = house.parts.policies
    ours, *rest = policies._held
    changed = tuple(replace(each, borrower=change(each.borrower)) if each.borrower else each for each in ours.policies)
    monkeypatch.setattr(policies, "_held", (replace(ours, policies=changed), *rest))


def mailed(house: House, mails: int) -> None:
    """Wait until so many mails have come."""
    for _ in range(100):
        if len(house.mailbox.mails()) >= mails:
            return
        house.parts.enrolments.pause(0.05)
    raise AssertionError(house.mailbox.mails())


@pytest.fixture
def mistyped(house: House, arrive: Arrive) -> str:
    """Let the desk have typed Asta's CPR into another's record, Asta have come, and the desk have corrected it."""
    wrong = house.koha.patrons.create({**DESK, "userid": ASTA})["patron_id"]
    assert number(house, arrive("my-loans")) == str(wrong)
    house.koha.patrons.change(wrong, {**DESK, "userid": "ida"})
    house.clock.ahead = timedelta(days=1, minutes=1)
    return str(wrong)


@pytest.mark.parametrize("born", ["2009-01-01", None])
@pytest.mark.parametrize("gone", [True, False])
def test_a_copy_of_a_record_is_not_its_person(house: House, arrive: Arrive, born: str | None, *, gone: bool) -> None:
    """A sibling's record copied from Asta's, mark and all, keeps name and PIN; Asta gets her own or a new one."""
    hers = number(house, arrive("my-loans"))
    mailed(house, 1)
    copied = {"statistics_1": house.koha.patrons.row(int(hers))["statistics_1"], "date_of_birth": born}
    sibling = house.koha.patrons.create({**DESK, "cardnumber": "S-1", "userid": "ida", **copied})["patron_id"]
    if gone:
        house.koha.patrons.drop(int(hers))
    house.clock.ahead = timedelta(days=1, minutes=1)
    now = number(house, arrive("my-loans", sn=("Ravn-Nielsen",)))
    assert (now not in {hers, str(sibling)}) if gone else now == hers
    mailed(house, 1 + gone)
    assert house.koha.patrons.row(sibling)["surname"] == "Ravn"
    assert not house.koha.patrons.has_password(sibling)
    assert house.koha.patrons.has_password(int(now))


@pytest.mark.parametrize("text", [None, "HUM-2019"])
@pytest.mark.parametrize(
    ("service", "told"), [("myprint", "no_library_account"), ("my-loans", "birth_date_differs")], ids=["need", "make"]
)
def test_a_card_number_of_ten_digits_is_no_cpr(
    house: House, arrive: Arrive, text: str | None, service: str, told: str
) -> None:
    """A stranger whose card number is Asta's CPR stays a stranger, whatever the desk keeps in the mark's field."""
    stranger = {"cardnumber": ASTA, "userid": "sten", "date_of_birth": "1960-05-05", "statistics_1": text}
    house.koha.patrons.create({**DESK, **stranger})
    person, page = arrive(service)
    assert mark(person.agree(page) if mark(page)[0] == "ask" else page) == ("refuse", told)


def test_whose_card_has_a_strangers_cpr_is_not_that_stranger(house: House) -> None:
    """Who logs in by PIN to a record whose card number is Asta's CPR leaves a link that her login does not follow."""
    row = house.koha.patrons.create({**DESK, "cardnumber": ASTA, "userid": "sten", "date_of_birth": "1960-05-05"})
    house.koha.patrons.set_password(row["patron_id"], "8362", "8362")
    person, hers = house.person(), house.person()
    his = house.landing(person.agree(by_pin(person, "sten", "8362")))
    assert his.attributes["uid"] == (str(row["patron_id"]),)
    house.koha.patrons.drop(row["patron_id"])
    landing = house.landing(hers.agree(hers.log_in("asta")))
    assert landing.name_id != his.name_id
    assert landing.attributes["uid"] != his.attributes["uid"]


@pytest.mark.parametrize("merged", [True, False])
def test_a_second_record_with_her_cpr_is_not_her(house: House, arrive: Arrive, *, merged: bool) -> None:
    """Asta's CPR on Ida's card too: Ida's PIN leads to Ida's account, and not to what services know Asta by."""
    person, page = arrive("my-loans")
    asta = house.landing(person.agree(page))
    ida = house.koha.patrons.create({**DESK, "cardnumber": SPELLED, "userid": "ida"})["patron_id"]
    house.koha.patrons.set_password(ida, "8362", "8362")
    if merged:  # then it was Asta's second one, and its PIN is hers
        house.koha.patrons.drop(int(asta.attributes["uid"][0]))
    other = house.person()
    landed = house.landing(other.agree(by_pin(other, "ida", "8362")))
    assert landed.attributes["uid"] == (str(ida),)
    assert (landed.name_id == asta.name_id) == merged


@pytest.mark.parametrize("seen", [True, False])
def test_a_moment_without_the_library_costs_nobody_their_ids(
    house: House, arrive: Arrive, monkeypatch: pytest.MonkeyPatch, *, seen: bool
) -> None:
    """Whether her other record is still there cannot be said: she is told to try again, and is then who she was."""
    person, page = arrive("my-loans")
    asta = house.landing(person.agree(page))
    ida = house.koha.patrons.create({**DESK, "cardnumber": SPELLED, "userid": "ida"})["patron_id"]
    house.koha.patrons.set_password(ida, "8362", "8362")
    house.koha.patrons.drop(int(asta.attributes["uid"][0]))
    if seen:
        by_pin(house.person(), "ida", "8362")

    def slow(*_: object) -> None:
        raise LibraryUnavailable("no seat")

    with monkeypatch.context() as busy:
        busy.setattr(type(house.parts.enrolments), "read", slow)
        assert mark(by_pin(house.person(), "ida", "8362")) == ("error", "library_unavailable")
    other = house.person()
    assert house.landing(other.agree(by_pin(other, "ida", "8362"))).name_id == asta.name_id


def test_a_corrected_cpr_ends_the_wrong_number(house: House, arrive: Arrive, mistyped: str) -> None:
    """A service that needs a borrower gets no wrong one, by CPR or name; staff see a case, and their retry mends it."""
    for came in (arrive("myprint"), arrive("myprint", schacPersonalUniqueID=())):
        assert mark(came[1]) == ("refuse", "cpr_changed")
    (case,) = (row for row in house.parts.cases.rows() if row["reason"] == "cpr_changed")
    assert (case["state"], case["linked"]) == ("case", mistyped)
    assert house.parts.cases.retry(str(case["id"]))
    hers = house.koha.patrons.create({**DESK, "userid": ASTA})["patron_id"]
    assert number(house, arrive("myprint")) == str(hers)


def test_what_staff_took_back_is_not_believed_while_the_library_is_silent(
    house: House, arrive: Arrive, mistyped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the retry an outage does not give the wrong borrower once more, for want of better knowledge."""
    assert mark(arrive("myprint")[1]) == ("refuse", "cpr_changed")
    (case,) = (row for row in house.parts.cases.rows() if row["reason"] == "cpr_changed")
    assert case["linked"] == mistyped
    assert house.parts.cases.retry(str(case["id"]))

    def silent(*_: object) -> None:
        raise LibraryUnavailable("down")

    monkeypatch.setattr(type(house.parts.enrolments.ports.library), "find", silent)
    person, page = arrive("my-loans")
    assert mark(person.agree(page))[0] == "enrol"


def test_a_case_of_the_enrolment_holds_for_who_only_needs_a_borrower(
    house: House, arrive: Arrive, mistyped: str
) -> None:
    """What My loans listed for staff is refused by MyPrint too, by CPR and by name alone."""
    person, page = arrive("my-loans")
    assert mark(person.agree(page)) == ("refuse", "cpr_changed")
    for came in (arrive("myprint"), arrive("myprint", schacPersonalUniqueID=())):
        assert mark(came[1]) == ("refuse", "cpr_changed")
    assert [row["linked"] for row in house.parts.cases.rows() if row["reason"] == "cpr_changed"] == [mistyped]


@pytest.mark.parametrize("service", ["my-loans", "myprint"])
@pytest.mark.parametrize("listed", [True, False], ids=["after the CPR", "before it"])
def test_a_name_alone_leads_to_no_borrower_that_is_anothers(
    house: House, arrive: Arrive, mistyped: str, service: str, *, listed: bool
) -> None:
    """The name remembers what the desk has corrected: no number leaves by it either, and staff get the one case."""
    house.koha.patrons.change(int(mistyped), {**DESK, "userid": OTHER})
    if listed:
        person, page = arrive("my-loans")
        assert mark(person.agree(page)) == ("refuse", "cpr_changed")
    for _ in range(2):
        assert mark(arrive(service, schacPersonalUniqueID=())[1]) == ("refuse", "cpr_changed")
    assert [row["linked"] for row in house.parts.cases.rows() if row["reason"] == "cpr_changed"] == [mistyped]


@pytest.mark.parametrize("service", ["my-loans", "myprint"])
def test_a_name_alone_leads_to_no_borrower_that_is_gone(house: House, arrive: Arrive, service: str) -> None:
    """Koha may give the number of a deleted borrower to the next one."""
    house.koha.patrons.drop(int(number(house, arrive("my-loans"))))
    house.clock.ahead = timedelta(days=1, minutes=1)
    told = {"my-loans": "cpr_required", "myprint": "no_library_account"}[service]
    assert mark(arrive(service, schacPersonalUniqueID=())[1]) == ("refuse", told)


def test_a_frozen_library_gives_no_number_of_who_is_gone(house: House, arrive: Arrive) -> None:
    """Nor where the name would lower a category, which nobody does then."""
    house.koha.patrons.drop(int(number(house, arrive("my-loans"))))
    house.clock.ahead = timedelta(days=1, minutes=1)
    object.__setattr__(house.parts.enrolments, "mode", "frozen")
    person, page = arrive("my-loans", schacPersonalUniqueID=(), **LEFT)
    assert mark(person.agree(page) if mark(page)[0] == "ask" else page) == ("refuse", "cpr_required")


def test_who_leaves_the_university_changes_nobody_elses_record(house: House, arrive: Arrive, mistyped: str) -> None:
    """An affiliate without a CPR is lowered by the link alone: not where the library says whose the borrower is."""
    house.koha.patrons.change(int(mistyped), {**DESK, "userid": OTHER})
    before = house.koha.patrons.row(int(mistyped))
    came = arrive("my-loans", schacPersonalUniqueID=(), **LEFT)
    assert mark(came[1]) == ("refuse", "cpr_changed")
    assert house.koha.patrons.row(int(mistyped)) == before


def test_a_name_alone_lowers_a_category_and_writes_nothing_else(
    house: House, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has Asta's name now gets neither a name nor an address into her record, to be mailed a PIN by."""
    hers = int(number(house, arrive("my-loans")))
    kept = {name: house.koha.patrons.row(hers)[name] for name in ("surname", "library_id", "category_id")}
    house.koha.patrons.change(hers, {**kept, "email": ""})

    def eager(rule: BorrowerRule) -> BorrowerRule:
        fields = (replace(each, set="if_empty") if each.set == "create" else each for each in rule.fields)
        return replace(rule, fields=tuple(fields))

    ruled(house, monkeypatch, eager)
    stranger = {"sn": ("Fremmed",), "gn": ("Frits",), "mail": ("frits@post.example",)}
    came = arrive("my-loans", schacPersonalUniqueID=(), **LEFT, **stranger)
    assert number(house, came) == str(hers)
    row = house.koha.patrons.row(hers)
    assert (row["category_id"], row["surname"], row["email"] or None) == ("PRIVATE", kept["surname"], None)


@pytest.mark.parametrize("own", [None, OTHER])
def test_whose_record_had_another_cpr_is_that_person_no_longer(house: House, arrive: Arrive, own: str | None) -> None:
    """Ida's record said Asta's CPR when she came by its PIN; once it is corrected she is herself, to every service."""
    wrong = house.koha.patrons.create({**DESK, "userid": ASTA, "cardnumber": "W-1"})["patron_id"]
    house.koha.patrons.set_password(wrong, "8362", "8362")
    assert number(house, arrive("my-loans")) == str(wrong)
    ida = house.person()
    assert house.landing(ida.agree(by_pin(ida, ASTA, "8362"))).attributes["uid"] == (str(wrong),)
    house.koha.patrons.change(wrong, {**DESK, "userid": own or "ida"})
    house.clock.ahead = timedelta(days=1, minutes=1)
    assert mark(arrive("myprint")[1]) == ("refuse", "cpr_changed")
    assert house.parts.cases.retry(next(str(row["id"]) for row in house.parts.cases.rows() if row["linked"]))
    person, page = arrive("my-loans")
    asta = house.landing(person.agree(page))
    ida = house.person()
    again = house.landing(ida.agree(by_pin(ida, own or "ida", "8362")))
    assert again.attributes["uid"] == (str(wrong),)
    assert asta.attributes["uid"] != again.attributes["uid"]
    assert asta.name_id != again.name_id


def test_a_second_borrower_with_the_cpr_is_a_case_to_who_needs_one(house: House, arrive: Arrive) -> None:
    """With two, the remembered one is not given for want of better knowledge."""
    house.koha.patrons.create({**DESK, "userid": ASTA})
    number(house, arrive("my-loans"))
    house.koha.patrons.create({**DESK, "cardnumber": ASTA, "userid": "ida"})
    house.clock.ahead = timedelta(days=1, minutes=1)
    assert mark(arrive("myprint")[1]) == ("refuse", "two_borrowers")


def test_a_borrower_that_is_gone_is_no_case(house: House, arrive: Arrive) -> None:
    """Who was deleted at the library is told to sign up."""
    house.koha.patrons.drop(int(number(house, arrive("my-loans"))))
    house.clock.ahead = timedelta(days=1, minutes=1)
    assert mark(arrive("myprint")[1]) == ("refuse", "no_library_account")


@pytest.mark.parametrize(("born", "still"), [("2004-03-14", True), ("1960-05-05", False)])
def test_one_that_we_made_and_the_desk_gave_another_card(
    house: House, arrive: Arrive, born: str, *, still: bool
) -> None:
    """Its CPR is no longer found, but we made it for this very CPR; with another date of birth it is a case."""
    hers = number(house, arrive("my-loans"))
    patrons, row = house.koha.patrons, house.koha.patrons.row(int(hers))
    kept = {name: row[name] for name in ("surname", "library_id", "category_id")}
    patrons.change(int(hers), {**kept, "cardnumber": "C-7", "userid": "asta", "date_of_birth": born})
    for each in row["extended_attributes"]:
        patrons.drop_attribute(int(hers), each["extended_attribute_id"])
    house.clock.ahead = timedelta(days=1, minutes=1)
    came = arrive("myprint")
    assert (number(house, came) == hers) if still else mark(came[1]) == ("refuse", "cpr_changed")


@pytest.mark.parametrize("ahead", [timedelta(hours=23), timedelta(days=2)], ids=["not asked", "silent"])
def test_a_silent_library_does_not_stop_who_has_a_borrower(
    house: House, arrive: Arrive, ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a day the library is not asked at all; later its silence leaves the link standing."""
    hers = number(house, arrive("my-loans"))
    house.clock.ahead = ahead
    asked: list[str] = []

    def silent(_self: object, cpr: str, _deadline: object) -> None:
        asked.append(cpr)
        raise LibraryUnavailable("down")

    monkeypatch.setattr(type(house.parts.enrolments.ports.library), "find", silent)
    assert number(house, arrive("myprint")) == hers
    assert asked == ([] if ahead < timedelta(days=1) else [ASTA])


def test_a_policy_without_pins_enrols(house: House, arrive: Arrive, monkeypatch: pytest.MonkeyPatch) -> None:
    """No PIN by mail is no missing address: the borrower is made, and no mail is sent."""
    ruled(house, monkeypatch, lambda rule: replace(rule, pin="none"))
    hers = number(house, arrive("my-loans"))
    assert not house.koha.patrons.has_password(int(hers))
    assert house.mailbox.mails() == ()
    assert mark(
        arrive(
            "my-loans",
            mail=(),
            eduPersonPrincipalName=("x@au.dk",),
            schacPersonalUniqueID=("urn:mace:terena.org:schac:personalUniqueID:dk:CPR:1206034218",),
        )[1]
    ) == ("proof", "mail")
