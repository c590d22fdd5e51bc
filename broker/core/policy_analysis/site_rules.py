"""Check site rules, which must hold for every login, with simulated logins of all personas."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names, Service
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.login.site import Site
from broker.core.policy.model import Expectation, PolicyLine, PolicySet
from broker.core.policy_analysis.persona_words import write_options
from broker.core.policy_analysis.personas import Analysis, LoginFilter
from broker.core.policy_analysis.plays import iter_plays


@dataclass(frozen=True, slots=True)
class SiteRule:
    """The result that every login selected by ``when`` must have.

    The rule holds at ``services`` (empty: all), except at those of ``excepted``. A field of
    ``expect`` that is None, or an empty ``effect``, is not checked. The attributes in
    ``never_releases`` must not be released at any login.
    """

    name: str
    when: LoginFilter
    expect: Expectation
    place: PolicyLine
    services: Names = ()
    excepted: Names = ()
    never_releases: Names = ()

    def concerns(self, service: Service) -> bool:
        """Return whether the rule holds at a service."""
        if service.name in self.excepted:
            return False
        return not self.services or service.name in self.services


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule: the policy line that breaks it, and a login as an example.

    ``place`` is None if no line decides.
    """

    what: str
    place: PolicyLine | None
    service: str
    login: DescribedLogin = field(repr=False)
    persona: str


# A sentence on how a rule is broken, and the line that decides.
_Found = tuple[str, PolicyLine | None]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of checking one rule.

    ``met`` says whether the rule selects any persona.
    """

    rule: SiteRule
    breaches: tuple[Breach, ...]
    met: bool


def check_rule(rule: SiteRule, policies: PolicySet, site: Site, now: datetime) -> RuleResult:
    """Check ``rule`` with every persona."""
    services = {name: each for name, each in site.services.items() if rule.concerns(each)}
    here = replace(site, services=services)
    trial = Analysis((policies,), (here,), now, rule.when)
    found: dict[object, Breach] = {}
    met = False
    can_break = _can_break(rule, policies)
    for play in iter_plays(trial):
        met = True
        if not can_break:
            break
        for what, place in _find_breaches(rule, play.played[0]):
            key = (play.service.name, what, place)
            if key not in found:
                persona = write_options(play.login, trial.sets, trial.given.conditions)
                found[key] = Breach(what, place, play.service.name, play.login, persona)
    return RuleResult(rule, tuple(found.values()), met)


def _can_break(rule: SiteRule, policies: PolicySet) -> bool:
    """Return whether any login could break the rule.

    A rule that only forbids attributes cannot be broken if no release entry lists one of them.
    """
    if rule.expect != Expectation(""):
        return True
    listed = {
        each.name
        for policy in policies.policies
        for release in policy.releases
        for each in (*release.attributes, *((release.subject,) if release.subject else ()))
    }
    return not listed.isdisjoint(rule.never_releases)


def _find_breaches(rule: SiteRule, played: PlayedLogin) -> Iterator[_Found]:
    yield from _compare_decision(rule.expect, played)
    yield from _compare_account(rule.expect, played)
    yield from _compare_leaving(rule, played)


def _compare_decision(expect: Expectation, played: PlayedLogin) -> Iterator[_Found]:
    effect, reason = ("permit", "ok") if played.is_permitted else ("deny", played.reason)
    if expect.effect not in {"", effect}:
        what = "lets in" if played.is_permitted else f"refuses for {reason}"
        yield what, played.place
    elif expect.reason not in {None, reason}:
        yield f"gives the reason {reason}, not {expect.reason}", played.place
    affiliation = played.decision.affiliation
    if expect.affiliation not in {None, affiliation}:
        yield f"takes for {affiliation or 'nobody'}, not {expect.affiliation}", played.place


def _compare_account(expect: Expectation, played: PlayedLogin) -> Iterator[_Found]:
    policy, made = played.decision.policy, played.borrower
    if expect.no_borrower and made and made.outcome is EnrolmentOutcome.CREATED:
        yield f"makes an account of the category {made.category}", made.place
    rule = policy.borrower if policy else None
    if rule and expect.category not in {None, rule.category}:
        what = f"makes the category {rule.category}, not {expect.category}"
        yield what, rule.line_of("category")
    elif rule is None and expect.category:
        yield f"makes no borrower, not {expect.category}", played.place


def _compare_leaving(rule: SiteRule, played: PlayedLogin) -> Iterator[_Found]:
    names = {each.name for each in played.leaving}
    expected = rule.expect.releases
    for each in played.leaving:
        is_extra = expected is not None and each.name not in expected
        if each.name in rule.never_releases or is_extra:
            yield f"releases {each.name}", each.place
    for name in expected or ():
        if name not in names:
            yield f"does not release {name}", played.place
