"""Find the mailbox proof that a person still needs for the affiliation that they chose."""

from datetime import date

from broker.core.entities import Names
from broker.core.policy.matching import PROOF_DOMAIN, condition_failure
from broker.core.policy.model import (
    Alternative,
    Condition,
    LoginFacts,
    Policy,
    PolicySet,
    ProofRule,
)


def missing_proof(policies: PolicySet, login: LoginFacts, today: date) -> ProofRule | None:
    """Return the proof with which ``login`` would match the policy of its intent.

    None if there is no intent or no such policy, if the policy matches already, if something other
    than a proof is missing, or if no mailbox proves anything today.
    """
    policy = policies.policy_by_affiliation.get(login.intent or "")
    if policy is None:
        return None
    lacking = [
        _find_missing_proofs(alternative, policy, login, today) for alternative in policy.match
    ]
    if [] in lacking:
        return None
    firsts = (proofs[0] for proofs in lacking)
    return next((proof for proof in firsts if proof is not None), None)


def remembering_proof(policies: PolicySet, name: str) -> ProofRule | None:
    """Return the proof of that name in the highest policy: its ``remembered_for`` decides."""
    for policy in policies.policies:
        for proof in policy.proofs:
            if proof.name == name:
                return proof
    return None


def provable_domains(proof: ProofRule, today: date) -> Names:
    """Return the domains in which a mailbox proves something today, in the order of the file."""
    return tuple(domain.name for domain in proof.domains if domain.proves_on(today))


def _find_missing_proofs(
    alternative: Alternative, policy: Policy, login: LoginFacts, today: date
) -> list[ProofRule | None]:
    """Return the proofs that meet the failed conditions; [None] if a failure needs more."""
    failing = (
        condition
        for condition in alternative.conditions
        if condition_failure(condition, policy, login, today) is not None
    )
    proofs = [_proof_for(condition, policy, today) for condition in failing]
    if None in proofs:
        return [None]
    return proofs


def _proof_for(condition: Condition, policy: Policy, today: date) -> ProofRule | None:
    """Return the proof that would meet ``condition`` today, or None."""
    for proof in policy.proofs:
        if f"{proof.name}{PROOF_DOMAIN}" != condition.name:
            continue
        if not set(provable_domains(proof, today)).isdisjoint(condition.values):
            return proof
    return None
