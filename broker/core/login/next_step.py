"""What comes next in a login: one pure function, the only place that decides it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.consent.consent import Question, ReceiptEvent, agreed, in_force, question
from broker.core.consent.disclosure import Disclosure, disclose, named, numbered
from broker.core.entities import PERSISTENT, Controller, Service
from broker.core.errors import (
    AUTHN_FAILED,
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    NO_PASSIVE,
    REQUEST_DENIED,
    Status,
)
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.subject_ids import MINTED
from broker.core.login.authn_context import Meets, class_for_service
from broker.core.login.steps import (
    Ask,
    Authenticate,
    Choose,
    Done,
    Enrol,
    Issue,
    OfferUpgrade,
    ProveMailbox,
    Refuse,
    Step,
    VerifyPin,
)
from broker.core.login.transaction import Account, Authentication, Errand, Transaction
from broker.core.policy.model import Decision, Effect
from broker.core.pseudonyms import Pseudonyms


@dataclass(frozen=True, slots=True)
class Terms:
    """What deciding needs beside the transaction: the service, the giving controller, and the decision itself."""

    service: Service
    giver: Controller | None
    pseudonyms: Pseudonyms
    decide: Callable[[Transaction, datetime], Decision]
    lacking: Callable[[Transaction, datetime], ProveMailbox | None]
    ways: tuple[str, ...]  # the upstreams this request may take
    local: frozenset[str] = (
        frozenset()
    )  # those of them where the library system itself knows the person
    came: Callable[[Authentication, datetime], str | None] = lambda authentication, _: (
        authentication.authn_context
    )
    meets: Meets = field(default_factory=dict)  # what the upstream's classes are good for
    ids: Mapping[str, str] = field(
        default_factory=dict
    )  # those that we make for this person at this service


# What a denial is in SAML's words, where it is more than a denial (saml_profiles.md, status
# mapping).
_STATUS: Final = {"level_missing": NO_AUTHN_CONTEXT, "level_too_low": NO_AUTHN_CONTEXT}
# The address that a borrower must have is written to at once: a code for it is good as long as any
# other.
_MAIL_LASTS: Final = timedelta(minutes=30)


def next_step(transaction: Transaction, terms: Terms, now: datetime) -> Step:
    """Say what comes next. Total: every transaction has exactly one next step."""
    if transaction.errand is Errand.PIN_BY_MAIL:
        return Done()  # nobody is logged in for it, and nothing is learnt of anybody
    unknown = _unknown(transaction, terms, now)
    if unknown:
        return unknown
    if transaction.errand is Errand.CHOICES:
        # Whatever the policies say of the person today: what they agreed to before is theirs to see
        # and take back.
        return Done()
    decision = terms.decide(transaction, now)
    lacking = None if transaction.unproved else terms.lacking(transaction, now)
    if lacking:
        return _unless_passive(transaction, lacking, decision)
    if decision.effect is not Effect.PERMIT or decision.release is None:
        code = decision.reasons[0].code
        return Refuse(code, _STATUS.get(code, REQUEST_DENIED), decision)
    return _permitted(transaction, decision, terms, now)


def _unknown(transaction: Transaction, terms: Terms, now: datetime) -> Step | None:
    """Say what comes before the person is known as well as the request asks; None where they are."""
    if transaction.upstream is None:
        return _unless_passive(transaction, Choose(terms.ways))
    if transaction.failure is not None:
        return _upstream_refused(transaction.failure.status)
    local = transaction.upstream in terms.local
    if transaction.authentication is None:
        return (
            _unless_passive(transaction, VerifyPin())
            if local
            else Authenticate(transaction.upstream)
        )
    met = class_for_service(
        transaction.request, terms.came(transaction.authentication, now), terms.meets
    )
    if met is None or (local and transaction.errand is Errand.PIN):
        # Who guessed a PIN must not be able to make a new one of it.
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT)
    return None


def _permitted(transaction: Transaction, decision: Decision, terms: Terms, now: datetime) -> Step:
    refused = _barred(transaction, decision)
    if refused:
        return refused
    account = transaction.account
    number = account.number if account else None
    if transaction.errand is Errand.PIN:
        if not decision.may_find_by_cpr:
            # A PIN outlives the link that led here: it is not for a name that may be the next
            # holder's by now.
            return Refuse("assurance_too_low", NO_AUTHN_CONTEXT, decision)
        return (
            Done(decision, number)
            if number
            else Refuse(_missing(account), REQUEST_DENIED, decision)
        )
    if account is not None and account.state == "mail_required":
        return _unless_passive(
            transaction, ProveMailbox(MAIL_PROOF, (), _MAIL_LASTS, None, optional=False), decision
        )
    return _asked(transaction, decision, terms, now) or _made(transaction, decision, terms, number)


def _asked(
    transaction: Transaction, decision: Decision, terms: Terms, now: datetime
) -> Step | None:
    account = transaction.account
    disclosure = _disclosed(transaction, decision, terms)
    if transaction.request.name_id_format not in {None, disclosure.name_id_format}:
        return Refuse("request_refused", INVALID_NAME_ID_POLICY, decision)
    if transaction.receipt and transaction.receipt.event is ReceiptEvent.REFUSED:
        return Refuse("consent_refused", REQUEST_DENIED, decision)
    asked = _question(transaction, decision, disclosure, terms, now)
    if asked and transaction.issued:
        # Something else has left already; to ask anew in the same login would send two answers to
        # one request.
        return Refuse("finished", AUTHN_FAILED, decision)
    if (
        account is not None
        and account.upgrade_from
        and transaction.upgrade is None
        and account.state == "none"
    ):
        return _unless_passive(transaction, OfferUpgrade(account.upgrade_from, decision), decision)
    return _unless_passive(transaction, Ask(asked, decision), decision) if asked else None


def _disclosed(transaction: Transaction, decision: Decision, terms: Terms) -> Disclosure:
    return named(disclose(decision, terms.service, transaction.request.acs, terms.giver), terms.ids)


def _made(transaction: Transaction, decision: Decision, terms: Terms, number: str | None) -> Step:
    unfinished = _unfinished(transaction.account, decision)
    if unfinished:
        return unfinished
    if transaction.errand is not Errand.LOGIN:
        # Nobody asked for an assertion: there is nobody to write one for (invariant 3).
        return Done(decision, number)
    disclosure = _disclosed(transaction, decision, terms)
    leaving = agreed(disclosure, in_force(transaction.receipts, transaction.receipt))
    return Issue(numbered(leaving, number), decision, number)


def _unless_passive(transaction: Transaction, step: Step, decision: Decision | None = None) -> Step:
    """Return ``step`` unless it shows a page to a request that may show none (saml-core 3.4.1)."""
    return Refuse("passive", NO_PASSIVE, decision) if transaction.request.is_passive else step


def _barred(transaction: Transaction, decision: Decision) -> Refuse | None:
    """Say what ends a permitted login before anybody is asked in vain."""
    release, person, account = decision.release, transaction.person, transaction.account
    if release is None:
        return Refuse("no_policy_for_service", REQUEST_DENIED, decision)
    if person is None:
        # The policies denied when the person arrived and permit now: nothing was looked up, so the
        # login begins anew.
        return Refuse("login_not_finished", AUTHN_FAILED, decision)
    if release.borrower == "none":
        return None
    if person.case:
        return Refuse(person.case, REQUEST_DENIED, decision)
    if account is not None and account.state == "closed":
        return Refuse("library_unavailable", REQUEST_DENIED, decision)
    if account is not None and account.state == "case":
        return Refuse(account.reason or "account_case", REQUEST_DENIED, decision)
    if release.borrower == "need" and (account is None or account.number is None):
        return Refuse(_missing(account), REQUEST_DENIED, decision)
    return None


def _missing(account: Account | None) -> str:
    return (
        "library_unavailable"
        if account is not None and account.state == "unavailable"
        else "no_library_account"
    )


def _question(
    transaction: Transaction,
    decision: Decision,
    disclosure: Disclosure,
    terms: Terms,
    now: datetime,
) -> Question | None:
    asked = question(disclosure, transaction.receipts, transaction.receipt, terms.pseudonyms, now)
    if (
        asked is None
        or asked.variant == "ask"
        or decision.release is None
        or decision.release.notice == "ours"
    ):
        return asked
    # The upstream's own notice covers what the upstream itself sent, never what we add: our
    # persistent NameID too.
    own = {"borrower_number", "kaldemail_domain", *MINTED}
    ours = disclosure.name_id_format == PERSISTENT or any(
        item.name in own for item in disclosure.items
    )
    return asked if ours else None


def _unfinished(account: Account | None, decision: Decision) -> Enrol | Refuse | None:
    if decision.release is None or decision.release.borrower != "make":
        return None
    if account is None or account.state in {"none", "wanted", "unavailable"}:
        return Enrol(decision)
    if account.state in {"done", "observed"}:
        return None
    return Refuse(account.reason or "account_case", REQUEST_DENIED, decision)


def _upstream_refused(status: Status) -> Refuse:
    if status.second == NO_PASSIVE.second:
        return Refuse("passive", NO_PASSIVE)
    if status.second == NO_AUTHN_CONTEXT.second:
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT)
    return Refuse("upstream_refused", AUTHN_FAILED)
