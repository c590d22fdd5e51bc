"""The borrower of a login: as it is found before anything is asked, and as the request leaves it."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.errors import LibraryUnavailable
from broker.core.identity.canonical_attributes import Attributes
from broker.core.identity.rights import Ground
from broker.core.login.transaction import Account, AccountState, LoginPurpose, Person
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import BorrowerRule, Field, PolicyLine
from tests.use_cases.memory_library import AASE


def down() -> None:
    """Fail as a library that does not answer."""
    raise LibraryUnavailable("down")


@pytest.fixture
def private(world: Any) -> Borrower:
    """Put a private borrower on the shelf."""
    fields = {"surname": "Prøvesen"}
    borrower: Borrower = world.library.add(
        AASE, "0101990000", number="5", category="PRIV", expires=date(2028, 10, 1), fields=fields, card="5"
    )
    return borrower


@pytest.mark.parametrize(("person", "service"), [(None, "make"), (Person("p"), None), (Person("p"), "none")])
def test_the_library_system_is_not_asked_without_need(
    world: Any, logins: Any, person: Person | None, service: str | None
) -> None:
    """Without a person, a needed borrower or a free case the library system is not asked."""
    arrived = logins.read_login(borrower=service)
    if service is None:
        arrived = replace(arrived, decision=replace(arrived.decision, release=None))
    transaction = replace(logins.transaction(), person=person)
    assert logins.account(transaction, arrived) is None
    assert not {"find", "read"} & set(world.hooks.calls)


PLACE = PolicyLine("p.yaml", 1)
NO_FIELD = BorrowerRule("STUD", ("PRIV",), Expiry(24), (), "mail", place=PLACE)
PROVED = replace(NO_FIELD, fields=(Field("email", "proof.kaldemail", "create", PLACE),))


@pytest.mark.parametrize(
    ("arrived", "reason"),
    [
        ({"rule": NO_FIELD}, "account_case"),
        ({"rule": PROVED}, "account_case"),
        ({}, "account_case"),  # the university names an address that is not fit to be kept
        ({"ground": Ground.ALUMNI}, "national_eid_required"),
        ({"ground": Ground.ALUMNI, "rule": PROVED}, "national_eid_required"),
    ],
)
def test_a_mailbox_is_not_asked_for_in_vain(logins: Any, arrived: dict[str, Any], reason: str) -> None:
    """If no address can become the borrower's, the login ends with a reason."""
    came = logins.read_login("mail", **arrived)
    if not arrived:
        attributes = Attributes({**came.reading.attributes, "mail": ("<b>@post.example",)})
        came = replace(came, reading=replace(came.reading, attributes=attributes))
    transaction = logins.transaction()
    case = Account(None, AccountState.CASE, reason=reason)
    assert logins.account(transaction, came) == case
    assert logins.enrol(transaction, came) == case


@pytest.mark.usefixtures("private")
def test_a_declined_upgrade_is_not_offered_again_in_this_login(logins: Any, private: Borrower) -> None:
    """The next login asks again."""
    declined = replace(logins.transaction(), upgrade=False)
    assert logins.account(declined, logins.read_login()).upgrade_from is None
    assert logins.account(logins.transaction(), logins.read_login()).upgrade_from == private.category


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("none", "cpr_required"), ("replacement", "replacement_number"), ("constructed", "constructed_number")],
)
def test_without_a_usable_number_the_reason_is_shown(logins: Any, kind: str, reason: str) -> None:
    """The account is found by other ways than this login, and the page names them."""
    arrived = logins.read_login("cpr", borrower="need")
    arrived = replace(arrived, reading=replace(arrived.reading, cpr=kind))
    account = logins.account(logins.transaction(), arrived)
    assert account == Account(None, AccountState.CASE, reason=reason)


@pytest.mark.usefixtures("private")
def test_several_borrowers_are_listed_for_whoever_needs_one(world: Any, logins: Any, private: Borrower) -> None:
    """No request says so to staff: the question itself is the case."""
    world.library.borrowers["6"] = replace(private, number="6")
    for _ in range(2):
        account = logins.account(logins.transaction(), logins.read_login(borrower="need"))
    case = world.read_enrolment("p")
    assert account == Account(None, AccountState.CASE, reason="several_borrowers")
    assert (case.state, case.reason, case.borrowers) == (EnrolmentState.CASE, "several_borrowers", ("5", "6"))


def test_a_new_pin_never_goes_by_a_request(logins: Any, private: Borrower) -> None:
    """Even where the service makes borrowers a login for another purpose only finds the one that is there."""
    account = logins.account(logins.transaction(purpose=LoginPurpose.PIN), logins.read_login())
    assert account == Account(private.number, AccountState.KNOWN)


def test_a_silent_library_leaves_the_account_unavailable(world: Any, logins: Any) -> None:
    """The page does not claim that there is no borrower."""
    world.hooks.before["find"] = down
    account = logins.account(logins.transaction(), logins.read_login(borrower="need"))
    assert account == Account(None, AccountState.UNAVAILABLE)


