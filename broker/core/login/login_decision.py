"""The decision on a login: the facts that policies look at, and the service as they see it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from broker.core.entities import Service
from broker.core.identity.canonical_attributes import AttributeMap, AttributeReading
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import Transaction
from broker.core.policy.decision import evaluate
from broker.core.policy.missing_proof import missing_proof, provable_domains
from broker.core.policy.model import Decision, Effect, LoginFacts, PolicySet, Reason

_MAIL: Final = "mail"


def decide_login(
    transaction: Transaction,
    reading: AttributeReading,
    service: Service,
    policies: PolicySet,
    now: datetime,
) -> Decision:
    """Decide what ``service`` (of ``with_required_names``) may get of the person that was read."""
    return evaluate(policies, login_facts(transaction, reading), service, now)


def with_required_names(service: Service, maps: Mapping[str, AttributeMap]) -> Service:
    """Return the service with the attributes that its metadata requires, in our names.

    Metadata names them on the wire, policies in our names: what the service's map cannot name is
    not required.
    """
    attribute_map = maps.get(service.attribute_map)
    if attribute_map is None:
        return replace(service, required=frozenset())
    rows = (row for row in attribute_map.rows if row.wire in service.requires)
    return replace(service, required=frozenset(row.name for row in rows))


def denied(code: str, policies: PolicySet) -> Decision:
    """Return a denial before any policy is looked at, for the reason ``code``."""
    return Decision(Effect.DENY, (Reason(code),), digest=policies.digest)


def login_facts(transaction: Transaction, reading: AttributeReading) -> LoginFacts:
    """Return the facts of a login that a policy may look at."""
    person = transaction.person
    has_borrower = person is not None and person.number is not None
    return LoginFacts(
        upstream=transaction.upstream or "",
        attributes=reading.attributes,
        assurance=reading.assurance,
        cpr=reading.cpr,
        age=reading.age,
        intent=transaction.intent,
        borrower=has_borrower or None,
        withheld=frozenset(name for name, _ in reading.withheld),
    )


def proof_step(
    transaction: Transaction, reading: AttributeReading, policies: PolicySet, now: datetime
) -> ProveMailbox | None:
    """Return the step for the proof that the intent needs and the person has not shown, or None."""
    facts = login_facts(transaction, reading)
    proof = missing_proof(policies, facts, now.date())
    if proof is None:
        return None
    domains = provable_domains(proof, now.date())
    # The upstream's mail attribute is what somebody typed there: it saves typing, and proves
    # nothing.
    address = reading.attributes.one(_MAIL) or ""
    domain = address.rpartition("@")[2]
    suggested = address if domain.lower() in domains else None
    return ProveMailbox(proof.name, domains, proof.code_valid_for, suggested, optional=True)
