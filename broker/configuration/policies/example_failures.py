"""Report failed examples: one problem for each line that makes examples fail."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from broker.configuration.policies.examples import Result, makes_borrower
from broker.configuration.policies.file_checks import PolicyProblem
from broker.core.identity.rights import IDENTIFIED_ROLES, Right
from broker.core.policy.matching import find_matching_alternative, find_near_miss
from broker.core.policy.model import Effect, Policy, PolicyLine, PolicySet

# The line that made an example fail, and what it does, in words.
_Cause = tuple[PolicyLine, str]


def find_failures(
    policies: PolicySet, results: Collection[Result], today: date
) -> Iterator[PolicyProblem]:
    """Yield a problem for each cause, at the line that made its examples fail.

    A typo that makes twenty examples fail is one problem. If only one example fails, the problem
    has the line of the example, and the cause is the fix.
    """
    causes: dict[_Cause, list[Result]] = {}
    for result in results:
        if result.differences:
            causes.setdefault(_find_cause(policies, result, today), []).append(result)
    for cause, failed in causes.items():
        yield _make_problem(cause, failed)


def _make_problem(cause: _Cause, failed: Sequence[Result]) -> PolicyProblem:
    place, caused = cause
    first = failed[0]
    name = repr(first.example.name)
    if len(failed) == 1:
        what = f"example {name}: {'; '.join(first.differences)}"
        return first.example.place, what, f"{place}: {caused}"
    what = f"{caused}, and {len(failed)} examples fail"
    return place, what, f"{_list_places(failed)}; the first is {name}: {first.differences[0]}"


def _list_places(failed: Sequence[Result]) -> str:
    """Return the lines of the examples, with each file named once."""
    lines: dict[str, list[str]] = {}
    for result in failed:
        place = result.example.place
        lines.setdefault(place.file, []).append(str(place.line))
    return ", ".join(f"{file}:{','.join(found)}" for file, found in lines.items())


def _find_cause(policies: PolicySet, result: Result, today: date) -> _Cause:
    decision = result.decision
    expected = _find_expected_policy(policies, result)
    if expected is not None and decision.affiliation != expected.affiliation:
        return _find_failed_condition(expected, result, result.example.day or today)
    if decision.effect.value == result.example.expect.effect:
        found = _find_other_category(result) or _find_other_release(result)
        if found:
            return found
    code = decision.reasons[0].code
    what = "permits" if code == "ok" else f"refuses with {code}"
    return decision.deciding_line or result.example.place, what


def _find_expected_policy(policies: PolicySet, result: Result) -> Policy | None:
    """Return the policy of the affiliation that an example expects, or else of the example's file.

    Return None if the example expects no affiliation, or accepts any.
    """
    expect = result.example.expect
    if named := policies.policy_by_affiliation.get(expect.affiliation or ""):
        return named
    if expect.reason == "no_affiliation" or (expect.effect == "deny" and expect.reason is None):
        return None
    own = result.example.place.file
    return next((policy for policy in policies.policies if policy.file == own), None)


def _find_failed_condition(policy: Policy, result: Result, today: date) -> _Cause:
    """Return the condition that excludes the person from the policy's affiliation.

    If the policy has several alternatives, the one with the fewest failing conditions counts.
    """
    login = result.example.login
    matching = find_matching_alternative(policy, login, today)
    if matching is not None:
        return matching.place, f"{result.decision.affiliation} goes before {policy.affiliation}"
    reason, condition = find_near_miss(policy, login, today)
    values = ", ".join(condition.values)
    return condition.place, f"{condition.name} {values} does not hold ({reason.code})"


def _find_other_category(result: Result) -> _Cause | None:
    """Return the line of the borrower category if the example does not expect it."""
    expect = result.example.expect
    policy = result.decision.policy
    if policy is None or policy.borrower is None:
        return None
    made = makes_borrower(result.example.login, result.decision)
    other = expect.category not in {None, policy.borrower.category}
    if not other and not (expect.no_borrower and made):
        return None
    what = f"makes the category {policy.borrower.category}"
    return policy.borrower.line_of("category"), what


def _find_other_release(result: Result) -> _Cause | None:
    """Return the line of the first attribute that is released or withheld unexpectedly."""
    expected = result.example.expect.releases
    if expected is None:
        return None
    leaving = {listed.name for listed, _ in result.decision.released}
    for fate in result.decision.fates:
        if fate.place and (fate.name in expected) != (fate.name in leaving):
            return fate.place, f"{fate.name}: {fate.code}"
    return None


def find_unmade_accounts(results: Iterable[Result]) -> Iterator[PolicyProblem]:
    """Yield the first permitted login of an example that gets no account from a live broker.

    Such a login has no proof of identity with which the broker may write a borrower.
    """
    for result in results:
        example, decision = result.example, result.decision
        release = decision.release
        if result.differences or decision.effect is Effect.DENY or example.login.borrower:
            continue
        if release and release.borrower == "make" and not decision.has(Right.WRITE_BORROWER):
            what = (
                "holds, but a person who logs in like this is refused: no account is made for them"
            )
            known = ", ".join(sorted(IDENTIFIED_ROLES))
            counts = f"a CPR number counts by a university with an affiliation of {known} alone"
            fix = f"{counts}; or say borrower: true"
            yield example.place, f"example {example.name!r}: {what}", fix
            return
