"""Run the examples of the policy files with the engine that decides live logins."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from broker.configuration.policies.file_checks import PolicyProblem
from broker.core.entities import Service
from broker.core.identity.rights import Right
from broker.core.policy.decision import evaluate
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
class Difference:
    """A difference from the expected decision, and the line that causes it."""

    text: str
    place: PolicyLine


@dataclass(frozen=True, slots=True)
class Result:
    """An example, its decision, and the differences from the expected one (none: it passed)."""

    example: Example
    decision: Decision
    differences: tuple[Difference, ...]


def run_examples(
    policies: PolicySet, services: Mapping[str, Service] | None, now: datetime
) -> list[Result]:
    """Run every example of every file, in the order of the files.

    A service that ``services`` does not have counts as complete: with controller, key and scope. An
    example with a day is decided as on that day.
    """
    known = services or {}
    results = []
    for example in (example for policy in policies.policies for example in policy.examples):
        name = example.service
        service = known.get(name) or ideal_service(name)
        moment = noon(example.day) if example.day else now
        decision = evaluate(policies, example.login, service, moment)
        differences = tuple(_find_differences(policies, example, decision, moment.date()))
        results.append(Result(example, decision, differences))
    return results


def noon(day: date) -> datetime:
    """Return noon of a day, the time at which logins of that day are tried."""
    return datetime.combine(day, _NOON)


def find_failures(results: Collection[Result]) -> Iterator[PolicyProblem]:
    """Yield a problem for each line that makes examples fail.

    A typo that makes twenty examples fail is one problem. If only one example fails, the problem
    has the line of the example, and the cause is the fix.
    """
    causes: dict[PolicyLine, list[Result]] = {}
    for result in results:
        if result.differences:
            causes.setdefault(result.differences[0].place, []).append(result)
    for place, failed in causes.items():
        first = failed[0]
        name = repr(first.example.name)
        if len(failed) == 1:
            texts = "; ".join(each.text for each in first.differences)
            yield first.example.place, f"example {name}: {texts}", f"see {place}"
        else:
            what = f"{first.differences[0].text}, and {len(failed)} examples fail"
            yield place, what, f"{_list_places(failed)}; the first is {name}"


def _list_places(failed: Sequence[Result]) -> str:
    """Return the lines of the examples, with each file named once."""
    lines: dict[str, list[str]] = {}
    for result in failed:
        place = result.example.place
        lines.setdefault(place.file, []).append(str(place.line))
    return ", ".join(f"{file}:{','.join(found)}" for file, found in lines.items())


def _find_differences(
    policies: PolicySet, example: Example, decision: Decision, today: date
) -> Iterator[Difference]:
    """Yield the differences, the cause of the others first."""
    expect = example.expect
    effect, reason = decision.effect.value, decision.reasons[0].code
    line = decision.deciding_line or example.place
    expected = _find_expected_policy(policies, example, decision)
    if expected and decision.affiliation != expected.affiliation:
        yield _find_failed_condition(expected, example, decision, today)
    if expect.affiliation not in {None, decision.affiliation}:
        text = f"affiliation is {decision.affiliation or 'none'}, expected {expect.affiliation}"
        yield Difference(text, line)
    if expect.effect != effect:
        yield Difference(f"effect is {effect}, expected {expect.effect} ({reason})", line)
    if expect.reason not in {None, reason}:
        yield Difference(f"reason is {reason}, expected {expect.reason}", line)
    yield from _compare_borrower(example, decision, line)
    if expect.releases is not None:
        yield from _compare_releases(expect.releases, decision, line)


def _find_expected_policy(
    policies: PolicySet, example: Example, decision: Decision
) -> Policy | None:
    """Return the policy of the expected affiliation, or of the example's file if it fails.

    Return None if the example expects no affiliation, or accepts any.
    """
    expect = example.expect
    if expect.affiliation:
        return policies.policy_by_affiliation.get(expect.affiliation)
    accepts_any = expect.effect == "deny" and expect.reason in {None, "no_affiliation"}
    is_met = decision.effect.value == expect.effect and not (
        expect.reason and expect.reason != decision.reasons[0].code
    )
    if accepts_any or is_met:
        return None
    own = example.place.file
    return next((policy for policy in policies.policies if policy.file == own), None)


def _find_failed_condition(
    policy: Policy, example: Example, decision: Decision, today: date
) -> Difference:
    """Return the condition that excludes the person from the policy's affiliation.

    If the policy has several alternatives, the one with the fewest failing conditions counts.
    """
    matching = find_matching_alternative(policy, example.login, today)
    if matching is not None:
        text = f"{decision.affiliation} goes before {policy.affiliation}"
        return Difference(text, matching.place)
    reason, condition = find_near_miss(policy, example.login, today)
    values = ", ".join(condition.values)
    return Difference(f"{condition.name} {values} does not hold ({reason.code})", condition.place)


def _compare_borrower(
    example: Example, decision: Decision, line: PolicyLine
) -> Iterator[Difference]:
    expect = example.expect
    rule = decision.policy.borrower if decision.policy else None
    category = rule.category if rule else "none"
    if rule:
        line = rule.line_of("category")
    if expect.category not in {None, category}:
        yield Difference(f"borrower category is {category}, expected {expect.category}", line)
    if expect.no_borrower and _makes_borrower(example.login, decision):
        yield Difference(f"an account of the category {category} is made, expected none", line)


def _makes_borrower(login: LoginFacts, decision: Decision) -> bool:
    """Return whether an account is made of a person who has none."""
    release = decision.release
    if decision.effect is Effect.DENY or release is None or login.borrower:
        return False
    is_wanted = release.borrower == "make" and decision.permits_creation
    return is_wanted and decision.has(Right.WRITE_BORROWER)


def _compare_releases(
    expected: Collection[str], decision: Decision, line: PolicyLine
) -> Iterator[Difference]:
    leaving = {listed.name for listed, _ in decision.released}
    fates = {fate.name: fate for fate in decision.fates}
    for text, names in (
        ("releases {} too", leaving.difference(expected)),
        ("does not release {}", {*expected} - leaving),
    ):
        if names:
            first = fates.get(min(names))
            place = first.place if first else None
            yield Difference(text.format(", ".join(sorted(names))), place or line)
