"""Tries described logins against a set of policies, by the engine and the entities of live ones."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.saml.faces import unsigned_response
from broker.adapters.saml.metadata.live_metadata import LiveMetadata
from broker.adapters.translations.catalogue import marked as _
from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.core.entities import Controller, Institution, Names, Service, Text, Upstream
from broker.core.errors import ConfigurationFaults
from broker.core.event_routes import told_nobody
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from broker.core.login.described_login import DescribedBorrower, DescribedLogin, IdealTerms
from broker.core.login.given_facts import (
    HOME,
    CompletedFacts,
    GivenFacts,
    completed,
    described,
    of_login,
)
from broker.core.login.ideal_login import play
from broker.core.login.login_decision import with_required_names
from broker.core.login.nearest_login import NearLogin, near_logins
from broker.core.login.played_login import PlayedLogin
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay, replayed
from broker.core.policy.model import Example, PolicySet, ideal_service
from broker.files.checked_files import did_you_mean
from broker.files.policies import live_policies
from broker.files.policies.compiled_files import read_login
from broker.files.settings.config import Config
from broker.files.settings.toml_and_environment import CONFIG

_HERE: Final = Path("policies")
_ANY: Final = "any"
_ISSUER: Final = "https://broker.example/saml/idp/metadata"
_ACS: Final = "https://service.example/acs"
_LIBRARY: Final = "library"
_EID: Final = "nemid"


_GONE: Final[Mapping[str, str]] = {
    "upstream": _("there is no upstream %(name)s"),
    "service": _("there is no service %(name)s"),
}


class NoSuchNameError(LookupError):
    """A name that is not there; its text is a sentence that names those that are.

    ``message`` says of an upstream or service only that it is gone, with a place for its ``name``.
    """

    def __init__(self, text: str, kind: str, name: str) -> None:
        """Take the sentence, and of what kind and name it is."""
        super().__init__(text)
        self.message = _GONE.get(kind, "%(name)s")
        self.name = name

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> "NoSuchNameError":
        """Return the error of an unknown ``name``, with the one that may have been meant."""
        names = tuple(known)
        mend = did_you_mean(name, names) or f"one of {', '.join(names)}"
        return cls(f"there is no {kind} {name!r}: {mend}", kind, name)


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
    issuer: str = _ISSUER
    acs: Mapping[str, str] = field(default_factory=dict)
    signs_up_at: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A login as it was completed and read, and what came of it at each service."""

    given: GivenFacts
    complete: CompletedFacts
    login: DescribedLogin
    played: tuple[PlayedLogin, ...]


def opened(folder: Path | None, now: datetime) -> Site:
    """Return the site that is configured, with the policies of ``folder`` if one is named.

    Without a configuration the policies of ``folder``, or of ./policies, with ideal services.
    ConfigurationFaults with all faults.
    """
    if CONFIG not in os.environ and (folder or _HERE.is_dir()):
        return _ideal(folder or _HERE, now)
    return _configured(configuration(), folder, now)


def replayed_now(site: Site, facts: RefusedFacts, now: datetime) -> Replay:
    """Play a refused login again by the policies of ``site``.

    NoSuchNameError where its service or upstream is no longer there.
    """
    upstream = _upstream(site, facts.upstream)
    service = _service(site, facts.service)
    terms = IdealTerms(_giver(upstream, None), _local(site))
    return replayed(facts, service, site.policies, now, terms)


def tried(site: Site, given: GivenFacts, services: Names, now: datetime) -> Trial:
    """Play ``given`` at ``services``; at all of them, where none is named.

    NoSuchNameError for an upstream, a service, an intent or an attribute that is not there.
    """
    upstream = _upstream(site, given.upstream)
    _check_names(site, given, upstream)
    complete = completed(given, upstream, _sendable(site, upstream), site.policies)
    login = described(complete, upstream, _maps(site, complete.facts), site.policies, now)
    terms = IdealTerms(_giver(upstream, complete.institution), _local(site))
    played = (
        play(login, _service(site, name), site.policies, now, terms)
        for name in services or tuple(site.services)
    )
    return Trial(given, complete, login, tuple(played))


def with_borrowers(
    site: Site, trial: Trial, played: PlayedLogin, now: datetime
) -> list[PlayedLogin]:
    """Play a login again with each borrower that its policy changes, to name the other outcomes."""
    policy = played.decision.policy
    rule = policy.borrower if policy else None
    if rule is None or trial.login.borrower:
        return []
    lowered = rule.lowers.categories if rule.lowers else ()
    terms = IdealTerms(local=_local(site))
    there = [DescribedBorrower(category) for category in (*rule.upgrades, *lowered)]
    again = (replace(trial.login, borrower=borrower) for borrower in there)
    return [play(login, played.service, site.policies, now, terms) for login in again]


def is_offered(site: Site, trial: Trial, played: PlayedLogin) -> bool:
    """Return whether the service offers the way to log in; any does where nothing is configured."""
    return not site.configured or trial.login.upstream in played.service.methods


def nearest(site: Site, trial: Trial, played: PlayedLogin, now: datetime) -> Sequence[NearLogin]:
    """Return the logins with the least effort that the same service lets in; nothing without one.

    First of the affiliation that was refused: the others are for other people. Of the others that
    with the least effort, where it is less.
    """
    service = played.service
    own = played.decision.affiliation
    near = near_logins(_at_home(trial), service, site.policies, now.date())
    near.sort(key=lambda each: each.affiliation != own)
    found: list[NearLogin] = []
    for each in near:
        if found and (found[0].affiliation == each.affiliation or each.effort >= found[0].effort):
            continue
        if _may_be_taken(site, trial, each, service):
            again = tried(site, each.facts, (service.name,), now)
            if again.played[0].permitted:
                found.append(each)
    return found[:2]


