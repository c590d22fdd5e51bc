"""Answers, withdrawals and edits of policies against a model: less is never asked, more always is.

One person, two browsers at once, each with a login of its own. The model knows names and values in clear and no digest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
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

from broker.core.audit_events import NO_TRAIL
from broker.core.consent.consent import ReceiptEvent
from broker.core.entities import Controller, Service, Text
from broker.core.login.next_step import Terms, next_step
from broker.core.login.steps import Ask, Issue, Refuse, Step
from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import (
    Decision,
    Effect,
    LegalBasis,
    NameIDKind,
    Policy,
    PolicyLine,
    Reason,
    Release,
    ReleasedAttribute,
    Requirement,
)
from broker.core.ports import Kept, Key
from broker.flows.consents.given_consents import GivenConsents
from broker.flows.consents.receipts import Receipts
from broker.flows.login.consent_answers import ConsentAnswers
from broker.flows.transactions import Held, Transactions
from tests.plugins.single_turns import SingleTurns

START: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
TURN: Final = timedelta(seconds=7)  # longer than what is on file is not read again for
KEY: Final = LookupHmacs("k1", b"k" * 32)
PLACE: Final = PolicyLine("student.yaml", 1)
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
    """What the policies let leave: how each attribute is listed, and the terms."""

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
        release = Release("my-loans", "none", self.basis, self.purpose, self.name_id, listed, PLACE)
        policy = Policy(
            "s.yaml", "student", 1, WORDS[0], "o", date(2027, 1, 1), (), (), Requirement(), None, (release,)
        )
        return Decision(
            Effect.PERMIT, (Reason("ok"),), "student", policy, release, released, digest="d" * 64
        )  # fmt: skip


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
    def agreed(self) -> set[tuple[str, str]]:
        """Give the names and values that may leave by it."""
        return {(name, value) for kind, name, value in self.parts if kind == "always" or name in self.ticked}

    def covers(self, rules: Rules) -> bool:
        """Say whether all that is asked for was asked for then, no more left open then than now."""
        return self.terms == rules.terms and all(
            part in self.parts or (part[0] == "optional" and ("always", *part[1:]) in self.parts)
            for part in rules.parts
        )


class DictStore(SingleTurns):
    """A store without faults."""

    def __init__(self) -> None:
        self.kept: dict[Key, Kept] = {}

    def get(self, key: Key, now: datetime) -> Kept | None:
        """Give what is kept and has not expired."""
        found = self.kept.get(key)
        return found if found and now < found.until else None

    def put(self, key: Key, kept: Kept, was: str | None, now: datetime, *, durable: bool = False) -> bool:
        """Write if the version is the expected one."""
        del durable
        present = self.get(key, now)
        if (present.version if present else None) != was:
            return False
        self.kept[key] = kept
        return True

    def drop(self, key: Key) -> None:
        """Forget."""
        self.kept.pop(key, None)

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, Kept]]:
        """List a group."""
        for key, kept in list(self.kept.items()):
            if key.kind == kind and group in {None, key.group} and now < kept.until:
                yield key, kept

    def claim(self, *_: object) -> None:
        """Claim nothing: nothing here is queued."""

    def count(self, *_: object) -> int:
        """Count nothing: limits are not what is tried here."""
        return 1

    def faults(self) -> tuple[str, ...]:
        """Find nothing wrong."""
        return ()


@dataclass
class Lookup:
    """What an answer asks of the person's look-up."""

    trail: Any = NO_TRAIL

    def receipts_of(self, transaction: Transaction) -> str:
        """Give the pseudonym of person and service."""
        return KEY.of("receipts", PERSON, transaction.request.service)


LOGIN: Final = Authentication("wayf", "i", "au", ("au",), (), START, "ctx", START, START)
browsers = st.sampled_from(["b1", "b2"])


