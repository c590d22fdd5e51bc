"""Check site rules, which must hold for every login, by simulating all sample logins."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names, Service
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.login.site import Site
from broker.core.policy.deviations import Deviation, Outcome, find_deviations
from broker.core.policy.model import Expectation, PolicyLine, PolicySet
from broker.core.policy_analysis.plays import iter_plays
from broker.core.policy_analysis.sample_logins import Analysis, LoginFilter


@dataclass(frozen=True, slots=True)
class SiteRule:
    """The result that every login selected by ``when`` must have.

    The rule holds at ``services`` (empty: all), except at those of ``excepted``.
    """

    name: str
    when: LoginFilter
    expect: Expectation
    place: PolicyLine
    services: Names = ()
    excepted: Names = ()

    def concerns(self, service: Service) -> bool:
        """Return whether the rule holds at a service."""
        if service.name in self.excepted:
            return False
        return not self.services or service.name in self.services


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule: the deviation, and a login at a service as an example."""

    deviation: Deviation
    service: str
    login: DescribedLogin = field(repr=False)


def find_breaches(
    rule: SiteRule, policies: PolicySet, site: Site, now: datetime
) -> list[Breach] | None:
    """Check ``rule`` with every sample login; return None if it selects none."""
    services = {name: each for name, each in site.services.items() if rule.concerns(each)}
    here = replace(site, services=services)
    found: dict[object, Breach] | None = None
    can_break = _can_break(rule, policies)
    for play in iter_plays(Analysis((policies,), (here,), now, rule.when)):
        if found is None:
            found = {}
        if not can_break:
            break
        service = play.service.name
        for deviation in find_deviations(rule.expect, _make_outcome(play.played[0])):
            found.setdefault((service, deviation), Breach(deviation, service, play.login))
    return None if found is None else [*found.values()]


def _can_break(rule: SiteRule, policies: PolicySet) -> bool:
    """Return whether any login could break the rule.

    A rule that only forbids attributes cannot be broken if no release entry lists one of them.
    """
    if replace(rule.expect, never_releases=()) != Expectation(""):
        return True
    listed = {
        each.name
        for release in policies.releases
        for each in (*release.attributes, *((release.subject,) if release.subject else ()))
    }
    return not listed.isdisjoint(rule.expect.never_releases)


def _make_outcome(played: PlayedLogin) -> Outcome:
    borrower = played.borrower
    return Outcome(
        played.decision,
        played.reason,
        played.place,
        tuple(each.name for each in played.attributes_sent),
        borrower is not None and borrower.outcome is EnrolmentOutcome.CREATED,
    )
