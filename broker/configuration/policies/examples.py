"""Run the examples of the policy files with the engine that decides live logins."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from broker.configuration.policies.file_checks import PolicyProblem
from broker.core.identity.rights import Right
from broker.core.policy.decision import evaluate
from broker.core.policy.deviations import Deviation, Outcome, find_deviations
from broker.core.policy.matching import find_matching_alternative, find_near_miss
from broker.core.policy.model import (
    Decision,
    Effect,
    Example,
    LoginFacts,
    Policy,
    PolicyLine,
    PolicySet,
    ideal_service,
)

_NOON: Final = time(12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Result:
    """An example, its decision, and the deviations from the expected one (none: it passed).

    The first deviation may be the cause of the others.
    """

    example: Example
    decision: Decision
    deviations: tuple[Deviation, ...]


def run_examples(policies: PolicySet, now: datetime) -> list[Result]:
    """Run every example of every file, in the order of the files.

    Services count as complete: with controller, key and scope. An example with a day is decided as
    on that day.
    """
    results = []
    pairs = ((policy, example) for policy in policies.policies for example in policy.examples)
    for policy, example in pairs:
        moment = noon(example.day) if example.day else now
        decision = evaluate(policies, example.login, ideal_service(example.service), moment)
        found = Outcome(
            decision,
            decision.reasons[0].code,
            decision.deciding_line,
            tuple(listed.name for listed, _ in decision.released),
            _makes_borrower(example.login, decision),
        )
        deviations = list(find_deviations(example.expect, found))
        causes = []
        if deviations:
            own = policies.policy_by_affiliation.get(example.expect.affiliation or "", policy)
            causes = list(_find_cause(own, example, decision, moment.date()))
        results.append(Result(example, decision, (*causes, *deviations)))
    return results


def noon(day: date) -> datetime:
    """Return noon of a day, the time at which logins of that day are tried."""
    return datetime.combine(day, _NOON)


def find_failed_examples(results: Collection[Result]) -> Iterator[PolicyProblem]:
    """Yield a problem for each line that makes examples fail.

    A typo that makes twenty examples fail is one problem. If only one example fails, the problem
    has the line of the example, and the cause is the fix.
    """
    causes: dict[PolicyLine, list[Result]] = {}
    for result in results:
        if result.deviations:
            place = result.deviations[0].place or result.example.place
            causes.setdefault(place, []).append(result)
    for place, failed in causes.items():
        first = failed[0]
        name, at = repr(first.example.name), first.example.place
        if len(failed) == 1:
            texts = "; ".join(each.what for each in first.deviations)
            yield at, f"example {name}: {texts}", f"see {place}"
        else:
            what = f"{first.deviations[0].what}, and {len(failed)} examples fail"
            yield place, what, f"the first is {name} in {at}"


def _find_cause(
    policy: Policy, example: Example, decision: Decision, today: date
) -> Iterator[Deviation]:
    """Yield what excludes the person from the expected affiliation, if that made an example fail.

    Without an expected affiliation it is that of the example's file. If the policy has several
    alternatives, the one with the fewest failing conditions counts.
    """
    expect = example.expect
    is_nobody = expect.effect == "deny" and expect.reason in {None, "no_affiliation"}
    if decision.affiliation == policy.affiliation or (is_nobody and not expect.affiliation):
        return
    matching = find_matching_alternative(policy, example.login, today)
    if matching is not None:
        what = f"{decision.affiliation} goes before {policy.affiliation}"
        yield Deviation(what, matching.place)
        return
    reason, condition = find_near_miss(policy, example.login, today)
    values = ", ".join(condition.values)
    yield Deviation(f"{condition.name} {values} does not hold ({reason.code})", condition.place)


def _makes_borrower(login: LoginFacts, decision: Decision) -> bool:
    """Return whether an account is made of a person who has none."""
    release = decision.release
    if decision.effect is Effect.DENY or release is None or login.borrower:
        return False
    is_wanted = release.borrower == "make" and decision.permits_creation
    return is_wanted and decision.has(Right.WRITE_BORROWER)
