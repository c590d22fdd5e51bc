"""The site that logins are tried at: as it is configured, or as the policies hope."""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.saml.idp import unsigned_response
from broker.adapters.saml.metadata.live_metadata import LiveMetadata
from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.configuration.policies import live_policies
from broker.configuration.policies.compiled_files import read_login
from broker.configuration.settings.config import Config
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults
from broker.core.events.broker_events import discard_event
from broker.core.login.given_facts import GivenFacts, of_login
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import PolicySet, ideal_service
from broker.use_cases.policy_trials import Site, Trial, find_upstream, identity_map

_ACS: Final = "https://service.example/acs"


def open_site(folder: Path | None, now: datetime) -> Site:
    """Return the site that is configured, with the policies of ``folder`` if one is named.

    Without a configuration the policies of ``folder``, or of ./policies, with ideal services.
    ConfigurationFaults with all faults.
    """
    if CONFIG not in os.environ and (folder or policy_surroundings.HERE.is_dir()):
        return _ideal(folder or policy_surroundings.HERE, now)
    return _configured(configuration(), folder, now)


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
    attribute_map = site.maps.get(service.attribute_map) or identity_map(
        tuple(item.name for item in disclosure.items)
    )
    upstream = find_upstream(site, trial.login.upstream)
    return unsigned_response.written(
        unsigned_response.Addressee(site.issuer, service, site.acs.get(service.name, _ACS)),
        disclosure,
        (upstream.entity_id, trial.login.institution),
        attribute_map,
        now,
    )


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
    found = policy_surroundings.load(settings, discard_event, now)
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
