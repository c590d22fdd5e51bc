"""What comes next in a login: one pure function, the only place that decides it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.consent import Event, Question, agreed, in_force, question
from broker.core.entities import PERSISTENT, Assurance, Controller, Service
from broker.core.errors import (
    AUTHN_FAILED,
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    NO_PASSIVE,
    REQUEST_DENIED,
    Status,
)
from broker.core.policy import Decision, Effect
from broker.core.pseudonyms import Pseudonyms
from broker.core.release import Disclosure, disclose, numbered
from broker.core.transaction import Account, Transaction


@dataclass(frozen=True, slots=True)
class Choose:
    """The person chooses a way to log in."""

    upstreams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The browser goes to this upstream."""

    upstream: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The person is asked or told what leaves."""

    question: Question
    decision: Decision


@dataclass(frozen=True, slots=True)
class Enrol:
    """The borrower is made, or waited for."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Issue:
    """The assertion is issued."""

    disclosure: Disclosure
    decision: Decision
    number: str | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """The login ends here; the person is told ``reason``, the service, if the person returns to it, ``status``."""

    reason: str
    status: Status
    decision: Decision | None = None


_LOA: Final = "https://data.gov.dk/concept/core/nsis/loa/"
_NSIS: Final = {_LOA + each.name.capitalize(): each for each in Assurance if each is not Assurance.SELF_ASSERTED}

Step = Choose | Authenticate | Ask | Enrol | Issue | Refuse


@dataclass(frozen=True, slots=True)
class Terms:
    """What deciding needs beside the transaction: the service, the giving controller, and the decision itself."""

    service: Service
    giver: Controller | None
    pseudonyms: Pseudonyms
    decide: Callable[[Transaction, datetime], Decision]
    ways: tuple[str, ...]  # the upstreams this request may take


def next_step(transaction: Transaction, terms: Terms, now: datetime) -> Step:
    """Say what comes next. Total: every transaction has exactly one next step."""
    request = transaction.request
    if transaction.upstream is None:
        return Refuse("passive", NO_PASSIVE) if request.is_passive else Choose(terms.ways)
    if transaction.failure is not None:
        return _upstream_refused(transaction.failure.status)
    if transaction.authentication is None:
        return Authenticate(transaction.upstream)
    if not _authn_context_met(transaction):
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT)
    decision = terms.decide(transaction, now)
    if decision.effect is not Effect.PERMIT or decision.release is None:
        return Refuse(decision.reasons[0].code, REQUEST_DENIED, decision)
    return _permitted(transaction, decision, terms, now)


def _permitted(transaction: Transaction, decision: Decision, terms: Terms, now: datetime) -> Step:
    refused = _barred(transaction, decision)
    if refused:
        return refused
    disclosure = disclose(decision, terms.service, transaction.request.acs, terms.giver)
    if transaction.request.name_id_format not in {None, disclosure.name_id_format}:
        return Refuse("request_refused", INVALID_NAME_ID_POLICY, decision)
    if transaction.receipt and transaction.receipt.event is Event.REFUSED:
        return Refuse("consent_refused", REQUEST_DENIED, decision)
    asked = _question(transaction, decision, disclosure, terms, now)
    if asked and transaction.issued:
        # Something else has left already; to ask anew in the same login would send two answers to one request.
        return Refuse("finished", AUTHN_FAILED, decision)
    if asked:
        return Refuse("passive", NO_PASSIVE, decision) if transaction.request.is_passive else Ask(asked, decision)
    unfinished = _unfinished(transaction.account, decision)
    if unfinished:
        return unfinished
    number = transaction.account.number if transaction.account else None
    leaving = agreed(disclosure, in_force(transaction.receipts, transaction.receipt))
    return Issue(numbered(leaving, number), decision, number)


def _barred(transaction: Transaction, decision: Decision) -> Refuse | None:
    """Say what ends a permitted login before anybody is asked in vain."""
    release, person, account = decision.release, transaction.person, transaction.account
    if release is None:
        return Refuse("no_policy_for_service", REQUEST_DENIED, decision)
    if person is None:
        # The policies denied when the person arrived and permit now: nothing was looked up, so the login begins anew.
        return Refuse("login_not_finished", AUTHN_FAILED, decision)
    if release.borrower == "none":
        return None
    if person.case:
        return Refuse(person.case, REQUEST_DENIED, decision)
    if account is not None and account.state in {"mail_required", "closed"}:
        reason = "library_unavailable" if account.state == "closed" else account.state
        return Refuse(reason, REQUEST_DENIED, decision)
    if account is not None and account.state == "case":
        return Refuse(account.reason or "account_case", REQUEST_DENIED, decision)
    if release.borrower == "need" and (account is None or account.number is None):
        unsure = account is not None and account.state == "unavailable"
        return Refuse("library_unavailable" if unsure else "no_library_account", REQUEST_DENIED, decision)
    return None


def _question(
    transaction: Transaction, decision: Decision, disclosure: Disclosure, terms: Terms, now: datetime
) -> Question | None:
    asked = question(disclosure, transaction.receipts, transaction.receipt, terms.pseudonyms, now)
    if asked is None or asked.variant == "ask" or decision.release is None or decision.release.notice == "ours":
        return asked
    # The upstream's own notice covers what the upstream itself sent, never what we add: our persistent NameID too.
    own = {"borrower_number", "kaldemail_domain"}
    ours = disclosure.name_id_format == PERSISTENT or any(item.name in own for item in disclosure.items)
    return asked if ours else None


def _unfinished(account: Account | None, decision: Decision) -> Enrol | Refuse | None:
    if decision.release is None or decision.release.borrower != "make":
        return None
    if account is None or account.state in {"none", "wanted", "unavailable"}:
        return Enrol(decision)
    if account.state in {"done", "observed"}:
        return None
    return Refuse(account.reason or "account_case", REQUEST_DENIED, decision)


def _authn_context_met(transaction: Transaction) -> bool:
    request, authentication = transaction.request, transaction.authentication
    if not request.authn_contexts or authentication is None:
        return True
    came = authentication.authn_context or ""
    if request.comparison == "exact":
        return came in request.authn_contexts
    return _in_order(came, request.authn_contexts, request.comparison)


def _in_order(came: str, wanted: tuple[str, ...], comparison: str) -> bool:
    """Compare NSIS levels, the only classes that have an order; of the others only the very one asked for will do."""
    if came in wanted:
        return comparison in {"minimum", "maximum"}
    levels = [_NSIS.get(each) for each in wanted]
    level = _NSIS.get(came)
    if level is None or not levels or any(each is None for each in levels):
        return False
    known = [each for each in levels if each is not None]
    return {"minimum": level >= min(known), "maximum": level <= max(known), "better": level > max(known)}[comparison]


def _upstream_refused(status: Status) -> Refuse:
    if status.second == NO_PASSIVE.second:
        return Refuse("passive", NO_PASSIVE)
    if status.second == NO_AUTHN_CONTEXT.second:
        return Refuse("assurance_too_low", NO_AUTHN_CONTEXT)
    return Refuse("upstream_refused", AUTHN_FAILED)
