"""Find rules of one policy set that have no effect, and logins that are refused too late."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from broker.core.entities import Service
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import GivenFacts, find_proved_addresses
from broker.core.login.missing_address import NO_ADDRESS
from broker.core.policy.model import Effect, Fate, Policy, PolicyLine, PolicySet, Release
from broker.core.policy_analysis.persona_words import Value, write_example_login, write_options
from broker.core.policy_analysis.personas import Analysis, DecidingPolicy
from broker.core.policy_analysis.plays import Play, iter_plays

# The reasons that each key of a requirement refuses for.
_REFUSES: Final = {
    "cpr": ("cpr_required", "replacement_number", "constructed_number"),
    "age": ("too_young",),
    "assurance": ("assurance_too_low",),
    "upstream": ("national_eid_required",),
}
_NEVER_MADE: Final = ": no entry says borrower: make"
# The fates of attributes that leave, and of those that no line lists.
_PASSED: Final = frozenset({"released", "released_in_part", "not_listed"})
_NOT_SENT: Final = "not_sent"
_NO_BORROWER: Final = "no_library_account"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a line in a sentence, and a login that shows it, if one does."""

    place: PolicyLine
    what: str
    persona: str | None = None

    def __str__(self) -> str:
        """Return ``student.yaml:12: the finding; e.g. the persona``."""
        shown = f"; e.g. {self.persona}" if self.persona else ""
        return f"{self.place}: {self.what}{shown}"


# Affiliation, service, effect and reason of a decision.
Decided = tuple[str, str, str, str]
# An attribute on the line that lists it: one line may list several.
_Line = tuple[PolicyLine, str]


@dataclass(slots=True)
class Findings:
    """The observations about all personas; ``reached`` holds a login for each kind of decision."""

    found: tuple[Finding, ...] = ()
    logins: int = 0
    reached: dict[Decided, GivenFacts] = field(default_factory=dict)
    entries: set[PolicyLine] = field(default_factory=set)
    leaving: set[_Line] = field(default_factory=set)
    # The reason for which an attribute stays, and a login.
    staying: dict[_Line, tuple[str, GivenFacts]] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    late: dict[tuple[PolicyLine, str], GivenFacts] = field(default_factory=dict)


def find_faults(trial: Analysis) -> Findings:
    """Play every persona under the one set of ``trial`` and return what is wrong with its lines."""
    (policies,) = trial.sets
    seen = Findings()
    for play in iter_plays(trial):
        seen.logins += 1
        _note(seen, play)
    seen.found = (
        *_find_dead_alternatives(trial, policies),
        *_find_dead_entries(policies, seen, trial.services),
        *_find_dead_requirements(policies, seen),
        *_find_late_refusals(policies, seen),
    )
    return seen


def _note(seen: Findings, play: Play) -> None:
    (played,) = play.played
    decision = played.decision
    affiliation, release = decision.affiliation, decision.release
    if affiliation is None:
        return
    key = (affiliation, play.service.name, decision.effect.value, decision.reasons[0].code)
    if key not in seen.reached:
        proved = find_proved_addresses(played.facts.attributes)
        borrower = None if played.facts.borrower is None else DescribedBorrower("")
        seen.reached[key] = replace(play.login, proved=proved, borrower=borrower)
    if release is not None:
        seen.entries.add(release.place)
    if decision.effect is Effect.DENY:
        seen.refused |= {(affiliation, each.code) for each in decision.reasons}
        return
    for fate in decision.fates:
        _note_fate(seen, fate, play.login)
    if release is not None and release.borrower == "make" and not played.is_permitted:
        _note_late_refusal(seen, play, release)


def _note_fate(seen: Findings, fate: Fate, facts: GivenFacts) -> None:
    if fate.place is None:
        return
    line = (fate.place, fate.name)
    if fate.code in _PASSED:
        seen.leaving.add(line)
    elif line not in seen.staying or seen.staying[line][0] == _NOT_SENT != fate.code:
        seen.staying[line] = (fate.code, facts)  # another reason says more


def _note_late_refusal(seen: Findings, play: Play, release: Release) -> None:
    """Note a login that the policies admit, and that is refused when the account is made."""
    (played,) = play.played
    rule = played.decision.policy.borrower if played.decision.policy else None
    if played.reason == NO_ADDRESS and rule:
        seen.late.setdefault((rule.place, NO_ADDRESS), play.login)
    has_no_number = play.login.borrower is None and play.login.reading.cpr != "real"
    if played.reason in _REFUSES["cpr"] and has_no_number:
        seen.late.setdefault((release.place, played.reason), play.login)


