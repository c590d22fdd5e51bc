"""Examples that hold, of people who are refused when they log in: they would reassure wrongly."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from broker.core.entities import Upstream
from broker.core.identity.attribute_values import in_scope
from broker.core.identity.rights import (
    IDENTIFIED_ROLES,
    MAY_ASSERT_ALUMNI_CPR,
    MAY_ASSERT_CPR,
    Ground,
    Right,
    has_usable_cpr,
)
from broker.core.login.given_facts import HOME
from broker.core.policy.model import Effect, LoginFacts
from broker.files.policies.configured_names import NameableInPolicies
from broker.files.policies.examples import Result
from broker.files.policies.upstream_checks import PolicyProblem

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
            what, mend = found
            told.add(what)
            yield example.place, f"example {example.name!r}: {what}", mend


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
    own = [each for each in upstream.institutions if in_scope(home, "sub", each.scopes)]
    return bool(own) and not any(each.may_assert.issuperset(needed) for each in own)