def _at_home(trial: Trial) -> GivenFacts:
    """Return what was given, with the home organisation that their affiliation shows."""
    home = trial.complete.facts.attributes.get(HOME)
    if home is None:
        return trial.given
    return replace(trial.given, attributes={HOME: home, **trial.given.attributes})


def example_at(policies: PolicySet, file: str, line: int) -> Example | None:
    """Return the example of ``file`` that begins at ``line``, or is the last before it."""
    found = None
    for policy in policies.policies:
        for example in policy.examples:
            if policy.file == file and example.place.line <= line:
                found = example
    return found


def facts_of_file(path: Path) -> GivenFacts:
    """Return the facts of a login that a YAML file describes as an example of a policy does.

    ConfigurationFaults.
    """
    return of_login(read_login(path))


def unsigned(site: Site, trial: Trial, played: PlayedLogin, now: datetime) -> str | None:
    """Return the Response that a permitted login leads to, unsigned; None where nothing leaves."""
    disclosure = played.disclosure
    if disclosure is None:
        return None
    service = played.service
    attribute_map = site.maps.get(service.attribute_map) or _identity(
        tuple(item.name for item in disclosure.items)
    )
    upstream = _upstream(site, trial.login.upstream)
    return unsigned_response.written(
        unsigned_response.Addressee(site.issuer, service, site.acs.get(service.name, _ACS)),
        disclosure,
        (upstream.entity_id, trial.login.institution),
        attribute_map,
        now,
    )


def _may_be_taken(site: Site, trial: Trial, near: NearLogin, service: Service) -> bool:
    """Return whether the service offers the way, and it asks for no account that is not there."""
    upstream = near.facts.upstream
    if upstream in _local(site) and trial.given.borrower is None:
        return False
    return not service.methods or upstream in service.methods


def _ideal(folder: Path, now: datetime) -> Site:
    policies = live_policies.load(folder, now)
    names = dict.fromkeys(
        release.service for policy in policies.policies for release in policy.releases
    )
    services = {name: ideal_service(name) for name in names}
    return Site(
        policies=policies,
        origin=str(folder),
        services=services,
        upstreams={},
        maps={},
        configured=False,
        signs_up_at=_makes_borrowers(policies),
    )


def _configured(settings: Config, folder: Path | None, now: datetime) -> Site:
    found = policy_surroundings.load(settings, told_nobody, now)
    faults = list(found.faults)
    read = folder or settings.policies
    policies = policy_surroundings.tried(faults, lambda: live_policies.load(read, now, found.names))
    metadata, maps = found.metadata, found.maps
    if faults or policies is None or metadata is None or maps is None:
        raise ConfigurationFaults(faults)
    return Site(
        policies=policies,
        origin=str(folder) if folder else "as configured",
        services=found.services,
        upstreams=found.upstreams,
        maps=maps.maps,
        configured=True,
        issuer=settings.idp_entity_id,
        acs=dict(_acs(metadata, found.services.values(), now)),
        signs_up_at=settings.sign_up.service,
    )


def _acs(
    metadata: LiveMetadata, services: Iterable[Service], now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield the first ACS of each service that has metadata."""
    for service in services:
        descriptor = metadata.current.service(service.entity_id, now)
        if descriptor and descriptor.acs:
            yield service.name, descriptor.acs[0].location


def _makes_borrowers(policies: PolicySet) -> str | None:
    """Return the first service for which a policy makes borrowers: people sign up for it."""
    for policy in policies.policies:
        for release in policy.releases:
            if release.borrower == "make":
                return release.service
    return None


def _check_names(site: Site, given: GivenFacts, upstream: Upstream) -> None:
    affiliations = [policy.affiliation for policy in site.policies.policies]
    if given.intent is not None and given.intent not in affiliations:
        raise NoSuchNameError.of("affiliation", given.intent, affiliations)
    sendable = _sendable(site, upstream)
    if sendable is None or given.whole:
        return
    for name in (*given.attributes, *given.without):
        if name not in sendable:
            raise NoSuchNameError.of("attribute", name, sorted(sendable))


def _upstream(site: Site, name: str) -> Upstream:
    """Return the upstream; one that is as the policies hope, where nothing is configured."""
    if site.configured:
        if name not in site.upstreams:
            raise NoSuchNameError.of("upstream", name, site.upstreams)
        return site.upstreams[name]
    named = _named_upstreams(site.policies)
    if name not in named:
        raise NoSuchNameError.of("upstream", name, named)
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
        return with_required_names(site.services[name], site.maps)
    raise NoSuchNameError.of("service", name, site.services)


def _sendable(site: Site, upstream: Upstream) -> frozenset[str] | None:
    if upstream.attribute_map not in site.maps:
        return None
    return frozenset(row.name for row in site.maps[upstream.attribute_map].rows)


def _maps(site: Site, facts: GivenFacts) -> Mapping[str, AttributeMap]:
    """Return the maps, with one for an upstream of which nothing is configured."""
    return {**site.maps, _ANY: _identity((*facts.attributes, "eduPersonAssurance"))}


def _identity(names: Names) -> AttributeMap:
    return AttributeMap(_ANY, tuple(MapRow(name, name) for name in dict.fromkeys(names)))


def _local(site: Site) -> frozenset[str]:
    if not site.configured:
        return frozenset({_LIBRARY})
    return frozenset(name for name, upstream in site.upstreams.items() if upstream.local)


def _giver(upstream: Upstream, institution: Institution | None) -> Controller:
    label = institution.label if institution else None
    return Controller(label or upstream.label)
