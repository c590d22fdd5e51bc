"""Run the examples of the policy files with the engine that decides live logins."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from broker.configuration.policies.file_checks import PolicyProblem
from broker.core.identity.rights import Right
from broker.core.policy.decision import evaluate
from broker.core.policy.matching import find_matching_alternative, find_near_miss
from broker.core.policy.model import (
    Decision,
    Effect,
    Example,
    LoginFacts,
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


def run_examples(policies: PolicySet, now: datetime) -> list[Result]:
    """Run every example of every file, in the order of the files.

    Services count as complete: with controller, key and scope. An example with a day is decided as
    on that day.
    """
    results = []
    for example in (example for policy in policies.policies for example in policy.examples):
        moment = noon(example.day) if example.day else now
        decision = evaluate(policies, example.login, ideal_service(example.service), moment)
        differences = list(_find_differences(example, decision))
        cause = _find_cause(policies, example, decision, moment.date()) if differences else None
        causes = [cause] if cause else []
        results.append(Result(example, decision, (*causes, *differences)))
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
        if result.differences:
            causes.setdefault(result.differences[0].place, []).append(result)
    for place, failed in causes.items():
        first = failed[0]
        name, at = repr(first.example.name), first.example.place
        if len(failed) == 1:
            texts = "; ".join(each.text for each in first.differences)
            yield at, f"example {name}: {texts}", f"see {place}"
        else:
            what = f"{first.differences[0].text}, and {len(failed)} examples fail"
            yield place, what, f"the first is {name} in {at}"


def _find_cause(
    policies: PolicySet, example: Example, decision: Decision, today: date
) -> Difference | None:
    """Return what excludes the person from the expected affiliation, if that made an example fail.

    Without an expected affiliation it is that of the example's file. If the policy has several
    alternatives, the one with the fewest failing conditions counts.
    """
    expect = example.expect
    if expect.affiliation:
        policy = policies.policy_by_affiliation.get(expect.affiliation)
    elif expect.effect == "deny" and expect.reason in {None, "no_affiliation"}:
        return None
    else:
        own = example.place.file
        policy = next((each for each in policies.policies if each.file == own), None)
    if policy is None or decision.affiliation == policy.affiliation:
        return None
    matching = find_matching_alternative(policy, example.login, today)
    if matching is not None:
        text = f"{decision.affiliation} goes before {policy.affiliation}"
        return Difference(text, matching.place)
    reason, condition = find_near_miss(policy, example.login, today)
    values = ", ".join(condition.values)
    return Difference(f"{condition.name} {values} does not hold ({reason.code})", condition.place)


def _find_differences(example: Example, decision: Decision) -> Iterator[Difference]:
    expect = example.expect
    effect, reason = decision.effect.value, decision.reasons[0].code
    line = decision.deciding_line or example.place
    rule = decision.policy.borrower if decision.policy else None
    category, rule_line = (rule.category, rule.line_of("category")) if rule else ("none", line)
    for what, found, expected, place in (
        ("affiliation", decision.affiliation or "none", expect.affiliation, line),
        ("effect", effect, expect.effect, line),
        ("reason", reason, expect.reason, line),
        ("borrower category", category, expect.category, rule_line),
    ):
        if expected not in {None, found}:
            why = f" ({reason})" if what == "effect" else ""
            yield Difference(f"{what} is {found}, expected {expected}{why}", place)
    if expect.no_borrower and _makes_borrower(example.login, decision):
        what = f"an account of the category {category} is made, expected none"
        yield Difference(what, rule_line)
    if expect.releases is not None:
        yield from _compare_releases(expect.releases, decision, line)


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