@pytest.mark.parametrize("silent", [False, True])
def test_frozen_enrols_nobody(world: Any, logins: Any, *, silent: bool) -> None:
    """The reason says whether the library system was asked and did not answer."""
    if silent:
        world.hooks.before["find"] = down
    reason = "library_unavailable" if silent else None
    account = logins.enrol(logins.transaction(), logins.read_login(), "frozen")
    assert account == Account(None, AccountState.CLOSED, reason=reason)
    assert world.read_enrolment("p") is None


def test_frozen_serves_who_has_a_borrower_as_it_is(world: Any, logins: Any, private: Borrower) -> None:
    """The account is there, and nothing of it is changed, not even for who agreed."""
    account = logins.enrol(logins.transaction(upgrade=True), logins.read_login(), "frozen")
    assert account == Account("5", AccountState.KNOWN)
    assert world.library.borrowers == {"5": private}


@pytest.mark.parametrize(
    ("waited", "begun", "outcome"),
    [
        (AccountState.WANTED, 0, EnrolmentOutcome.CREATED),
        (AccountState.NONE, 0, EnrolmentOutcome.UNCHANGED),
        (None, 0, EnrolmentOutcome.UNCHANGED),
        (AccountState.WANTED, 60, EnrolmentOutcome.UNCHANGED),
    ],
)
def test_a_borrower_made_during_a_login_counts_as_created(
    world: Any, logins: Any, waited: AccountState | None, begun: int, outcome: EnrolmentOutcome
) -> None:
    """But not in a login that did not wait, or that began after the borrower was made."""
    transaction = logins.transaction()
    logins.enrol(transaction, logins.read_login(), patience=0)
    world.worker.step()
    account = Account(None, waited) if waited else None
    world.now += timedelta(seconds=60)
    later = replace(transaction, account=account, begun=transaction.begun + timedelta(seconds=begun))
    assert logins.enrol(later, logins.read_login()).outcome is outcome


EMAIL_IF_EMPTY = replace(
    NO_FIELD,
    fields=(
        Field("surname", "sn", "create", PLACE),
        Field("firstname", "gn", "create", PLACE),
        Field("email", "mail", "if_empty", PLACE),
    ),
)


@pytest.fixture
def namesake_of_number(world: Any, logins: Any) -> Any:
    """Store the request of a login with another name and the CPR number of Åse, while the library system is down."""
    world.library.add(
        AASE,
        "0101990000",
        number="5",
        category="PRIV",
        expires=date(2028, 10, 1),
        fields={"surname": "Prøvesen", "firstname": "Åse"},
        card="5",
    )
    came = logins.read_login(rule=EMAIL_IF_EMPTY)
    others = {"sn": ("Mallory",), "gn": ("Max",), "mail": ("max@post.example",), "cpr": ("0101990000",)}
    attributes = Attributes({**came.reading.attributes, **others})
    mallory = replace(came, reading=replace(came.reading, attributes=attributes))
    world.hooks.before["find"] = down
    transaction = logins.transaction()
    assert logins.account(transaction, mallory).state is AccountState.UNAVAILABLE
    waiting = logins.enrol(transaction, mallory, patience=0)
    assert (waiting.state, waiting.number) == (AccountState.WANTED, None)
    world.now += timedelta(minutes=1)
    return replace(transaction, account=waiting), mallory


def test_a_waiting_login_never_gets_the_borrower_of_another_name(
    world: Any, logins: Any, namesake_of_number: Any
) -> None:
    """Åse's request ends with her borrower. The other login with her number waits, and becomes a case."""
    waiting, mallory = namesake_of_number
    mine = replace(logins.transaction(), upgrade=True)
    logins.enrol(mine, logins.read_login(rule=EMAIL_IF_EMPTY), patience=0)
    world.now += timedelta(minutes=3)
    world.worker.step()
    assert world.read_enrolment("p").state is EnrolmentState.DONE
    account = logins.enrol(waiting, mallory, patience=0)
    assert (account.state, account.number, account.reason) == (AccountState.CASE, None, "different_person")


@pytest.mark.usefixtures("namesake_of_number")
def test_no_value_of_another_name_is_written_to_a_borrower(world: Any, logins: Any) -> None:
    """Two pending requests with one number and two names are not merged: Åse keeps her empty mail address."""
    mine = replace(logins.transaction(), upgrade=True)
    logins.enrol(mine, logins.read_login(rule=EMAIL_IF_EMPTY), patience=0)
    world.now += timedelta(minutes=3)
    world.worker.step()
    borrower = world.library.borrowers["5"]
    assert world.read_enrolment("p").state is EnrolmentState.DONE
    assert borrower.email != "max@post.example"
    assert (borrower.fields["surname"], borrower.fields["firstname"]) == ("Prøvesen", "Åse")
