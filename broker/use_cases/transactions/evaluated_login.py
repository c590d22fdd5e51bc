"""The evaluation of a login: its attributes and the decision of the policies."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.errors import AttributesRefused
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.mailbox_proofs import Proved
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.login_decision import add_required_names, deny, login_facts
from broker.core.login.transaction import Authentication, Transaction
from broker.core.policy.decision import evaluate
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet

_NOTHING_READ: Final = AttributeReading(Attributes(), None, "none", None)


@dataclass(frozen=True, slots=True, repr=False)
class LoginBasis:
    """The facts of a transaction on which attributes and decision depend."""

    authentication: Authentication
    proofs: tuple[Proved, ...]
    upstream: str | None
    intent: str | None
    service: str
    borrower: bool  # whether the person is known to have one


@dataclass(frozen=True, slots=True, repr=False)
class EvaluatedLogin:
    """The attributes of an authentication, and the decision about it.

    It is valid for ``basis`` only. ``policies`` is the set at the beginning of the request, which
    counts for all of it. If ``trusted`` is False, the attributes are left out and the decision
    denies.
    """

    authentication: Authentication
    reading: AttributeReading
    decision: Decision
    policies: PolicySet
    basis: LoginBasis
    trusted: bool = True

    @property
    def is_permitted(self) -> bool:
        """Return whether the policies permit the login."""
        return self.decision.effect is Effect.PERMIT

    @property
    def facts(self) -> LoginFacts:
        """Return the facts on which the decision rests."""
        return _collect_facts(self.reading, self.basis)


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
    if transaction.authentication is None:
        return None
    basis = _find_basis(transaction, transaction.authentication)
    if before is None:
        return _evaluate(rules, rules.policies(), basis, now)
    if before.basis == basis:
        return before
    is_read = (before.authentication, before.basis.proofs) == (basis.authentication, basis.proofs)
    if before.trusted and is_read:
        decision = _decide(rules, before.policies, before.reading, basis, now)
        return replace(before, decision=decision, basis=basis)
    return _evaluate(rules, before.policies, basis, now)


def read_login(
    rules: ConfiguredEntities,
    authentication: Authentication,
    policies: PolicySet,
    now: datetime,
    proofs: tuple[Proved, ...] = (),
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
        named_affiliations=policies.named_affiliations,
        others=(each for other in rules.upstreams.values() for each in other.institutions),
    )


def _evaluate(
    rules: ConfiguredEntities, policies: PolicySet, basis: LoginBasis, now: datetime
) -> EvaluatedLogin:
    authentication = basis.authentication
    try:
        reading = read_login(rules, authentication, policies, now, basis.proofs)
    except AttributesRefused as refused:
        decision = deny(refused.cause, policies, refused.name)
        return EvaluatedLogin(
            authentication, _NOTHING_READ, decision, policies, basis, trusted=False
        )
    decision = _decide(rules, policies, reading, basis, now)
    return EvaluatedLogin(authentication, reading, decision, policies, basis)


def _decide(
    rules: ConfiguredEntities,
    policies: PolicySet,
    reading: AttributeReading,
    basis: LoginBasis,
    now: datetime,
) -> Decision:
    service = add_required_names(rules.service(basis.service), rules.maps)
    return evaluate(policies, _collect_facts(reading, basis), service, now)


def _collect_facts(reading: AttributeReading, basis: LoginBasis) -> LoginFacts:
    return login_facts(
        reading.mask_cpr(), upstream=basis.upstream, intent=basis.intent, borrower=basis.borrower
    )


def _find_basis(transaction: Transaction, authentication: Authentication) -> LoginBasis:
    return LoginBasis(
        authentication=authentication,
        proofs=transaction.proofs,
        upstream=transaction.upstream,
        intent=transaction.intent,
        service=transaction.request.service,
        borrower=transaction.person is not None and transaction.person.number is not None,
    )
