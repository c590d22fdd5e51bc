"""Run the examples of the policy files with the engine that decides live logins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from broker.core.entities import Service
from broker.core.identity.rights import Right
from broker.core.policy.decision import evaluate
from broker.core.policy.model import Decision, Effect, Example, LoginFacts, PolicySet, ideal_service

_NOON: Final = time(12, tzinfo=UTC)
_NOBODY_LOOKED: Final = (
    ": an entry with borrower: need lets in until somebody has looked,"
    " so the login says borrower: false"
)

_NOT_THERE: Final = "no_library_account"


@dataclass(frozen=True, slots=True)
class Result:
    """An example, its decision, and the differences from the expected one (none: it passed)."""

    example: Example
    decision: Decision
    differences: tuple[str, ...]


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
        differences = tuple(_differences(example, decision))
        results.append(Result(example, decision, differences))
    return results


def noon(day: date) -> datetime:
    """Return noon of a day, the time at which logins of that day are tried."""
    return datetime.combine(day, _NOON)


def _differences(example: Example, decision: Decision) -> Iterator[str]:
    expect = example.expect
    effect = decision.effect.value
    reason = decision.reasons[0].code
    if expect.effect != effect:
        unsaid = _NOBODY_LOOKED if _is_unlooked(example, decision) else ""
        yield f"effect is {effect}, expected {expect.effect} ({reason}{unsaid})"
    for what, found, expected in (
        ("reason", reason, expect.reason),
        ("affiliation", decision.affiliation, expect.affiliation),
        ("borrower category", _category(decision), expect.category),
    ):
        if expected not in {None, found}:
            yield f"{what} is {found or 'none'}, expected {expected}"
    if expect.no_borrower and makes_borrower(example.login, decision):
        yield f"an account of the category {_category(decision)} is made, expected none"
    if expect.releases is not None:
        released = {listed.name for listed, _ in decision.released}
        if more := sorted(released - {*expect.releases}):
            yield f"releases {', '.join(more)} too"
        if fewer := sorted({*expect.releases} - released):
            yield f"does not release {', '.join(fewer)}"


def _is_unlooked(example: Example, decision: Decision) -> bool:
    """Return whether a login is permitted only because no account was looked up yet."""
    release = decision.release
    if release is None or release.borrower != "need" or decision.effect is Effect.DENY:
        return False
    return example.login.borrower is None and example.expect.reason in {None, _NOT_THERE}


def makes_borrower(login: LoginFacts, decision: Decision) -> bool:
    """Return whether an account is made of a person who has none."""
    release = decision.release
    rule = decision.policy.borrower if decision.policy else None
    if decision.effect is Effect.DENY or release is None or rule is None or login.borrower:
        return False
    wanted = release.borrower == "make"
    return wanted and decision.permits_creation and decision.has(Right.WRITE_BORROWER)


def _category(decision: Decision) -> str | None:
    if decision.policy is None or decision.policy.borrower is None:
        return None
    return decision.policy.borrower.category
