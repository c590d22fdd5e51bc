"""The evaluation of a login: its attributes and the decision of the policies."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.errors import AttributesRefused
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.decision_input import add_required_names, deny, login_facts
from broker.core.login.transaction import Authentication, Transaction
from broker.core.policy.decision import evaluate
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet

_NOTHING_READ: Final = AttributeReading(Attributes(), None, "none", None)


@dataclass(frozen=True, slots=True, repr=False)
class EvaluatedLogin:
    """The attributes of an authentication, and the decision about it.

    ``transaction`` is the transaction that was evaluated, with its ``authentication``.
    ``policies`` is the policy set at the beginning of the request, which is used throughout the
    request. If ``trusted`` is False, the attributes are left out and the decision denies.
    """

    transaction: Transaction
    authentication: Authentication
    reading: AttributeReading
    decision: Decision
    policies: PolicySet
    trusted: bool = True

    @property
    def is_permitted(self) -> bool:
        """Return whether the policies permit the login."""
        return self.decision.effect is Effect.PERMIT

    @property
    def facts(self) -> LoginFacts:
        """Return the facts on which the decision rests."""
        return _collect_facts(self.reading, self.transaction)


def evaluate_login(
    rules: ConfiguredEntities,
    transaction: Transaction,
    now: datetime,
    before: EvaluatedLogin | None = None,
) -> EvaluatedLogin | None:
    """Read the attributes of a transaction and decide; None before the authentication.

    ``before`` is an earlier evaluation in this request. It is returned if the facts are the same.
    Otherwise only what depends on a changed fact is computed again.
    """
    authentication, proofs = transaction.authentication, transaction.proofs
    if authentication is None:
        return None
    if before and _list_causes(before.transaction) == _list_causes(transaction):
        return before
    policies = before.policies if before else rules.policies()
    if before and (before.authentication, before.transaction.proofs) == (authentication, proofs):
        reading, trusted = before.reading, before.trusted
    else:
        reading, trusted = _NOTHING_READ, False
    try:
        if not trusted:
            reading = read_login(rules, authentication, policies, now, proofs)
    except AttributesRefused as refused:
        decision = deny(refused.cause, policies, refused.name)
        return EvaluatedLogin(
            transaction, authentication, _NOTHING_READ, decision, policies, trusted=False
        )
    service = add_required_names(rules.service(transaction.request.service), rules.maps)
    decision = evaluate(policies, _collect_facts(reading, transaction), service, now)
    return EvaluatedLogin(transaction, authentication, reading, decision, policies)


def _list_causes(transaction: Transaction) -> tuple[object, ...]:
    """Return everything in a transaction on which attributes and decision depend."""
    return (
        transaction.authentication,
        transaction.proofs,
        transaction.upstream,
        transaction.intent,
        transaction.request.service,
        _has_borrower(transaction),
    )


def _has_borrower(transaction: Transaction) -> bool:
    return transaction.person is not None and transaction.person.number is not None


def read_login(
    rules: ConfiguredEntities,
    authentication: Authentication,
    policies: PolicySet,
    now: datetime,
    proofs: tuple[MailboxProof, ...] = (),
) -> AttributeReading:
    """Read a verified authentication with the configured upstreams and maps.

    ``policies`` may name affiliations. Raises AttributesRefused if the attributes cannot be
    trusted.
    """
    upstream = rules.upstreams[authentication.upstream]
    return read_authentication(
        authentication,
        upstream,
        rules.maps,
        now,
        proofs,
        named_affiliations=policies.affiliation_names,
        others=(each for other in rules.upstreams.values() for each in other.institutions),
    )


def _collect_facts(reading: AttributeReading, transaction: Transaction) -> LoginFacts:
    return login_facts(
        reading.mask_cpr(),
        upstream=transaction.upstream,
        intent=transaction.intent,
        borrower=_has_borrower(transaction),
    )
