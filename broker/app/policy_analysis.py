"""Opens what the analysis of policies needs beside the sets: sources and services of the site."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.app.policy_surroundings import PolicySurroundings
from broker.core.analysis.compared_logins import Site
from broker.core.analysis.set_pairs import named_services
from broker.core.analysis.sources import CATEGORY, ideal_sources
from broker.core.errors import ConfigurationFaults
from broker.core.event_routes import told_nobody
from broker.core.policy.ideal_service import ideal_service
from broker.core.policy.model import PolicySet
from broker.files.policies import live_policies
from broker.files.policies.configured_names import ANY_NAMES, NameableInPolicies
from broker.files.policies.policy_folder import PolicyFolder
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


def opened(folders: tuple[Path, ...], moment: datetime) -> AnalysedSets:
    """Load the sets of ``folders``, and the site that is configured; ConfigurationFaults.

    The last of them is held against its examples and the site rules; the others were in force.
    """
    if CONFIG not in os.environ:
        *before, proposed = folders
        sets = (*_loaded(before, moment, ANY_NAMES), live_policies.load(proposed, moment))
        return AnalysedSets(sets, ideal_site(sets), configured=False)
    found = policy_surroundings.load(configuration(), told_nobody, moment)
    if found.faults:
        raise ConfigurationFaults(found.faults)
    *before, proposed = folders
    older = _loaded(before, moment, found.names)
    newest = live_policies.load(proposed, moment, found.proving)
    return AnalysedSets((*older, newest), compared_site(found), configured=True)


def _loaded(
    folders: Iterable[Path], moment: datetime, names: NameableInPolicies
) -> list[PolicySet]:
    found = (replace(PolicyFolder(folder).files(), binding=False) for folder in folders)
    return [live_policies.load_found(each, moment, names) for each in found]


def analysed(policies: PolicySet, found: PolicySurroundings | None) -> AnalysedSets:
    """Return one set, loaded already, with the site that it was checked against."""
    sets = (policies,)
    if found is None:
        return AnalysedSets(sets, ideal_site(sets), configured=False)
    return AnalysedSets(sets, configured_site(found), configured=True)


def configured_site(found: PolicySurroundings) -> Site:
    """Return the sources and services that are configured, as the metadata completes them."""
    maps = found.maps.maps if found.maps else {}
    return Site.of(found.services, found.upstreams, maps)


def compared_site(found: PolicySurroundings) -> Site:
    """Return the configured site as sets are compared for it, whatever services publish now."""
    return configured_site(found).as_peers_may_become


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
    services = (ideal_service(name, methods) for name in sorted(named_services(sets)))
    return Site(tuple(ideal_sources(methods, local)), tuple(services))
