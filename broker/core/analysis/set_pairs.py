"""What of policy sets is known before any login is looked at: what stands, and days that differ."""

from collections.abc import Sequence
from datetime import date, timedelta

from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import Policy, PolicySet

# Positions of policies in the set before and the one after; None of nobody's.
Pairs = frozenset[tuple[int | None, int | None]]


def unchanged_policies(sets: Sequence[PolicySet]) -> Pairs:
    """Return the positions of each policy that stands in both sets; nobody's policy is one too."""
    if len(sets) == 1:
        return frozenset()
    if len({repr(remembering_proof(each, MAIL_PROOF)) for each in sets}) > 1:
        return frozenset()  # how long an address is good for is asked of the whole set
    before, after = (each.policies for each in sets)
    positions = {policy.affiliation: at for at, policy in enumerate(after)}
    pairs: list[tuple[int | None, int | None]] = [(None, None)]
    for at, policy in enumerate(before):
        other = positions.get(policy.affiliation)
        if other is not None and _stands_alike(policy, after[other]):
            pairs.append((at, other))
    return frozenset(pairs)


def _stands_alike(one: Policy, other: Policy) -> bool:
    """Return whether two policies are one, on the same lines: a change that both make names one."""
    return one == other and _lines(one) == _lines(other)


def _lines(policy: Policy) -> list[object]:
    """Return the lines of keys by which no two rules differ."""
    of_proofs = [rule.lines for rule in policy.proofs]
    of_releases = [rule.lines for rule in policy.releases]
    return [*of_proofs, *of_releases]


def days_of(sets: Sequence[PolicySet], today: date) -> tuple[date, ...]:
    """Return the days that tell logins apart: today, and each after a domain's last day."""
    ends = {
        domain.until
        for policies in sets
        for policy in policies.policies
        for proof in policy.proofs
        for domain in proof.domains
        if domain.until is not None and domain.until >= today
    }
    return (today, *(end + timedelta(days=1) for end in sorted(ends)))


def recalled_apart(sets: Sequence[PolicySet]) -> frozenset[str]:
    """Return the upstreams where one set recalls what was proved in earlier logins, another not."""
    recalling = [policies.provable for policies in sets]
    some = frozenset[str]().union(*recalling)
    return frozenset(
        upstream for upstream in some if not all(upstream in each for each in recalling)
    )


def named_services(sets: Sequence[PolicySet]) -> set[str]:
    """Return the services and categories that have an entry: of all others nobody gets anything."""
    return {
        release.service
        for policies in sets
        for policy in policies.policies
        for release in policy.releases
    }
