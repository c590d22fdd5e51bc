"""Find the rules of a policy set that have no effect, and the kinds of its decisions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from broker.core.entities import Service
from broker.core.errors import Fault
from broker.core.login.given_facts import GivenFacts
from broker.core.policy.model import Effect, Policy, PolicyLine, PolicySet, Release
from broker.core.policy_analysis.plays import Play, iter_plays
from broker.core.policy_analysis.sample_logins import Analysis

# The reason codes with which each key under ``require`` refuses a person.
_REFUSES: Final = {
    "cpr": ("cpr_required", "replacement_number", "constructed_number"),
    "age": ("too_young",),
    "assurance": ("assurance_too_low",),
    "upstream": ("national_eid_required",),
}
# The codes that need no finding: the attribute is released, or no line of the policy lists it.
_PASSED: Final = frozenset({"released", "released_in_part", "not_listed"})
_NOT_SENT: Final = "not_sent"


# Affiliation, service, effect and reason of a decision.
Decided = tuple[str, str, str, str]


@dataclass(slots=True)
class Findings:
    """The results of all sample logins; ``reached`` holds a login for each kind of decision.

    ``used_lines`` are the policy lines that decided at least one login. The second part is the
    name of the attribute for a line that lists a released one, otherwise "". ``withheld`` are
    listed attributes that no service received, with the line and the reason code. ``refused``
    holds each affiliation with a reason code of its refusals.
    """

    logins: int = 0
    reached: dict[Decided, GivenFacts] = field(default_factory=dict)
    used_lines: set[tuple[PolicyLine | None, str]] = field(default_factory=set)
    withheld: dict[tuple[PolicyLine | None, str], str] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def find_useless_rules(
        self, policies: PolicySet, services: tuple[Service, ...]
    ) -> Iterator[Fault]:
        """Yield the rules that have no effect on any login."""
        configured_names = {name for each in services for name in (each.name, *each.categories)}
        for policy in policies.policies:
            for alternative in policy.match:
                what = (
                    "this alternative decides no login: nobody meets it, or an earlier one always"
                    " applies"
                )
                yield from self._report_unused(alternative.place, what)
            for name, variant in policy.exceptions.items():
                what = f"no tried login of this affiliation is from {name}"
                yield from self._report_unused(variant.place, what)
            # The name of a service that is not configured has a warning already.
            for release in (each for each in policy.releases if each.service in configured_names):
                yield from self._report_unused(release.place, "no login reaches this entry")
                yield from self._find_useless_attributes(release)
            yield from self._find_useless_requirements(policy)

    def _report_unused(self, place: PolicyLine | None, what: str) -> Iterator[Fault]:
        if place and (place, "") not in self.used_lines:
            yield Fault(str(place), what)

    def _find_useless_attributes(self, release: Release) -> Iterator[Fault]:
        for listed in release.attributes:
            line = (listed.place, listed.name)
            if line in self.withheld and line not in self.used_lines:
                what = f"{listed.name} is released to nobody: {self.withheld[line]}"
                yield Fault(str(listed.place), what)

    def _find_useless_requirements(self, policy: Policy) -> Iterator[Fault]:
        require = policy.require
        for key, codes in _REFUSES.items():
            refuses = any((policy.affiliation, code) in self.refused for code in codes)
            if getattr(require, key) and not refuses:
                yield Fault(str(require.line_of(key)), f"require {key} refuses nobody")


def simulate_sample_logins(analysis: Analysis) -> Findings:
    """Simulate every sample login under the one policy set of ``analysis``.

    Return the lines that decided something.
    """
    seen = Findings()
    for play in iter_plays(analysis):
        seen.logins += 1
        _record_play(seen, play)
    return seen


def _record_play(seen: Findings, play: Play) -> None:
    decision = play.played[0].decision
    policy, release, alternative = decision.policy, decision.release, decision.alternative
    if policy is None:
        return
    key = (policy.affiliation, play.service.name, decision.effect.value, decision.reasons[0].code)
    seen.reached.setdefault(key, play.login)
    deciding = (each.place for each in (policy, release, alternative) if each)
    seen.used_lines |= {(place, "") for place in deciding}
    if decision.effect is Effect.DENY:
        seen.refused |= {(policy.affiliation, each.code) for each in decision.reasons}
        return
    for fate in decision.fates:
        line = (fate.place, fate.name)
        if fate.code in _PASSED:
            seen.used_lines.add(line)
        elif seen.withheld.get(line, _NOT_SENT) == _NOT_SENT:
            seen.withheld[line] = fate.code  # not_sent says least: any other reason replaces it
