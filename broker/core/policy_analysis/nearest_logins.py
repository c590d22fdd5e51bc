"""The logins nearest to a refused one that a service lets in: a fold over played personas."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.entities import Names, Service
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, CPR_STAND_IN, Attributes
from broker.core.login.described_login import DescribedLogin, IdealTerms
from broker.core.login.given_facts import UNNAMED_CATEGORY, GivenFacts
from broker.core.login.ideal_login import play
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import Alternative, Policy, PolicyLine, PolicySet, Release
from broker.core.policy_analysis.plays import Play, Trial
from broker.core.policy_analysis.sources import Site

# An attribute of another person is farther than another way to log in, or a mailbox to show.
_ANOTHER_PERSON: Final = 5
_MAILBOX: Final = 2
# What one person may be given and another not: to have it is to be nobody else.
_GRANTED: Final = frozenset({"eduPersonEntitlement"})
_UPSTREAM_AND_LEVEL: Final = frozenset({"upstream", "assurance"})


@dataclass(frozen=True, slots=True)
class NearLogin:
    """A login that is let in by the rule at ``place``, and what is different in words."""

    login: DescribedLogin
    changes: Names
    place: PolicyLine
    affiliation: str
    effort: int


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """A login that ``policies`` refuse at ``service``, with what somebody gave of its facts.

    ``site`` is where other logins may come from.
    """

    given: GivenFacts
    login: DescribedLogin
    service: Service
    policies: PolicySet
    site: Site

    def find_nearest(self, affiliation: str | None, now: datetime) -> list[NearLogin]:
        """Return the nearest login of the ``affiliation``, and another that is nearer."""
        near: list[NearLogin] = []
        for policy in self.policies.policies:
            served = {self.service.name, *self.service.categories}
            if any(each.service in served for each in policy.releases):
                near += self._find_near(policy, now)
        near.sort(key=lambda each: (each.affiliation != affiliation, each.effort))
        found: list[NearLogin] = []
        terms = IdealTerms(local=self.site.local)
        for each in near:
            is_same = found and found[0].affiliation == each.affiliation
            if is_same or (found and each.effort >= found[0].effort):
                continue
            if play(each.login, self.service, self.policies, now, terms).permitted:
                found.append(each)
        return found[:2]

    def _find_near(self, policy: Policy, now: datetime) -> Iterator[NearLogin]:
        """Yield the personas that one policy lets in by itself."""
        alone = replace(self.policies, policies=(policy,))
        here = replace(self.site, services=(self.service,))
        for persona in Trial((alone,), here, now).plays():
            (played,) = persona.played
            release = played.decision.release
            if not played.permitted or release is None or not self._can_be(persona, release, now):
                continue
            matched = {each.place for each in played.decision.reasons}
            for alternative in policy.match:
                if alternative.place in matched:
                    yield _compare(self.given, self.login, persona, alternative, policy)

    def _can_be(self, persona: Play, release: Release, now: datetime) -> bool:
        """Return whether the person can come as a persona: with no account that is not there."""
        login = persona.login
        if persona.day != now.date() or login.reading.withheld:
            return False
        if login.intent not in {None, self.login.intent}:
            return False
        has_account = persona.source.local or (login.borrower and release.borrower != "need")
        return not has_account or self.login.borrower is not None


def _compare(
    given: GivenFacts,
    login: DescribedLogin,
    persona: Play,
    alternative: Alternative,
    policy: Policy,
) -> NearLogin:
    other = persona.login
    there, wanted = login.reading, other.reading
    is_elsewhere = login.upstream != other.upstream
    changes = [f"upstream {other.upstream}"] if is_elsewhere else []
    least = wanted.assurance
    if least is not None and (there.assurance is None or there.assurance < least):
        changes.append(f"assurance {least.name.lower()}")
    attributes = dict(there.attributes)
    effort = 0
    for condition in alternative.conditions:
        name, values = condition.name, condition.values
        if name in _UPSTREAM_AND_LEVEL:
            continue
        has = any(value_allowed(each, values) for each in attributes.get(name, ()))
        if has and not (is_elsewhere and name not in _GRANTED):
            continue
        shown = tuple(
            each for each in wanted.attributes.get(name, ()) if value_allowed(each, values)
        )
        attributes[name] = (*attributes.get(name, ()), *shown)
        if name.endswith(PROOF_DOMAIN):
            changes.append(f"proof {name.removesuffix(PROOF_DOMAIN)} in {shown[0]}")
            effort += _MAILBOX
        else:
            changes.append(f"{name} {shown[0]}")
            effort += 1 if name in _GRANTED else _ANOTHER_PERSON
    changed = replace(there, assurance=max(filter(None, (there.assurance, least)), default=None))
    if wanted.cpr == "real":
        attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
        changes += [] if given.cpr == "real" else ["cpr real"]
        age = max(given.age or 0, wanted.age or 0)
        changes += [f"age {age}"] if policy.require.age and age != given.age else []
        changed = replace(changed, cpr="real", age=age, ground=wanted.ground)
    if other.borrower and not login.borrower:
        rule = policy.borrower
        changes.append(f"borrower {rule.category if rule else UNNAMED_CATEGORY}")
    changed = replace(changed, attributes=Attributes(attributes))
    near = replace(login, reading=changed, borrower=login.borrower or other.borrower)
    return NearLogin(
        login=other if is_elsewhere else near,
        changes=tuple(changes),
        place=alternative.place,
        affiliation=policy.affiliation,
        effort=effort + len(changes),
    )
