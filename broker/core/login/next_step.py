"""The next step of a login: one pure function, the only place that decides it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.matching import AddressQuestion
from broker.core.consent.consent import (
    Question,
    ReceiptEvent,
    find_question,
    find_valid_answer,
    keep_agreed,
)
from broker.core.consent.disclosure import Disclosure, disclose, fill
from broker.core.entities import PERSISTENT, Controller, Service
from broker.core.errors import (
    AUTHN_FAILED,
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    NO_PASSIVE,
    REQUEST_DENIED,
)
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.identity.rights import Right
from broker.core.login.authn_context import (
    Meets,
    class_for_service,
    describe_unmet,
    describe_unmet_upstream,
)
from broker.core.login.steps import (
    Ask,
    Authenticate,
    Choose,
    ClaimBorrower,
    ConfirmAddress,
    Done,
    Enrol,
    Issue,
    OfferUpgrade,
    ProveMailbox,
    Refuse,
    Step,
    TellChange,
    VerifyPin,
)
from broker.core.login.transaction import (
    Account,
    AccountState,
    AuthnRequest,
    LoginPurpose,
    Transaction,
    UpstreamRefusal,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import NAME_ID, Decision, Effect, Release


@dataclass(frozen=True, slots=True)
class StepInputs:
    """Everything except the transaction on which the next step depends.

    ``giver`` is the institution that sent the attributes. ``missing_proof`` is the step for the
    mailbox proof that the person still has to give for what they came for. ``upstreams`` are the
    upstreams that this request may use, ``local`` those where the library system itself verifies
    the person. ``received_class`` is the class of the authentication. ``meets`` lists, for each
    class that the upstream sends, the classes that it satisfies. ``ids`` are the identifiers that
    we make for this person at this service. ``cpr`` is the person's CPR number, which a decision
    does not contain.
    """

    service: Service
    giver: Controller | None
    hmacs: LookupHmacs
    decision: Decision
    missing_proof: ProveMailbox | None
    upstreams: tuple[str, ...]
    local: frozenset[str] = frozenset()
    received_class: str | None = None
    meets: Meets = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    cpr: str | None = field(default=None, repr=False)


# The SAML status by reason code, where REQUEST_DENIED would say too little
# (docs/reference/saml-profiles.md#status).
_STATUS_OF_REASON: Final = {"level_missing": NO_AUTHN_CONTEXT, "level_too_low": NO_AUTHN_CONTEXT}
# Changes of the category that a page shows before the login continues.
_SHOWN_CATEGORY_CHANGES: Final = frozenset({EnrolmentOutcome.UPGRADED, EnrolmentOutcome.LOWERED})
# Attributes that we add ourselves. So a notice of the upstream does not cover them.
OWN_ATTRIBUTES: Final = (
    frozenset({BORROWER_NUMBER, "kaldemail_domain", NAME_ID}) | SUBJECT_IDENTIFIERS
)


def next_step(transaction: Transaction, inputs: StepInputs, now: datetime) -> Step:
    """Return the next step. Every transaction has exactly one."""
    if transaction.purpose is LoginPurpose.PIN_BY_MAIL:
        return Done()  # a PIN by mail needs no login, and nothing about a person is looked up
    step = _find_authentication_step(transaction, inputs)
    if step:
        return step
    if transaction.purpose is LoginPurpose.CHOICES:
        # Stored data belongs to its person, whatever the policies decide.
        return Done()
    decision = inputs.decision
    if inputs.missing_proof and not transaction.unproved:
        return _unless_passive(transaction, inputs.missing_proof, decision)
    if decision.effect is not Effect.PERMIT or decision.release is None:
        code = decision.reasons[0].code
        return Refuse(code, _STATUS_OF_REASON.get(code, REQUEST_DENIED), decision)
    return _continue_permitted(transaction, inputs, now)


def _find_authentication_step(transaction: Transaction, inputs: StepInputs) -> Step | None:
    """Return the step that authenticates the person as requested; None if that is done."""
    if transaction.upstream is None:
        return _unless_passive(transaction, Choose(inputs.upstreams))
    if transaction.failure is not None:
        return _refuse_by_upstream(transaction.request, transaction.failure)
    local = transaction.upstream in inputs.local
    if transaction.authentication is None and local:
        return _unless_passive(transaction, VerifyPin())
    if transaction.authentication is None:
        return Authenticate(transaction.upstream)
    received, request = inputs.received_class, transaction.request
    if class_for_service(request, received, inputs.meets) is None:
        detail = describe_unmet(request, received, transaction.upstream)
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT, detail=detail)
    if local and transaction.purpose is LoginPurpose.PIN:
        # A person who guessed a PIN must not be able to choose a new one.
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT)
    return None


def _continue_permitted(transaction: Transaction, inputs: StepInputs, now: datetime) -> Step:
    decision = inputs.decision
    barrier = _find_barrier(transaction, decision)
    if barrier:
        return barrier
    account = transaction.account
    if account is not None and account.address_question is not None:
        return _confirm_address(transaction, account.address_question, decision)
    if transaction.purpose is LoginPurpose.PIN:
        return _choose_pin(account, decision)
    if _has_case_to_claim(transaction, decision):
        return _unless_passive(transaction, ClaimBorrower(decision), decision)
    if account is not None and account.state is AccountState.MAIL_REQUIRED:
        prove_mail = ProveMailbox(MAIL_PROOF, (), None, optional=False)
        return _unless_passive(transaction, prove_mail, decision)
    disclosure = _make_disclosure(transaction, inputs)
    stored_answer = find_valid_answer(disclosure, transaction.receipts, inputs.hmacs, now)
    answer = transaction.receipt or stored_answer
    asked = None
    if transaction.receipt or not stored_answer:
        asked = _find_question(transaction, disclosure, inputs, now)
    step = _find_consent_step(transaction, disclosure, asked, decision)
    return step or _finish(transaction, keep_agreed(disclosure, answer), inputs)


def _confirm_address(
    transaction: Transaction, question: AddressQuestion, decision: Decision
) -> Step:
    """Return the step that makes sure that the borrower has the person's own mail address.

    The borrower may belong to another person who typed this CPR number. So it is not used before
    the person has answered.
    """
    answer = transaction.address_answer
    if answer is None or answer.is_own or answer.match_hash != question.match_hash:
        return _unless_passive(transaction, ConfirmAddress(question, decision), decision)
    if not decision.has(Right.WRITE_BORROWER):
        return Refuse("address_not_own", REQUEST_DENIED, decision)
    if transaction.find_new_address() is None:
        prove_mail = ProveMailbox(MAIL_PROOF, (), None, optional=False)
        return _unless_passive(transaction, prove_mail, decision)
    # The new address was proved, but the library system did not store it.
    return Refuse("library_unavailable", REQUEST_DENIED, decision)


def _choose_pin(account: Account | None, decision: Decision) -> Done | Refuse:
    if not decision.has(Right.CHOOSE_PIN):
        # A PIN stays valid after this login, so it needs a stronger proof of identity.
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT, decision)
    if account is None or not account.number:
        return Refuse(_missing_account_reason(account), REQUEST_DENIED, decision)
    return Done(decision, account.number)


def _find_consent_step(
    transaction: Transaction, disclosure: Disclosure, asked: Question | None, decision: Decision
) -> Step | None:
    """Return the step that asks or informs the person before anything is sent, or None."""
    if transaction.request.name_id_format not in {None, disclosure.name_id_format}:
        return Refuse("request_refused", INVALID_NAME_ID_POLICY, decision)
    if transaction.receipt and transaction.receipt.event is ReceiptEvent.REFUSED:
        return Refuse("consent_refused", REQUEST_DENIED, decision)
    if asked and transaction.issued:
        # An assertion with another content was sent already. After another question, this login
        # would send a second answer to the same request.
        return Refuse("finished", AUTHN_FAILED, decision)
    category = _find_category_to_upgrade(transaction)
    if category:
        return _unless_passive(transaction, OfferUpgrade(category, decision), decision)
    if asked:
        offers_claim = transaction.claim is None and _may_claim(transaction.account, decision)
        return _unless_passive(transaction, Ask(asked, decision, offers_claim), decision)
    return None


def offers_claim(step: Step) -> bool:
    """Return whether the person may claim a borrower at this step."""
    return isinstance(step, ClaimBorrower) or (isinstance(step, Ask) and step.offers_claim)


def _may_claim(account: Account | None, decision: Decision) -> bool:
    """Return whether an older borrower may take the place of a new one.

    A claim writes the CPR number into a borrower, so it needs the right to create one.
    """
    if account is None or not account.can_claim:
        return False
    return decision.has(Right.WRITE_BORROWER) and decision.permits_creation


def _find_category_to_upgrade(transaction: Transaction) -> str | None:
    """Return the present category if the login would change it and the person has not answered."""
    account = transaction.account
    if account is None or transaction.upgrade is not None:
        return None
    if account.state is not AccountState.NONE:
        return None
    return account.upgrade_from


def _make_disclosure(transaction: Transaction, inputs: StepInputs) -> Disclosure:
    disclosure = disclose(inputs.decision, inputs.service, transaction.request.acs, inputs.giver)
    # An identifier that we do not make is left out: a value of the upstream never stays.
    ids = {**dict.fromkeys(SUBJECT_IDENTIFIERS), **inputs.ids}
    return fill(disclosure, {**ids, CPR_ATTRIBUTE: inputs.cpr})


def _finish(transaction: Transaction, agreed: Disclosure, inputs: StepInputs) -> Step:
    account, decision = transaction.account, inputs.decision
    number = account.number if account else None
    unfinished = _find_unfinished_step(account, decision)
    if unfinished:
        return unfinished
    if transaction.purpose is not LoginPurpose.LOGIN:
        # Such a login ends without an assertion: no service asked for one
        # (docs/reference/design.md#invariant-3).
        return Done(decision, number)
    if transaction.has_new_address and not (transaction.told or transaction.request.is_passive):
        return TellChange(None, decision)
    moved = _find_category_change(transaction)
    if moved:
        return TellChange(moved, decision)
    return Issue(fill(agreed, {BORROWER_NUMBER: number}), decision, number)


def _find_category_change(transaction: Transaction) -> EnrolmentOutcome | None:
    """Return how this login changed the category, if the person must still be informed.

    A passive request shows no page and continues.
    """
    account = transaction.account
    if account is None or transaction.told or transaction.request.is_passive:
        return None
    return account.outcome if account.outcome in _SHOWN_CATEGORY_CHANGES else None


def _unless_passive(transaction: Transaction, step: Step, decision: Decision | None = None) -> Step:
    """Return ``step``, or a refusal if the request may show no page (saml-core 3.4.1)."""
    if transaction.request.is_passive:
        return Refuse("passive", NO_PASSIVE, decision)
    return step


def _find_barrier(transaction: Transaction, decision: Decision) -> Refuse | None:
    """Return the refusal that ends a permitted login before any question, or None."""
    release = decision.release
    if release is None:
        return Refuse("no_policy_for_service", REQUEST_DENIED, decision)
    if transaction.person is None:
        # The policies denied this login at first and permit it now: nothing was looked up, so the
        # login starts again.
        return Refuse("login_not_finished", AUTHN_FAILED, decision)
    if release.borrower == "none":
        return None
    code = _find_account_barrier(transaction.account, release)
    if code is None or _has_case_to_claim(transaction, decision):
        return None
    return Refuse(code, REQUEST_DENIED, decision)


def _has_case_to_claim(transaction: Transaction, decision: Decision) -> bool:
    """Return whether the person can end the account's case by a claim.

    By a claim, the person shows that an existing borrower is theirs. Then staff need not decide.
    """
    account = transaction.account
    if account is None or account.state is not AccountState.CASE:
        return False
    return transaction.purpose is not LoginPurpose.PIN and _may_claim(account, decision)


def _find_account_barrier(account: Account | None, release: Release) -> str | None:
    """Return the reason code why this account is not let in, or None."""
    needed = release.borrower == "need"
    if account is None:
        return "no_library_account" if needed else None
    match account.state:
        case AccountState.CLOSED:  # a library system that is frozen or not available
            return "library_unavailable"
        case AccountState.CASE:
            return account.reason or "account_case"
        case (
            AccountState.KNOWN
            | AccountState.NONE
            | AccountState.WANTED
            | AccountState.DONE
            | AccountState.UNAVAILABLE
            | AccountState.MAIL_REQUIRED
        ):
            return _missing_account_reason(account) if needed and account.number is None else None
        case _:
            assert_never(account.state)


def _missing_account_reason(account: Account | None) -> str:
    if account is not None and account.state is AccountState.UNAVAILABLE:
        return "library_unavailable"
    return "no_library_account"


def _find_question(
    transaction: Transaction, disclosure: Disclosure, inputs: StepInputs, now: datetime
) -> Question | None:
    decision = inputs.decision
    asked = find_question(disclosure, transaction.receipts, transaction.receipt, inputs.hmacs, now)
    if asked is None or asked.variant == "ask":
        return asked
    if decision.release is None or decision.release.notice == "ours":
        return asked
    # The upstream's own notice covers what the upstream itself sent. It never covers what we add:
    # our persistent NameID, values that the policy states, and a look-up of the person.
    if disclosure.looked_up or any(listed.states for listed, _ in decision.released):
        return asked
    names = {item.name for item in disclosure.items}
    if disclosure.name_id_format != PERSISTENT and names.isdisjoint(OWN_ATTRIBUTES):
        return None
    return asked


def _find_unfinished_step(account: Account | None, decision: Decision) -> Enrol | Refuse | None:
    if decision.release is None or decision.release.borrower != "make":
        return None
    if account is None:
        return Enrol(decision)
    match account.state:
        case AccountState.NONE | AccountState.WANTED | AccountState.UNAVAILABLE:
            return Enrol(decision)
        case AccountState.KNOWN | AccountState.DONE:
            return None
        case AccountState.CASE | AccountState.MAIL_REQUIRED | AccountState.CLOSED:
            return Refuse(account.reason or "account_case", REQUEST_DENIED, decision)
        case _:
            assert_never(account.state)


def _refuse_by_upstream(request: AuthnRequest, failure: UpstreamRefusal) -> Refuse:
    status = failure.status
    if status.second == NO_PASSIVE.second:
        return Refuse("passive", NO_PASSIVE)
    if status.second == NO_AUTHN_CONTEXT.second:
        detail = describe_unmet_upstream(request, failure.upstream)
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT, detail=detail)
    return Refuse("upstream_refused", AUTHN_FAILED)
