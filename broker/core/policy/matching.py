"""Which policies a login matches, line by line, and where the nearest of the others failed."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from broker.core.entities import Assurance
from broker.core.identity.canonical_attributes import Values
from broker.core.policy.model import Alternative, Condition, LoginFacts, Policy, PolicySet, Reason

PROOF_DOMAIN: Final = "_domain"
# A refusal explains the files that came nearest; a thousand explanations would help nobody and cost
# time.
_EXPLAINED: Final = 8


def matching_policies(
    policies: PolicySet, login: LoginFacts, today: date
) -> tuple[list[tuple[Policy, Alternative]], list[Reason]]:
    """Return the policies that match, highest first, with the alternative that did.

    Where none does: the reasons why the nearest did not.
    """
    facts = [("upstream", (login.upstream,)), *login.attributes.items()]
    candidates = policies.index.candidates(facts)
    matched = []
    for position in candidates:
        policy = policies.policies[position]
        alternative = _matching_alternative(policy, login, today)
        if alternative is not None:
            matched.append((policy, alternative))
    if matched:
        return matched, []
    return [], list(_near_misses(policies, candidates, login, today))


def missed_conditions(
    policies: PolicySet, login: LoginFacts, today: date
) -> list[tuple[Reason, Condition]]:
    """Return the reasons why the nearest policies do not match, each with its condition."""
    facts = [("upstream", (login.upstream,)), *login.attributes.items()]
    return list(_missed(policies, policies.index.candidates(facts), login, today))


def _matching_alternative(policy: Policy, login: LoginFacts, today: date) -> Alternative | None:
    for alternative in policy.match:
        failures = (
            condition_failure(condition, policy, login, today)
            for condition in alternative.conditions
        )
        if all(failure is None for failure in failures):
            return alternative
    return None


def _near_misses(
    policies: PolicySet, candidates: Sequence[int], login: LoginFacts, today: date
) -> Iterator[Reason]:
    """Yield why the nearest policies did not match."""
    for reason, _ in _missed(policies, candidates, login, today):
        yield reason


def _missed(
    policies: PolicySet, candidates: Sequence[int], login: LoginFacts, today: date
) -> Iterator[tuple[Reason, Condition]]:
    """Yield why the candidates, then the highest policies, did not match: eight at most."""
    highest = range(len(policies.policies))
    nearest = dict.fromkeys(candidates[:_EXPLAINED])
    nearest |= dict.fromkeys(highest[:_EXPLAINED])
    for position in list(nearest)[:_EXPLAINED]:
        policy = policies.policies[position]
        if policy.match:
            yield _near_miss(policy, login, today)


def _near_miss(policy: Policy, login: LoginFacts, today: date) -> tuple[Reason, Condition]:
    """Return the first condition that failed in the alternative that failed least."""
    failures = [_failures(alternative, policy, login, today) for alternative in policy.match]
    return min(failures, key=len)[0]


def _failures(
    alternative: Alternative, policy: Policy, login: LoginFacts, today: date
) -> list[tuple[Reason, Condition]]:
    failures = []
    for condition in alternative.conditions:
        code = condition_failure(condition, policy, login, today)
        if code:
            failures.append((Reason(code, condition.place), condition))
    return failures


def condition_failure(
    condition: Condition, policy: Policy, login: LoginFacts, today: date
) -> str | None:
    """Return the reason code why ``condition`` does not hold, or None if it does.

    A condition that cannot be evaluated does not hold.
    """
    if condition.name == "upstream":
        return None if login.upstream in condition.values else "other_upstream"
    if condition.name == "assurance":
        return _assurance_failure(condition, login)
    values = login.attributes.get(condition.name, ())
    if condition.name.endswith(PROOF_DOMAIN):
        return _domain_failure(condition, values, policy, today)
    if not values:
        return "attribute_missing"
    if any(value_allowed(value, condition.values) for value in values):
        return None
    return "value_not_matched"


def _assurance_failure(condition: Condition, login: LoginFacts) -> str | None:
    if login.assurance is None or login.assurance < _least(condition.values):
        return "assurance_too_low"
    return None


def _least(values: Values) -> Assurance:
    try:
        return max(Assurance.parse(value) for value in values)
    except (KeyError, ValueError):
        return Assurance.HIGH


def _domain_failure(
    condition: Condition, values: Values, policy: Policy, today: date
) -> str | None:
    """Require that the policy lists the domain for that proof and its last day is not past."""
    name = condition.name.removesuffix(PROOF_DOMAIN)
    proved = set(values).intersection(condition.values)
    domains = [
        domain
        for proof in policy.proofs
        if proof.name == name
        for domain in proof.domains
        if domain.name in proved
    ]
    if not domains and not values:
        return "proof_missing"
    if not domains:
        return "value_not_matched"
    if any(domain.proves_on(today) for domain in domains):
        return None
    return "proof_expired"


def value_allowed(value: str, patterns: Sequence[str]) -> bool:
    """Return whether ``value`` is one of ``patterns``, exactly or by one that ends in ``*``."""
    for pattern in patterns:
        if pattern.endswith("*"):
            if value.startswith(pattern[:-1]):
                return True
        elif value == pattern:
            return True
    return False
