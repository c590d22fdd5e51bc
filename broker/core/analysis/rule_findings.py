"""Findings of the analysis: rules without effect, late refusals, what no example tries."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from broker.core.analysis.compared_logins import Analysis, ComparedLogin
from broker.core.analysis.dead_ways import dead_ways
from broker.core.analysis.modelled_matching import ModelledSet
from broker.core.analysis.personas import words
from broker.core.analysis.source_kinds import SourceKinds, Vocabulary, field_sources
from broker.core.analysis.unmodelled_rules import unmodelled_rules
from broker.core.entities import Service
from broker.core.login.described_login import DescribedBorrower, DescribedLogin
from broker.core.login.missing_address import NO_ADDRESS
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import (
    Alternative,
    Decision,
    Effect,
    Policy,
    PolicyLine,
    PolicySet,
    Release,
)

# The reasons that each key of a requirement refuses for.
_REFUSES: Final = {
    "cpr": ("cpr_required", "replacement_number", "constructed_number"),
    "age": ("too_young",),
    "assurance": ("assurance_too_low",),
    "upstream": ("national_eid_required",),
}
_NUMBER: Final = _REFUSES["cpr"]
_NEVER_MADE: Final = ": no entry says borrower: make"
_CHANGING_CATEGORY: Final = ("upgrades", "lowers")
# Fates of what leaves, and of what no line lists.
_PASSED: Final = frozenset({"released", "released_in_part", "not_listed"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a line, in a sentence, and a login that shows it, if one does."""

    place: PolicyLine
    what: str
    persona: str | None = None

    def __str__(self) -> str:
        """Return ``student.yaml:12: what; e.g. who``."""
        shown = f"; e.g. {self.persona}" if self.persona else ""
        return f"{self.place}: {self.what}{shown}"


