"""Compare the result of a login with the one that an example or a site rule expects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from broker.core.entities import Names
from broker.core.policy.model import Decision, Expectation, PolicyLine

_OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a login, by its decision, the attributes that leave, and the account.

    ``reason`` is that of a refusal, else "ok". ``place`` is the line that decided.
    ``makes_borrower``: an account is made.
    """

    decision: Decision
    reason: str
    place: PolicyLine | None
    released: Names
    makes_borrower: bool


@dataclass(frozen=True, slots=True)
class Deviation:
    """A deviation from the expected result, and the line that causes it, if a line does."""

    what: str
    place: PolicyLine | None


def find_deviations(expect: Expectation, found: Outcome) -> Iterator[Deviation]:
    """Yield each deviation of a result from the expected one."""
    yield from _compare_decision(expect, found)
    yield from _compare_borrower(expect, found)
    places = {fate.name: fate.place for fate in found.decision.fates}
    for name in found.released:
        is_extra = expect.releases is not None and name not in expect.releases
        if is_extra or name in expect.never_releases:
            yield Deviation(f"releases {name}", places[name])
    for name in expect.releases or ():
        if name not in found.released:
            yield Deviation(f"does not release {name}", places.get(name) or found.place)


def _compare_decision(expect: Expectation, found: Outcome) -> Iterator[Deviation]:
    effect = "permit" if found.reason == _OK else "deny"
    if expect.effect not in {"", effect}:
        what = "lets in" if effect == "permit" else f"refuses for {found.reason}"
        yield Deviation(what, found.place)
    elif expect.reason not in {None, found.reason}:
        what = f"gives the reason {found.reason}, not {expect.reason}"
        yield Deviation(what, found.place)
    affiliation = found.decision.affiliation
    if expect.affiliation not in {None, affiliation}:
        what = f"takes for {affiliation or 'nobody'}, not {expect.affiliation}"
        yield Deviation(what, found.place)


def _compare_borrower(expect: Expectation, found: Outcome) -> Iterator[Deviation]:
    policy = found.decision.policy
    rule = policy.borrower if policy else None
    category, place = (rule.category, rule.line_of("category")) if rule else ("none", found.place)
    if expect.no_borrower and found.makes_borrower:
        yield Deviation(f"makes an account of the category {category}", place)
    if expect.category not in {None, category}:
        yield Deviation(f"makes the category {category}, not {expect.category}", place)
