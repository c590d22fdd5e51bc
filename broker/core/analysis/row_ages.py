"""The ages of the people whom a change happens to, from those of the classes that show it."""

from collections.abc import Iterable, Sequence

from broker.core.analysis.login_classes import LoginClass
from broker.core.analysis.partial_logins import AgeRange
from broker.core.policy.model import PolicySet


def ages_of(found: LoginClass, age: int | None, sets: Sequence[PolicySet]) -> AgeRange | None:
    """Return the ages that a class stands for; None of whom no age is known."""
    if age is None:
        return None
    limits = {
        policies.policies[deciding.policy].require.age or 0
        for policies, deciding in zip(sets, found.decidings, strict=True)
        if deciding.policy is not None
    }
    least = max((limit for limit in limits if limit <= age), default=0)
    above = [limit for limit in limits if limit > age]
    return AgeRange(least, min(above)) if above else AgeRange(least)


def in_words(ages: Iterable[AgeRange | None]) -> str:
    """Return ``age 15 to 17``, ``under 15`` or ``from age 18``; nothing where age decides nothing.

    So it is where people are among them of whom no age is known.
    """
    known = list(ages)
    if None in known:
        return ""
    merged: list[AgeRange] = []
    for each in sorted((each for each in known if each), key=lambda each: each.least):
        if merged and each.least <= merged[-1].under:
            merged[-1] = AgeRange(merged[-1].least, max(merged[-1].under, each.under))
        else:
            merged.append(each)
    return ", ".join(_words(each) for each in merged if each.limits)


def _words(ages: AgeRange) -> str:
    if ages.under == AgeRange().under:
        return f"from age {ages.least}"
    if ages.least == 0:
        return f"under {ages.under}"
    last = ages.under - 1
    return f"age {ages.least}" if last == ages.least else f"age {ages.least} to {last}"
