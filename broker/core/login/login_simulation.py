"""Simulate a described login to its end, with ``next_step`` and the engine of real logins.

Every port answers and nothing fails: the person proves and confirms what they are asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.consent.consent import make_receipt
from broker.core.entities import Service
from broker.core.identity.canonical_attributes import CPR_STAND_IN, ReadingWithoutCpr
from broker.core.identity.mailbox_proofs import MAIL_PROOF, Proved
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.login.authentication_reading import add_proofs
from broker.core.login.decision_input import deny, login_facts, proof_step
from broker.core.login.described_login import BORROWER_STAND_IN, SimulationTerms
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.next_step import Terms, next_step
from broker.core.login.played_login import PlannedBorrower, PlayedLogin
from broker.core.login.simulated_account import SimulatedAccount
from broker.core.login.steps import (
    Ask,
    Done,
    Enrol,
    Issue,
    OfferUpgrade,
    ProveMailbox,
    Refuse,
    Step,
    TellChange,
)
from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.decision import UNMET_REQUIREMENTS, evaluate
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet

# A key for simulations only: no real person has these pseudonyms.
SIMULATION_HMACS: Final = LookupHmacs("ideal", b"no person is behind it")
_PERSON: Final = "(the person)"
_MAILBOX: Final = "someone@mailbox.example"
_LASTS: Final = timedelta(days=365)
# Two proofs, an upgrade, a question, an enrolment, a notice and the end; each is asked once.
_MOST_STEPS: Final = 12
_NOBODY: Final = Decision(Effect.DENY, ())


def simulate_login(
    login: DescribedLogin,
    service: Service,
    policies: PolicySet,
    now: datetime,
    terms: SimulationTerms = SimulationTerms(),  # noqa: B008 - frozen
) -> PlayedLogin:
    """Simulate ``login`` at ``service`` to its end, with the decisions of a real login.

    ``service`` has the attributes that its metadata requires, by our names
    (``decision_input.add_required_names``). It need not offer the upstream.
    """
    scene = _decide_arrival(
        _Scene(login, service, policies, terms, _begin_transaction(login, service, now), now)
    )
    steps: list[Step] = []
    for _ in range(_MOST_STEPS):
        step = next_step(scene.transaction, scene.terms, now)
        steps.append(step)
        if isinstance(step, Issue | Done | Refuse):
            borrower = None if isinstance(step, Refuse) else scene.borrower
            return PlayedLogin(service, tuple(steps), scene.decision, scene.facts, borrower)
        scene = _answer(scene, step)
    msg = "the same step was asked repeatedly"
    raise RuntimeError(msg)


@dataclass(frozen=True, slots=True)
class _Scene:
    """A login between two steps."""

    login: DescribedLogin
    service: Service
    policies: PolicySet
    ideal: SimulationTerms
    transaction: Transaction
    now: datetime
    decision: Decision = _NOBODY
    borrower: PlannedBorrower | None = None

    @property
    def reading(self) -> ReadingWithoutCpr:
        """Return the asserted attributes, with the mailboxes that the person has proved."""
        proofs = self.transaction.proofs
        if not proofs:
            return self.login.reading
        return add_proofs(self.login.reading, proofs, self.now).mask_cpr()

    @property
    def facts(self) -> LoginFacts:
        """Return the facts that a decision rests on now."""
        return login_facts(
            self.reading,
            upstream=self.login.upstream,
            intent=self.login.intent,
            borrower=self.number_is_known,
        )

    @property
    def account(self) -> SimulatedAccount:
        """Return the account of the person, in place of enrolments and library system."""
        return SimulatedAccount(
            decision=self.decision,
            reading=self.reading,
            borrower=self.login.borrower,
            purpose=self.login.purpose,
            today=self.now.date(),
            number_is_known=self.number_is_known,
            upgrade=self.transaction.upgrade,
        )

    @property
    def number_is_known(self) -> bool:
        """Return whether the person's borrower number is known."""
        person = self.transaction.person
        return person is not None and person.number is not None

    @property
    def terms(self) -> Terms:
        """Return the terms of the next step."""
        scope = self.service.scope
        made = {name: f"(made for the person)@{scope}" for name in SUBJECT_IDENTIFIERS if scope}
        return Terms(
            service=self.service,
            giver=self.ideal.giver,
            hmacs=SIMULATION_HMACS,
            decision=self.decision,
            lacking=self._find_missing_proof(),
            ways=self.service.methods,
            local=self.ideal.local,
            ids=made,
            cpr=CPR_STAND_IN[0],
        )

    def _find_missing_proof(self) -> ProveMailbox | None:
        if self.login.intent is None or self.login.fault:
            return None
        return proof_step(self.facts, self.policies, self.now)


