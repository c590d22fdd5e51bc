"""The look-up of a person who has just logged in: once, and only after a permit."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.transaction import Authentication, LoginPurpose, Transaction
from broker.use_cases.transactions.transactions import LoginContext
from tests.plugins.stored_receipts import keep_proof

DAY: Final = timedelta(days=1)
NURSE: Final = "nurse@auh.rm.dk"
EPPN: Final = "kim@au.dk"


def proof(now: Any, name: str = "kaldemail", address: str = NURSE) -> MailboxProof:
    """Give a proof that is good for two years."""
    return MailboxProof(name, address, now, now + 730 * DAY)


def came(logins: Any, answer: Authentication, service: str = "my-loans", **facts: Any) -> LoginContext:
    """Store a login that has been authenticated and not looked up."""
    context = logins.begun(service)
    now = logins.world.now

    def add_authentication(each: Transaction) -> Transaction:
        return replace(each.add_answer(answer, "", "a", now), **facts)

    found: LoginContext = logins.flow.transactions.change(context, add_authentication, now, of_person=False)
    return found


def look_up(logins: Any, answer: Authentication, service: str = "my-loans", **facts: Any) -> LoginContext:
    """Look up a person who has just logged in."""
    found: LoginContext = logins.person_at_login.look_up_and_store(
        came(logins, answer, service, **facts), logins.world.now
    )
    return found


def owner(logins: Any, context: LoginContext) -> str:
    """Give the pseudonym that the person's proofs are kept under."""
    pseudonym: str = logins.person_at_login.proof_owner(context, logins.world.now)
    return pseudonym


# Looked up


@pytest.mark.parametrize(
    "said",
    [{"eppn": EPPN}, {"eppn": "kim@ku.dk", "role": "student@au.dk"}],
    ids=["no affiliation", "a name of another institution"],
)
def test_a_login_that_is_denied_leaves_nothing_behind(logins: Any, said: dict[str, str]) -> None:
    """No person, no link, no account, no write to the store, and no question to the library system."""
    before = came(logins, logins.answer(**said))
    puts = logins.world.hooks.calls.count("put")
    context = logins.person_at_login.look_up_and_store(before, logins.world.now)
    assert logins.world.hooks.calls.count("put") == puts
    assert context.version == before.version
    assert (context.transaction.person, context.transaction.account) == (None, None)
    assert context.evaluated
    assert not context.evaluated.is_permitted
    assert logins.read_stored(context) == context.transaction
    assert not {"find", "read"} & set(logins.world.hooks.calls)
    assert list(logins.world.store.list("link", None, logins.world.now)) == []


@pytest.mark.parametrize("there", [True, False])
def test_the_requirements_of_enrolment_do_not_stop_a_borrower(logins: Any, *, there: bool) -> None:
    """Only a person whose CPR number finds a borrower is let in."""
    if there:
        logins.put_on_shelf(category="STUD")
    strict = replace(logins.set.policies[0].require, upstream=("other",))
    first, *rest = logins.set.policies
    logins.set = replace(logins.set, policies=(replace(first, require=strict), *rest))
    context = look_up(logins, logins.student())
    assert context.transaction.person
    assert context.evaluated
    assert context.evaluated.is_permitted == there
    assert context.transaction.person.number == ("9" if there else None)
    assert (context.transaction.account is not None) == there


def test_the_choices_of_a_person_make_nobody(logins: Any) -> None:
    """They are found by the identifiers of the login; no account is looked up."""
    look_up(logins, logins.answer("other"), purpose=LoginPurpose.CHOICES)
    assert list(logins.world.store.list("person", None, logins.world.now)) == []
    known = look_up(logins, logins.student()).transaction.person
    logins.audit_log.events.clear()
    logins.world.hooks.calls.clear()
    found = look_up(logins, logins.student(), purpose=LoginPurpose.CHOICES)
    assert (found.transaction.person, found.transaction.account) == (known, None)
    assert logins.read_stored(found).person == known
    assert "find" not in logins.world.hooks.calls
    assert logins.audit_log.events == []


def test_two_people_without_an_identifier_in_one_transaction_are_two_persons(logins: Any) -> None:
    """The second one came by the Back button: the first one's consent, NameID and proofs are not theirs."""
    now, nobody = logins.world.now, logins.answer("other")
    first = came(logins, nobody)
    second = logins.flow.transactions.change(first, lambda each: each.add_answer(nobody, "", "b", now), now)
    assert owner(logins, first) != owner(logins, second)


# Proofs of a mailbox


@pytest.mark.parametrize("said", [{}, {"mail": "kim@example.org"}], ids=["without an address", "with an address"])
@pytest.mark.parametrize("upstream", ["other", "wayf"])
def test_a_proof_of_before_counts(logins: Any, upstream: str, said: dict[str, str]) -> None:
    """By every upstream, also by one that names an address, or where no policy looks at a proof."""
    now = logins.world.now
    answer = logins.answer(upstream, eppn=EPPN, **said)
    keep_proof(logins.world.ports.persons, owner(logins, came(logins, answer)), proof(now), now)
    context = look_up(logins, answer)
    assert context.transaction.proofs == (proof(now),)
    assert context.evaluated
    assert context.evaluated.is_permitted == (upstream == "other")
    assert logins.read_stored(context) == context.transaction


def test_a_pin_brings_no_proof(logins: Any) -> None:
    """The library system names an account, and nobody's mailbox."""
    now = logins.world.now
    context = logins.begun()
    borrower = logins.put_on_shelf(number="42", category="STUD")
    keep_proof(logins.world.ports.persons, logins.world.account_id_of("42"), proof(now), now)
    joined, _ = logins.flow.join_verified_pin(context, "pin", borrower, now)
    assert (joined.transaction.proofs, joined.transaction.person.number) == ((), "42")


@pytest.mark.parametrize("role", ["student", "alum"])
def test_an_alumni_login_with_an_address_brings_no_earlier_proof(logins: Any, role: str) -> None:
    """A portal at which people register themselves lets them type another person's CPR number."""
    now = logins.world.now
    keep_proof(logins.world.ports.persons, owner(logins, came(logins, logins.student())), proof(now), now)
    context = look_up(logins, logins.student(role=f"{role}@au.dk", mail="mallory@au.dk"))
    assert context.transaction.proofs == ((proof(now),) if role == "student" else ())


def test_a_proof_is_kept_under_the_person_or_this_login_alone(logins: Any) -> None:
    """Where nothing names the person nobody else's login finds it."""
    person_at_login, now = logins.person_at_login, logins.world.now
    person, again = (look_up(logins, logins.student()) for _ in range(2))
    theirs = person_at_login.proof_owner(person, now)
    assert person.transaction.person
    assert theirs == person_at_login.proof_owner(replace(again, evaluated=None), now)
    assert theirs == person.transaction.person.id
    nobodies = {person_at_login.proof_owner(came(logins, logins.answer("other")), now) for _ in range(2)}
    assert len({theirs, *nobodies}) == 3


@pytest.mark.parametrize(("name", "days"), [("kaldemail", 90), ("mail", 365)])
def test_a_proof_is_remembered_as_long_as_its_policy_says(logins: Any, name: str, days: int) -> None:
    """An address to write to, of which no policy speaks, for a year."""
    context = came(logins, logins.answer("other", eppn=EPPN))
    assert logins.person_at_login.proof_lifetime(context, name) == days * DAY


# The identifiers for a service
