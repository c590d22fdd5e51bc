"""Try a described login against a policy set, with the engine and the settings of real logins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from broker.core.entities import Names, Service, Upstream
from broker.core.login.given_facts import DescribedLogin, GivenFacts, complete_facts, describe_login
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.login.site import Site
from broker.core.policy.model import PolicySet

_Found = TypeVar("_Found", Service, Upstream)


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
    """The policy set that logins are tried against, and the site around it.

    ``origin`` says where the set was read.
    """

    policies: PolicySet
    origin: str
    site: Site
    signs_up_at: str | None = None

    def find_service(self, name: str) -> Service:
        """Return a service; NoSuchNameError."""
        return _find("service", name, self.site.services)

    def find_upstream(self, name: str) -> Upstream:
        """Return an upstream; NoSuchNameError."""
        return _find("upstream", name, self.site.upstreams)


def _find(kind: str, name: str, known: Mapping[str, _Found]) -> _Found:
    if name not in known:
        raise NoSuchNameError(kind, name, known)
    return known[name]


@dataclass(frozen=True, slots=True)
class LoginTrial:
    """A login with all its facts, and its result at each service."""

    login: DescribedLogin
    played: tuple[PlayedLogin, ...]


def try_login(tried: TrialSite, given: GivenFacts, services: Names, now: datetime) -> LoginTrial:
    """Play ``given`` at ``services``, at all services where none is named.

    NoSuchNameError for an unknown upstream, service, intent or attribute.
    """
    site, policies = tried.site, tried.policies
    upstream = tried.find_upstream(given.upstream)
    sendable = _find_sendable(site, upstream)
    _check_names(policies, given, sendable)
    complete = complete_facts(given, upstream, sendable, policies)
    login = describe_login(complete, site, policies, now)
    played = (
        simulate_login(login, tried.find_service(name), policies, now, site)
        for name in services or tuple(site.services)
    )
    return LoginTrial(login, tuple(played))


def _check_names(policies: PolicySet, given: GivenFacts, sendable: frozenset[str] | None) -> None:
    affiliations = [policy.affiliation for policy in policies.policies]
    if given.intent is not None and given.intent not in affiliations:
        raise NoSuchNameError("affiliation", given.intent, affiliations)
    if sendable is None or given.whole:
        return
    for name in (*given.attributes, *given.without):
        if name not in sendable:
            raise NoSuchNameError("attribute", name, sorted(sendable))


def _find_sendable(site: Site, upstream: Upstream) -> frozenset[str] | None:
    """Return the attributes that the upstream can send; None: any."""
    if upstream.attribute_map not in site.maps:
        return None
    return frozenset(row.name for row in site.maps[upstream.attribute_map].rows)
