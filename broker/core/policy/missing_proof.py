"""Which proof a person still lacks to be who they said they are."""

from datetime import date

from broker.core.policy.matching import PROOF_DOMAIN, failure
from broker.core.policy.model import Alternative, LoginFacts, Policy, PolicySet, ProofRule


def missing_proof(policies: PolicySet, login: LoginFacts, today: date) -> ProofRule | None:
    """Return the proof that alone keeps ``login`` from the affiliation of its intent.

    None where there is no such intent or policy, where it matches already, where more than a proof
    is missing, and where no mailbox can prove it today.
    """
    policy = next((each for each in policies.policies if each.affiliation == login.intent), None)
    if policy is None:
        return None
    lacks = [_lacking(each, policy, login, today) for each in policy.match]
    if [] in lacks:
        return None
    return next((proof for each in lacks if each and (proof := each[0]) is not None), None)


def provable_domains(proof: ProofRule, today: date) -> tuple[str, ...]:
    """Return the domains in which a mailbox proves something today, in the order of the file."""
    return tuple(each.name for each in proof.domains if each.until is None or today <= each.until)


def _lacking(
    alternative: Alternative, policy: Policy, login: LoginFacts, today: date
) -> list[ProofRule | None]:
    """Return the proof behind each condition that fails, None for one that no proof would mend; all None if any is."""
    lacks: list[ProofRule | None] = []
    for condition in alternative.conditions:
        if failure(condition, policy, login, today) is None:
            continue
        proofs = (each for each in policy.proofs if f"{each.name}{PROOF_DOMAIN}" == condition.name)
        lacks.append(
            next(
                (
                    each
                    for each in proofs
                    if not set(provable_domains(each, today)).isdisjoint(condition.values)
                ),
                None,
            )
        )
    return [None] if None in lacks else lacks
