"""The person's answer: on file first, to what was shown, and no longer good than the person left it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from broker.core.consent.consent import Question, ReceiptEvent
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, Text
from broker.core.errors import REQUEST_DENIED
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.identity.rights import Ground
from broker.core.login.steps import Ask, Done, Issue, Refuse, Step
from broker.core.login.transaction import Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, Reason
from broker.use_cases.login.consent_answers import ConsentAnswers
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.transactions import LoginContext, Transactions
from tests.plugins.core_values import make_transaction
from tests.plugins.stored_receipts import list_receipts
from tests.use_cases.conftest import StoredAuditLog

KEY: Final = LookupHmacs("k1", b"k" * 32)
WORDS: Final = Text("words", "ord")
SHOWN: Final = Disclosure(
    "my-loans",
    "acs",
    PERSISTENT,
    WORDS,
    "consent",
    None,
    None,
    (Item("sn", ("Ravn",), WORDS), Item("mail", ("m",), WORDS, optional=True)),
    "digest of the policies",
)

PERMIT: Final = Decision(Effect.PERMIT, (Reason("ok"),))
ASK: Final = Ask(Question(SHOWN), PERMIT)
ISSUE: Final = Issue(SHOWN, PERMIT, None)


@dataclass
class Lookup:
    """The parts of ``PersonAtLogin`` that answers use."""

    records: PersonRecords
    audit_log: StoredAuditLog = field(default_factory=StoredAuditLog)
    ground: Ground = Ground.INSTITUTION

    def tell(self, event: AuditEvent) -> None:
        """Keep an event."""
        self.audit_log.add(event)

    def evaluate(self, pending_login: LoginContext, _now: datetime) -> Any:
        """Give the login with the ground that it stands on."""
        return SimpleNamespace(
            evaluated=SimpleNamespace(decision=replace(PERMIT, ground=self.ground)), pending_login=pending_login
        )

    def make_pseudonym(self, _transaction: Transaction) -> str:
        """Give the pseudonym of one person and service."""
        return "g"


@pytest.fixture
def person_at_login(world: Any) -> Lookup:
    """Give the look-up with an empty audit log."""
    return Lookup(PersonRecords(world.store, KEY))


@pytest.fixture
def answers(world: Any, person_at_login: Lookup) -> ConsentAnswers:
    """Give the answers of a worker."""
    return ConsentAnswers(KEY, cast("Any", person_at_login), Transactions(world.store))


@pytest.fixture
def pending_login(world: Any, answers: ConsentAnswers) -> LoginContext:
    """Give the login of a person who is asked."""
    now = world.now
    return answers.transactions.add(make_transaction(arrival="a", person=Person("ann"), authenticated=now), now)


Answer = Callable[..., LoginContext]


@pytest.fixture
def answer(world: Any, answers: ConsentAnswers) -> Answer:
    """Give a way to answer a step, by default a yes to the page that was shown."""

    def give_answer(pending_login: LoginContext, step: Step = ASK, said: str = "yes", **how: Any) -> LoginContext:
        facts: dict[str, Any] = {
            "shown": SHOWN.page_digest(KEY), "remember": True, "chosen": (), "language": "en", **how
        }  # fmt: skip
        shown = facts.pop("shown")
        return answers.record_answer(pending_login, step, shown, said, world.now, **facts)

    return give_answer


def on_file(world: Any) -> list[ReceiptEvent]:
    """Give the events on file, newest first."""
    return [made.event for made in list_receipts(world.store, "ann", "my-loans", world.now)]


@pytest.mark.parametrize(
    ("variant", "said", "event", "kind"),
    [
        ("ask", "yes", ReceiptEvent.GIVEN, AuditEventKind.CONSENT_GIVEN),
        ("ask", "no", ReceiptEvent.REFUSED, AuditEventKind.CONSENT_REFUSED),
        ("ask", "", ReceiptEvent.REFUSED, AuditEventKind.CONSENT_REFUSED),
        ("inform", "yes", ReceiptEvent.INFORMED, AuditEventKind.NOTICE_SEEN),
    ],
)
def test_an_answer_is_on_file_and_a_fact_of_the_login(
    world: Any,
    pending_login: LoginContext,
    answer: Answer,
    person_at_login: Lookup,
    *,
    variant: Any,
    said: str,
    event: Any,
    kind: Any,
) -> None:
    """And on the audit log by its kind, with names and no value; only "yes" is one."""
    shown = replace(SHOWN, legal_basis="consent" if variant == "ask" else "public_task")
    done = answer(pending_login, Ask(Question(shown), PERMIT), said, chosen=("mail",), shown=shown.page_digest(KEY))
    made = done.transaction.receipt
    assert made
    assert (made.event, made.person, made.language) == (event, "g", "en")
    assert on_file(world) == [event]
    [told] = person_at_login.audit_log.events
    assert (told.kind, told.attributes, told.about) == (kind, ("sn", "mail"), made.record_id)
    assert told.digest == "digest of th"


@pytest.mark.parametrize("ground", [Ground.IDENTIFIER, Ground.NOTHING, Ground.LIBRARY_ACCOUNT])
def test_without_a_cpr_number_an_answer_counts_for_six_months(
    world: Any, pending_login: LoginContext, answer: Answer, person_at_login: Lookup, ground: Ground
) -> None:
    """The institution may give the identifier to somebody else."""
    person_at_login.ground = ground
    made = answer(pending_login).transaction.receipt
    assert made
    assert made.valid_until == world.now + timedelta(days=181)


@pytest.mark.parametrize(
    ("step", "how"),
    [
        (ASK, {"shown": "another page"}),
        (Ask(Question(replace(SHOWN, acs="acs2")), PERMIT), {}),
        (Done(), {}),
        (ISSUE, {}),
        (ISSUE, {"said": "no"}),  # nobody had said yes, and no policy lets anything leave
        (Refuse("no_policy", REQUEST_DENIED), {"said": "no"}),
    ],
    ids=["another page", "what would be shown has changed", "done", "nothing is asked", "no to nothing", "no in vain"],
)
def test_an_answer_to_what_was_not_shown_is_none(
    world: Any, pending_login: LoginContext, answer: Answer, person_at_login: Lookup, *, step: Step, how: dict[str, Any]
) -> None:
    """No receipt is stored, and the next step asks again."""
    assert answer(pending_login, step, **how) == pending_login
    assert (on_file(world), person_at_login.audit_log.events) == ([], [])
