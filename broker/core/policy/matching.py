"""Which policies a login matches, line by line, and where the nearest of the others failed."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from broker.core.entities import Assurance
from broker.core.policy.model import Alternative, Condition, LoginFacts, Policy, PolicySet, Reason

PROOF_DOMAIN: Final = "_domain"
# A refusal explains the files that came nearest; a thousand explanations would help nobody and cost
# time.
_EXPLAINED: Final = 8


def affiliations(
    policies: PolicySet, login: LoginFacts, today: date
) -> tuple[list[tuple[Policy, Alternative]], list[Reason]]:
    """Return the policies that match with the alternative that did, highest first; or else why the nearest did not."""
    candidates = policies.index.candidates(
        (("upstream", (login.upstream,)), *login.attributes.items())
    )
    matched = []
    for at in candidates:
        policy = policies.policies[at]
        for alternative in policy.match:
            if all(failure(each, policy, login, today) is None for each in alternative.conditions):
                matched.append((policy, alternative))
                break
    if matched:
        return matched, []
    nearest = list(
        dict.fromkeys((*candidates[:_EXPLAINED], *range(min(_EXPLAINED, len(policies.policies)))))
    )
    explained = (policies.policies[at] for at in nearest[:_EXPLAINED])
    return [], [_near_miss(each, login, today) for each in explained if each.match]


def _near_miss(policy: Policy, login: LoginFacts, today: date) -> Reason:
    """Return the first condition that failed in the alternative that failed least."""
    failures = []
    for alternative in policy.match:
        failed = [
            (failure(each, policy, login, today), each.place) for each in alternative.conditions
        ]
        failures.append([Reason(code, place) for code, place in failed if code])
    return min(failures, key=len)[0]


def failure(condition: Condition, policy: Policy, login: LoginFacts, today: date) -> str | None:
    """Return why ``condition`` does not hold, or None if it does; what cannot be evaluated does not hold."""
    if condition.name == "upstream":
        return None if login.upstream in condition.values else "other_upstream"
    if condition.name == "assurance":
        enough = login.assurance is not None and login.assurance >= _least(condition.values)
        return None if enough else "assurance_too_low"
    values = login.attributes.get(condition.name, ())
    if condition.name.endswith(PROOF_DOMAIN):
        return _domain_failure(condition, values, policy, today)
    if not values:
        return "attribute_missing"
    return (
        None
        if any(allowed_affiliations(value, condition.values) for value in values)
        else "value_not_matched"
    )


def _least(values: tuple[str, ...]) -> Assurance:
    try:
        return max(Assurance.named(value) for value in values)
    except (KeyError, ValueError):
        return Assurance.HIGH


def _domain_failure(
    condition: Condition, values: tuple[str, ...], policy: Policy, today: date
) -> str | None:
    """Ask of a proof's domain that the policy lists it for that proof and that its day has not come."""
    name = condition.name.removesuffix(PROOF_DOMAIN)
    domains = [each for proof in policy.proofs if proof.name == name for each in proof.domains]
    listed = {
        each.name for each in domains if each.name in values and each.name in condition.values
    }
    if not listed:
        return "value_not_matched" if values else "proof_missing"
    in_time = any(
        each.name in listed and (each.until is None or today <= each.until) for each in domains
    )
    return None if in_time else "proof_expired"


def allowed_affiliations(value: str, patterns: Sequence[str]) -> bool:
    """Return whether ``value`` is one of ``patterns``, of which one that ends in ``*`` takes what begins so."""
    return any(
        value.startswith(each[:-1]) if each.endswith("*") else value == each for each in patterns
    )
