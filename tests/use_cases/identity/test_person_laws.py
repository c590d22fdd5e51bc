"""The laws of persons, held by any sequence of logins: names, numbers, cprUuids, levels, PINs, gaps of time and races.

Source: docs/reference/design.md#names and #find-by-cpr.
"""

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.mailbox_proofs import Proved
from broker.core.identity.rights import Ground
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Account, Authentication, AuthnRequest, Person, Transaction
from broker.core.policy.model import Decision, Effect, PolicyLine, PolicySet, Release
from broker.use_cases.arrived_login import Arrived, Basis
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin
from broker.use_cases.identity.person_resolution import NoIdentityCases, PersonResolution, usable_cpr
from broker.use_cases.proof_ownership import keep_proof
from broker.use_cases.records import Records
from tests.plugins.drawn import drawn
from tests.use_cases.conftest import World

AU, KU = "https://idp.au.example", "https://idp.ku.example"
CPRS: Final = ("0101990000", "0202990000", "0303990000")
UUIDS: Final = tuple(f"6f1c0000-0000-4000-8000-00000000000{number}" for number in (1, 2))
WORDS: Final = Text("words", "ord")
PLACE: Final = PolicyLine("p.yaml", 1)
LIBRARY: Final = Upstream("library", "library", "", "", "", WORDS)
NEEDED: Final = Release("my-loans", "need", "public_task", WORDS, "persistent", (), PLACE)
REQUEST: Final = AuthnRequest("_1", "my-loans", "https://loans.example", "acs")


@dataclass(frozen=True, slots=True)
class Visit:
    """What somebody shows: the words of an upstream, or the number of an account whose PIN was right."""

    institution: str = AU
    eppn: str | None = None
    cpr: str | None = None
    kind: str = "real"
    uuid: str | None = None
    level: Assurance = Assurance.SUBSTANTIAL
    may_find: bool = True
    account: str | None = None


visits = st.builds(
    Visit,
    institution=st.sampled_from([AU, KU]),
    eppn=st.sampled_from([None, "ann", "bo"]),
    cpr=st.sampled_from([None, *CPRS]),
    kind=st.sampled_from(["real", "real", "real", "replacement"]),
    uuid=st.sampled_from([None, None, *UUIDS]),
    level=st.sampled_from([Assurance.SUBSTANTIAL, Assurance.SUBSTANTIAL, Assurance.LOW]),
    may_find=st.sampled_from([True, True, True, False]),
) | st.builds(Visit, account=st.sampled_from(["0", "7"]))


