"""Find the rules of a policy set that have no effect, and the kinds of its decisions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from broker.core.entities import Service
from broker.core.login.given_facts import GivenFacts
from broker.core.policy.model import Effect, Fate, Policy, PolicyLine, PolicySet, Release
from broker.core.policy_analysis.personas import Analysis
from broker.core.policy_analysis.plays import Play, iter_plays

# The reasons that each key of a requirement refuses for.
_REFUSES: Final = {
    "cpr": ("cpr_required", "replacement_number", "constructed_number"),
    "age": ("too_young",),
    "assurance": ("assurance_too_low",),
    "upstream": ("national_eid_required",),
}
# The fates of attributes that leave, and of those that no line lists.
_PASSED: Final = frozenset({"released", "released_in_part", "not_listed"})
_NOT_SENT: Final = "not_sent"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule without effect: its line and a sentence."""

    place: PolicyLine
    what: str

    def __str__(self) -> str:
        """Return ``student.yaml:12: the sentence``."""
        return f"{self.place}: {self.what}"


# Affiliation, service, effect and reason of a decision.
Decided = tuple[str, str, str, str]


@dataclass(slots=True)
class Findings:
    """The results of all personas; ``reached`` holds a login for each kind of decision.

    ``alternatives``, ``exceptions`` and ``entries`` are those that decided some login. ``leaving``
    and ``staying`` are attributes on the line that lists them, the latter with the reason.
    """

    logins: int = 0
    reached: dict[Decided, GivenFacts] = field(default_factory=dict)
    alternatives: set[PolicyLine] = field(default_factory=set)
    exceptions: set[tuple[str, str]] = field(default_factory=set)
    entries: set[PolicyLine] = field(default_factory=set)
    leaving: set[tuple[PolicyLine, str]] = field(default_factory=set)
    staying: dict[tuple[PolicyLine, str], str] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def find_useless_rules(
        self, policies: PolicySet, services: tuple[Service, ...]
    ) -> Iterator[Finding]:
        """Yield the rules that have no effect on any login."""
        served = {name for each in services for name in (each.name, *each.categories)}
        for policy in policies.policies:
            yield from self._find_useless_matches(policy)
            # The name of a service that is not configured has a warning already.
            for release in (each for each in policy.releases if each.service in served):
                yield from self._find_useless_lines(release)
            yield from self._find_useless_requirements(policy)

    def _find_useless_matches(self, policy: Policy) -> Iterator[Finding]:
        for alternative in policy.match:
            if alternative.place not in self.alternatives:
                what = "this alternative decides no login: nobody meets it, or another comes first"
                yield Finding(alternative.place, what)
        for name, variant in policy.exceptions.items():
            if variant.place and (policy.affiliation, name) not in self.exceptions:
                yield Finding(variant.place, f"nobody of this affiliation comes from {name}")

    def _find_useless_lines(self, release: Release) -> Iterator[Finding]:
        if release.place not in self.entries:
            yield Finding(release.place, "no login reaches this entry")
        for listed in release.attributes:
            line = (listed.place, listed.name)
            if line in self.staying and line not in self.leaving:
                yield Finding(
                    listed.place, f"{listed.name} leaves for nobody: {self.staying[line]}"
                )

    def _find_useless_requirements(self, policy: Policy) -> Iterator[Finding]:
        require = policy.require
        for key, codes in _REFUSES.items():
            place = require.line_of(key)
            refuses = any((policy.affiliation, code) in self.refused for code in codes)
            if place and getattr(require, key) and not refuses:
                yield Finding(place, f"require {key} refuses nobody")


def find_results(trial: Analysis) -> Findings:
    """Play every persona under the one set of ``trial`` and return what decided them."""
    seen = Findings()
    for play in iter_plays(trial):
        seen.logins += 1
        _note(seen, play)
    return seen


def _note(seen: Findings, play: Play) -> None:
    (played,) = play.played
    (deciding,) = play.deciding
    decision = played.decision
    affiliation, release = decision.affiliation, decision.release
    if affiliation is None:
        return
    if deciding.policy and deciding.alternative:
        seen.alternatives.add(deciding.alternative.place)
        seen.exceptions.add((affiliation, deciding.policy.institution))
    key = (affiliation, play.service.name, decision.effect.value, decision.reasons[0].code)
    seen.reached.setdefault(key, play.login)
    if release is not None:
        seen.entries.add(release.place)
    if decision.effect is Effect.DENY:
        seen.refused |= {(affiliation, each.code) for each in decision.reasons}
        return
    for fate in decision.fates:
        _note_fate(seen, fate)


def _note_fate(seen: Findings, fate: Fate) -> None:
    if fate.place is None:
        return
    line = (fate.place, fate.name)
    if fate.code in _PASSED:
        seen.leaving.add(line)
    elif seen.staying.get(line, _NOT_SENT) == _NOT_SENT:
        seen.staying[line] = fate.code  # another reason says more
