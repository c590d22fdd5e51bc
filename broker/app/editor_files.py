"""The JSON Schemas of a site: which there are, where each lies, and their writing there."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from broker.adapters.web.sign_up import content_files
from broker.app import policy_configuration
from broker.app.assembly import now
from broker.configuration import attribute_maps
from broker.configuration.editor_schemas import JsonSchema
from broker.configuration.policies import file_schema, live_policies, property_schema
from broker.configuration.policies.site_schema import SiteNames, site_rules_schema, site_schema
from broker.configuration.settings.config import Config
from broker.core.borrowers.library_system import ExpectedSetup
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import PolicySet

POLICY: Final = "policy"
SERVICES: Final = "services"
PROPERTIES: Final = "policy-properties"
_OPEN: Final[Mapping[str, Callable[[], JsonSchema]]] = {
    POLICY: file_schema.json_schema,
    SERVICES: file_schema.services_schema,
    "attribute-map": attribute_maps.map_schema,
    "labels": attribute_maps.labels_schema,
    PROPERTIES: property_schema.rules_schema,
    "page": content_files.page_schema,
    "faq": content_files.faq_schema,
}
KINDS: Final = tuple(_OPEN)
# Those that name what a site has.
_NAMED: Final[Mapping[str, Callable[[SiteNames], JsonSchema]]] = {
    POLICY: site_schema,
    PROPERTIES: site_rules_schema,
}


def schema_text(kind: str, names: SiteNames | None) -> str:
    """Return the JSON Schema of one of ``KINDS``; without ``names`` any name will do."""
    schema = _OPEN[kind]() if names is None or kind not in _NAMED else _NAMED[kind](names)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(settings: Config, names: SiteNames, into: Path | None = None) -> Iterator[Path]:
    """Write each schema where the files name it, and yield where; OSError where it cannot be.

    With ``into`` those of the policies alone, into that folder.
    """
    paths = _of_policies(into) if into else _paths(settings)
    for kind, path in paths.items():
        new = path.with_name(f".{path.name}.new")
        new.write_text(schema_text(kind, names), encoding="utf-8")
        new.replace(path)
        yield path


def _paths(settings: Config) -> dict[str, Path]:
    paths = {
        **_of_policies(settings.policies),
        "attribute-map": settings.attribute_maps / "attribute_map.schema.json",
        "labels": settings.attribute_maps / "labels.schema.json",
    }
    if settings.content is not None:
        paths["page"] = settings.content / "page.schema.json"
        paths["faq"] = settings.content / "faq.schema.json"
    return paths


def _of_policies(folder: Path) -> dict[str, Path]:
    return {
        POLICY: folder / "policy.schema.json",
        SERVICES: folder / "services.schema.json",
        PROPERTIES: folder / "policy_properties.schema.json",
    }


def collect_site_names(settings: Config) -> tuple[SiteNames, tuple[Fault, ...]]:
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
        fields=sorted(policy_configuration.find_borrower_fields(settings) or ()),
        categories=tuple(dict.fromkeys(_categories(settings, policies))),
        affiliations=tuple(_affiliations(policies)),
    ), faults


def _categories(settings: Config, policies: PolicySet) -> Iterator[str]:
    yield from ExpectedSetup.from_policies(policies).categories
    yield from settings.library.desk_categories


def _affiliations(policies: PolicySet) -> Iterator[str]:
    for policy in policies.policies:
        yield policy.affiliation
