"""Faults of the upstreams that policies name: nobody comes by one, or it lowers wrongly."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.policy.model import BorrowerRule, Policy, PolicyLine

UPSTREAM: Final = "upstream"

_NAME_IT: Final = "name it in an alternative of match, which lets more people in"
_MEND_REQUIRED: Final = (
    f"{_NAME_IT}; or take upstream out here, and say borrower: need in the entries"
)
_MEND_LOWERING: Final = f"{_NAME_IT}; or take it out here"

# The line that is wrong, what is wrong in it, and how to fix it.
PolicyProblem = tuple[PolicyLine, str, str]


def unmatched(policy: Policy) -> Iterator[PolicyProblem]:
    """Find an upstream by which nobody is of this affiliation."""
    matched = {upstream for upstream, _ in _matched_upstreams(policy)}
    for admitted, mend_of_key in ((_required, _MEND_REQUIRED), (_lowering, _MEND_LOWERING)):
        for upstream, place in admitted(policy):
            if upstream not in matched:
                what = f"nobody of this affiliation comes by {upstream!r}"
                yield place, what, did_you_mean(upstream, matched) or mend_of_key


def named_upstreams(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    """Yield every upstream that a policy names, with the line."""
    yield from _matched_upstreams(policy)
    yield from _required(policy)
    yield from _lowering(policy)


def _matched_upstreams(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    for alternative in policy.match:
        for condition in alternative.conditions:
            if condition.name == UPSTREAM:
                yield from ((upstream, condition.place) for upstream in condition.values)


def _required(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    """Yield the upstreams by which accounts are made, with the line."""
    place = policy.require.line_of("upstream")
    if place:
        for upstream in policy.require.upstream:
            yield upstream, place


def _lowering(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    """Yield the upstreams that lower a category, with the line."""
    rule = policy.borrower
    if rule and rule.lowers:
        for upstream in rule.lowers.by:
            yield upstream, rule.line_of("lowers")


def lowering_without_affiliations(policies: Collection[Policy]) -> Iterator[PolicyProblem]:
    """Find an upstream that lowers a category and asserts no affiliations.

    A national eID or a PIN asserts none: everybody who comes so would seem to have left
    (docs/reference/requirements.md#r47).
    """
    asserting = _upstreams_with_affiliations(policies)
    for policy in policies:
        rule = policy.borrower
        if rule is None:
            continue
        for upstream in _lowering_upstreams(rule):
            if upstream not in asserting:
                what = (
                    f"lowers by {upstream}, of whom no file asks an affiliation:"
                    " everybody who comes so has none"
                )
                yield rule.place, what, "name a university's way in"


def _lowering_upstreams(rule: BorrowerRule) -> tuple[str, ...]:
    return rule.lowers.by if rule.lowers else ()


def _upstreams_with_affiliations(policies: Iterable[Policy]) -> set[str]:
    """Return the upstreams of alternatives that match on an affiliation."""
    upstreams: set[str] = set()
    for policy in policies:
        for alternative in policy.match:
            values = {condition.name: condition.values for condition in alternative.conditions}
            if not values.keys().isdisjoint(AFFILIATIONS):
                upstreams.update(values.get(UPSTREAM, ()))
    return upstreams
