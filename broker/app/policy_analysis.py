"""Opens what the analysis of policies needs beside the sets: sources and services of the site."""

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.app import open_metadata
from broker.app.named_configuration import configuration
from broker.core.analysis.compared_logins import Site
from broker.core.analysis.sources import CATEGORY, ideal_sources, sources_of
from broker.core.entities import Service
from broker.core.event_routes import told_nobody
from broker.core.login.login_decision import with_required_names
from broker.core.policy.ideal_service import ideal_service
from broker.core.policy.model import PolicySet
from broker.files import attribute_maps
from broker.files.policies import live_policies
from broker.files.settings.config import Config
from broker.files.settings.toml_and_environment import CONFIG

_UPSTREAM: Final = "upstream"


@dataclass(frozen=True, slots=True)
class AnalysedSets:
    """Policy sets and the site that they are analysed for.

    Where nothing is ``configured`` every upstream may assert everything, and every service is as
    the policies hope.
    """

    sets: tuple[PolicySet, ...]
    site: Site
    configured: bool


def opened(folders: tuple[Path, ...], now: datetime) -> AnalysedSets:
    """Load the sets of ``folders``, and the site that is configured; ConfigurationFaults."""
    if CONFIG not in os.environ:
        sets = tuple(live_policies.load(folder, now) for folder in folders)
        return AnalysedSets(sets, ideal_site(sets), configured=False)
    return _configured(configuration(), folders, now)


def _configured(settings: Config, folders: tuple[Path, ...], now: datetime) -> AnalysedSets:
    metadata = open_metadata.opened(settings, told_nobody, now)
    maps = attribute_maps.load(settings.attribute_maps)
    services = metadata.snapshot.services
    upstreams = metadata.current.completed_upstreams
    names = live_policies.NameableInPolicies(
        services, maps.attributes, services, maps.maps, upstreams
    )
    sources = (
        source for upstream in upstreams.values() for source in sources_of(upstream, maps.maps)
    )
    known = (with_required_names(service, maps.maps) for service in services.values())
    site = Site(tuple(sources), tuple(known))
    sets = tuple(live_policies.load(folder, now, names) for folder in folders)
    return AnalysedSets(sets, site, configured=True)


def ideal_site(sets: tuple[PolicySet, ...]) -> Site:
    """Return a site as the policies hope: all that they name is there."""
    upstreams: dict[str, None] = {}
    local: set[str] = set()
    for policies in sets:
        for policy in policies.policies:
            for alternative in policy.match:
                values = {each.name: each.values for each in alternative.conditions}
                named = values.get(_UPSTREAM, ())
                upstreams |= dict.fromkeys(named)
                local |= set(named) if CATEGORY in values else set()
    methods = tuple(upstreams)
    services = (replace(service, methods=methods) for service in _services(sets))
    return Site(tuple(ideal_sources(methods, local)), tuple(services))


def _services(sets: tuple[PolicySet, ...]) -> tuple[Service, ...]:
    names = dict.fromkeys(
        release.service
        for policies in sets
        for policy in policies.policies
        for release in policy.releases
    )
    return tuple(map(ideal_service, names))