def _find_dead_alternatives(trial: Analysis, policies: PolicySet) -> Iterator[Finding]:
    choosers = [each for each in trial.choosers() if each.day == trial.now.date()]
    personas = chain.from_iterable(each.personas() for each in choosers)
    deciding = [*chain.from_iterable(each.deciding for each in personas)]
    living = {each.alternative for each in deciding}
    yield from _find_dead_exceptions(policies, deciding)
    for alternative in (each for policy in policies.policies for each in policy.match):
        if alternative in living:
            continue
        first = next(filter(None, (each.find_deciding(alternative) for each in choosers)), None)
        what = "nobody can match this alternative"
        if first is not None:
            what = f"this alternative is never reached: {first.place} decides before it"
        yield Finding(alternative.place, what)


def _find_dead_exceptions(policies: PolicySet, deciding: list[DecidingPolicy]) -> Iterator[Finding]:
    """Find exceptions for institutions from which nobody of the affiliation comes."""
    decided = filter(None, (each.policy for each in deciding))
    reached = {(each.affiliation, each.institution) for each in decided}
    for policy in policies.policies:
        for name, variant in policy.exceptions.items():
            if variant.place and (policy.affiliation, name) not in reached:
                yield Finding(variant.place, f"nobody of this affiliation comes from {name}")


def _find_dead_entries(
    policies: PolicySet, seen: Findings, services: tuple[Service, ...]
) -> Iterator[Finding]:
    """Find entries that no login reaches, and attributes that leave for nobody."""
    for policy in policies.policies:
        for release in policy.releases:
            named = release.service
            serving = [each for each in services if named in (each.name, *each.categories)]
            if not serving:
                continue  # reported where the names are checked
            if release.place not in seen.entries:
                why = _explain_missing_upstream(policy, serving)
                yield Finding(release.place, f"no login reaches this entry{why}")
                continue
            for listed in release.attributes:
                line = (listed.place, listed.name)
                if line not in seen.leaving and line in seen.staying:
                    code, facts = seen.staying[line]
                    what = f"{listed.name} leaves for nobody: {code}"
                    yield Finding(listed.place, what, write_options(facts, (policies,)))


def _explain_missing_upstream(policy: Policy, serving: list[Service]) -> str:
    """Explain that the services offer no upstream of the policy; "" if they do."""
    offered = {method for service in serving for method in service.methods}
    for alternative in policy.match:
        ways = [each.values for each in alternative.conditions if each.name == "upstream"]
        if all(not offered.isdisjoint(values) for values in ways):
            return ""
    return f": methods in broker.toml are only {', '.join(sorted(offered))}"


def _find_dead_requirements(policies: PolicySet, seen: Findings) -> Iterator[Finding]:
    """Find keys of a requirement that refuse nobody."""
    for policy in policies.policies:
        require = policy.require
        refused = {code for name, code in seen.refused if name == policy.affiliation}
        makes = any(release.borrower == "make" for release in policy.releases)
        for key, codes in _REFUSES.items():
            place = require.line_of(key)
            if place and getattr(require, key) and refused.isdisjoint(codes):
                why = "" if makes else _NEVER_MADE
                yield Finding(place, f"require {key} refuses nobody{why}")


def _find_late_refusals(policies: PolicySet, seen: Findings) -> Iterator[Finding]:
    rules = [policy.borrower for policy in policies.policies if policy.borrower]
    written = {rule.place for rule in rules if any(each.name == "email" for each in rule.fields)}
    for (place, code), facts in seen.late.items():
        if code == NO_ADDRESS and place in written:
            what = "a login without an address makes no account: add mail to the field email"
        elif code == NO_ADDRESS:
            what = "no account is ever made: the rule has no field email, and each needs one"
        else:
            what = f"lets in logins that are refused for {code} when the account is made"
            what += "; write require: {cpr: real}"
        yield Finding(place, what, write_options(facts, (policies,)))


def write_untried_examples(
    found: Findings, policies: PolicySet, tried: Collection[Decided]
) -> tuple[str, ...]:
    """Return an example, with its file in a comment, for each kind of decision not in ``tried``."""
    files = {policy.affiliation: policy.file for policy in policies.policies}
    untried = sorted(found.reached.keys() - tried)
    return tuple(_write_example(found.reached[each], each, files[each[0]]) for each in untried)


def _write_example(facts: GivenFacts, decided: Decided, file: str) -> str:
    affiliation, service, effect, reason = decided
    login: dict[str, Value] = dict(write_example_login(facts))
    if reason == _NO_BORROWER:
        login["borrower"] = False
    is_denied = effect == "deny"
    expect = {"effect": effect, "affiliation": affiliation}
    expect |= {"reason": reason} if is_denied else {}
    name = f"{affiliation} at {service}: {reason if is_denied else 'let in'}"
    keys = {"login": login, "service": service, "expect": expect}
    # JSON is YAML too.
    lines = (f"    {key}: {json.dumps(of, ensure_ascii=False)}" for key, of in keys.items())
    return "\n".join((f"  # {file}", f"  - name: {json.dumps(name)}", *lines))
