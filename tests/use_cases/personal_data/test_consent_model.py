"""Answers, withdrawals and edits of policies against a model: less is never asked, more always is.

One person, two browsers at once, each with a login of its own, by machines of which one has a clock that is ahead. The
model knows names and values in clear and no digest.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from types import SimpleNamespace
from typing import Any, Final, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.consent.consent import ReceiptEvent, select_usable_answers
from broker.core.entities import Controller, Service, Text
from broker.core.events.broker_events import EventPort, discard_event
from broker.core.identity.rights import Ground
from broker.core.login.next_step import StepInputs, next_step
from broker.core.login.steps import Ask, Issue, Refuse, Step, TellChange
from broker.core.login.transaction import Account, AccountState, Authentication, AuthnRequest, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, LegalBasis, NameIDKind, Reason, ReleasedAttribute
from broker.use_cases.login.consent_answers import ConsentAnswers
from broker.use_cases.personal_data.given_consents import GivenConsents
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.transactions import LoginContext, Transactions
from tests.plugins.core_values import PLACE, make_policy, make_release
from tests.plugins.example_counts import scale_examples
from tests.plugins.memory_store import MemoryStore
from tests.plugins.stored_receipts import list_receipts

INSTANT: Final = timedelta(microseconds=1)
START: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
TURN: Final = timedelta(seconds=11)  # longer than what is on file is not read again for
AHEAD: Final = 9 * TURN + timedelta(seconds=6)  # by neither clock a login looks as if it had just begun
KEY: Final = LookupHmacs("k1", b"k" * 32)
PERSON: Final = "5e" * 16
ROLES: Final = "eduPersonScopedAffiliation"
VALUES: Final = {"sn": ("Ravn",), "mail": ("m",), "title": ("Ms",)}
KINDS: Final = (None, "always", "optional")
PARTIES: Final = tuple(Controller(Text(name, name)) for name in ("AU", "Library", "Vendor"))
WORDS: Final = tuple(Text(word, word) for word in ("to lend", "to count"))
# Service and person of every login: what an affiliation gets of them is what the policies say.
Part = tuple[str, str, str]


@dataclass(frozen=True)
class Rules:
    """The release in the model: how each attribute is listed, and the terms."""

    listed: dict[str, str | None] = field(default_factory=lambda: {"sn": "always"}, hash=False)
    roles: frozenset[str] = frozenset()
    roles_kind: str = "always"
    name_id: NameIDKind = "persistent"
    purpose: Text = WORDS[0]
    basis: LegalBasis = "consent"
    giver: Controller = PARTIES[0]
    receiver: Controller = PARTIES[1]

    @property
    def terms(self) -> tuple[object, ...]:
        """Give what must be equal for an answer to count."""
        return self.purpose, self.basis, self.giver, self.receiver

    @property
    def parts(self) -> frozenset[Part]:
        """Give what is asked for, in clear."""
        names = {(self.kind(kind), name, "") for name, kind in self.listed.items() if kind}
        roles = {(self.kind(self.roles_kind), ROLES, value) for value in self.roles}
        lasting = {("always", "NameID", "")} if self.name_id == "persistent" else set()
        return frozenset(names | roles | lasting)

    def kind(self, kind: str | None) -> str:
        """Give the kind as it is under the basis: only a consent leaves anything open."""
        return kind if kind and self.basis == "consent" else "always"

    def service(self) -> Service:
        """Give the service as it is configured."""
        return Service("my-loans", "https://loans.example", WORDS[0], ("wayf",), self.receiver)

    def decision(self) -> Decision:
        """Give the decision about the person."""
        values: dict[str, tuple[str, ...]] = {name: VALUES[name] for name in VALUES if self.listed.get(name)}
        kinds = dict(self.listed)
        if self.roles:
            values[ROLES] = tuple(sorted(self.roles))
            kinds[ROLES] = self.roles_kind
        released = tuple(
            (ReleasedAttribute(name, WORDS[0], PLACE, optional=self.kind(kinds[name]) == "optional"), values[name])
            for name in values
        )
        listed = tuple(each for each, _ in released)
        release = make_release(legal_basis=self.basis, purpose=self.purpose, name_id=self.name_id, attributes=listed)
        policy = make_policy(releases=(release,))
        return Decision(Effect.PERMIT, (Reason("ok"),), "student", policy, release, released, digest="d" * 64)


@dataclass(frozen=True)
class Said:
    """One answer, as the person understood it."""

    at: datetime
    yes: bool
    terms: tuple[object, ...] = ()
    parts: frozenset[Part] = frozenset()
    ticked: frozenset[str] = frozenset()
    remember: bool = False

    @property
    def agreed_values(self) -> set[tuple[str, str]]:
        """Give the names and values that may leave by it."""
        return {(name, value) for kind, name, value in self.parts if kind == "always" or name in self.ticked}

    def covers(self, rules: Rules) -> bool:
        """Say whether all that is asked for was asked for then, no more left open then than now."""
        return self.terms == rules.terms and all(
            part in self.parts or (part[0] == "optional" and ("always", *part[1:]) in self.parts)
            for part in rules.parts
        )


@dataclass
class Lookup:
    """The parts of ``PersonAtLogin`` that answers use."""

    records: PersonRecords
    tell: EventPort = discard_event

    def evaluate(self, _context: LoginContext, _now: datetime) -> Any:
        """Give a login with a usable CPR number."""
        return SimpleNamespace(evaluated=SimpleNamespace(decision=SimpleNamespace(ground=Ground.INSTITUTION)))

    def make_pseudonym(self, transaction: Transaction) -> str:
        """Give the pseudonym of person and service."""
        return KEY.compute("receipts", PERSON, transaction.request.service)


MOVED: Final = Account("7", AccountState.KNOWN, outcome=EnrolmentOutcome.LOWERED)
LOGIN: Final = Authentication("wayf", "i", "au", ("au",), (), START, "ctx", START, START)
browsers = st.sampled_from(["b1", "b2"])


class Consents(RuleBasedStateMachine):
    """The broker's answers beside the model's."""

    @initialize()
    def begin(self) -> None:
        """Begin with nothing on file."""
        self.now = START
        self.store = cast("Any", MemoryStore())
        self.transactions = Transactions(self.store)
        self.answers = ConsentAnswers(KEY, cast("Any", Lookup(PersonRecords(self.store, KEY))), self.transactions)
        self.policies = Rules()
        self.earlier = [self.policies, Rules({}, name_id="transient")]
        self.logins: dict[str, LoginContext] = {}
        self.own: dict[str, Said | None] = {}
        self.pages: dict[str, str] = {}
        self.untold: set[str] = set()
        self.ahead = False
        self.said: list[Said] = []
        for browser in ("b1", "b2"):
            self.log_in(browser)

    # -- the world ------------------------------------------------------------------------------

    @property
    def clock(self) -> datetime:
        """Give the time by the clock of the machine that is asked."""
        return self.now + AHEAD if self.ahead else self.now

    def step(self, browser: str) -> Step:
        """Give the next step of a login, after what was said elsewhere has been read again."""
        self.now += TURN
        self.logins[browser] = self.answers.reread(self.logins[browser], self.clock)
        return self.as_known(browser)

    def as_known(self, browser: str) -> Step:
        """Give the next step of a login by what it knows already, as it is when an answer comes in."""
        context = self.logins[browser]
        decision = self.policies.decision()
        terms = StepInputs(
            self.policies.service(), self.policies.giver, KEY, decision, None, ("wayf",)
        )  # fmt: skip
        step = next_step(context.transaction, terms, self.clock)
        if isinstance(step, Ask):
            self.pages[browser] = step.question.disclosure.page_digest(KEY)
        return step

    def answer(self, browser: str, step: Step, word: str, **how: Any) -> LoginContext:
        """Answer the last question that was on the browser's screen."""
        facts: dict[str, Any] = {"remember": False, "chosen": (), "language": "da", **how}
        context = self.answers.record_answer(self.logins[browser], step, self.pages[browser], word, self.clock, **facts)
        self.logins[browser] = context
        return context

    # -- the model ------------------------------------------------------------------------------

    def answer_time(self) -> datetime:
        """Give when an answer of now is given: after all that were given before, whatever a clock says."""
        return max([self.clock, *(each.at + INSTANT for each in self.said[-1:])])

    def standing(self) -> list[Said]:
        """Give each yes that no later no has ended, newest first."""
        return list(takewhile(lambda each: each.yes, reversed(self.said)))

    def living(self) -> list[Said]:
        """Give those of them that are remembered."""
        remembered = [each for each in self.standing() if each.remember]
        return [each for each in remembered if self.clock < each.at + timedelta(days=365)]

    def list_left_out(self) -> set[str]:
        """Give the names that the last answer with them left out."""
        last: dict[str, bool] = {}
        for each in self.standing():
            agreed = {name for name, _ in each.agreed_values}
            for _, name, _ in each.parts:
                last.setdefault(name, name in agreed)
        return {name for name, agreed in last.items() if not agreed}

    def covering(self, rules: Rules) -> Said | None:
        """Give the answer on file by which these rules ask nobody."""
        if self.list_left_out() & {name for kind, name, _ in rules.parts if kind == "always"}:
            return None
        by = next((each for each in self.living() if each.covers(rules)), None)
        return by and replace(by, ticked=by.ticked - self.list_left_out())

    def standing_own(self, browser: str) -> Said | None:
        """Give the answer of this very login if nobody has said no since."""
        own = self.own[browser]
        later = own and any(not each.yes and each.at >= own.at and each is not own for each in self.said)
        return None if later else own

    def expect_step(self, browser: str) -> str:
        """Say what must come next."""
        own = self.standing_own(browser)
        leaves = "TellChange" if browser in self.untold else "Issue"
        if not self.policies.parts:
            return "Refuse" if own and not own.yes else leaves
        if own:
            if not own.yes:
                return "Refuse"
            return leaves if (own.terms, own.parts) == (self.policies.terms, self.policies.parts) else "Ask"
        return leaves if self.covering(self.policies) else "Ask"

    def check(self, browser: str) -> Step:
        """Hold the next step, and what leaves by it, against the model."""
        step = self.step(browser)
        assert type(step).__name__ == self.expect_step(browser)
        if isinstance(step, Issue):
            own = self.standing_own(browser)
            by = own or self.covering(self.policies)
            leaving = {
                (item.name, value if item.name == ROLES else "")
                for item in step.disclosure.items
                for value in item.values
            }
            ticked = by.ticked if by else frozenset()
            wanted = {(name, value) for kind, name, value in self.policies.parts if kind == "always" or name in ticked}
            assert leaving == wanted - {("NameID", "")}
            assert not leaving or (by and leaving <= by.agreed_values)
        else:
            assert isinstance(step, Ask | Refuse | TellChange)
        return step

    # -- what happens -----------------------------------------------------------------------------

    @rule()
    def other_machine(self) -> None:
        """Let what comes next reach the other machine."""
        self.ahead = not self.ahead

    @rule(browser=browsers, moved=st.booleans())
    def log_in(self, browser: str, *, moved: bool = False) -> None:
        """Begin a login, with the person looked up, who may be told of another category before it ends."""
        self.now += TURN
        request = AuthnRequest("_r", "my-loans", "https://loans.example", "acs")
        made = Transaction(
            f"{browser} {self.now}", "BCDFGHJK", self.now, self.now + timedelta(days=2000), request, upstream="wayf",
            authentication=LOGIN, authenticated=self.clock, person=Person(PERSON), arrival="a",
            receipts=select_usable_answers(list_receipts(self.store, PERSON, "my-loans", self.clock)),
            account=MOVED if moved else None,
        )  # fmt: skip
        self.logins[browser] = self.transactions.add(made, self.clock)
        self.own[browser] = None
        self.pages.pop(browser, None)
        self.untold -= {browser}
        self.untold |= {browser} if moved else set()

    @rule(browser=browsers)
    def read_on(self, browser: str) -> None:
        """Go on from the page that tells of another category."""
        if isinstance(self.check(browser), TellChange):
            context = self.logins[browser]
            self.logins[browser] = self.transactions.change(context, lambda each: replace(each, told=True), self.clock)
            self.untold -= {browser}
            assert isinstance(self.check(browser), Issue)

    @rule(browser=browsers, remember=st.booleans(), ticked=st.frozensets(st.sampled_from([*VALUES, ROLES])))
    def say_yes(self, browser: str, remember: bool, ticked: frozenset[str]) -> None:
        """Agree to what is shown, or go on."""
        step = self.check(browser)
        if isinstance(step, Ask):
            self.answer(browser, step, "yes", remember=remember, chosen=tuple(ticked))
            rules = self.policies
            offered = {name for kind, name, _ in rules.parts if kind == "optional"}
            said = Said(
                at=self.answer_time(),
                yes=True,
                terms=rules.terms,
                parts=rules.parts,
                ticked=ticked & offered,
                remember=remember,
            )
            self.said.append(said)
            self.own[browser] = said
            assert isinstance(self.check(browser), Issue | TellChange)

    @rule(browser=browsers)
    def say_no(self, browser: str) -> None:
        """Refuse what is shown, or was shown in this login: by Back, or on a page that waited for long."""
        shown = self.pages.get(browser)
        if shown is None:
            return
        self.now += TURN
        step = self.as_known(browser)
        self.pages[browser] = shown
        self.answer(browser, step, "no")
        if not isinstance(step, Refuse) or self.standing():
            said = Said(self.answer_time(), yes=False)
            self.said.append(said)
            self.own[browser] = said
            assert isinstance(self.check(browser), Refuse)

    @rule()
    def take_back(self) -> None:
        """Withdraw on the page of one's choices."""
        self.now += TURN
        consents = GivenConsents(PersonRecords(self.store, KEY), KEY, {"my-loans": self.policies.service()})
        made = consents.take_back(PERSON, "my-loans", "da", self.clock)
        standing = self.standing()
        assert (made is not None) == bool(standing)
        if made is not None:
            given = any("consent" in each.terms for each in standing)
            assert made.event is (ReceiptEvent.WITHDRAWN if given else ReceiptEvent.FORGOTTEN)
            self.said.append(Said(self.answer_time(), yes=False))

    @rule(change=st.data())
    def edit(self, change: st.DataObject) -> None:
        """Change one thing of the policies: narrow, widen, other terms."""
        rules = self.policies
        name = change.draw(st.sampled_from([*VALUES, "roles", "kind", "name_id", "terms"]))
        changed: dict[str, Any]
        if name in VALUES:
            changed = {"listed": {**rules.listed, name: change.draw(st.sampled_from(KINDS))}}
        elif name == "roles":
            roles = st.frozensets(st.sampled_from(["student@au.dk", "member@au.dk", "employee@au.dk"]))
            changed = {"roles": change.draw(roles)}
        elif name == "kind":
            changed = {"roles_kind": change.draw(st.sampled_from(KINDS[1:]))}
        elif name == "name_id":
            changed = {"name_id": change.draw(st.sampled_from(["persistent", "transient"]))}
        else:
            changed = change.draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "purpose": st.sampled_from(WORDS),
                        "basis": st.sampled_from(["consent", "public_task"]),
                        "giver": st.sampled_from(PARTIES),
                        "receiver": st.sampled_from(PARTIES),
                    },
                )
            )
        self.edit_policies(replace(rules, **changed))

    @precondition(lambda self: len(self.earlier) > 1)
    @rule(which=st.data())
    def undo(self, which: st.DataObject) -> None:
        """Put an earlier set of policies in force again."""
        self.edit_policies(which.draw(st.sampled_from(self.earlier)))

    def edit_policies(self, rules: Rules) -> None:
        """Put a policy set in force, and keep its question for a person who has not answered yet."""
        before, living = self.policies, self.living()
        was_covered = self.covering(before)
        self.policies = rules
        self.earlier.append(rules)
        self.log_in("b1")
        asked = isinstance(self.check("b1"), Ask)
        if was_covered and rules.terms == before.terms and rules.parts <= before.parts:
            assert not asked
        new = {part[1:] for part in rules.parts} - {part[1:] for each in living for part in each.parts}
        assert asked or not new

    @rule(change=st.data(), agreed=st.booleans())
    def no_to_a_page_that_waited(self, change: st.DataObject, agreed: bool) -> None:
        """Refuse a page that asked by policies which were undone while it was open."""
        if agreed:
            self.log_in("b1")
            self.say_yes("b1", remember=True, ticked=frozenset())
        before = self.policies
        self.edit(change)
        self.log_in("b2")
        self.check("b2")
        self.edit_policies(change.draw(st.sampled_from([before, *self.earlier])))
        self.say_no("b2")

    @rule(remember=st.booleans(), silent=st.booleans(), always=st.booleans())
    def leave_out(self, remember: bool, silent: bool, always: bool) -> None:
        """Leave out under other terms what was ticked before, or left in any case; then these are undone."""
        listed = {**self.policies.listed, "mail": "optional"}
        ticked = replace(self.policies, listed=listed, basis="consent")
        first = replace(ticked, listed={**listed, "mail": "always"}) if always else ticked
        other = replace(ticked, purpose=next(each for each in WORDS if each != ticked.purpose))
        self.edit_policies(first)
        self.say_yes("b1", remember=True, ticked=frozenset({"mail"}))
        self.edit_policies(other)
        self.say_yes("b1", remember=remember, ticked=frozenset())
        if silent:
            receiver = next(each for each in PARTIES if each != other.receiver)
            self.edit_policies(replace(other, listed={**listed, "mail": None}, receiver=receiver))
            self.say_yes("b1", remember=True, ticked=frozenset())
        self.edit_policies(first)

    @rule()
    def no_where_the_clock_is_behind(self) -> None:
        """Refuse on a page that was open when a yes was given at a machine whose clock is ahead."""
        self.log_in("b1")
        self.log_in("b2")
        self.check("b2")
        self.ahead = True
        self.say_yes("b1", remember=True, ticked=frozenset())
        self.ahead = False
        self.say_no("b2")

    @rule(said=st.booleans(), moved=st.booleans())
    def end_where_the_clock_is_behind(self, said: bool, moved: bool) -> None:
        """Take back, or refuse by Back, what was agreed to in a login at a machine whose clock is ahead."""
        self.ahead = True
        self.log_in("b1", moved=moved)
        self.say_yes("b1", remember=True, ticked=frozenset())
        self.ahead = False
        if said:
            self.say_no("b1")
        else:
            self.take_back()

    @precondition(lambda self: self.now < START + timedelta(days=330))
    @rule(days=st.sampled_from([1, 100, 364]))
    def wait(self, days: int) -> None:
        """Let time pass: a yes lapses after a year."""
        self.now += timedelta(days=days)

    @invariant()
    def agrees(self) -> None:
        """Both browsers go on as the model says."""
        for browser in getattr(self, "logins", ()):
            self.check(browser)


def test_consents_keep_to_the_model() -> None:
    """Every answer, withdrawal, edit and undo, in whatever order, in two browsers at once."""
    run_state_machine_as_test(
        Consents, settings=settings(max_examples=scale_examples(30), stateful_step_count=12, deadline=None)
    )
