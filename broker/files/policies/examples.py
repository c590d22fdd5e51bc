"""Runs the examples that the policy files carry, by the engine that decides live logins."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.entities import Controller, Service, Text
from broker.core.policy.decision import evaluate
from broker.core.policy.model import Decision, Example, PolicyLine, PolicySet

_ANY: Final = Text("any", "enhver")


@dataclass(frozen=True, slots=True)
class Result:
    """One example, what came of it, and in what that differs from what it expects (nothing: it passed)."""

    example: Example
    decision: Decision
    differences: tuple[str, ...]


def run_examples(
    policies: PolicySet, services: Mapping[str, Service] | None, now: datetime
) -> list[Result]:
    """Run every example of every file, in the order of the files.

    A service that ``services`` lacks is taken to be as a policy hopes: a stated controller, a key,
    a scope.
    """
    known = services or {}
    results = []
    for example in (each for policy in policies.policies for each in policy.examples):
        decision = evaluate(
            policies, example.login, known.get(example.service) or _hoped(example.service), now
        )
        results.append(Result(example, decision, tuple(_differences(example, decision))))
    return results


def fired(results: Collection[Result]) -> frozenset[PolicyLine]:
    """Return the places of the rules that the examples used: alternatives, entries, and attributes that were released."""
    places = set()
    for each in results:
        places |= {reason.place for reason in each.decision.reasons if reason.place}
        places |= {listed.place for listed, _ in each.decision.released}
    return frozenset(places)


def rules(policies: PolicySet) -> frozenset[PolicyLine]:
    """Return the places of all rules that an example can use: what ``fired`` is measured against."""
    places = set()
    for policy in policies.policies:
        places |= {each.place for each in policy.match} | {each.place for each in policy.releases}
        places |= {each.place for release in policy.releases for each in release.attributes}
        require = policy.require
        if require.place and (
            require.cpr or require.age is not None or require.assurance or require.upstream
        ):
            places.add(require.place)
    return frozenset(places)


def _hoped(name: str) -> Service:
    category = (name,) if ":" in name else ()
    return Service(
        name,
        name,
        _ANY,
        (),
        controller=Controller(_ANY),
        categories=category,
        encrypts=True,
        scope="library.example",
    )


def _differences(example: Example, decision: Decision) -> Iterator[str]:
    expect = example.expect
    if expect.effect != decision.effect.value:
        yield f"effect is {decision.effect.value}, expected {expect.effect} ({decision.reasons[0].code})"
    codes = [each.code for each in decision.reasons]
    if expect.reason is not None and expect.reason != codes[0]:
        yield f"reason is {codes[0]}, expected {expect.reason}"
    if expect.affiliation is not None and expect.affiliation != decision.affiliation:
        yield f"affiliation is {decision.affiliation or 'none'}, expected {expect.affiliation}"
    if expect.category is not None:
        rule = decision.policy.borrower if decision.policy else None
        category = rule.category if rule else None
        if category != expect.category:
            yield f"borrower category is {category or 'none'}, expected {expect.category}"
    if expect.releases is not None:
        released = {listed.name for listed, _ in decision.released}
        more, fewer = (
            sorted(released - set(expect.releases)),
            sorted(set(expect.releases) - released),
        )
        if more:
            yield f"releases {', '.join(more)} too"
        if fewer:
            yield f"does not release {', '.join(fewer)}"
