"""Simulate a described login to its end, with ``next_step`` and the engine of real logins.

Every port answers and nothing fails: the person proves and confirms what they are asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.change_plan import describe_outcome, plan_change
from broker.core.borrowers.enrolment import CaseReason, EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import WantedBorrower, derive_wanted_borrower
from broker.core.consent.consent import Question, Receipt, make_receipt
from broker.core.entities import Service
from broker.core.identity.canonical_attributes import CPR_STAND_IN, ReadingWithoutCpr
from broker.core.identity.mailbox_proofs import MAIL_PROOF, MailboxProof
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.identity.rights import has_usable_cpr, missing_cpr_reason
from broker.core.login.authentication_reading import add_proofs
from broker.core.login.decision_input import deny, login_facts, proof_step
from broker.core.login.described_login import BORROWER_STAND_IN
from broker.core.login.found_account import FoundBorrower, describe_account
from broker.core.login.given_facts import DescribedLogin, make_authentication
from broker.core.login.next_step import StepInputs, next_step
from broker.core.login.played_login import PlannedBorrower, PlayedLogin
from broker.core.login.site import CATEGORY, Site
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
from broker.core.login.transaction import (
    Account,
    AccountState,
    AuthnRequest,
    LoginPurpose,
    Person,
    Transaction,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.decision import UNMET_REQUIREMENTS, evaluate
from broker.core.policy.model import BorrowerRule, Decision, Effect, LoginFacts, PolicySet

# A key for simulations only: no real person has these pseudonyms.
SIMULATION_HMACS: Final = LookupHmacs("ideal", b"no person is behind it")
_PERSON: Final = "(the person)"
_MAILBOX: Final = "someone@mailbox.example"
_LASTS: Final = timedelta(days=365)
# Two proofs, an upgrade, a question, an enrolment, a notice and the end; each is asked once.
_MOST_STEPS: Final = 12
_NOBODY: Final = Decision(Effect.DENY, ())


def simulate_login(
    login: DescribedLogin, service: Service, policies: PolicySet, now: datetime, site: Site
) -> PlayedLogin:
    """Simulate ``login`` at ``service`` to its end, with the decisions of a real login.

    ``service`` has the attributes that its metadata requires, by our names
    (``decision_input.add_required_names``). It need not offer the upstream. ``site`` has the
    upstreams.
    """
    scene = _decide_arrival(
        _Scene(login, service, policies, site, _begin_transaction(login, service, now), now)
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
    site: Site
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
    def number_is_known(self) -> bool:
        """Return whether the person's borrower number is known."""
        person = self.transaction.person
        return person is not None and person.number is not None

    @property
    def access(self) -> str:
        """Return whether the service makes a borrower, needs one or does without."""
        release = self.decision.release
        return release.borrower if release else "none"

    @property
    def terms(self) -> StepInputs:
        """Return the terms of the next step."""
        scope = self.service.scope
        identifiers = {
            name: f"(made for the person)@{scope}" for name in SUBJECT_IDENTIFIERS if scope
        }
        return StepInputs(
            service=self.service,
            giver=self.site.find_giver(self.login.upstream, self.login.institution),
            hmacs=SIMULATION_HMACS,
            decision=self.decision,
            missing_proof=self._find_missing_proof(),
            upstreams=self.service.methods,
            local=self.site.local,
            ids=identifiers,
            cpr=CPR_STAND_IN[0],
        )

    def _find_missing_proof(self) -> ProveMailbox | None:
        if self.login.intent is None or self.login.fault:
            return None
        return proof_step(self.facts, self.policies, self.now)


def _begin_transaction(login: DescribedLogin, service: Service, now: datetime) -> Transaction:
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
        authentication=make_authentication(login, now),
        authenticated=now,
    )


def _decide_arrival(scene: _Scene) -> _Scene:
    """Decide, and look up the person if the policies admit them or would with a borrower."""
    scene = _decide(replace(scene, transaction=scene.transaction.clear_look_up()))
    code = scene.decision.reasons[0].code
    permitted = scene.decision.effect is Effect.PERMIT
    if scene.login.fault or not (permitted or code in UNMET_REQUIREMENTS):
        return scene
    local = scene.login.upstream in scene.site.local
    number = BORROWER_STAND_IN if local else None
    if not permitted and number is None and scene.access != "none":
        number = _find_borrower(scene, None).number
    scene = _set_person(scene, Person(_PERSON, number))
    if not permitted:
        scene = _decide(scene)
    if scene.decision.effect is not Effect.PERMIT:
        return scene
    account = _find_account_at_arrival(scene)
    scene = replace(scene, transaction=replace(scene.transaction, account=account))
    return replace(scene, borrower=_find_unchanged_borrower(scene))


def _find_account_at_arrival(scene: _Scene) -> Account | None:
    """Return the account before the person is asked anything; None if the service needs none."""
    if scene.access == "none":
        return None
    wanted = None
    if scene.access == "make" and scene.login.purpose is not LoginPurpose.PIN:
        wanted = _derive_wanted(scene, upgrade=scene.transaction.upgrade is not False)
    return _find_account(scene, wanted)


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
            receipt = agree(question, scene.now)
            return replace(scene, transaction=replace(transaction, receipt=receipt))
        case Enrol():
            return _enrol(scene)
        case TellChange():
            return replace(scene, transaction=replace(transaction, told=True))
        case _:
            msg = f"nobody is asked for {type(step).__name__} once they have logged in"
            raise TypeError(msg)


