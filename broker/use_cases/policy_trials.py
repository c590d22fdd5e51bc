"""Tries described logins against a set of policies, by the engine and the entities of live ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Final

from broker.core.entities import Controller, Institution, Names, Service, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from broker.core.login.described_login import DescribedLogin, IdealTerms
from broker.core.login.given_facts import CompletedFacts, GivenFacts, completed, described
from broker.core.login.ideal_login import play
from broker.core.login.login_decision import add_required_names
from broker.core.login.played_login import PlayedLogin
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay, replayed
from broker.core.policy.model import Example, PolicySet

ANY: Final = "any"
ISSUER: Final = "https://broker.example/saml/idp/metadata"
_LIBRARY: Final = "library"
_EID: Final = "nemid"


class NoSuchNameError(LookupError):
    """A name that is not there; ``kind`` says of what, ``known`` are those that are there."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Take what was asked for, and what there is."""
        super().__init__(f"there is no {kind} {name!r}")
        self.kind = kind
        self.name = name
        self.known = tuple(known)


@dataclass(frozen=True, slots=True)
class Site:
    """What logins are tried against: a set of policies, and what a configuration says beside it.

    ``origin`` says where the set is from. Where nothing is ``configured`` every service and every
    upstream that a policy names is there, and as the policies hope.
    """

    policies: PolicySet
    origin: str
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: Mapping[str, AttributeMap]
    configured: bool
    issuer: str = ISSUER
    acs: Mapping[str, str] = field(default_factory=dict)
    signs_up_at: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A login as it was completed and read, and what came of it at each service."""

    given: GivenFacts
    complete: CompletedFacts
    login: DescribedLogin
    played: tuple[PlayedLogin, ...]


def replay_refusal(site: Site, facts: RefusedFacts, now: datetime) -> Replay:
    """Play a refused login again by the policies of ``site``.

    NoSuchNameError where its service or upstream is no longer there.
    """
    upstream = find_upstream(site, facts.upstream)
    service = _service(site, facts.service)
    terms = IdealTerms(_giver(upstream, None), _local(site))
    return replayed(facts, service, site.policies, now, terms)


def try_login(site: Site, given: GivenFacts, services: Names, now: datetime) -> Trial:
    """Play ``given`` at ``services``; at all of them, where none is named.

    NoSuchNameError for an upstream, a service, an intent or an attribute that is not there.
    """
    upstream = find_upstream(site, given.upstream)
    _check_names(site, given, upstream)
    complete = completed(given, upstream, _sendable(site, upstream), site.policies)
    if not site.configured and complete.institution:
        # Where nothing is configured the institution may assert every scope that is given.
        values = chain.from_iterable(complete.facts.attributes.values())
        scopes = tuple({value.rpartition("@")[2] for value in values})
        institution = replace(complete.institution, scopes=scopes)
        upstream = replace(upstream, institutions=(institution,))
        complete = replace(complete, institution=institution)
    login = described(complete, upstream, _maps(site, complete.facts), site.policies, now)
    terms = IdealTerms(_giver(upstream, complete.institution), _local(site))
    played = (
        play(login, _service(site, name), site.policies, now, terms)
        for name in services or tuple(site.services)
    )
    return Trial(given, complete, login, tuple(played))


def is_offered(site: Site, trial: Trial, played: PlayedLogin) -> bool:
    """Return whether the service offers the way to log in; any does where nothing is configured."""
    return not site.configured or trial.login.upstream in played.service.methods


def example_at(policies: PolicySet, file: str, line: int) -> Example | None:
    """Return the example of ``file`` that begins at ``line``, or is the last before it."""
    found = None
    for policy in policies.policies:
        for example in policy.examples:
            if policy.file == file and example.place.line <= line:
                found = example
    return found


def _check_names(site: Site, given: GivenFacts, upstream: Upstream) -> None:
    affiliations = [policy.affiliation for policy in site.policies.policies]
    if given.intent is not None and given.intent not in affiliations:
        raise NoSuchNameError("affiliation", given.intent, affiliations)
    sendable = _sendable(site, upstream)
    if sendable is None or given.whole:
        return
    for name in (*given.attributes, *given.without):
        if name not in sendable:
            raise NoSuchNameError("attribute", name, sorted(sendable))


def find_upstream(site: Site, name: str) -> Upstream:
    """Return the upstream; one that is as the policies hope, where nothing is configured."""
    if site.configured:
        if name not in site.upstreams:
            raise NoSuchNameError("upstream", name, site.upstreams)
        return site.upstreams[name]
    named = _named_upstreams(site.policies)
    if name not in named:
        raise NoSuchNameError("upstream", name, named)
    institution = Institution(
        ANY, may_assert=frozenset({"cpr", "alumni_cpr"}), national_eid=name == _EID
    )
    return Upstream(
        name=name,
        profile="library" if name == _LIBRARY else "wayf",
        entity_id=ANY,
        sp_entity_id=ANY,
        attribute_map=ANY,
        label=Text(name, name),
        institutions=(institution,),
    )


def _named_upstreams(policies: PolicySet) -> Names:
    named = (
        value
        for policy in policies.policies
        for alternative in policy.match
        for condition in alternative.conditions
        if condition.name == "upstream"
        for value in condition.values
    )
    return tuple(dict.fromkeys(named))


def _service(site: Site, name: str) -> Service:
    if name in site.services:
        return add_required_names(site.services[name], site.maps)
    raise NoSuchNameError("service", name, site.services)


def _sendable(site: Site, upstream: Upstream) -> frozenset[str] | None:
    if upstream.attribute_map not in site.maps:
        return None
    return frozenset(row.name for row in site.maps[upstream.attribute_map].rows)


def _maps(site: Site, facts: GivenFacts) -> Mapping[str, AttributeMap]:
    """Return the maps, with one for an upstream of which nothing is configured."""
    return {**site.maps, ANY: identity_map((*facts.attributes, "eduPersonAssurance"))}


def identity_map(names: Names) -> AttributeMap:
    """Return the map of a party of which nothing is configured: every name is written as it is."""
    return AttributeMap(ANY, tuple(MapRow(name, name) for name in dict.fromkeys(names)))


def _local(site: Site) -> frozenset[str]:
    if not site.configured:
        return frozenset({_LIBRARY})
    return frozenset(name for name, upstream in site.upstreams.items() if upstream.local)


def _giver(upstream: Upstream, institution: Institution | None) -> Controller:
    label = institution.label if institution else None
    return Controller(label or upstream.label)