def _begin_transaction(login: DescribedLogin, service: Service, now: datetime) -> Transaction:
    authentication = Authentication(
        upstream=login.upstream,
        issuer="",
        institution=login.institution,
        authorities=(),
        attributes=(),
        authn_instant=now,
        authn_context=None,
        received=now,
        assertion_until=now,
    )
    request = AuthnRequest("", service.name, service.entity_id, "")
    return Transaction(
        id="",
        reference="",
        begun=now,
        until=now,
        request=request,
        purpose=login.purpose,
        intent=login.intent,
        upstream=login.upstream,
        authentication=authentication,
        authenticated=now,
    )


def _decide_arrival(scene: _Scene) -> _Scene:
    """Decide, and look up the person if the policies admit them or would with a borrower."""
    scene = _decide(replace(scene, transaction=scene.transaction.clear_look_up()))
    code = scene.decision.reasons[0].code
    permitted = scene.decision.effect is Effect.PERMIT
    if scene.login.fault or not (permitted or code in UNMET_REQUIREMENTS):
        return scene
    local = scene.login.upstream in scene.ideal.local
    number = BORROWER_STAND_IN if local else None
    if not permitted and number is None:
        number = scene.account.find_number()
    scene = _set_person(scene, Person(_PERSON, number))
    if not permitted:
        scene = _decide(scene)
    if scene.decision.effect is not Effect.PERMIT:
        return scene
    account = scene.account.find()
    return _note_unchanged_borrower(
        replace(scene, transaction=replace(scene.transaction, account=account))
    )


def _set_person(scene: _Scene, person: Person) -> _Scene:
    return replace(scene, transaction=replace(scene.transaction, person=person))


def _decide(scene: _Scene) -> _Scene:
    fault = scene.login.fault
    if fault:
        return replace(scene, decision=deny(fault[0], scene.policies, fault[1]))
    decision = evaluate(scene.policies, scene.facts, scene.service, scene.now)
    return replace(scene, decision=decision)


def _answer(scene: _Scene, step: Step) -> _Scene:
    """Answer ``step`` as the person, or the enrolment, does."""
    transaction = scene.transaction
    match step:
        case ProveMailbox():
            return _answer_proof(scene, step)
        case OfferUpgrade() if scene.login.upgrade:
            return replace(scene, transaction=replace(transaction, upgrade=True))
        case OfferUpgrade():
            return _decide_arrival(replace(scene, transaction=replace(transaction, upgrade=False)))
        case Ask(question):
            optional = tuple(item.name for item in question.disclosure.items if item.optional)
            own = make_receipt(
                "",
                question,
                answer=True,
                remembered_for=None,
                chosen=optional,
                person=_PERSON,
                language="en",
                hmacs=SIMULATION_HMACS,
                now=scene.now,
            )
            return replace(scene, transaction=replace(transaction, receipt=own))
        case Enrol():
            return _enrol(scene)
        case TellChange():
            return replace(scene, transaction=replace(transaction, told=True))
        case _:
            msg = f"nobody is asked for {type(step).__name__} once they have logged in"
            raise TypeError(msg)


def _answer_proof(scene: _Scene, step: ProveMailbox) -> _Scene:
    """Prove the described mailbox, or continue without it if the page allows that."""
    address = scene.login.addresses.get(step.name)
    if address is None and step.name == MAIL_PROOF:
        address = _MAILBOX
    transaction = scene.transaction
    if address is None or not _is_accepted(address, step.domains):
        return replace(scene, transaction=replace(transaction, unproved=True))
    proved = Proved(step.name, address, scene.now, scene.now + _LASTS)
    proofs = (*transaction.proofs, proved)
    return _decide_arrival(replace(scene, transaction=replace(transaction, proofs=proofs)))


def _is_accepted(address: str, domains: Iterable[str]) -> bool:
    listed = tuple(domains)
    return not listed or address.rpartition("@")[2].lower() in listed


def _note_unchanged_borrower(scene: _Scene) -> _Scene:
    """Note the borrower as unchanged, or that there is none."""
    account = scene.transaction.account
    there = scene.login.borrower
    if account is None or account.number is None:
        return replace(scene, borrower=None)
    policy = scene.decision.policy
    rule = policy.borrower if policy else None
    category = there.category if there else _find_category(scene)
    release = scene.decision.release
    entry = release.place if release else None
    place = rule.place if rule else entry
    kept = PlannedBorrower(EnrolmentOutcome.UNCHANGED, category, category, None, place)
    return replace(scene, borrower=kept)


def _find_category(scene: _Scene) -> str:
    """Return the category of the library account that the person logged in with."""
    return scene.login.reading.attributes.one("borrower_category") or ""


def _enrol(scene: _Scene) -> _Scene:
    account, planned = scene.account.enrol()
    transaction = replace(scene.transaction, account=account)
    return replace(scene, transaction=transaction, borrower=planned or scene.borrower)
