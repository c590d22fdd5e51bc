"""The last look before an assertion leaves: under which ids, recorded as what, and for whom no more."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from broker.core.consent.disclosure import Disclosure, Item, LookedUp
from broker.core.entities import EMAIL, PERSISTENT, TRANSIENT, Text
from broker.core.events.audit_events import AuditEvent
from broker.core.login.steps import Issue
from broker.core.login.transaction import Issued, Person, Transaction
from broker.core.logout.sessions import NameID
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, Reason
from broker.use_cases.login.issuance import Issuance
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.transactions.transactions import LoginContext, Transactions
from tests.plugins.core_values import make_authentication, make_transaction
from tests.use_cases.conftest import StoredAuditLog

KEY: Final = LookupHmacs("k1", b"k" * 32)
WORDS: Final = Text("words", "ord")
ITEMS: Final = (Item("sn", ("Ravn",), WORDS), Item("borrower_number", ("42",), WORDS))
LEAVING: Final = Disclosure("my-loans", "acs", PERSISTENT, WORDS, "consent", None, None, ITEMS, "d")
STEP: Final = Issue(LEAVING, Decision(Effect.PERMIT, (Reason("ok"),)), "42")


@dataclass
class Lookup:
    """The parts of ``PersonAtLogin`` that issuance uses."""

    audit_log: StoredAuditLog = field(default_factory=StoredAuditLog)
    reading: str | None = None
    owed: list[Transaction] = field(default_factory=list)

    @property
    def borrowers(self) -> Any:
        """Give what queues look-ups in the register."""
        return SimpleNamespace(request_look_up=lambda transaction, _login, _record: self.owed.append(transaction))

    def tell(self, event: AuditEvent) -> None:
        """Keep an event."""
        self.audit_log.add(event)

    def evaluate(self, pending_login: LoginContext, _now: datetime) -> Any:
        """Give what was read of the login."""
        found = SimpleNamespace(reading=self.reading) if self.reading else None
        return SimpleNamespace(transaction=pending_login.transaction, evaluated=found)

    @property
    def rules(self) -> Any:
        """Return rules that pass the authentication to the service as it was read."""
        return SimpleNamespace(authentication_for_service=lambda transaction, reading: (transaction.id, reading))

    def make_name_id(self, transaction: Transaction, *, persistent: bool) -> str:
        """Give a name by whom and how."""
        assert transaction.person
        return f"{transaction.person.id} {'persistent' if persistent else 'transient'}"


@pytest.fixture
def person_at_login() -> Lookup:
    """Give the look-up with an empty audit log."""
    return Lookup()


@pytest.fixture
def issuance(world: Any, person_at_login: Lookup) -> Issuance:
    """Give the issuance of a worker."""
    sessions = Sessions(world.store, KEY)
    return Issuance(KEY, cast("Any", person_at_login), Transactions(world.store), sessions)


@pytest.fixture
def pending_login(world: Any, issuance: Issuance) -> LoginContext:
    """Give the login of a person, from which nothing has left."""
    now = world.now
    login = make_authentication(name_id="_t", session_index="_i")
    arrived = make_transaction(
        browser="b", upstream="wayf", authentication=login, authenticated=now, arrival="a", person=Person("asta")
    )
    return issuance.transactions.add(arrived, now)


def leave(world: Any, issuance: Issuance, pending_login: LoginContext, step: Issue = STEP) -> Issued:
    """Give the ids under which a step leaves."""
    issued = issuance.make_ids(pending_login, step, world.now)
    assert issued
    return issued


def test_an_assertion_leaves_under_ids_of_its_own(world: Any, issuance: Issuance, pending_login: LoginContext) -> None:
    """Response and assertion are random NCNames, and the NameID is the person's."""
    first, second = leave(world, issuance, pending_login), leave(world, issuance, pending_login)
    ids = {first.response, first.assertion, second.response, second.assertion}
    assert len(ids) == 4
    assert all(each[0] == "_" and len(each) == 41 for each in ids)
    assert (first.at, first.name_id) == (world.now, "asta persistent")
    transient = replace(STEP, disclosure=replace(LEAVING, name_id_format=TRANSIENT))
    assert leave(world, issuance, pending_login, transient).name_id == "asta transient"
    by_mail = Item("name_id", ("asta@au.dk",), LEAVING.purpose)
    addressed = replace(STEP, disclosure=replace(LEAVING, name_id_format=EMAIL, items=(by_mail, *LEAVING.items)))
    assert leave(world, issuance, pending_login, addressed).name_id == "asta@au.dk"


@pytest.mark.parametrize("purpose", ["address", ""])
def test_a_look_up_is_requested_once_its_login_is_answered(
    world: Any, issuance: Issuance, pending_login: LoginContext, person_at_login: Lookup, purpose: LookedUp
) -> None:
    """By the very page that told of it; a second submit of the answer requests no other."""
    person_at_login.reading = "what was read"
    step = replace(STEP, disclosure=replace(LEAVING, looked_up=purpose))
    issued = leave(world, issuance, pending_login, step)
    assert issuance.record_release(pending_login, step, issued, NameID("n"), world.now)
    again = issuance.transactions.read(pending_login.transaction.id, world.now)
    assert issuance.record_release(again, step, issued, NameID("n"), world.now)
    assert len(person_at_login.owed) == bool(purpose)