# An attribute on the line that lists it: one line may list several.
Line = tuple[PolicyLine, str]
# Affiliation, service, and what a decision says.
Decided = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the analysis of one set found.

    ``reached`` holds for each kind of decision a login that leads to it; ``unmodelled`` are the
    rules for which the analysis is not complete.
    """

    findings: tuple[Finding, ...]
    classes: int
    reached: dict[Decided, tuple[DescribedLogin, PlayedLogin]] = field(repr=False)
    unmodelled: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What the logins have shown so far."""

    entries: set[PolicyLine] = field(default_factory=set)
    leaving: set[Line] = field(default_factory=set)
    staying: dict[Line, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    shown: dict[tuple[Line, str], DescribedLogin] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    late: dict[tuple[PolicyLine, str], DescribedLogin] = field(default_factory=dict)
    reached: dict[Decided, tuple[DescribedLogin, PlayedLogin]] = field(default_factory=dict)
    classes: set[object] = field(default_factory=set)


def findings(analysis: Analysis) -> Findings:
    """Return what all logins of a site show of the one set of ``analysis``."""
    (policies,) = analysis.sets
    vocabulary = analysis.vocabulary
    seen = _Seen()
    for login in analysis.logins():
        seen.classes.add((login.day, login.found))
        _note(seen, login)
    (modelled,) = analysis.modelled.on(analysis.now.date())
    kinds = [analysis.modelled.kinds(source) for source in analysis.site.sources]
    found = [
        *_dead_alternatives(modelled, kinds),
        *_dead_entries(policies, seen, analysis.site.services, vocabulary),
        *_dead_requirements(policies, seen),
        *_idle_categories(policies),
        *_refused_late(policies, seen, vocabulary),
        *_ties(policies, analysis.site.services),
    ]
    unmodelled = tuple(
        Finding(place, f"not complete: the analysis knows no {key!r}")
        for place, key in unmodelled_rules(policies)
    )
    first = PolicyLine(policies.policies[0].file, 1)
    crowded = (
        Finding(first, f"not complete: too many alternatives come together at {name}")
        for name in analysis.incomplete()
    )
    return Findings(tuple(found), len(seen.classes), seen.reached, (*unmodelled, *crowded))


def _note(seen: _Seen, login: ComparedLogin) -> None:
    (played,) = login.played
    (outcome,) = login.outcomes
    decision = played.decision
    affiliation = decision.affiliation
    if affiliation is None:
        return
    reason = decision.reasons[0].code
    key = (affiliation, login.service.name, decision.effect.value, reason)
    if not login.login.reading.withheld:
        # What a fault held back no example can say.
        seen.reached.setdefault(key, (login.login, played))
    if decision.release is not None:
        seen.entries.add(decision.release.place)
    if decision.effect is Effect.DENY:
        seen.refused |= {(affiliation, code) for code in _refused_for(login, decision)}
        return
    seen.leaving |= {(listed.place, listed.name) for listed in outcome.leaving}
    for fate in decision.fates:
        if fate.place is not None and fate.code not in _PASSED:
            line = (fate.place, fate.name)
            seen.staying[line][fate.code] += 1
            seen.shown.setdefault((line, fate.code), login.login)
    _note_late_refusal(seen, login, decision.release)


def _refused_for(login: ComparedLogin, decision: Decision) -> set[str]:
    """Return the reasons: of all who lack what comes first one is played, for whatever else."""
    (right,) = login.found.rights
    codes = {each.code for each in decision.reasons}
    return codes if codes.isdisjoint(right.lacking) else codes.union(right.lacking)


def _note_late_refusal(seen: _Seen, login: ComparedLogin, release: Release | None) -> None:
    """Note who is let in, and refused when the account is to be made.

    For want of a real number, or of an address that the rule could take.
    """
    (played,) = login.played
    refusal = login.outcomes[0].refusal
    if release is None or release.borrower != "make" or refusal is None:
        return
    rule = played.decision.policy.borrower if played.decision.policy else None
    if refusal == NO_ADDRESS and rule:
        seen.late.setdefault((rule.place, refusal), login.login)
    if refusal not in _NUMBER:
        return
    if login.login.borrower is None and login.login.reading.cpr != "real":
        seen.late.setdefault((release.place, refusal), login.login)


def _dead_alternatives(modelled: ModelledSet, kinds: list[SourceKinds]) -> Iterator[Finding]:
    for dead in dead_ways(modelled, kinds):
        if dead.shadow is None:
            yield Finding(dead.place, "nobody can match this alternative")
        else:
            what = f"this alternative never decides: whoever matches it matches {dead.shadow} first"
            yield Finding(dead.place, what)


def _dead_entries(
    policies: PolicySet, seen: _Seen, services: tuple[Service, ...], vocabulary: Vocabulary
) -> Iterator[Finding]:
    """Find entries that nobody reaches, and attributes that leave for nobody."""
    for policy in policies.policies:
        for release in policy.releases:
            if not _served(release, services):
                continue  # told where the names are checked
            if release.place not in seen.entries:
                why = _unoffered(policy, release, services)
                yield Finding(release.place, f"no login reaches this entry{why}")
            else:
                yield from _dead_attributes(release, seen, vocabulary)


def _unoffered(policy: Policy, release: Release, services: tuple[Service, ...]) -> str:
    """Return that the services of an entry offer no way by which its people come, or nothing."""
    offered = {
        method
        for service in services
        if _is_served_at(service, release)
        for method in service.methods
    }
    if any(_comes_by(alternative, offered) for alternative in policy.match):
        return ""
    return f": methods in broker.toml are {', '.join(sorted(offered))} alone"


def _comes_by(alternative: Alternative, offered: set[str]) -> bool:
    """Return whether an alternative leaves the way to log in open, or names one of ``offered``."""
    named = [each.values for each in alternative.conditions if each.name == "upstream"]
    return all(not offered.isdisjoint(values) for values in named)


def _dead_attributes(release: Release, seen: _Seen, vocabulary: Vocabulary) -> Iterator[Finding]:
    for listed in release.attributes:
        line = (listed.place, listed.name)
        if line in seen.leaving or line not in seen.staying:
            continue
        ((code, _),) = seen.staying[line].most_common(1)
        persona = words(seen.shown[line, code], vocabulary)
        yield Finding(listed.place, f"{listed.name} leaves for nobody: {code}", persona)


def _served(release: Release, services: tuple[Service, ...]) -> bool:
    return any(_is_served_at(service, release) for service in services)


def _is_served_at(service: Service, release: Release) -> bool:
    return release.service == service.name or release.service in service.categories


def _dead_requirements(policies: PolicySet, seen: _Seen) -> Iterator[Finding]:
    """Find keys of a requirement that refuse nobody."""
    for policy in policies.policies:
        if policy.require.place is None:
            continue
        for key, codes in _REFUSES.items():
            if not getattr(policy.require, key):
                continue
            if not any((policy.affiliation, code) in seen.refused for code in codes):
                place = policy.require.line_of(key) or policy.require.place
                yield Finding(place, f"require {key} refuses nobody{_why(policy)}")


def _idle_categories(policies: PolicySet) -> Iterator[Finding]:
    """Find keys that change the category of an account, where no login does."""
    for policy in policies.policies:
        rule = policy.borrower
        if rule is None or _makes(policy):
            continue
        for key in _CHANGING_CATEGORY:
            if getattr(rule, key):
                what = f"no login changes a category by {key}{_NEVER_MADE}"
                yield Finding(rule.line_of(key), what)


def _makes(policy: Policy) -> bool:
    return any(release.borrower == "make" for release in policy.releases)


def _why(policy: Policy) -> str:
    return "" if _makes(policy) else _NEVER_MADE


def _refused_late(policies: PolicySet, seen: _Seen, vocabulary: Vocabulary) -> Iterator[Finding]:
    rules = [policy.borrower for policy in policies.policies if policy.borrower]
    written = {rule.place for rule in rules if field_sources(rule, "email")}
    for (place, code), login in seen.late.items():
        persona = words(login, vocabulary)
        if code == NO_ADDRESS and place in written:
            what = "no account is made of whom no address is sent: add mail to the field email"
            yield Finding(place, what, persona)
        elif code == NO_ADDRESS:
            what = "no account is ever made: the rule has no field email, and each asks for one"
            yield Finding(place, what, persona)
        else:
            what = f"lets in who is refused for {code} when the account is made"
            yield Finding(place, f"{what}; write require: {{cpr: real}}", persona)


def _ties(policies: PolicySet, services: tuple[Service, ...]) -> Iterator[Finding]:
    """Find two entries of categories that a service is of, equally long: neither is the shorter."""
    for policy in policies.policies:
        for service in services:
            if any(release.service == service.name for release in policy.releases):
                continue
            found = [each for each in policy.releases if each.service in service.categories]
            shortest = min((len(each.attributes) for each in found), default=0)
            tied = [each for each in found if len(each.attributes) == shortest]
            for release in tied[1:]:
                what = f"ties with {tied[0].place} at {service.name}: the first is taken"
                yield Finding(release.place, what)


def untried(found: Findings, tried: set[Decided]) -> list[Decided]:
    """Return the kinds of decision that logins reach and no example tries, sorted."""
    return sorted(found.reached.keys() - tried)


def untried_login(found: Findings, decided: Decided) -> DescribedLogin:
    """Return a login that leads to a kind of decision, with what the person proved on the way."""
    login, played = found.reached[decided]
    reading = replace(login.reading, attributes=played.facts.attributes)
    there = None if played.facts.borrower is None else DescribedBorrower("")
    return replace(login, reading=reading, borrower=there)
