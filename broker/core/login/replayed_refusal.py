"""Plays a refused login again by other policies, as far as the facts that were kept go."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from math import prod
from typing import Final

from broker.core.entities import Assurance, Names, Service
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    AttributeReading,
    Attributes,
    Values,
)
from broker.core.login.described_login import DescribedBorrower, DescribedLogin, IdealTerms
from broker.core.login.given_facts import CATEGORY, UNNAMED_CATEGORY
from broker.core.login.ideal_login import play
from broker.core.login.played_login import PlayedLogin
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.transaction import Errand
from broker.core.policy.model import PolicyLine, PolicySet
from broker.core.policy.rule_words import rule_words

_NOT_KEPT: Final = ("(not kept)",)
_ADDRESS: Final = "someone@mailbox.example"
_BORROWER: Final = "borrower"
# More ways than these to fill in what was not kept are not tried: then nobody can say.
_MOST_PLAYS: Final = 512

# What one fact that was not kept may have been: the values of an attribute, or a borrower.
_Choice = Values | DescribedBorrower | None


@dataclass(frozen=True, slots=True)
class Replay:
    """What the login would come to now; ``depends_on`` the facts without which nobody can say.

    ``place`` and ``rule`` are those of a refusal.
    """

    permitted: bool = False
    reason: str = ""
    place: PolicyLine | None = None
    rule: str = ""
    depends_on: Names = ()


def replayed(
    facts: RefusedFacts, service: Service, policies: PolicySet, now: datetime, terms: IdealTerms
) -> Replay:
    """Return what ``policies`` would make of the login of ``facts`` at ``service``."""
    open_facts = _open(facts, policies)
    if prod(map(len, open_facts.values())) > _MOST_PLAYS:
        return Replay(depends_on=tuple(open_facts))
    ends = {
        chosen: play(
            _login(facts, dict(zip(open_facts, chosen, strict=True))), service, policies, now, terms
        )
        for chosen in product(*open_facts.values())
    }
    outcomes = {chosen: (end.permitted, end.reason) for chosen, end in ends.items()}
    if len(set(outcomes.values())) > 1:
        return Replay(depends_on=tuple(_deciding(tuple(open_facts), outcomes)))
    return _replay(next(iter(ends.values())))


def _replay(end: PlayedLogin) -> Replay:
    if end.permitted:
        return Replay(permitted=True, reason=end.reason)
    return Replay(reason=end.reason, place=end.place, rule=rule_words(end.decision))


def _open(facts: RefusedFacts, policies: PolicySet) -> dict[str, Sequence[_Choice]]:
    """Return what was not kept and may decide, by name, with all that it may have been."""
    known = {name for name, _ in facts.values} | {CPR_ATTRIBUTE}
    choices: dict[str, Sequence[_Choice]] = {}
    for name in facts.present:
        named = tuple(dict.fromkeys(_values(name, policies)))
        if named and name not in known:
            single: list[_Choice] = [(value,) for value in named]
            choices[name] = [_NOT_KEPT, *single, *([named] if len(named) > 1 else [])]
    if facts.borrower == "unknown":
        choices[_BORROWER] = [None, _there(UNNAMED_CATEGORY)]
    return choices


def _values(name: str, policies: PolicySet) -> Iterator[str]:
    for policy in policies.policies:
        for alternative in policy.match:
            for condition in alternative.conditions:
                if condition.name == name:
                    yield from (value.replace("*", "") for value in condition.values)


def _deciding(
    names: Names, outcomes: Mapping[tuple[_Choice, ...], tuple[bool, str]]
) -> Iterator[str]:
    """Yield the names by which, all others the same, the outcome differs."""
    for at, name in enumerate(names):
        by_others: dict[tuple[_Choice, ...], set[tuple[bool, str]]] = {}
        for chosen, outcome in outcomes.items():
            others = chosen[:at] + chosen[at + 1 :]
            by_others.setdefault(others, set()).add(outcome)
        if any(len(differing) > 1 for differing in by_others.values()):
            yield name


def _login(facts: RefusedFacts, chosen: Mapping[str, _Choice]) -> DescribedLogin:
    attributes: dict[str, Values] = dict.fromkeys(facts.present, _NOT_KEPT)
    attributes |= dict(facts.values)
    for name, values in chosen.items():
        if isinstance(values, tuple):
            attributes[name] = values
    if CPR_ATTRIBUTE in facts.present:
        attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
    reading = AttributeReading(
        attributes=Attributes(attributes),
        assurance=Assurance(facts.assurance) if facts.assurance else None,
        cpr=facts.cpr,
        age=facts.age,
        withheld=facts.withheld,
        verified_address=_ADDRESS if facts.address else None,
        ground=facts.ground,
    )
    return DescribedLogin(
        upstream=facts.upstream,
        reading=reading.mask_cpr(),
        institution=facts.institution,
        intent=facts.intent,
        errand=Errand(facts.errand),
        borrower=_borrower(facts, chosen.get(_BORROWER)),
        fault=(facts.fault, "") if facts.fault else None,
    )


def _borrower(facts: RefusedFacts, chosen: _Choice) -> DescribedBorrower | None:
    if isinstance(chosen, DescribedBorrower):
        return chosen
    if facts.borrower != "there":
        return None
    category = dict(facts.values).get(CATEGORY, (UNNAMED_CATEGORY,))
    return _there(category[0])


def _there(category: str) -> DescribedBorrower:
    return DescribedBorrower(category, linked=True)
