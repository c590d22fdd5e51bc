"""Find the rules of a policy set that have no effect, and the kinds of its decisions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from broker.core.entities import Service
from broker.core.errors import Fault
from broker.core.login.given_facts import GivenFacts
from broker.core.policy.model import Effect, Policy, PolicyLine, PolicySet, Release
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


# Affiliation, service, effect and reason of a decision.
Decided = tuple[str, str, str, str]


@dataclass(slots=True)
class Findings:
    """The results of all personas; ``reached`` holds a login for each kind of decision.

    ``lines`` are the alternatives, exceptions and entries that decided some login, and the lines of
    attributes that were released, each with the attribute or "". ``staying`` are attributes on the
    line that lists them, with the reason. ``refused`` are reasons by affiliation.
    """

    logins: int = 0
    reached: dict[Decided, GivenFacts] = field(default_factory=dict)
    lines: set[tuple[PolicyLine | None, str]] = field(default_factory=set)
    staying: dict[tuple[PolicyLine | None, str], str] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def find_useless_rules(
        self, policies: PolicySet, services: tuple[Service, ...]
    ) -> Iterator[Fault]:
        """Yield the rules that have no effect on any login."""
        served = {name for each in services for name in (each.name, *each.categories)}
        for policy in policies.policies:
            for alternative in policy.match:
                what = "this alternative decides no login: nobody meets it, or another comes first"
                yield from self._report_unused(alternative.place, what)
            for name, variant in policy.exceptions.items():
                what = f"nobody of this affiliation comes from {name}"
                yield from self._report_unused(variant.place, what)
            # The name of a service that is not configured has a warning already.
            for release in (each for each in policy.releases if each.service in served):
                yield from self._report_unused(release.place, "no login reaches this entry")
                yield from self._find_useless_attributes(release)
            yield from self._find_useless_requirements(policy)

    def _report_unused(self, place: PolicyLine | None, what: str) -> Iterator[Fault]:
        if place and (place, "") not in self.lines:
            yield Fault(str(place), what)

    def _find_useless_attributes(self, release: Release) -> Iterator[Fault]:
        for listed in release.attributes:
            line = (listed.place, listed.name)
            if line in self.staying and line not in self.lines:
                what = f"{listed.name} leaves for nobody: {self.staying[line]}"
                yield Fault(str(listed.place), what)

    def _find_useless_requirements(self, policy: Policy) -> Iterator[Fault]:
        require = policy.require
        for key, codes in _REFUSES.items():
            refuses = any((policy.affiliation, code) in self.refused for code in codes)
            if getattr(require, key) and not refuses:
                yield Fault(str(require.line_of(key)), f"require {key} refuses nobody")


def find_results(trial: Analysis) -> Findings:
    """Play every persona under the one set of ``trial`` and return what decided them."""
    seen = Findings()
    for play in iter_plays(trial):
        seen.logins += 1
        _note(seen, play)
    return seen


def _note(seen: Findings, play: Play) -> None:
    decision = play.played[0].decision
    policy, release, alternative = decision.policy, decision.release, decision.alternative
    if policy is None:
        return
    key = (policy.affiliation, play.service.name, decision.effect.value, decision.reasons[0].code)
    seen.reached.setdefault(key, play.login)
    deciding = (each.place for each in (policy, release, alternative) if each)
    seen.lines |= {(place, "") for place in deciding}
    if decision.effect is Effect.DENY:
        seen.refused |= {(policy.affiliation, each.code) for each in decision.reasons}
        return
    for fate in decision.fates:
        line = (fate.place, fate.name)
        if fate.code in _PASSED:
            seen.lines.add(line)
        elif seen.staying.get(line, _NOT_SENT) == _NOT_SENT:
            seen.staying[line] = fate.code  # another reason says more