class Consents(RuleBasedStateMachine):
    """The broker's answers beside the model's."""

    @initialize()
    def begin(self) -> None:
        """Begin with nothing on file."""
        self.now = START
        self.store = cast("Any", DictStore())
        self.transactions = Transactions(self.store)
        self.answers = ConsentAnswers(self.store, KEY, cast("Any", Lookup()), self.transactions)
        self.policies = Rules()
        self.earlier = [self.policies]
        self.logins: dict[str, Held] = {}
        self.own: dict[str, Said | None] = {}
        self.said: list[Said] = []
        for browser in ("b1", "b2"):
            self.log_in(browser)

    # -- the world ------------------------------------------------------------------------------

    def step(self, browser: str) -> Step:
        """Give the next step of a login, after what was said elsewhere has been read again."""
        self.now += TURN
        held = self.answers.reread(self.logins[browser], self.now)
        self.logins[browser] = held
        decision = self.policies.decision()
        terms = Terms(
            self.policies.service(), self.policies.giver, KEY, lambda *_: decision, lambda *_: None, ("wayf",)
        )  # fmt: skip
        return next_step(held.transaction, terms, self.now)

    def answer(self, browser: str, step: Step, word: str, **how: Any) -> Held:
        """Answer what is on the browser's screen."""
        shown = step.question.disclosure.shown(KEY) if isinstance(step, Ask) else ""
        facts: dict[str, Any] = {"remember": False, "chosen": (), "language": "da", **how}
        held = self.answers.answer(self.logins[browser], step, shown, word, self.now, **facts)
        self.logins[browser] = held
        return held

    # -- the model ------------------------------------------------------------------------------

    def living(self) -> list[Said]:
        """Give each remembered yes that no later no has ended, newest first."""
        ended = max((each.at for each in self.said if not each.yes), default=START)
        remembered = [each for each in self.said if each.yes and each.remember and each.at > ended]
        return [each for each in remembered[::-1] if self.now < each.at + timedelta(days=365)]

    def standing_own(self, browser: str) -> Said | None:
        """Give the answer of this very login if nobody has said no since."""
        own = self.own[browser]
        later = own and any(not each.yes and each.at >= own.at and each is not own for each in self.said)
        return None if later else own

    def expected(self, browser: str) -> str:
        """Say what must come next."""
        own = self.standing_own(browser)
        if not self.policies.parts:
            return "Refuse" if own and not own.yes else "Issue"
        if own:
            if not own.yes:
                return "Refuse"
            return "Issue" if (own.terms, own.parts) == (self.policies.terms, self.policies.parts) else "Ask"
        return "Issue" if any(each.covers(self.policies) for each in self.living()) else "Ask"

    def check(self, browser: str) -> Step:
        """Hold the next step, and what leaves by it, against the model."""
        step = self.step(browser)
        assert type(step).__name__ == self.expected(browser)
        if isinstance(step, Issue):
            own = self.standing_own(browser)
            by = own or next((each for each in self.living() if each.covers(self.policies)), None)
            leaving = {
                (item.name, value if item.name == ROLES else "")
                for item in step.disclosure.items
                for value in item.values
            }
            ticked = by.ticked if by else frozenset()
            wanted = {(name, value) for kind, name, value in self.policies.parts if kind == "always" or name in ticked}
            assert leaving == wanted - {("NameID", "")}
            assert not leaving or (by and leaving <= by.agreed)
        else:
            assert isinstance(step, Ask | Refuse)
        return step

    # -- what happens -----------------------------------------------------------------------------

    @rule(browser=browsers)
    def log_in(self, browser: str) -> None:
        """Begin a login, with the person looked up."""
        self.now += TURN
        request = AuthnRequest("_r", "my-loans", "https://loans.example", "acs")
        group = KEY.of("receipts", PERSON, "my-loans")
        made = Transaction(
            f"{browser} {self.now}", "BCDFGHJK", self.now, self.now + timedelta(days=2000), request, upstream="wayf",
            authentication=LOGIN, authenticated=self.now, person=Person(PERSON), arrival="a",
            receipts=Receipts(self.store).on_file(group, self.now),
        )  # fmt: skip
        self.logins[browser] = self.transactions.add(made, self.now)
        self.own[browser] = None

    @rule(browser=browsers, remember=st.booleans(), ticked=st.frozensets(st.sampled_from([*VALUES, ROLES])))
    def say_yes(self, browser: str, remember: bool, ticked: frozenset[str]) -> None:
        """Agree to what is shown, or go on."""
        step = self.check(browser)
        if isinstance(step, Ask):
            self.answer(browser, step, "yes", remember=remember, chosen=tuple(ticked))
            rules = self.policies
            offered = {name for kind, name, _ in rules.parts if kind == "optional"}
            said = Said(
                at=self.now, yes=True, terms=rules.terms, parts=rules.parts, ticked=ticked & offered, remember=remember
            )
            self.said.append(said)
            self.own[browser] = said
            assert isinstance(self.check(browser), Issue)

    @rule(browser=browsers)
    def say_no(self, browser: str) -> None:
        """Refuse what is shown, or, after a yes of this login, by Back."""
        step = self.check(browser)
        own = self.standing_own(browser)
        if isinstance(step, Ask) or (isinstance(step, Issue) and own):
            self.answer(browser, step, "no")
            said = Said(self.now, yes=False)
            self.said.append(said)
            self.own[browser] = said
            assert isinstance(self.check(browser), Refuse)

    @rule()
    def take_back(self) -> None:
        """Withdraw on the page of one's choices."""
        self.now += TURN
        consents = GivenConsents(self.store, KEY, {"my-loans": self.policies.service()})
        made = consents.take_back(PERSON, "my-loans", "da", self.now)
        ended = max((each.at for each in self.said if not each.yes), default=START)
        standing = [each for each in self.said if each.yes and each.at > ended]
        assert (made is not None) == bool(standing)
        if made is not None:
            given = any("consent" in each.terms for each in standing)
            assert made.event is (ReceiptEvent.WITHDRAWN if given else ReceiptEvent.FORGOTTEN)
            self.said.append(Said(self.now, yes=False))

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
        self.edited(replace(rules, **changed))

    @precondition(lambda self: len(self.earlier) > 1)
    @rule(which=st.data())
    def undo(self, which: st.DataObject) -> None:
        """Put an earlier set of policies in force again."""
        self.edited(which.draw(st.sampled_from(self.earlier)))

    def edited(self, rules: Rules) -> None:
        """Put a set in force, and hold what that asks of whoever comes now and has said nothing yet."""
        before, living = self.policies, self.living()
        was_covered = any(each.covers(before) for each in living)
        self.policies = rules
        self.earlier.append(rules)
        self.log_in("b1")
        asked = isinstance(self.check("b1"), Ask)
        if was_covered and rules.terms == before.terms and rules.parts <= before.parts:
            assert not asked
        new = {part[1:] for part in rules.parts} - {part[1:] for each in living for part in each.parts}
        assert asked or not new

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
    run_state_machine_as_test(Consents, settings=settings(max_examples=60, stateful_step_count=20, deadline=None))
