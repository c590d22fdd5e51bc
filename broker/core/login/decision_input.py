"""The input of a policy decision on a login: its facts, the service and the missing proof."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from broker.core.entities import Service
from broker.core.identity.canonical_attributes import AttributeMap, ReadingWithoutCpr
from broker.core.login.steps import ProveMailbox
from broker.core.policy.missing_proof import missing_proof, provable_domains
from broker.core.policy.model import Decision, Effect, Fate, LoginFacts, PolicySet, Reason

_MAIL: Final = "mail"


def add_required_names(service: Service, maps: Mapping[str, AttributeMap]) -> Service:
    """Return the service with the attributes that its metadata requires, by canonical name.

    An attribute in the metadata that the service's attribute map lacks is ignored.
    """
    attribute_map = maps.get(service.attribute_map)
    if attribute_map is None:
        return replace(service, required=frozenset())
    rows = (row for row in attribute_map.rows if row.wire in service.requires)
    return replace(service, required=frozenset(row.name for row in rows))


def deny(code: str, policies: PolicySet, attribute: str = "") -> Decision:
    """Return a denial before any policy is evaluated, for the reason ``code``.

    ``attribute`` is the name of the attribute that causes it, if any.
    """
    fates = (Fate(attribute, code),) if attribute else ()
    return Decision(Effect.DENY, (Reason(code),), fates=fates, digest=policies.digest)


def login_facts(
    reading: ReadingWithoutCpr, *, upstream: str | None, intent: str | None, borrower: bool = False
) -> LoginFacts:
    """Return the facts of a login that a policy may use: the kind of a CPR number, not its digits.

    ``borrower`` says whether the person is known to have a borrower.
    """
    return LoginFacts(
        upstream=upstream or "",
        attributes=reading.attributes,
        assurance=reading.assurance,
        cpr=reading.cpr,
        age=reading.age,
        intent=intent,
        borrower=borrower or None,
        withheld=dict(reversed(reading.withheld)),  # the first reason counts
        verified_address=reading.verified_address,
        ground=reading.ground,
    )


def proof_step(facts: LoginFacts, policies: PolicySet, now: datetime) -> ProveMailbox | None:
    """Return the step for the proof that the intent needs and that is missing, or None."""
    proof = missing_proof(policies, facts, now.date())
    if proof is None:
        return None
    domains = provable_domains(proof, now.date())
    # The upstream does not verify its mail attribute. It fills in the form field and proves
    # nothing.
    address = facts.attributes.one(_MAIL) or ""
    domain = address.rpartition("@")[2]
    suggested = address if domain.lower() in domains else None
    return ProveMailbox(proof.name, domains, suggested, optional=True)
