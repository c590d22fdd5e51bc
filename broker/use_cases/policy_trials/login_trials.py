"""Try a described login against a policy set, with the engine and the settings of real logins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Final

from broker.core.entities import Controller, Institution, Names, Service, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from broker.core.login.described_login import DescribedLogin, SimulationTerms
from broker.core.login.given_facts import CompletedFacts, GivenFacts, complete_facts, describe_login
from broker.core.login.login_decision import add_required_names
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import PolicySet

_ANY: Final = "any"
_ISSUER: Final = "https://broker.example/saml/idp/metadata"
_LIBRARY: Final = "library"
_EID: Final = "nemid"


class NoSuchNameError(LookupError):
    """Raised for an unknown name; ``kind`` says of what, ``known`` are the names that exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Take the kind, the unknown name and the known names."""
        super().__init__(f"there is no {kind} {name!r}")
        self.kind = kind
        self.name = name
        self.known = tuple(known)


@dataclass(frozen=True, slots=True)
class TrialSite:
    """The policy set that logins are tried against, with the configuration around it.

    ``origin`` says where the set was read. Without a configuration (``configured`` is False) every
    service and upstream that a policy names exists, and withholds nothing.
    """

    policies: PolicySet
    origin: str
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    maps: Mapping[str, AttributeMap]
    configured: bool
    issuer: str = _ISSUER
    acs: Mapping[str, str] = field(default_factory=dict)
    signs_up_at: str | None = None

    def find_service(self, name: str) -> Service:
        """Return a service with the attributes that its metadata requires; NoSuchNameError."""
        if name in self.services:
            return add_required_names(self.services[name], self.maps)
        raise NoSuchNameError("service", name, self.services)

    def find_upstream(self, name: str) -> Upstream:
        """Return an upstream; NoSuchNameError."""
        named = (
            self.upstreams if self.configured else self.policies.find_condition_values("upstream")
        )
        if name not in named:
            raise NoSuchNameError("upstream", name, named)
        return self.upstreams[name] if self.configured else _make_ideal_upstream(name)

    def make_terms(
        self, upstream: Upstream, institution: Institution | None = None
    ) -> SimulationTerms:
        """Return the terms of a login through ``upstream``, by ``institution``."""
        label = institution.label if institution else None
        local = (name for name, each in self.upstreams.items() if each.local)
        return SimulationTerms(
            giver=Controller(label or upstream.label),
            local=frozenset(local if self.configured else (_LIBRARY,)),
        )


@dataclass(frozen=True, slots=True)
class LoginTrial:
    """A login with all its facts, and its result at each service."""

    given: GivenFacts
    complete: CompletedFacts
    login: DescribedLogin
    played: tuple[PlayedLogin, ...]


def try_login(site: TrialSite, given: GivenFacts, services: Names, now: datetime) -> LoginTrial:
    """Play ``given`` at ``services``, at all services where none is named.

    NoSuchNameError for an unknown upstream, service, intent or attribute.
    """
    upstream = site.find_upstream(given.upstream)
    sendable = _find_sendable(site, upstream)
    _check_names(site, given, sendable)
    complete = complete_facts(given, upstream, sendable, site.policies)
    attributes = complete.facts.attributes
    if not site.configured and complete.institution:
        # Without a configuration the institution may assert every scope that is given.
        values = chain.from_iterable(attributes.values())
        scopes = tuple({value.rpartition("@")[2] for value in values})
        institution = replace(complete.institution, scopes=scopes)
        upstream = replace(upstream, institutions=(institution,))
        complete = replace(complete, institution=institution)
    maps = {**site.maps, _ANY: make_identity_map((*attributes, "eduPersonAssurance"))}
    login = describe_login(complete, upstream, maps, site.policies, now)
    terms = site.make_terms(upstream, complete.institution)
    played = (
        simulate_login(login, site.find_service(name), site.policies, now, terms)
        for name in services or tuple(site.services)
    )
    return LoginTrial(given, complete, login, tuple(played))


def is_offered(site: TrialSite, trial: LoginTrial, played: PlayedLogin) -> bool:
    """Return whether the service offers the upstream; always True without a configuration."""
    return not site.configured or trial.login.upstream in played.service.methods


def make_identity_map(names: Names) -> AttributeMap:
    """Return the attribute map of an unconfigured party: the wire names are our names."""
    return AttributeMap(_ANY, tuple(MapRow(name, name) for name in dict.fromkeys(names)))


def _check_names(site: TrialSite, given: GivenFacts, sendable: frozenset[str] | None) -> None:
    affiliations = [policy.affiliation for policy in site.policies.policies]
    if given.intent is not None and given.intent not in affiliations:
        raise NoSuchNameError("affiliation", given.intent, affiliations)
    if sendable is None or given.whole:
        return
    for name in (*given.attributes, *given.without):
        if name not in sendable:
            raise NoSuchNameError("attribute", name, sorted(sendable))


def _make_ideal_upstream(name: str) -> Upstream:
    institution = Institution(
        _ANY, may_assert=frozenset({"cpr", "alumni_cpr"}), national_eid=name == _EID
    )
    return Upstream(
        name=name,
        profile="library" if name == _LIBRARY else "wayf",
        entity_id=_ANY,
        sp_entity_id=_ANY,
        attribute_map=_ANY,
        label=Text(name, name),
        institutions=(institution,),
    )


def _find_sendable(site: TrialSite, upstream: Upstream) -> frozenset[str] | None:
    """Return the attributes that the upstream can send; None: any."""
    if upstream.attribute_map not in site.maps:
        return None
    return frozenset(row.name for row in site.maps[upstream.attribute_map].rows)
