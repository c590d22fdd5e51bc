"""Find the policies that a login matches, and the conditions that came nearest where none does."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from broker.core.entities import Assurance
from broker.core.identity.canonical_attributes import Values
from broker.core.policy.model import (
    ANY_LOGIN,
    Alternative,
    Condition,
    LoginFacts,
    Policy,
    PolicySet,
    Reason,
)

# The condition "kaldemail_domain" asks for a proved mailbox of the proof "kaldemail".
PROOF_DOMAIN: Final = "_domain"
# A refusal explains this many policies at most: more would cost time and help nobody.
_MOST_EXPLAINED: Final = 8


def matching_policies(
    policies: PolicySet, login: LoginFacts, today: date
) -> list[tuple[Policy, Alternative]]:
    """Return the policies that match, highest precedence first, with the matching alternative."""
    found = []
    for position in _find_candidates(policies, login):
        policy = policies.policies[position]
        alternative = find_matching_alternative(policy, login, today)
        if alternative is not None:
            found.append((policy.for_institution(login.attributes), alternative))
    return found


def find_near_misses(
    policies: PolicySet, login: LoginFacts, today: date
) -> list[tuple[Reason, Condition]]:
    """Return, for a login that no policy matches, the failed conditions that came nearest.

    At most eight policies are explained: first the candidates of the index, then the policies of
    highest precedence.
    """
    order = dict.fromkeys((*_find_candidates(policies, login), *range(_MOST_EXPLAINED)))
    positions = [each for each in order if each < len(policies.policies)][:_MOST_EXPLAINED]
    nearest = (policies.policies[each] for each in positions)
    return [find_near_miss(policy, login, today) for policy in nearest if policy.match]


def _find_candidates(policies: PolicySet, login: LoginFacts) -> list[int]:
    """Return the positions of all policies that a login may match, in order."""
    found: set[int] = set()
    named = ((ANY_LOGIN.name, ANY_LOGIN.values), ("upstream", (login.upstream,)))
    for name, values in (*named, *login.attributes.items()):
        for value in values:
            found.update(policies.index.get((name, value), ()))
    return sorted(found)


def find_matching_alternative(policy: Policy, login: LoginFacts, today: date) -> Alternative | None:
    """Return the first alternative of a policy that a login meets."""
    for alternative in policy.match:
        failures = (
            condition_failure(condition, policy, login, today)
            for condition in alternative.conditions
        )
        if all(failure is None for failure in failures):
            return alternative
    return None


def find_near_miss(policy: Policy, login: LoginFacts, today: date) -> tuple[Reason, Condition]:
    """Return the first failed condition of the alternative with the fewest failures.

    No alternative of the policy matches.
    """
    failures: list[list[tuple[Reason, Condition]]] = []
    for alternative in policy.match:
        codes = (
            (condition_failure(each, policy, login, today), each) for each in alternative.conditions
        )
        failures.append([(Reason(code, each.place), each) for code, each in codes if code])
    return min(failures, key=len)[0]


def condition_failure(
    condition: Condition, policy: Policy, login: LoginFacts, today: date
) -> str | None:
    """Return the reason code why ``condition`` does not hold; None if it holds.

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
    if login.assurance is None or login.assurance < _least_assurance(condition.values):
        return "assurance_too_low"
    return None


def _least_assurance(values: Values) -> Assurance:
    try:
        return max(Assurance.parse(value) for value in values)
    except (KeyError, ValueError):
        return Assurance.HIGH


def _domain_failure(
    condition: Condition, values: Values, policy: Policy, today: date
) -> str | None:
    """Require that the policy lists the domain for that proof and that its last day is not past."""
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
    """Return whether ``value`` equals one of ``patterns`` or begins as one that ends in ``*``."""
    for pattern in patterns:
        if pattern.endswith("*"):
            if value.startswith(pattern[:-1]):
                return True
        elif value == pattern:
            return True
    return False