class Persons(RuleBasedStateMachine):
    """Visits of anybody, and what they may never come to."""

    empty: ClassVar[Path]

    @initialize()
    def open(self) -> None:
        """Begin with an empty store; each number but the last has a borrower, and an account has none."""
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "broker.db"
        copy(self.empty, path)
        self.world: Any = World(path)
        for number, cpr in enumerate(CPRS[:2]):
            self.world.library.add(cpr, Borrower(str(number), "STUD", cpr=cpr))
        self.world.library.borrowers["7"] = Borrower("7", "TEMP")
        rules = ConfiguredEntities({}, {"library": LIBRARY}, {}, lambda: PolicySet((), ""))
        self.persons = PersonResolution(rules, self.world.links, NoIdentityCases(), self.world.finder)
        self.borrowers = BorrowerAtLogin(
            self.world.ports, self.world.requests, self.world.finder, None, self.world.store, self.world.ports.hmacs
        )
        self.ids: dict[str, str] = {}  # of each CPR number
        self.alone: dict[str, set[str]] = {}  # the names of each id that was given without a number
        self.uuids: dict[str, str] = {}  # the number that each cprUuid was believed with
        self.beside: set[str] = set()  # the names of two logins that bring one number at once

    def teardown(self) -> None:
        """Close the store."""
        for connection in self.world.store._connections.idle:
            connection.close()
        self.folder.cleanup()

    @rule(visit=visits)
    def comes(self, visit: Visit) -> None:
        """Log in."""
        self._holds(visit, self._come(visit), self._before())

    @rule(one=visits, other=visits, when=st.sampled_from(["before", "after"]))
    def race(self, one: Visit, other: Visit, when: str) -> None:
        """Log in while another login is at its first write."""
        before = self._before()
        came: list[tuple[Person, Account | None]] = []
        hooks = getattr(self.world.hooks, when)
        hooks["put"] = lambda: came.append(self._come(other))
        first = self._come(one)
        hooks.pop("put", None)
        second = came[0] if came else self._come(other)
        # What a cprUuid was believed with is known by whom it let in, whichever was first.
        results = sorted([(one, first), (other, second)], key=lambda each: self._rank(*each))
        if self._cpr(one) == self._cpr(other):
            # Of two logins of one number either may have brought the name whose id the number took along.
            self.beside = self._names(one) | self._names(other)
        for visit, result in results:
            self._holds(visit, result, before)
        self.beside = set()

    @rule(days=st.sampled_from([1, 40, 366]))
    def wait(self, days: int) -> None:
        """Let time pass: a name that is unseen for a year leads to nobody, and another holder may come."""
        self.world.now += timedelta(days=days)

    def _come(self, visit: Visit) -> tuple[Person, Account | None]:
        if visit.account:
            self.persons.verified(self.world.library.borrowers[visit.account])
        arrived = self._arrived(visit)
        person = self.persons.person(self.persons.names(arrived))
        begun = Transaction("t", "BCDFGHJK", self.world.now, self.world.now, REQUEST, person=person)
        return person, self.borrowers.find_account(begun, arrived, self.world.now)

    def _before(self) -> tuple[set[str], set[str]]:
        """Give the ids that numbers have, and the cprUuids that are believed."""
        return set(self.ids.values()), set(self.uuids)

    def _rank(self, visit: Visit, came: tuple[Person, Account | None]) -> int:
        if came[0].case:
            return 2
        return 0 if usable_cpr(self._arrived(visit)) else 1

    def _holds(self, visit: Visit, came: tuple[Person, Account | None], before: tuple[set[str], set[str]]) -> None:
        """Assert the laws; ``before`` is what ``_before`` gave before the visit, and what raced it."""
        person, account = came
        number = account.number if account else None
        if person.case:
            assert self.uuids.get(visit.uuid or "") not in {None, visit.cpr}
            assert (number, person.number) == (None, None)
            assert person.id not in {*self.ids.values(), *self.alone}
            return
        cpr = self._cpr(visit)
        if cpr and not usable_cpr(self._arrived(visit)) and self._uuid(visit) not in {None, *before[1]}:
            # It came while its cprUuid was being believed: before that, after it, or in between.
            assert number in {None, self._borrower(cpr)}
            return
        if cpr is None:
            # Who showed neither number, cprUuid nor PIN has no borrower and no number's id.
            assert number == visit.account
            assert person.id not in before[0]
            names = self._names(visit)
            assert not names or names & self.alone.setdefault(person.id, names)
        else:
            # A login without a name finds no borrower, and none finds another person's.
            assert number in {None, self._borrower(cpr)}
            self._is_of(cpr, visit, person)
        assert len(set(self.ids.values())) == len(self.ids)
        self._proves(person, cpr, visit)

    def _is_of(self, cpr: str, visit: Visit, person: Person) -> None:
        believed = self._uuid(visit)
        if believed and visit.cpr:
            assert self.uuids.setdefault(believed, cpr) == cpr
        if cpr not in self.ids and person.id in self.alone:
            # The first number takes along the id of a name that came with it, for good.
            assert self.alone[person.id] & (self._names(visit) | self.beside)
        assert self.ids.setdefault(cpr, person.id) == person.id

    def _proves(self, person: Person, cpr: str | None, visit: Visit) -> None:
        """Leave a proof, and find none of anybody's but one's own."""
        names = self._names(visit)
        if cpr is None and (not names or person.id in self.ids.values()):
            # Nobody will come again by it; or a number that raced has just taken the id along.
            return
        owner, now = self.world.links.proofs_of(person.id), self.world.now
        found = {each.value.address for each in Records(self.world.store, Proved).list("proof", owner, now)}
        own = {cpr} if cpr else set()
        assert found <= own | self.alone.get(person.id, set())
        address = cpr or min(self.alone[person.id])
        keep_proof(self.world.store, Proved(address, address, now, now + timedelta(days=9999)), owner, now)

    def _cpr(self, visit: Visit) -> str | None:
        """Give the number that a visit may lead by: its own, its account's, or the one that its cprUuid stands for."""
        if visit.account:
            borrower: Borrower = self.world.library.borrowers[visit.account]
            return borrower.cpr
        return usable_cpr(self._arrived(visit)) or self.uuids.get(self._uuid(visit) or "")

    def _borrower(self, cpr: str) -> str | None:
        return next((number for number, each in self.world.library.cprs.items() if each == cpr), None)

    @staticmethod
    def _uuid(visit: Visit) -> str | None:
        return visit.uuid if visit.level >= Assurance.SUBSTANTIAL else None

    def _names(self, visit: Visit) -> set[str]:
        if visit.account:
            return {f"account {visit.account}"}
        own = f"{visit.eppn} of {visit.institution}" if visit.eppn else None
        return {name for name in (self._uuid(visit), own) if name}

    def _arrived(self, visit: Visit) -> Arrived:
        now = self.world.now
        said = {"eduPersonPrincipalName": visit.eppn, "cpr": visit.cpr, "cprUuid": visit.uuid}
        attributes = Attributes({name: (value,) for name, value in said.items() if value})
        upstream, institution = ("library", "") if visit.account else ("wayf", visit.institution)
        came = Authentication(upstream, "hub", institution, (), (), now, None, now, now, name_id=visit.account)
        reading = AttributeReading(attributes, visit.level, visit.kind if visit.cpr else "none", None)
        usable = visit.may_find and reading.cpr == "real"
        ground = Ground.INSTITUTION if usable else Ground.NOTHING
        decision = Decision(Effect.PERMIT, (), release=NEEDED, ground=ground)
        basis = Basis(came, (), upstream, None, "my-loans", borrower=False)
        return Arrived(came, reading, decision, PolicySet((), ""), basis)


def test_any_logins_in_any_order_keep_the_laws(empty_store: Path) -> None:
    """No number, cprUuid or PIN, no borrower; two numbers never share an id, and none ever changes.

    The id of a name alone is no number's, and what one id has proved is shown to no other.
    """
    Persons.empty = empty_store
    run_state_machine_as_test(
        Persons,
        settings=settings(
            max_examples=drawn(60),
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
