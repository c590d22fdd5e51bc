"""The names that a site's files may use: its services, upstreams, attributes and categories."""

from collections.abc import Iterator

from broker.app import policy_surroundings
from broker.app.assembly import now
from broker.core.borrowers.library_system import ExpectedSetup
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import PolicySet
from broker.files import attribute_maps
from broker.files.policies import live_policies
from broker.files.policies.site_schema import SiteNames
from broker.files.settings.config import Config


def site_names(settings: Config) -> tuple[SiteNames, tuple[Fault, ...]]:
    """Return the names, and the faults of policies whose categories are left out for them.

    ConfigurationFaults where the attribute maps cannot be read.
    """
    maps = attribute_maps.load(settings.attribute_maps)
    labels = dict.fromkeys(maps.attributes, "")
    labels |= {name: maps.labels[name].en for name in maps.attributes & maps.labels.keys()}
    policies = PolicySet((), "")
    faults: tuple[Fault, ...] = ()
    try:
        policies = live_policies.load(settings.policies, now())
    except ConfigurationFaults as found:
        faults = found.faults
    return SiteNames(
        services=tuple(settings.services),
        upstreams=tuple(settings.upstreams),
        attributes=labels,
        fields=sorted(policy_surroundings.fields_of_library(settings) or ()),
        categories=tuple(dict.fromkeys(_categories(settings, policies))),
        affiliations=tuple(_affiliations(policies)),
    ), faults


def _categories(settings: Config, policies: PolicySet) -> Iterator[str]:
    yield from ExpectedSetup.of(policies).categories
    yield from settings.library.desk_categories


def _affiliations(policies: PolicySet) -> Iterator[str]:
    for policy in policies.policies:
        yield policy.affiliation
