"""The examples that fail, gathered by the rule that decided them and the rule that was expected."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from broker.configuration.policies.examples import Result, makes_borrower
from broker.configuration.policies.file_checks import PolicyProblem
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.core.entities import Upstream
from broker.core.identity.attribute_values import is_in_scope
from broker.core.identity.rights import (
    IDENTIFIED_ROLES,
    MAY_ASSERT_ALUMNI_CPR,
    MAY_ASSERT_CPR,
    Ground,
    Right,
    has_usable_cpr,
)
from broker.core.login.given_facts import HOME
from broker.core.policy.matching import condition_failure
from broker.core.policy.model import Condition, Effect, LoginFacts, Policy, PolicyLine, PolicySet


@dataclass(frozen=True, slots=True)
class _Cause:
    """The line that made an example fail, and in words what it does."""

    place: PolicyLine
    what: str


def failures(
    policies: PolicySet, results: Collection[Result], today: date
) -> Iterator[PolicyProblem]:
    """Yield a problem for each cause, at the line that made its examples fail.

    One typo that twenty examples cover is one problem. An example that fails alone stands at its
    own line, with the cause behind it.
    """
    causes: dict[_Cause, list[Result]] = {}
    for result in results:
        if result.differences:
            causes.setdefault(_cause(policies, result, today), []).append(result)
    for cause, failed in causes.items():
        yield _problem(cause, failed)


def _problem(cause: _Cause, failed: Sequence[Result]) -> PolicyProblem:
    first = failed[0].example
    if len(failed) == 1:
        what = f"example {first.name!r}: {'; '.join(failed[0].differences)}"
        return first.place, what, f"{cause.place}: {cause.what}"
    what = f"{cause.what}, and {len(failed)} examples fail"
    shown = f"{first.name!r}: {failed[0].differences[0]}"
    return cause.place, what, f"{_places(failed)}; the first is {shown}"


def _places(failed: Sequence[Result]) -> str:
    """Return the lines of examples, each file named once."""
    lines: dict[str, list[str]] = {}
    for result in failed:
        place = result.example.place
        lines.setdefault(place.file, []).append(str(place.line))
    return ", ".join(f"{file}:{','.join(found)}" for file, found in lines.items())


def _cause(policies: PolicySet, result: Result, today: date) -> _Cause:
    decision = result.decision
    expected = _expected_policy(policies, result)
    if expected is not None and decision.affiliation != expected.affiliation:
        return _unmatched(expected, result, result.example.day or today)
    if decision.effect.value == result.example.expect.effect:
        found = _other_category(result) or _other_release(result)
        if found:
            return found
    code = decision.reasons[0].code
    what = "permits" if code == "ok" else f"refuses with {code}"
    return _Cause(decision.deciding_line or result.example.place, what)


def _expected_policy(policies: PolicySet, result: Result) -> Policy | None:
    """Return the policy of the affiliation that an example expects, else that of its own file.

    None where no affiliation at all is expected, or any will do.
    """
    expect = result.example.expect
    for policy in policies.policies:
        if expect.affiliation == policy.affiliation:
            return policy
    if expect.reason == "no_affiliation" or (expect.effect == "deny" and expect.reason is None):
        return None
    own = result.example.place.file
    return next((policy for policy in policies.policies if policy.file == own), None)


def _unmatched(policy: Policy, result: Result, today: date) -> _Cause:
    """Return the condition by which the person is not of the policy's affiliation."""
    failing = [
        list(_failing(alternative.conditions, policy, result, today))
        for alternative in policy.match
    ]
    position = failing.index(min(failing, key=len))
    if not failing[position]:
        what = f"{result.decision.affiliation} goes before {policy.affiliation}"
        return _Cause(policy.match[position].place, what)
    condition, code = failing[position][0]
    values = ", ".join(condition.values)
    return _Cause(condition.place, f"{condition.name} {values} does not hold ({code})")


def _other_category(result: Result) -> _Cause | None:
    """Return the line that makes another category than expected; None where it does not."""
    expect = result.example.expect
    policy = result.decision.policy
    if policy is None or policy.borrower is None:
        return None
    made = makes_borrower(result.example.login, result.decision)
    other = expect.category not in {None, policy.borrower.category}
    if not other and not (expect.no_borrower and made):
        return None
    what = f"makes the category {policy.borrower.category}"
    return _Cause(policy.borrower.line_of("category"), what)


def _other_release(result: Result) -> _Cause | None:
    """Return the line of the first attribute that leaves or stays against what is expected."""
    expected = result.example.expect.releases
    if expected is None:
        return None
    leaving = {listed.name for listed, _ in result.decision.released}
    for fate in result.decision.fates:
        if fate.place and (fate.name in expected) != (fate.name in leaving):
            return _Cause(fate.place, f"{fate.name}: {fate.code}")
    return None


def _failing(
    conditions: Sequence[Condition], policy: Policy, result: Result, today: date
) -> Iterator[tuple[Condition, str]]:
    for condition in conditions:
        code = condition_failure(condition, policy, result.example.login, today)
        if code:
            yield condition, code


_MADE: Final = "make"
_KNOWN: Final = ", ".join(sorted(IDENTIFIED_ROLES))


def unlike_live_logins(
    results: Collection[Result], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Yield examples that let in whom a live login would not: the first of each cause."""
    told: set[str] = set()
    for result in results:
        if result.differences or result.decision.effect is Effect.DENY:
            continue
        example = result.example
        found = _unknown_in_person(result) or _numberless(example.login, names)
        if found and found[0] not in told:
            what, fix = found
            told.add(what)
            yield example.place, f"example {example.name!r}: {what}", fix


def _unknown_in_person(result: Result) -> tuple[str, str] | None:
    """Return that the account which the example needs is made for nobody like this."""
    release = result.decision.release
    if release is None or release.borrower != _MADE or result.example.login.borrower:
        return None
    if result.decision.has(Right.WRITE_BORROWER):
        return None
    what = "holds, and who logs in so is refused, since no account is made of them"
    counts = f"a CPR number counts by a university with an affiliation of {_KNOWN} alone"
    return what, f"{counts}; or say borrower: true"


def _numberless(login: LoginFacts, names: NameableInPolicies) -> tuple[str, str] | None:
    """Return that the CPR number of the example comes from nobody who may assert one."""
    known = names.upstreams if isinstance(names.upstreams, Mapping) else {}
    upstream = known.get(login.upstream)
    if upstream is None or not has_usable_cpr(login.ground):
        return None
    for home in login.attributes.get(HOME, ()):
        needed = _needed(login.ground)
        if _is_silent(upstream, home, needed):
            what = f"brings a CPR number, and no institution of {home} may assert one"
            wanted = ", ".join(f'"{word}"' for word in needed)
            return what, f"add may_assert = [{wanted}] to it in broker.toml, or write cpr: none"
    return None


def _needed(ground: Ground) -> tuple[str, ...]:
    """Return the words of ``may_assert`` without which a number of this ground is not usable."""
    if ground is Ground.ALUMNI:
        return (MAY_ASSERT_CPR, MAY_ASSERT_ALUMNI_CPR)
    return (MAY_ASSERT_CPR,)


def _is_silent(upstream: Upstream, home: str, needed: tuple[str, ...]) -> bool:
    """Return whether the institutions of a home organisation are known, and assert no number."""
    own = [each for each in upstream.institutions if is_in_scope(home, "sub", each.scopes)]
    return bool(own) and not any(each.may_assert.issuperset(needed) for each in own)