def agree(question: Question, now: datetime) -> Receipt:
    """Return the receipt of a person who agrees to everything on a page."""
    return make_receipt(
        "",
        question,
        answer=True,
        remembered_for=_LASTS,
        chosen=tuple(item.name for item in question.disclosure.items),
        person=_PERSON,
        language="en",
        hmacs=SIMULATION_HMACS,
        now=now,
    )


def _answer_proof(scene: _Scene, step: ProveMailbox) -> _Scene:
    """Prove the described mailbox, or continue without it if the page allows that.

    A proof that a condition does not accept is asked for again: the person has no other mailbox.
    """
    address = scene.login.addresses.get(step.name)
    if address is None and step.name == MAIL_PROOF:
        address = _MAILBOX
    transaction = scene.transaction
    is_proved = any(each.name == step.name for each in transaction.proofs)
    if address is None or is_proved or not _is_accepted(address, step.domains):
        return replace(scene, transaction=replace(transaction, unproved=True))
    proved = MailboxProof(step.name, address, scene.now, scene.now + _LASTS)
    proofs = (*transaction.proofs, proved)
    return _decide_arrival(replace(scene, transaction=replace(transaction, proofs=proofs)))


def _is_accepted(address: str, domains: Iterable[str]) -> bool:
    listed = tuple(domains)
    return not listed or address.rpartition("@")[2].lower() in listed


def _find_unchanged_borrower(scene: _Scene) -> PlannedBorrower | None:
    """Return the borrower as it is before an enrolment; None if there is none."""
    account, decision, there = scene.transaction.account, scene.decision, scene.login.borrower
    if account is None or account.number is None:
        return None
    rule = decision.policy.borrower if decision.policy else None
    entry = rule or decision.release
    # The category of the library account that the person logged in with.
    own = scene.login.reading.attributes.one(CATEGORY) or ""
    category = there.category if there else own
    place = entry.place if entry else None
    return PlannedBorrower(EnrolmentOutcome.UNCHANGED, category, category, None, place)


def _derive_wanted(scene: _Scene, *, upgrade: bool) -> WantedBorrower | None:
    wanted = derive_wanted_borrower(
        scene.decision, scene.reading.attributes, language="en", today=scene.now.date()
    )
    return replace(wanted, upgrade=upgrade) if wanted else None


def _find_borrower(scene: _Scene, wanted: WantedBorrower | None) -> FoundBorrower:
    """Return the borrower with the CPR number of the login."""
    there = scene.login.borrower
    if not has_usable_cpr(scene.decision.ground):
        return FoundBorrower(reason=missing_cpr_reason(scene.reading.cpr))
    if there is None:
        return FoundBorrower()
    if there.has_duplicate:
        return FoundBorrower(reason=CaseReason.SEVERAL_BORROWERS)
    borrower = there.make(wanted)
    is_as_wanted = wanted is None or plan_change(borrower, wanted, scene.now.date()) is None
    return FoundBorrower(borrower.number, borrower.category, is_as_wanted)


def _find_account(scene: _Scene, wanted: WantedBorrower | None) -> Account:
    """Return the account as ``wanted`` would change it, by the rule of a real login."""
    if scene.number_is_known and not has_usable_cpr(scene.decision.ground):
        return Account(BORROWER_STAND_IN, AccountState.KNOWN)
    found = _find_borrower(scene, wanted)
    return describe_account(found, wanted, scene.decision, scene.reading.attributes)


def _enrol(scene: _Scene) -> _Scene:
    """Make or change the borrower, as the worker does."""
    wanted = _derive_wanted(scene, upgrade=scene.transaction.upgrade is True)
    account = _find_account(scene, wanted)
    planned = scene.borrower
    policy = scene.decision.policy
    if account.state is AccountState.NONE and wanted and policy and policy.borrower:
        planned = _plan_borrower(scene, wanted, policy.borrower)
        account = Account(
            BORROWER_STAND_IN, AccountState.DONE, planned.outcome, category=planned.category
        )
    elif account.state is AccountState.NONE:
        account = Account(None, AccountState.CLOSED)
    return replace(scene, transaction=replace(scene.transaction, account=account), borrower=planned)


def _plan_borrower(scene: _Scene, wanted: WantedBorrower, rule: BorrowerRule) -> PlannedBorrower:
    there = scene.login.borrower
    if there is None:
        created = EnrolmentOutcome.CREATED
        return PlannedBorrower(created, wanted.category, None, rule.expires, rule.place)
    borrower = there.make(wanted)
    change = plan_change(borrower, wanted, scene.now.date())
    outcome = describe_outcome(borrower, change, wanted)
    category = (change and change.category) or borrower.category
    expiry = rule.expires if change and change.expires else None
    return PlannedBorrower(outcome, category, borrower.category, expiry, rule.place)
